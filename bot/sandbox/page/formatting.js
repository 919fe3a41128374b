/** The formatting bar of a message box: marks what is selected, in Slack's mrkdwn. */

import { h, icon } from "./dom.js";

const around = (mark) => (text) => [`${mark}${text}${mark}`, mark.length, mark.length];
const perLine = (start) => (text) => [text.split("\n").map((line, index) => start(index) + line).join("\n"), start(0).length, 0];

const STYLES = [
  { name: "Bold", icon: "bold", key: "b", apply: around("*") },
  { name: "Italic", icon: "italic", key: "i", apply: around("_") },
  { name: "Strikethrough", icon: "strike", key: "x", shift: true, apply: around("~") },
  { name: "Numbered list", icon: "ordered", apply: perLine((index) => `${index + 1}. `) },
  { name: "Bulleted list", icon: "bullets", apply: perLine(() => "• ") },
  { name: "Quote", icon: "quote", apply: perLine(() => "> ") },
  { name: "Code", icon: "code", key: "c", shift: true, apply: around("`") },
  { name: "Code block", icon: "block", apply: around("```") },
];

function format(box, style) {
  const { selectionStart: from, selectionEnd: to } = box;
  const selected = box.value.slice(from, to);
  const [text, before, after] = style.apply(selected);
  box.setRangeText(text, from, to, "end");
  if (selected) box.setSelectionRange(from, from + text.length);
  else box.setSelectionRange(from + before, from + text.length - after);
  box.dispatchEvent(new Event("input"));
  box.focus();
}

/** Draw the bar for a message box. */
export function formattingBar(box) {
  const one = (style) => h("button", { type: "button", title: style.name, "aria-label": style.name, onmousedown: (event) => event.preventDefault(), onclick: () => format(box, style) }, icon(style.icon));
  return h("div.formatting", { role: "toolbar", "aria-label": "Formatting" }, STYLES.map(one));
}

/** Apply the style of a key with Ctrl or Cmd; return whether there is one. */
export function formatByKey(event, box) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return false;
  const style = STYLES.find((each) => each.key === event.key.toLowerCase() && Boolean(each.shift) === event.shiftKey);
  if (!style) return false;
  event.preventDefault();
  format(box, style);
  return true;
}
