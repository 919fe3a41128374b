/** Building and updating DOM nodes. Text is always text: nothing here parses HTML. */

/** Create an element: h("p.note", {title: "…", onclick}, "text", child). */
export function h(spec, props = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) setProp(node, name, value);
  node.append(...flat(children));
  return node;
}

function setProp(node, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "dataset") Object.assign(node.dataset, value);
  else if (name === "style") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
  else if (name in node && typeof node[name] !== "object" && !name.includes("-")) node[name] = value;
  else node.setAttribute(name, value === true ? "" : value);
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

const SVG = "http://www.w3.org/2000/svg";

/** Create an SVG element. */
export function s(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...flat(children));
  return node;
}

/** Replace the children of a node. */
export function fill(node, ...children) {
  node.replaceChildren(...flat(children));
  return node;
}

/**
 * Bring a list's children into step with entries `{key, sig, build}`: an entry whose
 * `sig` is as before keeps its node, and with it focus, open menus and typed text.
 */
export function reconcile(list, entries) {
  const old = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const wanted = entries.map(({ key, sig, build }) => {
    const kept = old.get(key);
    if (kept && kept.sig === sig) return kept;
    const node = build();
    node.dataset.key = key;
    node.sig = sig;
    return node;
  });
  wanted.forEach((node, index) => {
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
  while (list.children.length > wanted.length) list.lastChild.remove();
}

const ICONS = {
  hash: "M5.5 2 4 14M12 2l-1.500 12M2.500 5.500h11.500M2 10.500h11.500",
  home: "M2.500 7.500 8 2.500l5.500 5V13.500h-11zM6.500 13.500v-4h3v4",
  eye: "M1.500 8S4 3.500 8 3.500 14.500 8 14.500 8 12 12.500 8 12.500 1.500 8 1.500 8zM8 6.200a1.800 1.800 0 1 1 0 3.600 1.800 1.800 0 0 1 0-3.600z",
  pin: "M9.500 2 14 6.500l-3 .800-2.200 2.200-.300 3.500-6-6 3.500-.300L8.700 5zM5 11l-3 3",
  reply: "M2 3.500h12v8H7l-3 2.500v-2.500H2z",
  smile: "M8 1.800a6.200 6.200 0 1 1 0 12.400A6.200 6.200 0 0 1 8 1.800zM5 9.500c1.500 2.300 4.500 2.300 6 0M5.800 6v.500M10.200 6v.500",
  close: "M3.500 3.500l9 9M12.500 3.500l-9 9",
  menu: "M2 4h12M2 8h12M2 12h12",
  more: "M3.500 8h.010M8 8h.010M12.500 8h.010",
  bolt: "M9 1.500 3.500 9h4l-.500 5.500L12.500 7h-4z",
  send: "M2 2.500 14.500 8 2 13.500 4 8zM4 8h6",
  switch: "M5 6.500 8 3.500l3 3M5 9.500l3 3 3-3",
  check: "M3 8.500 6.500 12 13 4.500",
  lock: "M4 7.500h8v6H4zM5.500 7.500v-2a2.500 2.500 0 0 1 5 0v2",
  bold: "M4.500 2.500h4a2.600 2.600 0 0 1 0 5.200h-4zM4.500 7.700h4.700a2.900 2.900 0 0 1 0 5.800H4.500z",
  italic: "M6.500 2.500h5M4.500 13.500h5M9.500 2.500l-3 11",
  strike: "M2.500 8h11M11.500 4.500C10.500 2 5 2 5 5c0 1.500 1 2.300 3 3M4.500 11.500C5.500 14 11 14 11 11c0-.800-.300-1.300-.700-1.800",
  ordered: "M6.500 4h7M6.500 8h7M6.500 12h7M2.500 3l1-.500v3M2.300 10.500c.500-1 2-.500 1.500.500l-1.500 2h2",
  bullets: "M6.500 4h7M6.500 8h7M6.500 12h7M3 4h.010M3 8h.010M3 12h.010",
  quote: "M3 3v10M6.500 4.500h7M6.500 8h7M6.500 11.500h4",
  code: "M5.500 4.500 2 8l3.500 3.500M10.500 4.500 14 8l-3.500 3.500",
  block: "M2.500 2.500h11v11h-11zM6.500 6 4.800 8l1.700 2M9.500 6l1.700 2-1.700 2",
  search: "M7 2.500a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9zM10.500 10.500 14 14",
  people: "M6 7.500a2.500 2.500 0 1 1 0-5 2.500 2.500 0 0 1 0 5zM1.500 13.500c0-5 9-5 9 0M11 3a2.500 2.500 0 0 1 0 4.500M12.300 9.800c1.500.600 2.200 1.900 2.200 3.700",
};

/** Draw one of the page's own icons. */
export function icon(name) {
  return s(
    "svg",
    { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" },
    s("path", { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": "1.5", "stroke-linecap": "round", "stroke-linejoin": "round" }),
  );
}
