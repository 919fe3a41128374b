/** The `rich_text` block. */

import { emoji } from "./emoji.js";
import { h } from "../dom.js";
import { channelLink, groupMention, link, mention } from "./mrkdwn.js";
import { slackDate } from "../time.js";

/** Draw a rich text block as nodes. */
export function richText(block) {
  return block.elements.map(part);
}

function part(item) {
  const children = () => item.elements.map(inline);
  switch (item.type) {
    case "rich_text_list":
      return h(item.style === "ordered" ? "ol" : "ul", { start: item.offset ? item.offset + 1 : undefined, style: { "--indent": item.indent ?? 0 } }, item.elements.map((section) => h("li", {}, section.elements.map(inline))));
    case "rich_text_preformatted":
      return h("pre", {}, children());
    case "rich_text_quote":
      return h("blockquote", {}, children());
    default:
      return h("p", {}, children());
  }
}

function inline(item) {
  const draw = {
    text: () => item.text.split("\n").flatMap((line, index) => (index ? [h("br"), line] : [line])),
    link: () => link(item.url, item.text ?? item.url),
    emoji: () => emoji(item.name),
    user: () => mention(item.user_id),
    usergroup: () => groupMention(item.usergroup_id),
    channel: () => channelLink(item.channel_id),
    broadcast: () => h("span.mention.me", {}, `@${item.range}`),
    date: () => h("time", {}, slackDate(item.timestamp, item.format)),
    color: () => h("code", {}, item.value),
  }[item.type];
  return styled(draw ? draw() : "", item.style ?? {});
}

function styled(content, style) {
  const tags = { bold: "strong", italic: "em", strike: "s", code: "code", underline: "u", highlight: "mark" };
  return Object.entries(tags).reduce((inner, [name, tag]) => (style[name] ? h(tag, {}, inner) : inner), content);
}
