/** The blocks `table` and `data_table`; people sort and page the latter, as in Slack. */

import { h, fill } from "../dom.js";
import { plain } from "./mrkdwn.js";
import { richText } from "./richtext.js";

const PAGE_SIZE = 5;

/** Draw a table; a data table is sorted by its headings and shows `page_size` rows at once. */
export function table(block) {
  const isData = block.type === "data_table";
  const [head, ...rows] = block.rows;
  const size = isData ? (block.page_size ?? PAGE_SIZE) : rows.length || 1;
  const view = { page: 0, by: null, down: false };
  const body = h("tbody");
  const foot = isData && rows.length > size ? h("div.table-pages") : null;
  const headings = head.map((cell, index) => heading(cell, index, isData ? sort : null));

  function sort(index) {
    view.down = view.by === index && !view.down;
    view.by = index;
    view.page = 0;
    show();
  }

  function turn(by) {
    view.page += by;
    show();
  }

  function show() {
    headings.forEach((node, index) => node.setAttribute("aria-sort", index !== view.by ? "none" : view.down ? "descending" : "ascending"));
    const first = view.page * size;
    const ordered = view.by === null ? rows : sorted(rows, view.by, view.down);
    fill(body, ordered.slice(first, first + size).map((row) => h("tr", {}, row.map((cell, index) => drawn(block, cell, index)))));
    if (foot) fill(foot, pages(first, Math.min(first + size, rows.length), rows.length, turn));
  }

  if (!isData) headings.forEach((node, index) => (node.style.textAlign = block.column_settings?.[index]?.align ?? "left"));
  show();
  const caption = block.caption ? h("caption", {}, plain(block.caption)) : null;
  return h("div", {}, h("div.scroll", { tabIndex: 0, role: "region", "aria-label": block.caption ?? "Table" }, h("table", {}, caption, h("thead", {}, h("tr", {}, headings)), body)), foot);
}

function heading(cell, index, sort) {
  const text = content(cell);
  return h("th", { scope: "col" }, sort ? h("button.sort", { type: "button", onclick: () => sort(index) }, text) : text);
}

function drawn(block, cell, index) {
  const settings = block.column_settings?.[index] ?? {};
  const align = settings.align ?? (cell.type === "raw_number" ? "right" : "left");
  const wraps = settings.is_wrapped ?? (block.type === "data_table" && words(cell).length > 28);
  const isName = block.type === "data_table" && index === (block.row_header_column_index ?? 0);
  return h(isName ? "th" : "td", { style: { "text-align": align, "white-space": wraps ? "normal" : "nowrap" }, scope: isName ? "row" : undefined }, content(cell));
}

function pages(first, last, all, turn) {
  return [
    h("button.button", { type: "button", disabled: first === 0, onclick: () => turn(-1) }, "Previous rows"),
    h("span", {}, `${first + 1}–${last} of ${all}`),
    h("button.button", { type: "button", disabled: last === all, onclick: () => turn(1) }, "Next rows"),
  ];
}

/** Slack sorts a column of numbers alone by number, any other by its text. */
function sorted(rows, index, down) {
  const numbers = rows.every((row) => row[index].type === "raw_number");
  const key = (row) => (numbers ? row[index].value : words(row[index]));
  const order = (a, b) => (numbers ? key(a) - key(b) : key(a).localeCompare(key(b)));
  return [...rows].sort((a, b) => (down ? order(b, a) : order(a, b)));
}

function content(cell) {
  return cell.type === "rich_text" ? richText(cell) : words(cell);
}

function words(cell) {
  if (cell.type === "rich_text") return cell.elements.flatMap((part) => part.elements ?? []).map((item) => item.text ?? item.fallback ?? item.user_id ?? item.channel_id ?? "").join("");
  return cell.text ?? String(cell.value);
}
