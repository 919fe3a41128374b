/** One message: its author, time, text and actions. */

import { post } from "./api.js";
import { attachments } from "./attachments.js";
import { blocks } from "./block_kit/blocks.js";
import { h, icon } from "./dom.js";
import { emoji, QUICK } from "./block_kit/emoji.js";
import { inline, mrkdwn } from "./block_kit/mrkdwn.js";
import { messageShortcuts } from "./shortcuts.js";
import { state, userName } from "./state.js";
import { surface } from "./surface.js";
import { clock, stamp } from "./time.js";

/** A person's picture: initials on the person's colour. */
export function avatar(id, size = "") {
  const name = userName(id);
  const initials = name.split(" ").map((word) => word[0]).slice(0, 2).join("");
  const hue = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
  const isBot = state.users[id]?.is_bot;
  return h(`span.avatar${isBot ? ".bot" : ""}${size}`, { "aria-hidden": "true", style: { "--hue": hue } }, initials.toUpperCase());
}

/** Draw a message; `compact` leaves out the author, `openThread` is called by its links. */
export function message(item, channel, { compact = false, inThread = false, openThread = () => {} } = {}) {
  if (["channel_join", "channel_topic", "channel_purpose"].includes(item.subtype)) return notice(item);
  const seconds = Number(item.ts);
  const hidden = item.ephemeral_to ? ".ephemeral" : "";
  const pinned = channel.pins.includes(item.ts);
  return h(
    `article.message${compact ? ".compact" : ""}${hidden}${pinned ? ".pinned" : ""}`,
    { id: inThread ? undefined : `m${item.ts}`, tabIndex: -1 },
    pinned && !inThread ? h("div.mark", {}, icon("pin"), "Pinned") : null,
    item.ephemeral_to ? h("div.mark", {}, icon("eye"), "Only visible to you") : null,
    item.subtype === "thread_broadcast" && !inThread ? broadcastMark(item, openThread) : null,
    compact ? h("time.gutter", { title: stamp(seconds).join(", ") }, clock(seconds)) : avatar(item.user),
    h("div.body", {}, compact ? null : byline(item, seconds), content(item, channel), attachments(item, channel), files(item), reactions(item, channel), inThread ? null : threadLink(item, openThread)),
    item.ephemeral_to ? null : toolbar(item, channel, inThread ? null : openThread, pinned),
  );
}

function broadcastMark(item, openThread) {
  return h("div.mark", {}, icon("reply"), h("button.thread-link", { type: "button", onclick: () => openThread({ ts: item.thread_ts }) }, "Replied to a thread"));
}

function notice(item) {
  return h("p.notice", {}, inline(item.text));
}

function byline(item, seconds) {
  const isBot = state.users[item.user]?.is_bot;
  return h("div.byline", {}, h("strong", {}, item.username ?? userName(item.user)), isBot ? h("span.app", {}, "App") : null, h("time", { title: stamp(seconds).join(", ") }, clock(seconds)));
}

function content(item, channel) {
  const edited = item.edited ? h("small.edited", {}, "(edited)") : null;
  if (!item.blocks?.length) return h("div.prose", {}, mrkdwn(item.text), edited);
  return h("div.blocks", {}, blocks(item.blocks, surface({ channel: channel.id, ts: item.ts })), edited);
}

function files(item) {
  return (item.files ?? []).map((file) => h("a.file", { href: file.url_private, download: file.name }, h("strong", {}, file.title), h("small", {}, `${file.size} bytes`)));
}

function reactions(item, channel) {
  if (!item.reactions?.length) return null;
  const one = (reaction) => {
    const mine = reaction.users.includes(state.me) ? ".mine" : "";
    const title = `${reaction.users.map(userName).join(", ")} reacted with :${reaction.name}:`;
    return h(`button.reaction${mine}`, { type: "button", title, onclick: () => react(item, channel, reaction.name) }, emoji(reaction.name), h("span", {}, String(reaction.count)));
  };
  return h("div.reactions", {}, item.reactions.map(one));
}

const react = (item, channel, name) => post("react", { as: state.me, channel: channel.id, ts: item.ts, name });

function threadLink(item, openThread) {
  if (!item.reply_count) return null;
  const count = item.reply_count === 1 ? "1 reply" : `${item.reply_count} replies`;
  return h("button.thread-link", { type: "button", onclick: () => openThread(item) }, item.reply_users.slice(0, 3).map((id) => avatar(id, ".tiny")), h("strong", {}, count), h("small", {}, `Last at ${clock(Number(item.latest_reply))}`));
}

function toolbar(item, channel, openThread, pinned) {
  const tool = (name, label, onclick) => h("button", { type: "button", title: label, "aria-label": label, onclick }, name);
  return h(
    "div.toolbar",
    { role: "toolbar", "aria-label": "Message actions" },
    QUICK.slice(0, 3).map((name) => tool(emoji(name), `React with :${name}:`, () => react(item, channel, name))),
    openThread ? tool(icon("reply"), "Reply in thread", () => openThread(item)) : null,
    tool(icon("pin"), pinned ? "Unpin" : "Pin", () => post("pin", { as: state.me, channel: channel.id, ts: item.ts })),
    messageShortcuts(item, channel),
  );
}
