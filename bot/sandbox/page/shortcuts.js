/** The app's shortcuts: in the menu of a message, and beside the message box. */

import { post } from "./api.js";
import { h, icon } from "./dom.js";
import { state } from "./state.js";
import { toast } from "./toast.js";

/** Draw the menu of a message's shortcuts; nothing if the app has none. */
export function messageShortcuts(item, channel) {
  return menu("message", "more", "More actions", { channel: channel.id, ts: item.ts });
}

/** Draw the menu of the shortcuts that can be chosen anywhere; nothing if the app has none. */
export function globalShortcuts() {
  return menu("global", "bolt", "Shortcuts", {});
}

function menu(type, picture, label, where) {
  const own = state.shortcuts.filter((shortcut) => shortcut.type === type);
  if (!own.length) return null;
  const details = h("details.menu.shortcuts", {}, h("summary", { title: label, "aria-label": label }, icon(picture)));
  const choose = async (shortcut) => {
    details.open = false;
    const answer = await post("shortcut", { as: state.me, callback_id: shortcut.callback_id, ...where });
    if (!answer.ok) toast(`The app did not answer (${answer.error}).`);
  };
  const row = (shortcut) => h("button", { type: "button", role: "menuitem", title: shortcut.description, onclick: () => choose(shortcut) }, shortcut.name);
  details.append(h("div.popover", { role: "menu" }, own.map(row)));
  return details;
}
