"""A workspace: its users, channels and messages, and the actions that change them. No I/O.

Each action checks what Slack checks, raises `FakeSlackError` with Slack's code, and
notifies every listener of a `WorkspaceChange`, from which the page is redrawn and
`event_subscriptions` makes events for the bot. Message times come from the clock that is passed in.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Channel, File, Group, Json, Kind, Message, User
from bot.sandbox.fake_slack.plan import WorkspacePlan
from bot.sandbox.fake_slack.slack_facts import LIMITS

TEAM_ID: Final = "T0SANDBOX"
TEAM_NAME: Final = "Acme"
APP_ID: Final = "A0GOVERNOR"
BOT_ID: Final = "B0GOVERNOR"
BOT_USER_ID: Final = "U0GOVERNOR"
SLACKBOT_ID: Final = "USLACKBOT"

_NAME: Final = re.compile(r"[a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class WorkspaceChange:
    """A change of the workspace; `event` is the bot's event for it, if there is one."""

    kind: str
    channel: str | None
    data: Json = field(default_factory=dict)
    event: Json | None = None


Listener = Callable[[WorkspaceChange], None]


class FakeWorkspace:
    """A team with one installed app. `now` returns the time of new messages.

    Identifiers are numbered from `first_id`, so that those of two teams differ.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        users: Iterable[User] = (),
        team: tuple[str, str] = (TEAM_ID, TEAM_NAME),
        first_id: int = 1,
    ) -> None:
        self.now = now
        self.team_id, self.team_name = team
        self.users: dict[str, User] = {user.id: user for user in users}
        self.groups: dict[str, Group] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.drafts: dict[str, Message] = {}
        """Messages with links that are still being written, by what `chat.unfurl` names them."""
        self.canvases: dict[str, Json] = {}
        self.plan = WorkspacePlan()
        self.listeners: list[Listener] = []
        self._ids = itertools.count(first_id)
        self._last_ts = 0

    # -- names and times ---------------------------------------------------------

    @property
    def domain(self) -> str:
        """The workspace's subdomain."""
        return self.team_name.lower()

    def new_id(self, prefix: str) -> str:
        """Return a new identifier, such as `C00000007`."""
        return f"{prefix}{next(self._ids):08d}"

    def new_ts(self) -> str:
        """Return the current time as a message's `ts`, later than all before."""
        micros = int(self.now().timestamp() * 1_000_000)
        self._last_ts = max(micros, self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def notify(self, kind: str, channel: Channel | None, event: Json | None = None, **data: object) -> None:
        """Notify the listeners of a change."""
        change = WorkspaceChange(kind, channel.id if channel else None, dict(data), event)
        for listener in self.listeners:
            listener(change)

    # -- look-ups ----------------------------------------------------------------

    def user(self, user_id: str) -> User:
        """Return a user, or raise `user_not_found`."""
        if user_id not in self.users:
            raise FakeSlackError("user_not_found")
        return self.users[user_id]

    def group(self, handle: str) -> Group:
        """Return a user group by id or handle, with or without `@`."""
        id_or_handle = handle.removeprefix("@")
        for group in self.groups.values():
            if id_or_handle in {group.id, group.handle}:
                return group
        raise FakeSlackError("no_such_subteam")

    def channel(self, name_or_id: str, viewer: str | None = None) -> Channel:
        """Return a channel by id or `#name`; a private one only to its members."""
        channel = self.channels.get(name_or_id)
        if channel is None and name_or_id:
            name = name_or_id.removeprefix("#")
            channel = next((c for c in self.channels.values() if c.name == name), None)
        if channel is None:
            raise FakeSlackError("channel_not_found")
        if viewer is not None and channel.kind != "public" and viewer not in channel.members:
            raise FakeSlackError("channel_not_found")
        return channel

    def message(self, channel: Channel, ts: str) -> Message:
        """Return a message, or raise `message_not_found`."""
        message = channel.message(ts)
        if message is None:
            raise FakeSlackError("message_not_found")
        return message

    # -- channels ----------------------------------------------------------------

    def create_channel(self, name: str, creator: str, *, kind: Kind = "public") -> Channel:
        """Create a channel with its creator as its only member."""
        self._check_name(name)
        prefix = {"public": "C", "private": "C", "im": "D", "mpim": "G"}[kind]
        channel = Channel(self.new_id(prefix), name, creator, self.now(), kind, members=[creator])
        self.channels[channel.id] = channel
        event = {"type": "channel_created", "channel": self._channel_summary(channel)}
        self.notify("channel", channel, event if kind == "public" else None)
        return channel

    def open_direct(self, *user_ids: str) -> Channel:
        """Find or create the direct conversation of exactly these users."""
        members = sorted({self.user(user_id).id for user_id in user_ids})
        for channel in self.channels.values():
            if channel.kind in {"im", "mpim"} and sorted(channel.members) == members:
                return channel
        kind: Kind = "im" if len(members) <= 2 else "mpim"
        prefix = "D" if kind == "im" else "G"
        name = "" if kind == "im" else "mpdm-" + "--".join(self.users[m].name for m in members)
        channel = Channel(self.new_id(prefix), name, members[0], self.now(), kind, members=members)
        self.channels[channel.id] = channel
        self.notify("channel", channel)
        return channel

    def rename_channel(self, channel: Channel, name: str, actor: str) -> None:
        """Rename a channel."""
        self.must_be_open(channel)
        self.must_be_member(channel, actor)
        self._check_name(name)
        channel.previous_names.append(channel.name)
        channel.name = name
        self.notify("channel", channel, {"type": "channel_rename", "channel": self._channel_summary(channel)})

    def describe_channel(self, channel: Channel, actor: str, *, field_name: str, value: str) -> None:
        """Set the `topic` or the `purpose`."""
        self.must_be_open(channel)
        self.must_be_member(channel, actor)
        if len(value) > LIMITS["channel"][field_name]:
            raise FakeSlackError("too_long")
        setattr(channel, field_name, value)
        self.notify("channel", channel)
        verb = f"set the channel {field_name}: {value}"
        self._system_message(channel, actor, f"channel_{field_name}", verb)

    def archive(self, channel: Channel, actor: str) -> None:
        """Archive a channel."""
        if channel.is_archived:
            raise FakeSlackError("already_archived")
        if channel.is_general:
            raise FakeSlackError("cant_archive_general")
        self.must_be_member(channel, actor)
        channel.is_archived = True
        event = {"type": "channel_archive", "channel": channel.id, "user": actor}
        self.notify("channel", channel, event)

    def add_member(self, channel: Channel, user_id: str, inviter: str | None = None) -> None:
        """Add a member; do nothing for one who is already in."""
        self.must_be_open(channel)
        if user_id in channel.members:
            return
        channel.members.append(user_id)
        event: Json = {
            "type": "member_joined_channel",
            "user": user_id,
            "channel": channel.id,
            "channel_type": "C",
            "team": self.team_id,
        }
        if inviter:
            event["inviter"] = inviter
        self.notify("channel", channel, event)
        self._system_message(channel, user_id, "channel_join", "joined the channel")

    def remove_member(self, channel: Channel, user_id: str) -> None:
        """Remove a member."""
        if user_id not in channel.members:
            raise FakeSlackError("not_in_channel")
        if channel.is_general:
            raise FakeSlackError("cant_leave_general")
        channel.members.remove(user_id)
        event = {
            "type": "member_left_channel",
            "user": user_id,
            "channel": channel.id,
            "channel_type": "C",
            "team": self.team_id,
        }
        self.notify("channel", channel, event)

    def must_be_open(self, channel: Channel) -> None:
        """Raise `is_archived` for an archived channel."""
        if channel.is_archived:
            raise FakeSlackError("is_archived")

    def must_be_member(self, channel: Channel, user_id: str) -> None:
        """Raise `not_in_channel` for a user who is not a member."""
        if user_id not in channel.members:
            raise FakeSlackError("not_in_channel")

    def _check_name(self, name: str) -> None:
        if not name:
            raise FakeSlackError("invalid_name_required")
        if len(name) > LIMITS["channel"]["name"]:
            raise FakeSlackError("invalid_name_maxlength")
        if not re.search(r"\w", name.replace("_", "")):
            raise FakeSlackError("invalid_name_punctuation")
        if not _NAME.fullmatch(name):
            raise FakeSlackError("invalid_name_specials")
        if any(c.name == name for c in self.channels.values()):
            raise FakeSlackError("name_taken")

    def _channel_summary(self, channel: Channel) -> Json:
        created = int(channel.created.timestamp())
        return {"id": channel.id, "name": channel.name, "created": created, "creator": channel.creator}

    # -- messages ----------------------------------------------------------------

    def post(self, channel: Channel, message: Message) -> Message:
        """Add a message; one with `ephemeral_to` is stored apart from the history."""
        self.must_be_open(channel)
        if message.thread_ts is not None:
            parent = channel.message(message.thread_ts)
            if parent is None and message.ephemeral_to is None:
                raise FakeSlackError("cannot_reply_to_message")
            if parent is not None and parent.thread_ts:
                message.thread_ts = parent.thread_ts
            elif parent is not None:
                parent.thread_ts = parent.ts
        if message.ephemeral_to is not None:
            channel.ephemerals.append(message)
            self.notify("message", channel, message=message)
            return message
        channel.messages.append(message)
        self.notify("message", channel, self.message_event(channel, message), message=message)
        return message

    def say(self, channel: Channel, user_id: str, text: str, thread_ts: str | None = None) -> Message:
        """Post what a person types."""
        message = Message(self.new_ts(), user_id, text, thread_ts=thread_ts)
        return self.post(channel, message)

    def edit(self, channel: Channel, message: Message, changes: Json) -> None:
        """Change the named fields of a message and mark it as edited."""
        before = message.as_json()
        for name, value in changes.items():
            setattr(message, name, value)
        if message.ephemeral_to is None:
            message.edited = self.new_ts()
        event = {
            "type": "message",
            "subtype": "message_changed",
            "channel": channel.id,
            "message": message.as_json(),
            "previous_message": before,
            "ts": self.new_ts(),
            "hidden": True,
        }
        is_public = message.ephemeral_to is None
        self.notify("message_changed", channel, event if is_public else None, message=message)

    def delete(self, channel: Channel, message: Message) -> None:
        """Delete a message and its pin."""
        messages = channel.messages if message.ephemeral_to is None else channel.ephemerals
        messages.remove(message)
        channel.pins = [pin for pin in channel.pins if pin[0] != message.ts]
        event = {
            "type": "message",
            "subtype": "message_deleted",
            "channel": channel.id,
            "deleted_ts": message.ts,
            "previous_message": message.as_json(),
            "ts": self.new_ts(),
            "hidden": True,
        }
        is_public = message.ephemeral_to is None
        self.notify("message_deleted", channel, event if is_public else None, ts=message.ts)

    def message_event(self, channel: Channel, message: Message) -> Json:
        """Return the `message` event of a new message."""
        kinds = {"public": "channel", "private": "group", "im": "im", "mpim": "mpim"}
        return {
            **message.as_json(),
            "channel": channel.id,
            "channel_type": kinds[channel.kind],
            "event_ts": message.ts,
            "team": self.team_id,
        }

    def _system_message(self, channel: Channel, user_id: str, subtype: str, verb: str) -> None:
        text = f"<@{user_id}> {verb}"
        self.post(channel, Message(self.new_ts(), user_id, text, subtype=subtype))
