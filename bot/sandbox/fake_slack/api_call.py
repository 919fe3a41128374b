"""One call of the Web API: its arguments, parsed as Slack does, and the state it works on."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bot.sandbox.fake_slack.block_kit.validation import has_too_many_tables, is_too_long, message_faults
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.model import Channel, Json, Message
from bot.sandbox.fake_slack.rate_limits import RateLimits
from bot.sandbox.fake_slack.slack_facts import LIMITS
from bot.sandbox.fake_slack.views import OpenViews, fill_block_ids
from bot.sandbox.fake_slack.workspace import FakeWorkspace

Item = TypeVar("Item")


@dataclass(slots=True)
class Platform:
    """The state that methods work on: the workspace, its views, rate limits and the app's manifest."""

    workspace: FakeWorkspace
    views: OpenViews
    rates: RateLimits
    manifest: Mapping[str, Any]
    base_url: str = ""
    scheduled: dict[str, tuple[int, str, Message]] = field(default_factory=dict)
    """By id: time (Unix seconds), channel id, message."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The bot scopes that the manifest asks for."""
        scopes = self.manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ())
        return tuple(scopes)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A method's arguments and the user that calls it."""

    method: str
    args: Json
    platform: Platform
    actor: str

    @property
    def workspace(self) -> FakeWorkspace:
        """The workspace that the call is made in."""
        return self.platform.workspace

    def text(self, name: str, default: str = "") -> str:
        """Return a string argument."""
        value = self.args.get(name)
        return default if value is None else str(value)

    def flag(self, name: str) -> bool:
        """Return a boolean argument, in JSON or form encoding."""
        return self.args.get(name) in {True, "1", "true", "True"}

    def integer(self, name: str, default: int, *, error: str = "invalid_arguments") -> int:
        """Return an integer argument."""
        value = self.args.get(name)
        if value in {None, ""}:
            return default
        try:
            return int(str(value))
        except ValueError as cause:
            raise FakeSlackError(error) from cause

    def json(self, name: str, error: str) -> Any:
        """Return an array or object argument; a form carries it as JSON text."""
        value = self.args.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except json.JSONDecodeError as cause:
            raise FakeSlackError(error) from cause

    def strings(self, name: str) -> list[str]:
        """Return a list argument, an array or separated by commas."""
        value = self.args.get(name)
        if isinstance(value, list):
            return [str(item) for item in value]
        return [item.strip() for item in str(value or "").split(",") if item.strip()]

    def channel(self, name: str = "channel", *, by_name: bool = False) -> Channel:
        """Return the channel of an argument: its id, or with `by_name` also its `#name`."""
        id_or_name = self.text(name)
        if not by_name and id_or_name not in self.workspace.channels:
            raise FakeSlackError("channel_not_found")
        return self.workspace.channel(id_or_name, self.actor)

    def blocks(self) -> list[Json]:
        """Return a message's blocks, or raise what Slack refuses them with."""
        blocks = self.json("blocks", "invalid_blocks_format")
        if blocks is None:
            return []
        return checked_blocks(self.workspace, blocks)

    def metadata(self) -> Json | None:
        """Return a message's metadata, if it has any."""
        metadata = self.json("metadata", "invalid_metadata_format")
        if metadata is None:
            return None
        if not isinstance(metadata, dict) or not isinstance(metadata.get("event_payload"), dict):
            raise FakeSlackError("invalid_metadata_format")
        if not isinstance(metadata.get("event_type"), str) or not metadata["event_type"]:
            raise FakeSlackError("invalid_metadata_format")
        if len(json.dumps(metadata)) > LIMITS["message"]["metadata_bytes"]:
            raise FakeSlackError("metadata_too_large")
        return metadata

    def page(self, rows: Sequence[Item], *, default: int = 100, max_limit: int = 1000) -> Page[Item]:
        """Return the page at `cursor` with `limit` rows, or fewer: Slack promises no full pages."""
        limit = self.integer("limit", default, error="invalid_limit") or default
        if limit < 0 or limit > max_limit:
            raise FakeSlackError("invalid_limit")
        start = _decode_cursor(self.text("cursor"))
        end = start + min(limit, self.workspace.plan.most_rows)
        next_cursor = _encode_cursor(end) if end < len(rows) else ""
        return Page(list(rows[start:end]), next_cursor)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A page of a list, and the cursor of the next page (empty at the end)."""

    items: list[Item]
    next_cursor: str

    def metadata(self) -> Json:
        """Return the `response_metadata`."""
        return {"response_metadata": {"next_cursor": self.next_cursor}}


Method = Callable[[ApiCall], Json]


def checked_blocks(workspace: FakeWorkspace, blocks: object) -> list[Json]:
    """Return a message's blocks with their identifiers filled in; raise what Slack refuses them with."""
    if not isinstance(blocks, list):
        raise FakeSlackError("invalid_blocks_format")
    if has_too_many_tables(blocks):
        raise FakeSlackError("invalid_attachments", ["[ERROR] only_one_table_allowed"])
    faults = message_faults(blocks, missing=workspace.plan.missing_blocks)
    if faults:
        raise FakeSlackError("invalid_blocks", faults, errors=[_without_prefix(fault) for fault in faults])
    if is_too_long(blocks):
        raise FakeSlackError("msg_blocks_too_long")
    fill_block_ids(workspace, blocks)
    return blocks


def _without_prefix(text: str) -> str:
    return text.removeprefix("[ERROR] ")


def _encode_cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"next:{offset}".encode()).decode()


def _decode_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        prefix, _, offset = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if prefix != "next":
            raise FakeSlackError("invalid_cursor")
        return int(offset)
    except (binascii.Error, UnicodeDecodeError, ValueError) as cause:
        raise FakeSlackError("invalid_cursor") from cause
