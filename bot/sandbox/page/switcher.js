/** Ctrl-K: jump to a channel, a conversation or the app by typing a part of its name. */

import { fill, h } from "./dom.js";
import { canSee, channelName, state } from "./state.js";

function places() {
  const rooms = [...state.channels.values()].filter((c) => canSee(c) && !(c.is_im && c.members.includes(state.bot))).map((channel) => ({ href: `#${channel.id}`, name: channelName(channel), sign: channel.is_im ? "" : "#", note: channel.is_archived ? "archived" : channel.topic?.value || channel.purpose?.value || "" }));
  const name = state.users[state.bot]?.real_name ?? "App";
  const app = ["Home", "Messages"].map((tab) => ({ href: `#${tab.toLowerCase()}`, name, sign: "", note: `${tab} tab` }));
  return [...rooms.sort((a, b) => a.name.localeCompare(b.name)), ...app];
}

/** Open the switcher; a second press closes it. */
export function switcher(go) {
  const open = document.querySelector("dialog.switcher");
  if (open) return open.close();
  if (document.querySelector("dialog[open]")) return;
  let rows = [];
  let active = 0;
  const list = h("ul.matches", { id: "matches", role: "listbox", "aria-label": "Channels" });
  const box = h("input.control", { type: "text", placeholder: "Jump to…", "aria-label": "Jump to", role: "combobox", "aria-controls": "matches", "aria-expanded": "true", "aria-autocomplete": "list", autocomplete: "off" });
  const dialog = h("dialog.switcher", { "aria-label": "Jump to a conversation" }, box, list);
  const choose = (row) => {
    dialog.close();
    location.hash = row.href;
    go();
  };
  const draw = () => {
    fill(
      list,
      rows.map((row, index) => h("li", { role: "option", id: `match-${index}`, "aria-selected": String(index === active), onclick: () => choose(row) }, h("strong", {}, row.sign + row.name), h("small", {}, row.note))),
      rows.length ? null : h("li.none", { role: "option", "aria-selected": "false" }, "No match."),
    );
    if (rows.length) box.setAttribute("aria-activedescendant", `match-${active}`);
    else box.removeAttribute("aria-activedescendant");
    list.children[active]?.scrollIntoView({ block: "nearest" });
  };
  const search = () => {
    const wanted = box.value.trim().replace(/^#/, "").toLowerCase();
    rows = places().filter((row) => row.name.toLowerCase().includes(wanted));
    active = 0;
    draw();
  };
  box.addEventListener("input", search);
  box.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter" && rows.length) choose(rows[active]);
    if (!step || !rows.length) return;
    event.preventDefault();
    active = (active + step + rows.length) % rows.length;
    draw();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  search();
  box.focus();
}
