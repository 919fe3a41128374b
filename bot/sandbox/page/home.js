/** The app: its home tab, and the tabs that lead to it and to the direct message with the app. */

import { post } from "./api.js";
import { blocks } from "./block_kit/blocks.js";
import { fill, h, icon } from "./dom.js";
import { state } from "./state.js";
import { surface } from "./surface.js";

/** The app's tabs, as Slack shows them above its home and above the messages with it. */
export function appTabs(current) {
  const tab = (href, name) => h("a", { href, "aria-current": name === current ? "page" : undefined }, name);
  return h("nav.tabs", { "aria-label": "App" }, tab("#home", "Home"), tab("#messages", "Messages"));
}

/** Draw the home tab into `main`; the first time, send the app `app_home_opened`. */
export function home(main, { openSidebar }) {
  const key = `${state.me}/home`;
  if (main.dataset.place !== key) {
    main.dataset.place = key;
    main.dataset.shown = "";
    fill(main, h("header.head", {}, h("button.icon-button.only-narrow", { type: "button", "aria-label": "Channels", onclick: openSidebar }, icon("menu")), h("h1", {}, state.users[state.bot]?.real_name ?? "App"), appTabs("Home")), h("div.log.home"));
    post("home", { as: state.me });
  }
  const view = state.homes[state.me];
  const sig = view ? `${view.id}/${view.hash}` : "none";
  if (main.dataset.shown === sig) return;
  main.dataset.shown = sig;
  const log = main.children[1];
  if (!view) fill(log, h("p.notice", {}, "The app has not published a home tab yet."));
  else fill(log, h("div.blocks", {}, blocks(view.blocks, surface({ view_id: view.id }, view.state?.values))));
}
