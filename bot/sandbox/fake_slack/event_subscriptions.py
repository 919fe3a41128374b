"""Event subscriptions: which changes of the workspace are sent to the bot, in Slack's envelope.

Only events under `settings.event_subscriptions.bot_events` of the manifest are sent; of channels
that the bot is not in, only those in `_SENT_FOR_EVERY_CHANNEL`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bot.sandbox.fake_slack.model import Channel, Json
from bot.sandbox.fake_slack.request_sender import RequestSender
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_USER_ID, FakeWorkspace, WorkspaceChange

_MESSAGES: Final = {
    "public": "message.channels",
    "private": "message.groups",
    "im": "message.im",
    "mpim": "message.mpim",
}
_SENT_FOR_EVERY_CHANNEL: Final = {
    "channel_created",
    "channel_archive",
    "channel_rename",
    "link_shared",
    "entity_details_requested",
}


def subscriptions(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the events that an app's manifest subscribes to."""
    events = manifest.get("settings", {}).get("event_subscriptions", {}).get("bot_events", ())
    return frozenset(events)


class EventSubscriptions:
    """Listens to a workspace and sends the bot the events that it subscribes to."""

    def __init__(self, workspace: FakeWorkspace, sender: RequestSender, manifest: Mapping[str, Any]) -> None:
        self._workspace = workspace
        self._sender = sender
        self._subscribed = subscriptions(manifest)
        workspace.listeners.append(self._on_change)

    def _on_change(self, change: WorkspaceChange) -> None:
        if change.event is None:
            return
        self.send(change.event, change.channel)
        mention = f"<@{BOT_USER_ID}>" in str(change.event.get("text", ""))
        if change.kind == "message" and mention and "bot_id" not in change.event:
            self.send({**change.event, "type": "app_mention"}, change.channel)

    def send(self, event: Json, channel_id: str | None = None) -> None:
        """Send an event if it is subscribed to and the bot may see it."""
        kind = str(event["type"])
        channel = self._workspace.channels.get(channel_id or "")
        event_name = _MESSAGES[channel.kind] if kind == "message" and channel else kind
        if event_name not in self._subscribed:
            return
        is_visible = channel is None or kind in _SENT_FOR_EVERY_CHANNEL or BOT_USER_ID in channel.members
        if is_visible:
            self._sender.send_event(self._envelope(event, channel))

    def _envelope(self, event: Json, channel: Channel | None) -> Json:
        event_ts = self._workspace.new_ts()
        authorization = {
            "enterprise_id": None,
            "team_id": self._workspace.team_id,
            "user_id": BOT_USER_ID,
            "is_bot": True,
            "is_enterprise_install": False,
        }
        return {
            "token": "sandbox",
            "team_id": self._workspace.team_id,
            "api_app_id": APP_ID,
            "event": {"event_ts": event_ts, **event},
            "type": "event_callback",
            "event_id": self._workspace.new_id("Ev"),
            "event_time": int(float(event_ts)),
            "authorizations": [authorization],
            "is_ext_shared_channel": channel is not None and channel.is_ext_shared,
        }
