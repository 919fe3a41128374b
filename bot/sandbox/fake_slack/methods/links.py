"""chat.unfurl and entity.presentDetails: what is shown below links, and in the pane beside them."""

from __future__ import annotations

from typing import Final

from bot.sandbox.fake_slack.api_call import ApiCall, Method, checked_blocks
from bot.sandbox.fake_slack.block_kit.entities import details_view, entity_faults, unfurl_faults
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Channel, Json, Message
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_ID

_ERRORS: Final = {
    "restricted",
    "internal_error",
    "not_found",
    "custom",
    "custom_partial_view",
    "timeout",
    "edit_error",
}
_SOURCES: Final = {"composer", "conversations_history"}


def unfurl(call: ApiCall) -> Json:
    """chat.unfurl."""
    channel, message = _message(call)
    metadata = (
        call.json("metadata", "invalid_metadata_format") if call.workspace.plan.has_work_objects else None
    )
    unfurls = call.json("unfurls", "invalid_unfurls_format")
    if metadata is None and unfurls is None:
        raise FakeSlackError("missing_unfurls")
    shown = [*_previews(call, unfurls), *_entities(metadata)]
    for attachment in shown:
        if attachment["from_url"] not in message.text:
            raise FakeSlackError(
                "cannot_unfurl_url", [f"[ERROR] not in the message: {attachment['from_url']}"]
            )
    replaced = {attachment["from_url"] for attachment in shown}
    kept = [attachment for attachment in message.attachments if attachment["from_url"] not in replaced]
    message.attachments = [*kept, *shown]
    if channel is not None:
        call.workspace.notify("message_changed", channel, message=message)
    return {}


def _message(call: ApiCall) -> tuple[Channel | None, Message]:
    """Return the message whose links are to be shown, and its channel unless it is still being written."""
    return _by_unfurl_id(call) if call.text("unfurl_id") else _by_place(call)


def _by_unfurl_id(call: ApiCall) -> tuple[Channel | None, Message]:
    if not call.text("source"):
        raise FakeSlackError("missing_source")
    if call.text("source") not in _SOURCES:
        raise FakeSlackError("invalid_source")
    for channel in call.workspace.channels.values():
        for message in channel.messages:
            if message.unfurl_id == call.text("unfurl_id"):
                return channel, message
    if call.text("unfurl_id") not in call.workspace.drafts:
        raise FakeSlackError("invalid_unfurl_id")
    return None, call.workspace.drafts[call.text("unfurl_id")]


def _by_place(call: ApiCall) -> tuple[Channel, Message]:
    for name in ("channel", "ts"):
        if not call.text(name):
            raise FakeSlackError(f"missing_{name}")
    channel = call.workspace.channels.get(call.text("channel"))
    if channel is None:
        raise FakeSlackError("cannot_find_channel")
    # Unlike other methods, this one needs no membership: the link was shared with the app.
    message = channel.message(call.text("ts"))
    if message is None or message.unfurl_id is None:
        raise FakeSlackError("cannot_find_message")
    return channel, message


def _previews(call: ApiCall, unfurls: object) -> list[Json]:
    if unfurls is None:
        return []
    if not isinstance(unfurls, dict):
        raise FakeSlackError("invalid_unfurls_format")
    return [_attachment(url) | {"blocks": _blocks(call, content)} for url, content in unfurls.items()]


def _blocks(call: ApiCall, content: object) -> list[Json]:
    blocks = content.get("blocks") if isinstance(content, dict) else None
    if not isinstance(blocks, list) or any(block.get("type") == "rich_text" for block in blocks):
        raise FakeSlackError("cannot_parse_attachment")
    return checked_blocks(call.workspace, blocks)


def _entities(metadata: object) -> list[Json]:
    if metadata is None:
        return []
    faults = unfurl_faults(metadata)
    if faults or not isinstance(metadata, dict):
        raise FakeSlackError("invalid_metadata_format", faults)
    return [_attachment(entity["app_unfurl_url"]) | {"entity": entity} for entity in metadata["entities"]]


def _attachment(url: str) -> Json:
    return {"from_url": url, "app_unfurl_url": url, "is_app_unfurl": True, "app_id": APP_ID, "bot_id": BOT_ID}


def present_details(call: ApiCall) -> Json:
    """entity.presentDetails."""
    views, trigger_id = call.platform.views, call.text("trigger_id")
    if not call.workspace.plan.has_work_objects:
        raise FakeSlackError("feature_not_enabled")
    if trigger_id not in views.details:
        raise FakeSlackError("invalid_trigger_id")
    entity, error = call.json("metadata", "invalid_metadata"), call.json("error", "invalid_arguments")
    if error is not None and (not isinstance(error, dict) or error.get("status") not in _ERRORS):
        raise FakeSlackError(
            "invalid_arguments", ["[ERROR] must be a valid enum value [json-pointer:/error/status]"]
        )
    if error is None:
        faults = entity_faults(entity)
        if faults:
            raise FakeSlackError("invalid_metadata", faults)
        if entity["external_ref"]["id"] != views.details[trigger_id]:
            raise FakeSlackError("entity_metadata_does_not_match_trigger")
    views.open(trigger_id, details_view(None if error else entity))
    return {}


METHODS: Final[dict[str, Method]] = {"chat.unfurl": unfurl, "entity.presentDetails": present_details}
