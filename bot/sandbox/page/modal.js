/** Modals: the top view of the person's stack in a dialog, submitted to the app. */

import { post } from "./api.js";
import { blocks } from "./block_kit/blocks.js";
import { fill, h, icon } from "./dom.js";
import { plain } from "./block_kit/mrkdwn.js";
import { state } from "./state.js";
import { surface } from "./surface.js";
import { toast } from "./toast.js";

let dialog = null;
let shown = "";

/** Update the dialog from the stack of the person who is acting. */
export function modal() {
  const view = state.stacks[state.me]?.at(-1);
  const key = view ? `${view.id}/${view.hash}` : "";
  if (key === shown) return;
  const isOther = !view || !shown.startsWith(`${view.id}/`);
  shown = key;
  if (isOther) {
    dialog?.close();
    dialog?.remove();
    dialog = null;
  }
  if (!view) return;
  if (!dialog) {
    dialog = h("dialog.modal", { oncancel: (event) => (event.preventDefault(), close()) });
    document.body.append(dialog);
    draw(view, {});
    dialog.showModal();
    dialog.querySelector("main :is(input, textarea, select)")?.focus();
  } else {
    draw(view, {});
  }
}

const close = (all = false) => post("close", { as: state.me, all });

function draw(view, errors) {
  const focused = document.activeElement?.closest("[data-block]")?.dataset.block;
  const where = surface({ view_id: view.id }, view.state?.values);
  const submit = view.submit ? h("button.button.primary", { type: "submit" }, plain(view.submit.text)) : null;
  const form = h(
    "form",
    { noValidate: true, onsubmit: (event) => (event.preventDefault(), send(view, where, submit)) },
    h("header", {}, h("h2", {}, plain(view.title.text)), h("button.icon-button", { type: "button", "aria-label": "Close", onclick: () => close(true) }, icon("close"))),
    h("main", {}, errors[""] ? h("p.error", { role: "alert" }, errors[""]) : null, blocks(view.blocks, where, errors)),
    h("footer", {}, h("button.button", { type: "button", onclick: () => close() }, plain(view.close?.text ?? (view.submit ? "Cancel" : "Close"))), submit),
  );
  dialog.setAttribute("aria-label", view.title.text);
  fill(dialog, form);
  const again = Object.keys(errors)[0] ?? focused;
  if (again) dialog.querySelector(`[data-block="${CSS.escape(again)}"] :is(input, textarea, select)`)?.focus();
}

async function send(view, where, submit) {
  submit.disabled = true;
  const answer = await post("submit", { as: state.me, values: where.values });
  submit.disabled = false;
  if (!answer.ok) toast(`Not submitted: ${answer.error}`);
  else if (Object.keys(answer.errors).length) draw(view, answer.errors);
}
