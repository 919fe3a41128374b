/**
 * Interactive elements. Each draws a control of the browser's own where there is one.
 *
 * `surface` is where the element stands: `surface.act(block, element, chosen)` tells the
 * bot, `surface.options(element, query)` asks it, and `surface.value(block, element)` /
 * `surface.keep(block, element, entry)` hold what was entered.
 */

import { h, icon } from "../dom.js";
import { mrkdwn, plain, plainText } from "./mrkdwn.js";
import { canSee, channelName, state } from "../state.js";

/** Draw the element of a block. */
export function element(item, block, surface) {
  const draw = DRAW[item.type];
  return draw ? draw(item, block, surface) : unknown(item.type);
}

/** Draw a visible note for something that cannot be drawn. */
export function unknown(type) {
  return h("span.unknown", {}, `Unknown block or element: ${type}`);
}

const textOf = (object) => (object.type === "mrkdwn" ? mrkdwn(object.text) : plain(object.text));

/** Show the `confirm` dialog of an action, if it has one; resolve to a boolean. */
export function confirmed(item) {
  if (!item.confirm) return Promise.resolve(true);
  const { title, text, confirm, deny, style } = item.confirm;
  return new Promise((resolve) => {
    const done = (answer) => () => {
      dialog.close();
      dialog.remove();
      resolve(answer);
    };
    const dialog = h(
      "dialog.confirm",
      { oncancel: done(false), "aria-label": title.text },
      h("h2", {}, plain(title.text)),
      h("p", {}, textOf(text)),
      h("footer", {}, h("button.button", { type: "button", onclick: done(false) }, plain(deny.text)), h(`button.button.${style === "danger" ? "danger" : "primary"}`, { type: "button", onclick: done(true) }, plain(confirm.text))),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

async function act(item, block, surface, chosen, node) {
  if (!(await confirmed(item))) return false;
  node?.setAttribute("aria-busy", "true");
  const answer = await surface.act(block, item, chosen);
  node?.removeAttribute("aria-busy");
  return answer;
}

function button(item, block, surface) {
  const style = item.style ? `.${item.style}` : "";
  if (item.url) {
    const inform = () => surface.act(block, item, {});
    const outside = item.url.startsWith("http") && !item.url.startsWith(location.origin);
    return h(`a.button${style}`, { href: item.url, target: outside ? "_blank" : undefined, rel: "noreferrer", onclick: inform }, plain(item.text.text));
  }
  return h(
    `button.button${style}`,
    { type: "button", "aria-label": item.accessibility_label, onclick: (event) => act(item, block, surface, {}, event.currentTarget) },
    plain(item.text.text),
  );
}

function overflow(item, block, surface) {
  const menu = h("details.menu", {}, h("summary.button.quiet", { "aria-label": "More actions" }, icon("more")));
  const choose = (option) => () => {
    menu.open = false;
    act(item, block, surface, { selected_option: option }, menu);
  };
  const row = (option) =>
    option.url
      ? h("a", { href: option.url, target: "_blank", rel: "noreferrer", onclick: choose(option), role: "menuitem" }, plain(option.text.text))
      : h("button", { type: "button", onclick: choose(option), role: "menuitem" }, plain(option.text.text));
  menu.append(h("div.popover", { role: "menu" }, item.options.map(row)));
  return menu;
}

const sameOption = (a, b) => a?.value === b?.value;

/** Store a new value and, where Slack does, send the action to the bot. */
function changed(item, block, surface, key, value, node) {
  surface.keep(block, item, { type: item.type, [key]: value });
  if (block.type !== "input" || block.dispatch_action) return act(item, block, surface, { [key]: value }, node);
  return true;
}

function select(item, block, surface, key, rows, { find, chosen }) {
  const current = surface.value(block, item)?.[key] ?? null;
  const placeholder = item.placeholder?.text ?? "Choose…";
  const optional = block.type !== "input" || block.optional;
  const control = h(
    "select.control",
    { "aria-label": item.placeholder?.text ?? block.label?.text },
    h("option", { value: "", disabled: !optional }, plainText(placeholder)),
    rows,
  );
  control.value = current ? find(current) : "";
  control.addEventListener("change", () => changed(item, block, surface, key, control.value ? chosen(control.value) : null, control));
  return control;
}

function staticSelect(item, block, surface) {
  const options = item.options ?? item.option_groups.flatMap((group) => group.options);
  const row = (option) => h("option", { value: option.value }, plainText(option.text.text));
  const rows = item.options ? options.map(row) : item.option_groups.map((group) => h("optgroup", { label: plainText(group.label.text) }, group.options.map(row)));
  return select(item, block, surface, "selected_option", rows, {
    find: (option) => option.value,
    chosen: (value) => options.find((option) => option.value === value),
  });
}

const people = () => Object.values(state.users).filter((user) => !user.is_bot).map((user) => [user.id, user.real_name]);
const channels = () => [...state.channels.values()].filter((c) => !c.is_im && !c.is_archived && canSee(c)).map((c) => [c.id, `#${channelName(c)}`]);

const listSelect = (key, list) => (item, block, surface) =>
  select(item, block, surface, key, list().map(([value, name]) => h("option", { value }, name)), { find: (value) => value, chosen: (value) => value });

/** A multi-select: a button that opens a list of checkboxes with a filter. */
function multi(item, block, surface, key, rows, same) {
  let picked = [...(surface.value(block, item)?.[key] ?? [])];
  const summary = h("summary.control", {});
  const label = () => {
    const names = rows.filter(([value]) => picked.some((p) => same(p, value))).map(([, name]) => name);
    summary.replaceChildren(names.length ? names.join(", ") : plainText(item.placeholder?.text ?? "Choose…"));
  };
  const toggle = (value) => (event) => {
    picked = event.target.checked ? [...picked, value] : picked.filter((p) => !same(p, value));
    if (item.max_selected_items && picked.length > item.max_selected_items) {
      event.target.checked = false;
      picked = picked.filter((p) => !same(p, value));
    }
    label();
    changed(item, block, surface, key, picked, summary);
  };
  const entries = rows.map(([value, name]) => h("label.check", {}, h("input", { type: "checkbox", checked: picked.some((p) => same(p, value)), onchange: toggle(value) }), h("span", {}, name)));
  const filter = h("input.control", { type: "search", placeholder: "Filter", "aria-label": "Filter" });
  filter.addEventListener("input", () => entries.forEach((entry) => (entry.hidden = !entry.textContent.toLowerCase().includes(filter.value.toLowerCase()))));
  label();
  return h("details.multi", {}, summary, h("div.popover", {}, rows.length > 8 ? filter : null, entries));
}

function multiStatic(item, block, surface) {
  const options = item.options ?? item.option_groups.flatMap((group) => group.options);
  return multi(item, block, surface, "selected_options", options.map((option) => [option, plainText(option.text.text)]), sameOption);
}

const multiList = (key, list) => (item, block, surface) => multi(item, block, surface, key, list(), (a, b) => a === b);

/** An external select: what is typed is sent to the bot, which responds with options. */
function external(item, block, surface) {
  const isMulti = item.type.startsWith("multi_");
  const key = isMulti ? "selected_options" : "selected_option";
  const held = surface.value(block, item)?.[key];
  let picked = isMulti ? [...(held ?? [])] : held ? [held] : [];
  const list = h("div.popover", { role: "listbox", hidden: true });
  const names = () => picked.map((option) => plainText(option.text.text)).join(", ");
  const input = h("input.control", { type: "text", value: names(), placeholder: item.placeholder?.text ?? "Type to search", autocomplete: "off", role: "combobox" });
  const pick = (option) => {
    picked = isMulti ? [...picked.filter((p) => !sameOption(p, option)), option] : [option];
    input.value = names();
    list.hidden = true;
    changed(item, block, surface, key, isMulti ? picked : option, input);
  };
  const ask = async () => {
    const query = input.value;
    if (query.length < (item.min_query_length ?? 0)) return;
    const answer = await surface.options(item, query);
    if (input.value !== query) return;
    const options = answer.options ?? answer.option_groups?.flatMap((group) => group.options) ?? [];
    list.replaceChildren(...options.map((option) => h("button", { type: "button", role: "option", onmousedown: (event) => event.preventDefault(), onclick: () => pick(option) }, plain(option.text.text))));
    list.hidden = !options.length;
  };
  input.addEventListener("input", ask);
  input.addEventListener("focus", () => {
    input.select();
    ask();
  });
  input.addEventListener("blur", () => setTimeout(() => (list.hidden = list.contains(document.activeElement)), 150));
  return h("div.external", {}, input, list);
}

/** Checkboxes and radio buttons. */
function choices(item, block, surface) {
  const single = item.type === "radio_buttons";
  const key = single ? "selected_option" : "selected_options";
  const held = surface.value(block, item)?.[key];
  let picked = single ? (held ? [held] : []) : [...(held ?? [])];
  const group = `${block.block_id}.${item.action_id}.${surface.id}`;
  const change = (option) => (event) => {
    picked = single ? [option] : event.target.checked ? [...picked, option] : picked.filter((p) => !sameOption(p, option));
    changed(item, block, surface, key, single ? option : picked, event.target);
  };
  const row = (option) =>
    h(
      "label.check",
      {},
      h("input", { type: single ? "radio" : "checkbox", name: group, checked: picked.some((p) => sameOption(p, option)), onchange: change(option) }),
      h("span", {}, textOf(option.text), option.description ? h("small", {}, textOf(option.description)) : null),
    );
  return h("div.choices", { role: single ? "radiogroup" : "group" }, item.options.map(row));
}

/** Fields with native inputs of the browser: text, numbers, dates, times. */
const field = (type, key) => (item, block, surface) => {
  const spec = item.multiline ? "textarea.control" : "input.control";
  const control = h(spec, {
    type: item.multiline ? undefined : type,
    rows: item.multiline ? 4 : undefined,
    value: surface.value(block, item)?.[key] ?? "",
    placeholder: item.placeholder ? plainText(item.placeholder.text) : "",
    maxLength: item.max_length,
    min: item.min_value,
    max: item.max_value,
    step: item.is_decimal_allowed ? "any" : undefined,
    "aria-label": block.label?.text ?? item.placeholder?.text,
  });
  const keep = () => surface.keep(block, item, { type: item.type, [key]: control.value || null });
  control.addEventListener("input", keep);
  const tell = () => changed(item, block, surface, key, control.value || null, control);
  const onEnter = block.dispatch_action && key === "value";
  if (onEnter) control.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && (event.preventDefault(), tell()));
  else if (key !== "value") control.addEventListener("change", tell);
  if (item.focus_on_load) queueMicrotask(() => control.focus());
  return control;
};

function dateTime(item, block, surface) {
  const held = surface.value(block, item)?.selected_date_time;
  const local = (seconds) => new Date(seconds * 1000 - new Date(seconds * 1000).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  const control = h("input.control", { type: "datetime-local", value: held ? local(held) : "", "aria-label": block.label?.text });
  control.addEventListener("change", () => {
    const value = control.value ? Math.floor(new Date(control.value).getTime() / 1000) : null;
    changed(item, block, surface, "selected_date_time", value, control);
  });
  return control;
}

/** Draw an image, or its description if it is on another site. */
export function image(item) {
  const local = item.image_url && (item.image_url.startsWith("data:") || item.image_url.startsWith(location.origin) || item.image_url.startsWith("/"));
  if (!local) return h("span.image", { title: item.image_url }, item.alt_text);
  return h("img", { src: item.image_url, alt: item.alt_text, loading: "lazy" });
}

function feedback(item, block, surface) {
  const one = (choice) => button({ ...item, text: choice.text, value: choice.value }, block, surface);
  return h("span.feedback", {}, one(item.positive_button), one(item.negative_button));
}

const DRAW = {
  button,
  workflow_button: button,
  icon_button: button,
  feedback_buttons: feedback,
  overflow,
  image,
  static_select: staticSelect,
  multi_static_select: multiStatic,
  external_select: external,
  multi_external_select: external,
  users_select: listSelect("selected_user", people),
  multi_users_select: multiList("selected_users", people),
  conversations_select: listSelect("selected_conversation", channels),
  multi_conversations_select: multiList("selected_conversations", channels),
  channels_select: listSelect("selected_channel", channels),
  multi_channels_select: multiList("selected_channels", channels),
  checkboxes: choices,
  radio_buttons: choices,
  datepicker: field("date", "selected_date"),
  timepicker: field("time", "selected_time"),
  datetimepicker: dateTime,
  plain_text_input: field("text", "value"),
  number_input: field("number", "value"),
  email_text_input: field("email", "value"),
  url_text_input: field("url", "value"),
};
