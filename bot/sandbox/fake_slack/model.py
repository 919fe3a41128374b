"""The objects of a workspace: users, channels, messages, files, views.

They are mutable state, changed in place by `workspace` and the methods. Each can be written
as Slack's JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["public", "private", "im", "mpim"]
Account = Literal["member", "guest", "single-channel guest", "deactivated"]


@dataclass(slots=True)
class User:
    """A member of the workspace, person or bot."""

    id: str
    name: str
    real_name: str
    title: str = ""
    email: str = ""
    tz: str = "Europe/London"
    is_bot: bool = False
    bot_id: str | None = None
    app_id: str | None = None
    team_id: str = "T0SANDBOX"
    """The person's own workspace: another one for a member of another organisation (Slack Connect)."""
    account: Account = "member"
    is_stranger: bool = False
    """Whether a member of another organisation shares no channel with the app."""

    def as_json(self, *, with_email: bool = True) -> Json:
        """Return the user as `users.info` does."""
        profile: Json = {
            "real_name": self.real_name,
            "display_name": self.name,
            "title": self.title,
            "team": self.team_id,
        }
        if with_email and self.email:
            profile["email"] = self.email
        if self.bot_id:
            profile |= {"bot_id": self.bot_id, "api_app_id": self.app_id}
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "real_name": self.real_name,
            "deleted": self.account == "deactivated",
            "is_restricted": self.account in {"guest", "single-channel guest"},
            "is_ultra_restricted": self.account == "single-channel guest",
            "is_stranger": self.is_stranger,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "tz": self.tz,
            "profile": profile,
        }


@dataclass(slots=True)
class Group:
    """A user group."""

    id: str
    handle: str
    name: str
    users: list[str]

    def as_json(self, *, with_users: bool) -> Json:
        """Return the group as `usergroups.list` does."""
        body: Json = {
            "id": self.id,
            "team_id": "T0SANDBOX",
            "is_usergroup": True,
            "handle": self.handle,
            "name": self.name,
            "date_delete": 0,
            "user_count": len(self.users),
        }
        if with_users:
            body["users"] = list(self.users)
        return body


THREAD_BROADCAST = "thread_broadcast"


@dataclass(slots=True)
class Message:
    """A message of a channel; `ephemeral_to` is the only user who sees it."""

    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    bot_id: str | None = None
    app_id: str | None = None
    metadata: Json | None = None
    thread_ts: str | None = None
    subtype: str | None = None
    ephemeral_to: str | None = None
    edited: str | None = None
    username: str | None = None
    icon_emoji: str | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    files: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    unfurl_id: str | None = None
    """What `chat.unfurl` names the message by, if it has links that an app was told of."""

    @property
    def is_reply(self) -> bool:
        """Whether the message is a reply in a thread."""
        return self.thread_ts is not None and self.thread_ts != self.ts

    @property
    def is_in_channel(self) -> bool:
        """Whether the channel shows it: it is no reply, or one that was also sent to the channel."""
        return not self.is_reply or self.subtype == THREAD_BROADCAST

    def as_json(self, *, all_metadata: bool = True) -> Json:
        """Return the message as `conversations.history` does."""
        body: Json = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text}
        extra: Json = {
            "subtype": self.subtype,
            "thread_ts": self.thread_ts,
            "bot_id": self.bot_id,
            "app_id": self.app_id,
            "blocks": self.blocks,
            "username": self.username,
            "files": self.files,
            "attachments": self.attachments,
        }
        body |= {key: value for key, value in extra.items() if value}
        if self.icon_emoji:
            body["icons"] = {"emoji": self.icon_emoji}
        if self.edited:
            body["edited"] = {"user": self.user, "ts": self.edited}
        if self.metadata is not None:
            metadata = self.metadata if all_metadata else {"event_type": self.metadata["event_type"]}
            body["metadata"] = metadata
        if self.reactions:
            body["reactions"] = [
                {"name": name, "users": list(users), "count": len(users)}
                for name, users in self.reactions.items()
            ]
        return body


@dataclass(slots=True)
class Bookmark:
    """A link at the top of a channel."""

    id: str
    title: str
    link: str
    emoji: str | None
    created: int


