/** Block Kit, drawn as Slack draws it. Interactive parts are in `elements.js`. */

import { chartBlock } from "./chart.js";
import { h } from "../dom.js";
import { element, image, unknown } from "./elements.js";
import { markdown } from "./markdown.js";
import { mrkdwn, plain } from "./mrkdwn.js";
import { richText } from "./richtext.js";
import { table } from "./table.js";

/** Draw blocks on a surface (see `elements.js`); `errors` are shown under their inputs. */
export function blocks(list, surface, errors = {}) {
  return list.map((block) => {
    const draw = DRAW[block.type];
    const node = draw ? draw(block, surface, errors) : unknown(block.type);
    node.dataset.block = block.block_id ?? "";
    node.classList.add("block", `block-${block.type}`);
    return node;
  });
}

/** Every type of block that can be drawn. */
export const drawable = () => Object.keys(DRAW);

const text = (object) => (object.type === "mrkdwn" ? mrkdwn(object.text) : plain(object.text));

function section(block, surface) {
  const words = h("div.words", {}, block.text ? h("div.prose", {}, text(block.text)) : null, block.fields ? h("div.fields", {}, block.fields.map((field) => h("div.prose", {}, text(field)))) : null);
  return h("div", {}, words, block.accessory ? h("div.accessory", {}, element(block.accessory, block, surface)) : null);
}

function context(block) {
  return h("div", {}, block.elements.map((item) => (item.type === "image" ? h("span.tiny", {}, image(item)) : h("span", {}, text(item)))));
}

function actions(block, surface) {
  return h("div", {}, block.elements.map((item) => element(item, block, surface)));
}

function input(block, surface, errors) {
  const error = errors[block.block_id];
  const control = element(block.element, block, surface);
  if (error) control.setAttribute("aria-invalid", "true");
  return h(
    "div",
    {},
    h("div.label", {}, plain(block.label.text), block.optional ? h("span.optional", {}, " (optional)") : null),
    control,
    error ? h("p.error", { role: "alert" }, error) : null,
    block.hint ? h("p.hint", {}, plain(block.hint.text)) : null,
  );
}

function imageBlock(block) {
  return h("figure", {}, block.title ? h("figcaption", {}, plain(block.title.text)) : null, image(block));
}

function card(block, surface) {
  const line = (name) => (block[name] ? h(`div.${name}`, {}, text(block[name])) : null);
  return h("div", {}, block.hero_image ? image(block.hero_image) : null, line("title"), line("subtitle"), line("body"), line("subtext"), block.actions ? h("div.block-actions", {}, block.actions.map((item) => element(item, block, surface))) : null);
}

function container(block, surface, errors) {
  const inside = blocks(block.child_blocks, surface, errors);
  const heading = block.title ? plain(block.title.text) : ["Details"];
  if (block.is_collapsible) return h("details", { open: !block.default_collapsed }, h("summary", {}, heading), inside);
  return h("div", {}, block.title ? h("strong", {}, heading) : null, inside);
}

const DRAW = {
  actions,
  alert: (block) => h("div", { role: "note", dataset: { level: block.level ?? "default" } }, text(block.text)),
  card,
  carousel: (block, surface) => h("div", {}, blocks(block.elements, surface)),
  container,
  context,
  context_actions: actions,
  data_table: table,
  data_visualization: (block) => h("div", {}, chartBlock(block)),
  divider: () => h("hr"),
  file: (block) => h("div", {}, `File ${block.external_id}`),
  header: (block) => h("h3", { "aria-level": "2" }, plain(block.text.text)),
  image: imageBlock,
  input,
  markdown: (block) => h("div.prose", {}, markdown(block.text)),
  rich_text: (block) => h("div.prose", {}, richText(block)),
  section,
  table,
  video: (block) => h("div", {}, h("a", { href: block.title_url ?? block.video_url, rel: "noreferrer" }, plain(block.title.text))),
};
