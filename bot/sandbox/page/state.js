/** The page's state: the snapshot, updated by changes, and the reader's read positions. */

import { snapshot } from "./api.js";

export const state = {
  me: localStorage.getItem("sandbox.me") || "",
  place: { kind: "channel", id: "" },
  thread: null,
  users: {},
  groups: {},
  channels: new Map(),
  messages: new Map(),
  stacks: {},
  homes: {},
  people: [],
  commands: [],
  shortcuts: [],
  faults: {},
  story: null,
  since: 0,
  clock: { base: Date.now() / 1000, at: Date.now() / 1000, speed: 1 },
};

const read = JSON.parse(sessionStorage.getItem("sandbox.read") || "{}");

/** Load the snapshot into the state. */
export async function load() {
  const fresh = await snapshot();
  const { channels, messages, now, ...rest } = fresh;
  Object.assign(state, rest);
  state.channels = new Map(channels.map((channel) => [channel.id, channel]));
  state.messages = new Map(Object.entries(messages).map(([id, list]) => [id, new Map(list.map((m) => [m.ts, m]))]));
  setClock(now, fresh.story?.speed ?? 1);
  if (!state.people.includes(state.me)) state.me = state.people[0];
}

function setClock(now, speed) {
  state.clock = { base: now, at: Date.now() / 1000, speed };
}

/** The simulated time, in Unix seconds. */
export function now() {
  const { base, at, speed } = state.clock;
  return base + (Date.now() / 1000 - at) * speed;
}

/** Apply a change from the stream. */
export function apply(change) {
  const { kind, channel } = change;
  const messages = messagesOf(channel);
  if (kind === "message" || kind === "message_changed") {
    messages.set(change.message.ts, change.message);
    if (change.parent) messages.set(change.parent.ts, change.parent);
  } else if (kind === "message_deleted") {
    messages.delete(change.ts);
  } else if (kind === "views") {
    state.stacks[change.user] = change.stack;
  } else if (kind === "home") {
    state.homes[change.user] = change.view;
  } else if (kind === "faults") {
    state.faults = change.faults;
  } else if (kind === "story") {
    state.story = change.story;
    setClock(change.now, change.story.speed);
  }
  if (change.about) state.channels.set(channel, change.about);
}

function messagesOf(channel) {
  if (channel && !state.messages.has(channel)) state.messages.set(channel, new Map());
  return state.messages.get(channel);
}

/** The messages of a channel that the reader sees, oldest first. */
export function visible(channelId) {
  const all = [...(state.messages.get(channelId)?.values() ?? [])];
  return all
    .filter((m) => !m.ephemeral_to || m.ephemeral_to === state.me)
    .sort((a, b) => a.ts.localeCompare(b.ts, "en", { numeric: true }));
}

/** A channel's own messages: without the replies that are only in threads. */
export function timeline(channelId) {
  return visible(channelId).filter((m) => !m.thread_ts || m.thread_ts === m.ts || m.subtype === "thread_broadcast");
}

/** The replies of a thread. */
export function replies(channelId, ts) {
  return visible(channelId).filter((m) => m.thread_ts === ts && m.ts !== ts);
}

/** Act as another person. */
export function become(user) {
  state.me = user;
  localStorage.setItem("sandbox.me", user);
}

/** Mark a channel as read. */
export function markRead(channelId) {
  const last = timeline(channelId).at(-1);
  (read[state.me] ??= {})[channelId] = last ? last.ts : "0";
  sessionStorage.setItem("sandbox.read", JSON.stringify(read));
}

/** Return the number of unread messages, and of those that mention the reader; all are read that are older than the sandbox. */
export function unread(channelId) {
  const seen = read[state.me]?.[channelId] ?? state.since;
  const fresh = timeline(channelId).filter(
    (m) => Number(m.ts) > Number(seen) && m.user !== state.me && !["channel_join", "channel_topic"].includes(m.subtype),
  );
  const isDirect = state.channels.get(channelId)?.is_im;
  return { count: fresh.length, mentions: isDirect ? fresh.length : fresh.filter(mentionsMe).length };
}

function mentionsMe(message) {
  const text = JSON.stringify([message.text, message.blocks]);
  if (text.includes(`<@${state.me}`) || /<!(here|channel|everyone)/.test(text)) return true;
  return Object.values(state.groups).some((g) => g.users.includes(state.me) && text.includes(`<!subteam^${g.id}`));
}

/** Whether the reader may see a channel: what is private is for its members. */
export function canSee(channel) {
  return !(channel.is_private || channel.is_im || channel.is_mpim) || channel.members.includes(state.me);
}

/** A channel's name as the reader sees it. */
export function channelName(channel) {
  if (!channel) return "unknown";
  if (!channel.is_im) return channel.name;
  const other = channel.members.find((m) => m !== state.me) ?? state.me;
  return state.users[other]?.real_name ?? other;
}

/** A person's or an app's name. */
export function userName(id) {
  return state.users[id]?.real_name ?? id;
}
