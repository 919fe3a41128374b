/** The message box. `/` completes the app's commands with their hints, `@` and `#` names. */

import { post } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { formatByKey, formattingBar } from "./formatting.js";
import { globalShortcuts } from "./shortcuts.js";
import { canSee, channelName, state } from "./state.js";
import { toast } from "./toast.js";

const drafts = new Map();
let counter = 0;

/** Draw a message box for a channel, or for a thread in it. */
export function composer(channel, { threadTs = null, placeholder }) {
  const key = `${state.me}/${channel.id}/${threadTs ?? ""}`;
  const listId = `suggestions-${(counter += 1)}`;
  const list = h("ul.suggestions", { id: listId, role: "listbox", "aria-label": "Suggestions", hidden: true });
  const box = h("textarea", {
    rows: 1,
    placeholder,
    "aria-label": placeholder,
    value: drafts.get(key) ?? "",
    "aria-controls": listId,
    "aria-autocomplete": "list",
  });
  const menu = suggestions(box, list);
  const send = async () => {
    const text = box.value.trim();
    if (!text) return;
    box.value = "";
    menu.hide();
    drafts.delete(key);
    grow(box);
    const answer = await post("say", { as: state.me, channel: channel.id, text, thread_ts: threadTs });
    if (!answer.ok && answer.error !== "invalid_command") toast(`Not sent: ${answer.error}`);
  };
  box.addEventListener("input", () => {
    drafts.set(key, box.value);
    grow(box);
    menu.refresh();
  });
  box.addEventListener("keydown", (event) => {
    if (menu.key(event) || formatByKey(event, box)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  box.addEventListener("blur", () => setTimeout(menu.hide, 120));
  queueMicrotask(() => grow(box));
  return h("form.composer", { onsubmit: (event) => (event.preventDefault(), send()) }, list, formattingBar(box), box, h("div.sending", {}, globalShortcuts(), h("button.send", { type: "submit", "aria-label": "Send", title: "Send (Enter)" }, icon("send"))));
}

/** Write a text into the message box of a channel that is shown, for the reader to send.
 *
 * Who is not a member yet has no box: it is drawn with the text when they are. */
export function write(main, channelId, text) {
  drafts.set(`${state.me}/${channelId}/`, text);
  const box = main.querySelector(".foot textarea");
  if (!box) return;
  box.value = text;
  box.dispatchEvent(new Event("input"));
  box.focus();
}

function grow(box) {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight, 220)}px`;
}

/** Return the completions of the word before the cursor. */
function candidates(text, position) {
  const before = text.slice(0, position);
  if (/^\/\S*$/.test(before)) {
    return state.commands
      .filter((command) => command.command.startsWith(before))
      .map((command) => ({ from: 0, insert: `${command.command} `, name: command.command, hint: command.usage_hint ?? "", note: command.description }));
  }
  const match = before.match(/(?:^|\s)([@#])([a-z0-9_-]*)$/);
  if (!match) return [];
  const names =
    match[1] === "#"
      ? [...state.channels.values()].filter((c) => !c.is_im && canSee(c)).map((c) => [c.name, c.topic?.value])
      : [...Object.values(state.users).map((u) => [u.name, u.real_name]), ...Object.values(state.groups).map((g) => [g.handle, g.name])];
  return names
    .filter(([name]) => name.startsWith(match[2]))
    .map(([name, note]) => ({ from: position - match[2].length - 1, insert: `${match[1]}${name} `, name: match[1] + name, hint: "", note }));
}

function suggestions(box, list) {
  let rows = [];
  let active = 0;
  const hide = () => {
    rows = [];
    list.hidden = true;
    box.removeAttribute("aria-activedescendant");
  };
  const pick = (row) => {
    box.setRangeText(row.insert, row.from, box.selectionStart, "end");
    box.dispatchEvent(new Event("input"));
    box.focus();
  };
  const draw = () => {
    fill(
      list,
      rows.map((row, index) =>
        h(
          "li",
          { role: "option", id: `${list.id}-${index}`, "aria-selected": String(index === active), onmousedown: (event) => (event.preventDefault(), pick(row)) },
          h("strong", {}, row.name),
          row.hint ? h("code", {}, row.hint) : null,
          h("small", {}, row.note ?? ""),
        ),
      ),
    );
    list.hidden = !rows.length;
    if (rows.length) {
      box.setAttribute("aria-activedescendant", `${list.id}-${active}`);
      list.children[active].scrollIntoView({ block: "nearest" });
    }
  };
  return {
    hide,
    refresh() {
      rows = candidates(box.value, box.selectionStart).slice(0, 12);
      if (rows.length === 1 && rows[0].insert === box.value) rows = [];
      active = 0;
      rows.length ? draw() : hide();
    },
    /** Process a key while the list is open; return whether it was consumed. */
    key(event) {
      if (!rows.length) return false;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) active = (active + step + rows.length) % rows.length;
      else if (event.key === "Escape") return event.preventDefault(), hide(), true;
      else if (event.key === "Tab" || (event.key === "Enter" && rows[active].insert.trim() !== box.value.trim())) return event.preventDefault(), pick(rows[active]), true;
      else return false;
      event.preventDefault();
      draw();
      return true;
    },
  };
}

/** The placeholder of an empty message box. */
export const placeholderFor = (channel) => (channel.is_im ? `Message ${channelName(channel)}` : `Message #${channelName(channel)}`);
