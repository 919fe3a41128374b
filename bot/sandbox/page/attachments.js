/** What an app shows below the links of a message: blocks, or a Work Object with a pane of details. */

import { post } from "./api.js";
import { blocks } from "./block_kit/blocks.js";
import { inline } from "./block_kit/mrkdwn.js";
import { h } from "./dom.js";
import { state } from "./state.js";
import { surface } from "./surface.js";
import { toast } from "./toast.js";

const SHOWN = ["status", "priority", "service", "assigned_to"];

/** Draw what is below a message's links. */
export function attachments(item, channel) {
  return (item.attachments ?? []).map((each) =>
    each.entity
      ? workObject(each, item, channel)
      : h("div.attachment", {}, blocks(each.blocks, surface({ channel: channel.id, ts: item.ts }))),
  );
}

function workObject(attachment, item, channel) {
  const { attributes, fields = {} } = attachment.entity.entity_payload;
  const open = async () => {
    const answer = await post("details", { as: state.me, channel: channel.id, ts: item.ts, url: attachment.from_url });
    if (!answer.ok) toast(`The app did not answer (${answer.error}).`);
  };
  const about = [attributes.product_name, attributes.display_type, attributes.display_id].filter(Boolean);
  const rows = SHOWN.filter((name) => fields[name]).map((name) => [h("dt", {}, label(name, fields[name])), h("dd", {}, value(fields[name]))]);
  return h(
    "div.attachment.work-object",
    {},
    h("small", {}, about.join(" · ")),
    h("button.work-object-title", { type: "button", onclick: open }, attributes.title.text),
    h("dl", {}, rows),
    fields.description ? h("p", {}, fields.description.value) : null,
  );
}

const label = (name, field) => field.label ?? `${name[0].toUpperCase()}${name.slice(1).replaceAll("_", " ")}`;

/** Texts of a Work Object are literal, without mrkdwn; people are named by id. */
function value(field) {
  if (field.user) return field.user.user_id ? inline(`<@${field.user.user_id}>`) : field.user.text;
  return field.tag_color ? h(`span.tag.tag-${field.tag_color}`, {}, field.value) : String(field.value);
}
