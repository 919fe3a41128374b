/** The surface of blocks: a message, a modal or the home tab, with the state of its inputs. */

import { post } from "./api.js";
import { state } from "./state.js";
import { toast } from "./toast.js";

const INITIAL = {
  value: "initial_value",
  selected_option: "initial_option",
  selected_options: "initial_options",
  selected_user: "initial_user",
  selected_users: "initial_users",
  selected_conversation: "initial_conversation",
  selected_conversations: "initial_conversations",
  selected_channel: "initial_channel",
  selected_channels: "initial_channels",
  selected_date: "initial_date",
  selected_time: "initial_time",
  selected_date_time: "initial_date_time",
};

const entered = new Map();

/** A surface for a message (`{channel, ts}`) or a view (`{view_id}`, with its `held` state). */
export function surface(where, held = {}) {
  const id = where.view_id ?? `${where.channel}/${where.ts}`;
  const key = `${state.me}/${id}`;
  if (!entered.has(key)) entered.set(key, {});
  const values = entered.get(key);
  return {
    id,
    values,
    value(block, item) {
      const own = values[block.block_id]?.[item.action_id] ?? held[block.block_id]?.[item.action_id];
      return own ?? initial(item);
    },
    keep(block, item, entry) {
      (values[block.block_id] ??= {})[item.action_id] = entry;
    },
    async act(block, item, chosen) {
      const body = { as: state.me, ...where, block_id: block.block_id, action_id: item.action_id, chosen, values };
      const answer = await post("act", body);
      if (!answer.ok) toast(`The app did not answer (${answer.error}).`);
      return answer.ok;
    },
    options(item, query) {
      return post("options", { as: state.me, ...where, action_id: item.action_id, query });
    },
  };
}

function initial(item) {
  const entry = {};
  for (const [key, name] of Object.entries(INITIAL)) if (item[name] !== undefined) entry[key] = item[name];
  return entry;
}
