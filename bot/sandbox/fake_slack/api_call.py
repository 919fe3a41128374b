"""One call of the Web API: its arguments, read as Slack reads them, and its surroundings."""

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
    """What every method works on: the workspace, its views, limits and the app's manifest."""

    workspace: FakeWorkspace
    views: OpenViews
    rates: RateLimits
    manifest: Mapping[str, Any]
    base_url: str = ""
    scheduled: dict[str, tuple[int, str, Message]] = field(default_factory=dict)
    """By id: when (Unix seconds), where (channel id), what."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The bot scopes that the manifest asks for."""
        scopes = self.manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ())
        return tuple(scopes)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A method's arguments and who calls it."""

    method: str
    args: Json
    platform: Platform
    actor: str

    @property
    def workspace(self) -> FakeWorkspace:
        """The workspace that the call is about."""
        return self.platform.workspace

    def text(self, name: str, default: str = "") -> str:
        """Read a string."""
        value = self.args.get(name)
        return default if value is None else str(value)

    def flag(self, name: str) -> bool:
        """Read a boolean, in JSON or as a form writes it."""
        return self.args.get(name) in {True, "1", "true", "True"}

    def whole(self, name: str, default: int, *, error: str = "invalid_arguments") -> int:
        """Read a whole number."""
        value = self.args.get(name)
        if value in {None, ""}:
            return default
        try:
            return int(str(value))
        except ValueError as cause:
            raise FakeSlackError(error) from cause

    def json(self, name: str, error: str) -> Any:
        """Read an array or object, which a form carries as JSON text."""
        value = self.args.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except json.JSONDecodeError as cause:
            raise FakeSlackError(error) from cause

    def words(self, name: str) -> list[str]:
        """Read a list that is written with commas, or as an array."""
        value = self.args.get(name)
        if isinstance(value, list):
            return [str(item) for item in value]
        return [word.strip() for word in str(value or "").split(",") if word.strip()]

    def channel(self, name: str = "channel", *, by_name: bool = False) -> Channel:
        """Find the channel that an argument names by id, or also by `#name`."""
        wanted = self.text(name)
        if not by_name and wanted not in self.workspace.channels:
            raise FakeSlackError("channel_not_found")
        return self.workspace.channel(wanted, self.actor)

    def blocks(self) -> list[Json]:
        """Read a message's blocks and refuse what Slack refuses."""
        blocks = self.json("blocks", "invalid_blocks_format")
        if blocks is None:
            return []
        return checked_blocks(self.workspace, blocks)

    def metadata(self) -> Json | None:
        """Read a message's metadata."""
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

    def page(self, found: Sequence[Item], *, default: int = 100, most: int = 1000) -> Page[Item]:
        """Cut out the page that `cursor` and `limit` ask for."""
        limit = self.whole("limit", default, error="invalid_limit") or default
        if limit < 0 or limit > most:
            raise FakeSlackError("invalid_limit")
        start = _read_cursor(self.text("cursor"))
        rest = start + limit
        following = _write_cursor(rest) if rest < len(found) else ""
        return Page(list(found[start:rest]), following)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some of a list, and the cursor of what follows (empty at the end)."""

    items: list[Item]
    next_cursor: str

    def metadata(self) -> Json:
        """Write the answer's `response_metadata`."""
        return {"response_metadata": {"next_cursor": self.next_cursor}}


Method = Callable[[ApiCall], Json]


def checked_blocks(workspace: FakeWorkspace, blocks: object) -> list[Json]:
    """Return a message's blocks with their identifiers, or refuse them as Slack does."""
    if not isinstance(blocks, list):
        raise FakeSlackError("invalid_blocks_format")
    if has_too_many_tables(blocks):
        raise FakeSlackError("invalid_attachments", ["[ERROR] only_one_table_allowed"])
    faults = message_faults(blocks)
    if faults:
        raise FakeSlackError("invalid_blocks", faults, errors=[_unmarked(f) for f in faults])
    if is_too_long(blocks):
        raise FakeSlackError("msg_blocks_too_long")
    fill_block_ids(workspace, blocks)
    return blocks


def _unmarked(text: str) -> str:
    return text.removeprefix("[ERROR] ")


def _write_cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"next:{offset}".encode()).decode()


def _read_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        word, _, offset = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if word != "next":
            raise FakeSlackError("invalid_cursor")
        return int(offset)
    except (binascii.Error, UnicodeDecodeError, ValueError) as cause:
        raise FakeSlackError("invalid_cursor") from cause
