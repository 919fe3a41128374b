/** A channel: its head, its messages with day dividers, its message box, and its threads. */

import { post } from "./api.js";
import { composer, placeholderFor } from "./composer.js";
import { fill, h, icon, reconcile } from "./dom.js";
import { appTabs } from "./home.js";
import { emoji } from "./block_kit/emoji.js";
import { message } from "./message.js";
import { inline, plain } from "./block_kit/mrkdwn.js";
import { channelName, replies, state, timeline, userName } from "./state.js";
import { clock, day, dayName } from "./time.js";

const TOGETHER_S = 300;
const SYSTEM = ["channel_join", "channel_topic", "channel_purpose"];

/** Turn messages into keyed entries with dividers between days. */
function entries(list, channel, options) {
  const rows = [];
  let previous = null;
  for (const item of list) {
    const seconds = Number(item.ts);
    if (!previous || day(Number(previous.ts)) !== day(seconds)) {
      rows.push({ key: `day-${day(seconds)}`, sig: dayName(seconds), build: () => h("div.day", {}, h("span", {}, dayName(seconds))) });
      previous = null;
    }
    const compact = follows(item, previous);
    const sig = JSON.stringify([item, compact, channel.pins.includes(item.ts), state.me]);
    rows.push({ key: item.ts, sig, build: () => message(item, channel, { ...options, compact }) });
    previous = item;
  }
  return rows;
}

function follows(item, previous) {
  return (
    previous &&
    previous.user === item.user &&
    !SYSTEM.includes(previous.subtype) &&
    Boolean(previous.ephemeral_to) === Boolean(item.ephemeral_to) &&
    !item.ephemeral_to &&
    !item.blocks?.length &&
    !previous.blocks?.length &&
    Number(item.ts) - Number(previous.ts) < TOGETHER_S
  );
}

/** Draw the channel into `main`; keep the scroll at the end if it was there. */
export function conversation(main, channel, actions) {
  const isSame = main.dataset.place === `${state.me}/${channel.id}`;
  if (!isSame) {
    main.dataset.place = `${state.me}/${channel.id}`;
    fill(main, h("header.head"), h("div.bookmarks"), h("div.log", { role: "log", "aria-label": "Messages", tabIndex: 0 }), h("div.foot"));
  }
  const [head, bookmarks, log, foot] = main.children;
  const wasAtEnd = !isSame || log.scrollTop === log.followedTo || log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  fill(head, headline(channel, actions));
  fill(bookmarks, channel.bookmarks.map((mark) => h("a", { href: mark.link, rel: "noreferrer", target: "_blank" }, mark.emoji ? `${emoji(mark.emoji.replaceAll(":", ""))} ` : "", mark.title)));
  const list = timeline(channel.id);
  reconcile(log, [welcome(channel), ...entries(list, channel, { openThread: actions.openThread })]);
  foots(foot, channel, isSame);
  if (wasAtEnd) follow(log);
}

/** Scroll to the last message: to its end, or to its beginning if it is taller than what is shown. */
function follow(log) {
  const last = log.lastElementChild;
  const isTall = last.offsetHeight > log.clientHeight;
  log.scrollTop = isTall ? last.offsetTop - log.offsetTop : log.scrollHeight;
  log.followedTo = log.scrollTop;
}

function welcome(channel) {
  const name = channel.is_im ? channelName(channel) : `#${channelName(channel)}`;
  const text = channel.purpose?.value || `This is the beginning of ${name}.`;
  return { key: "welcome", sig: name + text, build: () => h("div.welcome", {}, h("h2", {}, name), h("p", {}, inline(text))) };
}

function headline(channel, actions) {
  const topic = channel.topic?.value || channel.purpose?.value || "";
  return [
    h("button.icon-button.only-narrow", { type: "button", "aria-label": "Channels", onclick: actions.openSidebar }, icon("menu")),
    h("h1", { title: channelName(channel) }, channel.is_im ? channelName(channel) : [channel.is_private ? icon("lock") : "#", channelName(channel)]),
    channel.is_im && channel.members.includes(state.bot) ? appTabs("Messages") : h("p.topic", { title: topic }, inline(topic)),
    channel.pins.length ? h("button.icon-button", { type: "button", title: "Pinned messages", "aria-label": `Pinned messages: ${channel.pins.length}`, onclick: actions.openPins }, icon("pin"), String(channel.pins.length)) : null,
    channel.is_im ? null : h("span.count", { title: channel.members.map(userName).join(", ") }, icon("people"), String(channel.members.length)),
  ];
}

function foots(foot, channel, isSame) {
  const mode = channel.is_archived ? "archived" : channel.members.includes(state.me) ? "member" : "guest";
  if (isSame && foot.dataset.mode === mode) return;
  const hasJoined = isSame && foot.dataset.mode === "guest" && mode === "member";
  foot.dataset.mode = mode;
  if (mode === "archived") fill(foot, h("p.closed", {}, "This channel has been archived."));
  else if (mode === "guest") fill(foot, h("p.closed", {}, `You are looking at #${channelName(channel)}. `, h("button.button", { type: "button", onclick: () => post("join", { as: state.me, channel: channel.id }) }, "Join")));
  else fill(foot, composer(channel, { placeholder: placeholderFor(channel) }));
  if (hasJoined && document.activeElement === document.body) foot.querySelector("textarea").focus({ preventScroll: true });
}

/** Draw a thread into the side panel. */
export function threadPanel(panel, channel, ts, close) {
  const root = timeline(channel.id).find((item) => item.ts === ts);
  if (!root) return close();
  const key = `thread/${state.me}/${ts}`;
  if (panel.dataset.place !== key) {
    panel.dataset.place = key;
    fill(panel, panelHead("Thread", close), h("div.log", { role: "log", "aria-label": "Thread" }), h("div.foot", {}, composer(channel, { threadTs: ts, placeholder: "Reply…" })));
  }
  const log = panel.children[1];
  reconcile(log, entries([root, ...replies(channel.id, ts)], channel, { inThread: true }));
  log.scrollTop = log.scrollHeight;
}

/** Draw the pinned messages into the side panel. */
export function pinsPanel(panel, channel, close) {
  panel.dataset.place = `pins/${channel.id}`;
  const pinned = timeline(channel.id).filter((item) => channel.pins.includes(item.ts));
  const one = (item) => h("a.pin", { href: `#${channel.id}/${item.ts}`, onclick: close }, h("strong", {}, userName(item.user)), h("time", {}, clock(Number(item.ts))), h("p", {}, plain(item.text || "Message")));
  fill(panel, panelHead("Pinned", close), h("div.log", {}, pinned.length ? pinned.map(one) : h("p.notice", {}, "Nothing is pinned.")));
}

function panelHead(title, close) {
  return h("header.head", {}, h("h2", {}, title), h("button.icon-button", { type: "button", "aria-label": "Close", onclick: close }, icon("close")));
}
