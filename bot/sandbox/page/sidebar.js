/** The left side: who you are, the app's home, channels with unread marks, direct messages. */

import { fill, h, icon } from "./dom.js";
import { avatar } from "./message.js";
import { canSee, channelName, state, unread } from "./state.js";

/** Draw the sidebar. */
export function sidebar(nav, { go, actAs, jump }) {
  const channels = [...state.channels.values()].filter(canSee);
  const open = channels.filter((c) => !c.is_im && !c.is_mpim && !c.is_archived).sort((a, b) => a.name.localeCompare(b.name));
  const archived = channels.filter((c) => c.is_archived);
  const direct = channels.filter((c) => c.is_im || c.is_mpim);
  fill(
    nav,
    h("div.team", {}, h("strong", {}, "Acme"), h("span", {}, "sandbox"), h("button.icon-button", { type: "button", "aria-label": "Jump to a conversation", title: "Jump to a conversation (Ctrl+K)", onclick: jump }, icon("search"))),
    whoami(actAs),
    h("div.places", {}, group("Apps", homeLink(go)), group("Channels", open.map((c) => place(c, go))), direct.length ? group("Direct messages", direct.map((c) => place(c, go))) : null, archived.length ? group("Archived", archived.map((c) => place(c, go))) : null),
  );
}

function whoami(actAs) {
  const options = state.people.map((id) => h("option", { value: id }, `${state.users[id].real_name} · ${state.users[id].profile.title}`));
  const choice = h("select", { id: "act-as", "aria-label": "Act as", onchange: (event) => actAs(event.target.value) }, options);
  choice.value = state.me;
  const me = state.users[state.me];
  return h("label.whoami", { htmlFor: "act-as" }, avatar(state.me), h("span", {}, h("strong", {}, me.real_name), h("small", {}, me.profile.title)), icon("switch"), choice);
}

function group(name, rows) {
  return h("section", {}, h("h2", {}, name), h("ul", {}, rows));
}

function homeLink(go) {
  const current = state.place.kind === "home";
  const app = state.users[state.bot];
  return h("li", {}, h("a.place", { href: "#home", "aria-current": current ? "page" : undefined, onclick: () => go() }, avatar(state.bot, ".tiny"), h("span", {}, app?.real_name ?? "App")));
}

function place(channel, go) {
  const current = state.place.kind === "channel" && state.place.id === channel.id;
  const { count, mentions } = current ? { count: 0, mentions: 0 } : unread(channel.id);
  const sign = channel.is_im ? avatar(channel.members.find((m) => m !== state.me) ?? state.me, ".tiny") : icon(channel.is_private ? "lock" : "hash");
  return h(
    "li",
    {},
    h(
      `a.place${count ? ".unread" : ""}`,
      { href: `#${channel.id}`, title: channelName(channel), "aria-current": current ? "page" : undefined, onclick: () => go() },
      sign,
      h("span", {}, channelName(channel)),
      mentions ? h("b.badge.mention", {}, String(mentions), h("span.unseen", {}, mentions === 1 ? " mention" : " mentions")) : count ? h("span.unseen", {}, " (unread)") : null,
    ),
  );
}