@dataclass(slots=True)
class Channel:
    """A conversation of any kind, with its messages, oldest first."""

    id: str
    name: str
    creator: str
    created: datetime
    kind: Kind = "public"
    topic: str = ""
    purpose: str = ""
    is_archived: bool = False
    is_general: bool = False
    is_ext_shared: bool = False
    """Whether people of other organisations are in it too."""
    members: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    ephemerals: list[Message] = field(default_factory=list)
    pins: list[tuple[str, str]] = field(default_factory=list)
    bookmarks: list[Bookmark] = field(default_factory=list)
    canvas: str | None = None
    previous_names: list[str] = field(default_factory=list)

    def message(self, ts: str) -> Message | None:
        """Return the message with this `ts`, if there is one."""
        return next((m for m in self.messages if m.ts == ts), None)

    def replies(self, ts: str) -> list[Message]:
        """Return the replies in the thread of the message `ts`, oldest first."""
        return [m for m in self.messages if m.thread_ts == ts and m.is_reply]

    def as_json(self, viewer: str) -> Json:
        """Return the channel as `conversations.info` does for one viewer."""
        created = int(self.created.timestamp())
        body: Json = {
            "id": self.id,
            "created": created,
            "creator": self.creator,
            "is_archived": self.is_archived,
            "is_channel": self.kind == "public",
            "is_group": self.kind == "private",
            "is_im": self.kind == "im",
            "is_mpim": self.kind == "mpim",
            "is_private": self.kind != "public",
            "is_general": self.is_general,
            "is_member": viewer in self.members,
            "context_team_id": "T0SANDBOX",
        }
        if self.kind == "im":
            return body | {"user": next((m for m in self.members if m != viewer), viewer)}
        if self.canvas is not None:
            body["properties"] = {"canvas": {"file_id": self.canvas, "is_empty": False}}
        return body | {
            "name": self.name,
            "name_normalized": self.name,
            "num_members": len(self.members),
            "previous_names": self.previous_names,
            "topic": {"value": self.topic, "creator": "", "last_set": 0},
            "purpose": {"value": self.purpose, "creator": "", "last_set": 0},
        }


@dataclass(slots=True)
class File:
    """An uploaded file; `shared_in` lists the channels in which it is shared."""

    id: str
    name: str
    title: str
    size: int
    user: str
    created: datetime
    content: bytes = b""
    is_uploaded: bool = False
    is_complete: bool = False
    shared_in: list[str] = field(default_factory=list)

    def as_json(self, base_url: str) -> Json:
        """Return the file as `files.info` does."""
        return {
            "id": self.id,
            "created": int(self.created.timestamp()),
            "name": self.name,
            "title": self.title,
            "size": self.size,
            "user": self.user,
            "mimetype": "text/plain",
            "channels": list(self.shared_in),
            "url_private": f"{base_url}/sandbox/files/{self.id}",
            "permalink": f"{base_url}/sandbox/files/{self.id}",
        }


@dataclass(slots=True)
class View:
    """A modal or a home tab as one person sees it."""

    id: str
    user: str
    content: Json
    hash: str
    root_id: str
    previous_id: str | None = None
    state: Json = field(default_factory=dict)

    @property
    def external_id(self) -> str:
        """The app's own id of the view; empty if it has none."""
        return str(self.content.get("external_id") or "")

    def as_json(self, *, app_id: str, bot_id: str) -> Json:
        """Return the view as `views.open` and payloads do."""
        content = self.content
        defaults: Json = {
            "private_metadata": "",
            "callback_id": "",
            "title": None,
            "close": None,
            "submit": None,
            "clear_on_close": False,
            "notify_on_close": False,
        }
        return {
            **defaults,
            **content,
            "id": self.id,
            "team_id": "T0SANDBOX",
            "external_id": self.external_id,
            "state": {"values": self.state},
            "hash": self.hash,
            "root_view_id": self.root_id,
            "previous_view_id": self.previous_id,
            "app_id": app_id,
            "app_installed_team_id": "T0SANDBOX",
            "bot_id": bot_id,
        }
