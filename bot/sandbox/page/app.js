/** The page: loads the snapshot, follows changes, and redraws the parts that they concern. */

import { follow, post } from "./api.js";
import { write } from "./composer.js";
import { conversation, pinsPanel, threadPanel } from "./conversation.js";
import { guide, showSteps } from "./guide.js";
import { home } from "./home.js";
import { modal } from "./modal.js";
import { sidebar } from "./sidebar.js";
import { apply, become, canSee, load, markRead, state } from "./state.js";
import { strip } from "./strip.js";
import { switcher } from "./switcher.js";

const byId = (id) => document.getElementById(id);
const nodes = { strip: byId("strip"), sidebar: byId("sidebar"), main: byId("main"), panel: byId("panel"), guide: byId("guide") };
let panel = null;
let planned = 0;
let pressed = false;
let loaded = false;
const waiting = [];

const actions = {
  go: () => document.body.classList.remove("navigating"),
  openSidebar: () => document.body.classList.toggle("navigating"),
  openThread: (item) => show({ kind: "thread", ts: item.ts }),
  openPins: () => show({ kind: "pins" }),
  actAs(user) {
    become(user);
    // A private channel of the person before may be nobody's business now.
    navigate();
  },
  jump: () => switcher(actions.go),
  redraw: () => draw(),
  showSteps() {
    showSteps(true);
    draw();
  },
  /** Go to a channel, by id or name, as somebody. */
  be(action) {
    const channel = [...state.channels.values()].find((each) => [each.id, each.name].includes(action.channel));
    become(action.as);
    actions.go();
    if (location.hash !== `#${channel.id}`) history.pushState(null, "", `#${channel.id}`);
    navigate();
  },
  write(action) {
    actions.be(action);
    write(nodes.main, state.place.id, action.text);
  },
};

function show(what) {
  panel = what;
  draw();
  nodes.panel.querySelector("textarea, button")?.focus();
}

function closePanel() {
  panel = null;
  draw();
}

function draw() {
  planned = 0;
  const channel = state.channels.get(state.place.id);
  if (state.place.kind === "home") {
    panel = null;
    home(nodes.main, actions);
  } else if (channel) {
    if (document.visibilityState === "visible") markRead(channel.id);
    conversation(nodes.main, channel, actions);
  }
  nodes.panel.hidden = !panel;
  if (panel?.kind === "thread") threadPanel(nodes.panel, channel, panel.ts, closePanel);
  if (panel?.kind === "pins") pinsPanel(nodes.panel, channel, closePanel);
  sidebar(nodes.sidebar, actions);
  strip(nodes.strip, actions);
  guide(nodes.guide, actions);
  modal();
}

function plan() {
  planned ||= requestAnimationFrame(() => {
    planned = 0;
    // A pressed element must not be replaced before its release, or the click is lost; `release` draws then.
    if (!pressed) draw();
  });
}

function press() {
  pressed = true;
}

function release() {
  // The click comes after the release.
  setTimeout(() => {
    pressed = false;
    plan();
  });
}

/** Read the address: `#home`, `#messages` (with the app), `#C…`, `#C…/ts`. */
function navigate() {
  const [id, ts] = location.hash.slice(1).split("/");
  if (id === "messages") return void openMessages();
  const seen = [...state.channels.values()].filter(canSee);
  const fallback = seen.find((c) => c.name === "checkout") ?? seen[0];
  if (id === "home") state.place = { kind: "home", id: "" };
  else state.place = { kind: "channel", id: seen.some((c) => c.id === id) ? id : fallback.id };
  panel = null;
  draw();
  if (ts) reveal(ts);
  else nodes.main.querySelector("textarea")?.focus({ preventScroll: true });
}

/** Go to the direct message with the app, which begins it if need be. */
async function openMessages() {
  const { channel } = await post("direct", { as: state.me });
  if (!channel) return location.replace("#home");
  state.channels.set(channel.id, channel);
  location.replace(`#${channel.id}`);
}

function reveal(ts) {
  const node = byId(`m${ts}`);
  node?.scrollIntoView({ block: "center" });
  node?.classList.add("revealed");
}

function onkey(event) {
  if (event.key === "Escape") actions.go();
  if (event.key === "Escape" && panel && !document.querySelector("dialog[open]")) closePanel();
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    actions.jump();
    return;
  }
  const isJump = (event.altKey && ["ArrowUp", "ArrowDown"].includes(event.key));
  if (!isJump) return;
  event.preventDefault();
  const links = [...nodes.sidebar.querySelectorAll("a.place")];
  const here = links.findIndex((link) => link.getAttribute("aria-current"));
  const step = event.key === "ArrowUp" ? -1 : 1;
  links[(here + step + links.length) % links.length].click();
}

function closeMenus(event) {
  if (!event.target.closest(".sidebar, .only-narrow")) actions.go();
  for (const menu of document.querySelectorAll("details.menu[open], details.multi[open]")) if (!menu.contains(event.target)) menu.open = false;
}

/** Load the snapshot; changes that arrive meanwhile are queued and applied to it. */
async function connect() {
  loaded = false;
  await load();
  loaded = true;
  waiting.splice(0).forEach(apply);
  document.body.classList.remove("lost");
  state.place.id ? draw() : navigate();
  document.body.dataset.ready = "true";
}

addEventListener("hashchange", navigate);
addEventListener("keydown", onkey);
addEventListener("click", closeMenus);
addEventListener("pointerdown", press);
for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, release);
addEventListener("visibilitychange", plan);
follow(
  (change) => {
    if (!loaded) return void waiting.push(change);
    apply(change);
    plan();
  },
  connect,
  () => document.body.classList.add("lost"),
);
