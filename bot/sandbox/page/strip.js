/** The strip above the chat: the shop's scene, the speed of time, Slack's faults. */

import { post } from "./api.js";
import { confirmed } from "./block_kit/elements.js";
import { fill, h, icon } from "./dom.js";
import { progress, stepsHidden } from "./guide.js";
import { now, state } from "./state.js";
import { stamp } from "./time.js";
import { toast } from "./toast.js";

const FAULTS = { rate_limited: "Too many requests (429)", server_error: "Server errors (500)", cut: "Cut connections", slow: "Slow answers", nonsense: "Nonsense answers" };

let isOpen = false;

/** Draw the strip; on a phone its buttons are shown when asked for. */
export function strip(bar, actions) {
  const sig = JSON.stringify([state.story, stepsHidden(), isOpen]);
  if (bar.sig !== sig) {
    bar.sig = sig;
    const focused = document.activeElement?.closest("#strip button")?.dataset.key;
    bar.classList.toggle("open", isOpen);
    // The menu of faults stays the same node, or it would close at each change.
    const menu = bar.querySelector(".faults") ?? faults();
    const { what } = state.story ?? { what: "Sandbox" };
    fill(
      bar,
      state.story ? [playing(bar, actions), scenes(), speeds(), clockFace()] : null,
      h("div.tools", {}, state.story ? [steps(actions), startOver()] : null, menu),
      h("p.what", { role: "status" }, what),
    );
    if (focused) bar.querySelector(`[data-key="${focused}"]`)?.focus();
  }
  showFaults(bar.querySelector(".faults"));
}

/** What plays now, and on a phone the button for everything else. */
function playing(bar, actions) {
  const { scene, scenes: all, speed } = state.story;
  const toggle = () => {
    isOpen = !isOpen;
    strip(bar, actions);
  };
  return h("button.now", { type: "button", "aria-expanded": String(isOpen), "aria-label": "Sandbox controls", dataset: { key: "now" }, onclick: toggle }, h("strong", {}, all.find((each) => each.name === scene).label), h("span", {}, `${speed}×`), icon("switch"));
}

function steps({ showSteps }) {
  if (!stepsHidden()) return null;
  const [done, all] = progress();
  return h("button.over", { type: "button", dataset: { key: "steps" }, onclick: showSteps }, `First steps ${done}/${all}`);
}

function scenes() {
  const { scene, scenes: all } = state.story;
  const one = ({ name, label }) => h(`button.scene.${name}`, { type: "button", "aria-pressed": String(name === scene), dataset: { key: name }, onclick: () => play({ scene: name }) }, label);
  return h("div.scenes", { role: "group", "aria-label": "What happens in the shop" }, all.map(one));
}

function speeds() {
  const one = (speed) => h("button", { type: "button", "aria-pressed": String(speed === state.story.speed), dataset: { key: speed }, onclick: () => play({ speed }) }, `${speed}×`);
  return h("div.speeds", { role: "group", "aria-label": "Speed of time" }, state.story.speeds.map(one));
}

function startOver() {
  if (!state.story.can_start_over) return null;
  return h("button.over", { type: "button", title: "Forget everything and start the story again", dataset: { key: "over" }, onclick: askFirst }, "Start over");
}

/** Ask before everything is forgotten. */
async function askFirst() {
  const plain = (text) => ({ type: "plain_text", text });
  const confirm = {
    title: plain("Start over?"),
    text: plain("Every message, incident, flag and freeze of this sandbox is forgotten, and the story starts again."),
    confirm: plain("Forget everything"),
    deny: plain("Keep it"),
    style: "danger",
  };
  if (await confirmed({ confirm })) await restart();
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

/** The menu of faults, drawn once; `showFaults` brings it up to date. */
function faults() {
  const row = ([name, label]) => h("label.check", {}, h("input", { type: "checkbox", name, onchange: (event) => post("faults", { [name]: event.target.checked ? 0.3 : 0 }) }), h("span", {}, label));
  return h("details.menu.faults", {}, h("summary", {}, "Slack faults"), h("div.popover", {}, h("p.hint", {}, "Each one hits three calls in ten."), Object.entries(FAULTS).map(row)));
}

function showFaults(menu) {
  const on = Object.keys(FAULTS).filter((name) => state.faults[name] > 0);
  const summary = menu.querySelector("summary");
  summary.classList.toggle("on", on.length > 0);
  const text = on.length ? `Slack faults: ${on.length}` : "Slack faults";
  if (summary.textContent !== text) summary.textContent = text;
  for (const input of menu.querySelectorAll("input")) input.checked = on.includes(input.name);
}
