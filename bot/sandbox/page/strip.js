/** The strip above the chat: the shop's scene, the speed of time, Slack's faults. */

import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { now, state } from "./state.js";
import { stamp } from "./time.js";
import { toast } from "./toast.js";

const FAULTS = { rate_limited: "Too many requests (429)", server_error: "Server errors (500)", cut: "Cut connections", slow: "Slow answers", nonsense: "Nonsense answers" };

/** Draw the strip. */
export function strip(bar) {
  const sig = JSON.stringify([state.story, state.faults]);
  if (bar.sig === sig) return;
  bar.sig = sig;
  fill(bar, state.story ? [scenes(), speeds(), clockFace(), startOver()] : h("span.what", {}, "Sandbox"), faults());
}

function scenes() {
  const { scene, scenes: all, what } = state.story;
  const one = ({ name, label }) => h(`button.scene.${name}`, { type: "button", "aria-pressed": String(name === scene), onclick: () => play({ scene: name }) }, label);
  return [h("div.scenes", { role: "group", "aria-label": "What happens in the shop" }, all.map(one)), h("span.what", { role: "status" }, what)];
}

function speeds() {
  const one = (speed) => h("button", { type: "button", "aria-pressed": String(speed === state.story.speed), onclick: () => play({ speed }) }, `${speed}×`);
  return h("div.speeds", { role: "group", "aria-label": "Speed of time" }, state.story.speeds.map(one));
}

function startOver() {
  if (!state.story.can_start_over) return null;
  return h("button.over", { type: "button", title: "Forget everything and begin the story anew", onclick: restart }, "Start over");
}

/** Restart the program, and reload the page once it responds. */
async function restart() {
  const before = state.started;
  const answer = await post("over", {});
  if (!answer.ok) return toast(answer.error);
  toast("Starting over…");
  const again = async () => {
    try {
      const response = await fetch("/sandbox/state");
      if (response.ok && (await response.json()).started !== before) return location.reload();
    } catch {
      // The program is stopping or starting.
    }
    setTimeout(again, 300);
  };
  setTimeout(again, 300);
}

async function play(body) {
  const answer = await post("story", body);
  if (!answer.ok) toast(answer.error);
}

function clockFace() {
  const face = h("time.clock", { title: "Simulated time" });
  tick(face);
  return face;
}

function tick(face) {
  const [day, time] = stamp(now());
  fill(face, h("span", {}, day), ` ${time}`);
  setTimeout(() => face.isConnected && tick(face), state.clock.speed > 1 ? 200 : 1000);
}

function faults() {
  const on = Object.keys(FAULTS).filter((name) => state.faults[name] > 0);
  const row = ([name, label]) =>
    h("label.check", {}, h("input", { type: "checkbox", checked: on.includes(name), onchange: (event) => post("faults", { [name]: event.target.checked ? 0.3 : 0 }) }), h("span", {}, label));
  return h(
    "details.menu.faults",
    {},
    h(`summary${on.length ? ".on" : ""}`, {}, on.length ? `Slack faults: ${on.length}` : "Slack faults"),
    h("div.popover", {}, h("p.hint", {}, "Each spoils three calls in ten."), Object.entries(FAULTS).map(row)),
  );
}
