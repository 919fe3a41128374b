/** Times in the reader's time zone, formatted as Slack does. */

import { now } from "./state.js";

const format = (options) => new Intl.DateTimeFormat(undefined, options);
const TIME = format({ hour: "numeric", minute: "2-digit" });
const TIME_SECS = format({ hour: "numeric", minute: "2-digit", second: "2-digit" });
const SHORT = format({ month: "short", day: "numeric", year: "numeric" });
const PLAIN = format({ month: "long", day: "numeric", year: "numeric" });
const LONG = format({ weekday: "long", month: "long", day: "numeric", year: "numeric" });
const NUMERIC = format({ year: "numeric", month: "2-digit", day: "2-digit" });
const WEEKDAY = format({ weekday: "short", day: "numeric", month: "short" });

const date = (seconds) => new Date(seconds * 1000);

/** 2:05 PM, or 14:05 where that is usual. */
export const clock = (seconds) => TIME.format(date(seconds));

/** The day and the time to the second: ["Tue, 3 Mar", "14:05:09"]. */
export const stamp = (seconds) => [WEEKDAY.format(date(seconds)), TIME_SECS.format(date(seconds))];

/** The day that a time falls on, for grouping. */
export const day = (seconds) => NUMERIC.format(date(seconds));

/** Today, Yesterday, or the date. */
export function dayName(seconds) {
  return relative(seconds, LONG.format(date(seconds)));
}

function relative(seconds, otherwise) {
  const names = { 0: "Today", 1: "Yesterday", [-1]: "Tomorrow" };
  const midnight = (value) => new Date(value * 1000).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(now()) - midnight(seconds)) / 86_400_000);
  return names[days] ?? otherwise;
}

function ago(seconds) {
  const past = now() - seconds;
  const units = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
  const [unit, size] = units.find(([, length]) => Math.abs(past) >= length) ?? units.at(-1);
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(-Math.round(past / size), unit);
}

/** Fill the tokens of `<!date^seconds^{date_short} at {time}^…>`; within a line, "today" is lower case. */
export function slackDate(seconds, template, isFirst = true) {
  const at = date(seconds);
  const tokens = {
    date_num: () => NUMERIC.format(at),
    date_slash: () => NUMERIC.format(at),
    date: () => PLAIN.format(at),
    date_short: () => SHORT.format(at),
    date_long: () => LONG.format(at),
    date_pretty: () => relative(seconds, PLAIN.format(at)),
    date_short_pretty: () => relative(seconds, SHORT.format(at)),
    date_long_pretty: () => relative(seconds, LONG.format(at)),
    day_divider_pretty: () => dayName(seconds),
    time: () => TIME.format(at),
    time_secs: () => TIME_SECS.format(at),
    ago: () => ago(seconds),
  };
  const text = template.replace(/\{(\w+)\}/g, (whole, name) => tokens[name]?.() ?? whole);
  const within = isFirst ? /(?<=.)(Today|Yesterday|Tomorrow)/g : /(Today|Yesterday|Tomorrow)/g;
  return text.replace(within, (word) => word.toLowerCase());
}
