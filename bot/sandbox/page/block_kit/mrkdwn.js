/** Slack's mrkdwn, drawn: emphasis, code, quotes, links, mentions, dates and emoji. */

import { emoji, sign } from "./emoji.js";
import { h } from "../dom.js";
import { canSee, channelName, state, userName } from "../state.js";
import { slackDate } from "../time.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };
const decode = (text) => text.replace(/&(amp|lt|gt);/g, (entity) => ENTITIES[entity]);

const INLINE =
  /`([^`\n]+)`|<([^<>\n]+)>|:([a-z0-9_+'-]+):|(?<![\w*])\*(?=\S)([^*\n]*?\S)\*(?![\w*])|(?<![\w_])_(?=\S)([^_\n]*?\S)_(?![\w_])|(?<![\w~])~(?=\S)([^~\n]*?\S)~(?![\w~])/g;

/** Draw mrkdwn as nodes. */
export function mrkdwn(text) {
  const parts = text.split(/```\n?([\s\S]+?)\n?```\n?/);
  return parts.flatMap((part, index) => (index % 2 ? h("pre", {}, decode(part)) : lines(part)));
}

function lines(text) {
  const nodes = [];
  let quote = null;
  text.split("\n").forEach((line, index, all) => {
    const quoted = line.match(/^(?:&gt;|>) ?(.*)$/);
    if (quoted) {
      if (!quote) nodes.push((quote = h("blockquote")));
      else quote.append(h("br"));
      quote.append(...inline(quoted[1]));
      return;
    }
    quote = null;
    nodes.push(...inline(line));
    if (index < all.length - 1) nodes.push(h("br"));
  });
  return nodes;
}

/** Draw inline elements. */
export function inline(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    nodes.push(decode(text.slice(end, match.index)), inlineNode(match, match.index === 0));
    end = match.index + match[0].length;
  }
  nodes.push(decode(text.slice(end)));
  return nodes.filter((node) => node !== "");
}

function inlineNode([whole, code, reference, shortcode, bold, italic, struck], isFirst) {
  if (code !== undefined) return h("code", {}, decode(code));
  if (reference !== undefined) return referenceNode(reference, isFirst);
  if (shortcode !== undefined) return emoji(shortcode);
  if (bold !== undefined) return h("strong", {}, inline(bold));
  if (italic !== undefined) return h("em", {}, inline(italic));
  if (struck !== undefined) return h("s", {}, inline(struck));
  return whole;
}

function referenceNode(reference, isFirst) {
  const [target, label] = reference.split("|");
  if (target.startsWith("@")) return mention(target.slice(1));
  if (target.startsWith("#")) return channelLink(target.slice(1), label);
  if (target.startsWith("!subteam^")) return groupMention(target.split("^")[1], label);
  if (target.startsWith("!date^")) return dateNode(target, label, isFirst);
  if (target.startsWith("!")) return h("span.mention.me", {}, `@${target.slice(1)}`);
  return link(target, decode(label ?? target));
}

/** Draw a mention of a person. */
export function mention(id) {
  const mine = id === state.me ? ".me" : "";
  return h(`span.mention${mine}`, {}, `@${userName(id)}`);
}

/** Draw a mention of a user group. */
export function groupMention(id, label) {
  const group = state.groups[id];
  const mine = group?.users.includes(state.me) ? ".me" : "";
  return h(`span.mention${mine}`, {}, `@${group?.handle ?? label ?? id}`.replace("@@", "@"));
}

/** Draw a link to a channel; of one that the reader may not see, only that it is private. */
export function channelLink(id, label) {
  const channel = state.channels.get(id);
  if (channel && !canSee(channel)) return h("span.mention", {}, "private channel");
  return h("a.mention", { href: `#${id}` }, `#${channel ? channelName(channel) : (label ?? id)}`);
}

/** Draw a link; one to the sandbox itself stays on the page. */
export function link(url, label) {
  const safe = /^(https?:|mailto:)/.test(url) ? url : "#";
  const outside = safe.startsWith("http") && !safe.startsWith(location.origin);
  return h("a", { href: safe, rel: "noreferrer", target: outside ? "_blank" : undefined }, label);
}

function dateNode(target, label, isFirst) {
  const [, seconds, template, url] = target.split("^");
  const text = Number.isFinite(Number(seconds)) ? slackDate(Number(seconds), template, isFirst) : (label ?? "");
  const node = h("time", { title: new Date(Number(seconds) * 1000).toLocaleString() }, text);
  return url ? h("a", { href: url }, node) : node;
}

const SHORTCODE = /:([a-z0-9_+'-]+):/g;

/** Draw plain text: emoji shortcodes only. */
export function plain(text) {
  return decode(text).split(SHORTCODE).map((part, index) => (index % 2 ? emoji(part) : part));
}

/** Return plain text where only text is possible, such as a menu's rows. */
export const plainText = (text) => decode(text).replace(SHORTCODE, (_, name) => sign(name));
