/** The first steps: a checklist beside the chat, ticked by what has really happened, with a button for the next one. */

import { post } from "./api.js";
import { inline } from "./block_kit/mrkdwn.js";
import { fill, h, icon } from "./dom.js";
import { state } from "./state.js";
import { toast } from "./toast.js";

let isOpen = false;
let isHidden = localStorage.getItem("sandbox.steps") || "";

/** Return how many steps are done, and how many there are. */
export const progress = () => [state.story.steps.filter((step) => step.done).length, state.story.steps.length];

/** Whether there are steps, and the reader has hidden them. */
export const stepsHidden = () => Boolean(state.story?.steps) && isHidden === state.started;

/** Show the steps, or hide them until the story begins anew. */
export function showSteps(shown) {
  isHidden = shown ? "" : state.started;
  localStorage.setItem("sandbox.steps", isHidden);
}

/** Draw the checklist; `actions.write` fills a message box, `actions.be` goes to a channel as somebody. */
export function guide(aside, actions) {
  const steps = state.story?.steps;
  aside.hidden = !steps || stepsHidden();
  if (aside.hidden) return;
  const sig = JSON.stringify([steps, isOpen, state.started]);
  if (aside.sig === sig) return;
  aside.sig = sig;
  const next = steps.find((step) => !step.done);
  const [done, all] = progress();
  const redraw = () => guide(aside, actions);
  const toggle = () => {
    isOpen = !isOpen;
    redraw();
    aside.querySelector(".more")?.focus();
  };
  const hide = () => {
    showSteps(false);
    actions.redraw();
  };
  aside.classList.toggle("open", isOpen);
  fill(
    aside,
    h(
      "header",
      {},
      h("h2", {}, "First steps"),
      h("span.count", { role: "status" }, `${done} of ${all} done`),
      h("button.icon-button.more.only-narrow", { type: "button", "aria-expanded": String(isOpen), "aria-label": "All steps", onclick: toggle }, icon("switch")),
      h("button.icon-button", { type: "button", "aria-label": "Hide the first steps", title: "Hide", onclick: hide }, icon("close")),
    ),
    h("ol", {}, steps.map((step) => row(step, step === next, actions))),
    next ? null : h("p.finished", {}, "That is the whole loop. ", inline("`/governor help` shows what else there is, and Start over plays it again.")),
  );
}

function row(step, isNext, actions) {
  const mark = step.done ? ".done" : isNext ? ".next" : "";
  return h(
    `li${mark}`,
    { "aria-current": isNext ? "step" : undefined },
    h("span.tick", {}, step.done ? icon("check") : null),
    h("div", {}, h("strong", {}, step.title), step.done ? h("span.unseen", {}, " (done)") : null, isNext ? h("p", {}, inline(step.how)) : null, isNext ? button(step.action, actions) : null),
  );
}

function button(action, actions) {
  const press = {
    type: () => actions.write(action),
    be: () => actions.be(action),
    async play() {
      actions.be({ ...action, as: state.me });
      const answer = await post("story", action.story);
      if (!answer.ok) toast(answer.error);
    },
  }[action.kind];
  const who = state.users[action.as]?.real_name.split(" ")[0];
  const label = action.label ?? (action.as === state.people[0] ? "Type it" : `Type it as ${who}`);
  return h("button.button.primary", { type: "button", onclick: press }, label);
}
