/** Client of the sandbox's API: the snapshot, the stream of changes, and actions. */

/** Post to `/sandbox/{action}`; the response is an object with `ok` and perhaps `error`. */
export async function post(action, body) {
  try {
    const response = await fetch(`/sandbox/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    return await response.json();
  } catch {
    return { ok: false, error: "The sandbox does not answer." };
  }
}

/** Load the snapshot. */
export async function snapshot() {
  const response = await fetch("/sandbox/state");
  return response.json();
}

/** Follow changes; `onopen` is called at each (re)connection. */
export function follow(onchange, onopen, onlost) {
  const source = new EventSource("/sandbox/changes");
  source.addEventListener("open", onopen);
  source.addEventListener("error", onlost);
  source.addEventListener("message", (event) => onchange(JSON.parse(event.data)));
}
