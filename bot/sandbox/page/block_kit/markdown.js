/** The `markdown` block: the part of standard Markdown that messages use. */

import { emoji } from "./emoji.js";
import { h } from "../dom.js";
import { link } from "./mrkdwn.js";

const INLINE = /`([^`]+)`|\[([^\]]+)\]\(([^)\s]+)\)|\*\*(.+?)\*\*|__(.+?)__|\*(\S[^*]*?)\*|(?<!\w)_(\S[^_]*?)_(?!\w)|~~(.+?)~~|:([a-z0-9_+-]+):/g;

const LINE = {
  heading: /^(#{1,6})\s+(.*)$/,
  rule: /^(-{3,}|\*{3,}|_{3,})$/,
  quote: /^>\s?(.*)$/,
  bullet: /^\s*[-*+]\s+(.*)$/,
  ordered: /^\s*\d+[.)]\s+(.*)$/,
  table: /^\s*\|.*\|\s*$/,
  fence: /^```/,
};

/** Draw Markdown as nodes. */
export function markdown(text) {
  const lines = text.split("\n");
  const nodes = [];
  while (lines.length) nodes.push(nextBlock(lines));
  return nodes.filter(Boolean);
}

function nextBlock(lines) {
  const line = lines[0];
  if (!line.trim()) return void lines.shift();
  if (LINE.fence.test(line)) return fenced(lines);
  if (LINE.rule.test(line.trim())) return lines.shift() && h("hr");
  const heading = line.match(LINE.heading);
  if (heading) return lines.shift() !== undefined && h(`h${Math.min(6, heading[1].length + 2)}`, {}, inline(heading[2]));
  if (LINE.quote.test(line)) return h("blockquote", {}, markdown(take(lines, LINE.quote).join("\n")));
  if (LINE.table.test(line) && /^[\s|:-]+$/.test(lines[1] ?? "")) return table(takeRaw(lines, LINE.table));
  if (LINE.bullet.test(line)) return h("ul", {}, take(lines, LINE.bullet).map(item));
  if (LINE.ordered.test(line)) return h("ol", {}, take(lines, LINE.ordered).map(item));
  return paragraph(lines);
}

function take(lines, pattern) {
  return takeRaw(lines, pattern).map((line) => line.match(pattern)[1]);
}

function takeRaw(lines, pattern) {
  const taken = [];
  while (lines.length && pattern.test(lines[0])) taken.push(lines.shift());
  return taken;
}

function fenced(lines) {
  lines.shift();
  const code = [];
  while (lines.length && !LINE.fence.test(lines[0])) code.push(lines.shift());
  lines.shift();
  return h("pre", {}, code.join("\n"));
}

function paragraph(lines) {
  const taken = [lines.shift()];
  const starts = Object.values(LINE);
  while (lines.length && lines[0].trim() && !starts.some((pattern) => pattern.test(lines[0]))) taken.push(lines.shift());
  return h("p", {}, taken.flatMap((line, index) => (index ? [h("br"), ...inline(line)] : inline(line))));
}

function item(text) {
  const task = text.match(/^\[( |x)\]\s+(.*)$/);
  return h("li", {}, task ? [task[1] === "x" ? "☑ " : "☐ ", ...inline(task[2])] : inline(text));
}

function table(rows) {
  const cells = rows.map((row) => row.trim().slice(1, -1).split("|").map((cell) => cell.trim()));
  const [head, , ...body] = cells;
  return h(
    "div.scroll",
    {},
    h("table", {}, h("thead", {}, h("tr", {}, head.map((c) => h("th", {}, inline(c))))), h("tbody", {}, body.map((row) => h("tr", {}, row.map((c) => h("td", {}, inline(c))))))),
  );
}

function inline(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    nodes.push(text.slice(end, match.index), inlineNode(match));
    end = match.index + match[0].length;
  }
  return [...nodes, text.slice(end)].filter((node) => node !== "");
}

function inlineNode([, code, label, url, bold, bold2, italic, italic2, struck, shortcode]) {
  if (code) return h("code", {}, code);
  if (label) return link(url, label);
  if (bold || bold2) return h("strong", {}, inline(bold || bold2));
  if (italic || italic2) return h("em", {}, inline(italic || italic2));
  if (struck) return h("s", {}, inline(struck));
  return emoji(shortcode);
}
