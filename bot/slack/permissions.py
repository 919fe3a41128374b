"""Who people are and what they may do, as Slack's user groups and channels say.

Members and time zones are kept for some minutes. Where Slack cannot be asked, rights fail closed: nobody
is allowed a change on an old answer.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import aiohttp
import structlog
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.catalog.catalog import EVERYONE
from bot.formatting import listed
from bot.slack.blockkit.mrkdwn import Markup, channel_link, escape, markup, mention
from bot.slack.webapi.errors import SlackError
from bot.slack.webapi.members import Members

log = structlog.get_logger(__name__)

KEEP_ZONE_S = 3_600.0
_TIMEOUT_S = 10.0
_UNREACHABLE = (SlackClientError, aiohttp.ClientError, TimeoutError, ValueError)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The person may; `because` is the entry of the policy that says so."""

    because: str


@dataclass(frozen=True, slots=True)
class PermissionDenied:
    """The person may not; `who_can` are those who may, empty where nobody is."""

    who_can: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undetermined:
    """Slack did not say who is in `unknown`, so nobody is let through on their account."""

    who_can: tuple[str, ...]
    unknown: tuple[str, ...]


PermissionResult = Allowed | PermissionDenied | Undetermined


@dataclass(frozen=True, slots=True)
class Zone:
    """A person's time zone; `known` is whether it is theirs or UTC for want of it."""

    tz: tzinfo
    name: str
    known: bool


UNKNOWN_ZONE = Zone(UTC, "UTC", known=False)
"""Where a person is of whom nobody knows it."""


class People:
    """Asks Slack about people, and what they are in, through `client`."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._members = Members(client)
        self._zones: dict[str, tuple[float, Zone]] = {}
        self._names: dict[str, str] = {}

    async def check_permission(self, user: str, entries: Sequence[str]) -> PermissionResult:
        """Return whether a person is one of those that a permission names."""
        if EVERYONE in entries:
            return Allowed(EVERYONE)
        if user in entries:
            return Allowed(user)
        unknown: list[str] = []
        for entry in entries:
            if entry.startswith(("U", "W")):
                continue
            try:
                if await self._members.has(entry, user):
                    return Allowed(entry)
            except SlackError as fault:
                log.warning("members_unknown", of=entry, error=fault.error)
                unknown.append(entry)
        return Undetermined(tuple(entries), tuple(unknown)) if unknown else PermissionDenied(tuple(entries))

    async def zone(self, user: str) -> Zone:
        """Return the person's time zone, UTC where Slack does not say."""
        until, zone = self._zones.get(user, (0.0, UNKNOWN_ZONE))
        if time.monotonic() < until:
            return zone
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer = await self._client.users_info(user=user)
            name = str(answer["user"]["tz"])
            zone = Zone(ZoneInfo(name), name, known=True)
        except (*_UNREACHABLE, KeyError, TypeError, OSError, ZoneInfoNotFoundError) as fault:
            log.info("time_zone_unknown", user=user, error=type(fault).__name__)
            return UNKNOWN_ZONE
        self._zones[user] = (time.monotonic() + KEEP_ZONE_S, zone)
        return zone

    async def name(self, user: str) -> str:
        """Return what people call a person, the id where Slack does not say."""
        if user not in self._names:
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    answer = await self._client.users_info(user=user)
                found = answer["user"]
                shown = (found.get("profile") or {}).get("display_name") or found.get("real_name")
                self._names[user] = str(shown or found["name"])
            except (*_UNREACHABLE, KeyError, TypeError, OSError) as fault:
                log.info("name_unknown", user=user, error=type(fault).__name__)
                return user
        return self._names[user]

    async def names(self, users: Collection[str]) -> Mapping[str, str]:
        """Return what people are called, by their ids."""
        return {user: await self.name(user) for user in users}


def entry_names(entries: Sequence[str], conjunction: str = "or") -> Markup:
    """Name those a permission is given to, without pinging a group."""
    return Markup(listed([_name(entry) for entry in entries], conjunction))


def group_names(entries: Sequence[str], conjunction: str = "and") -> Markup:
    """Name groups and channels that one can be in."""
    names = [channel_link(entry) if is_channel(entry) else escape(entry) for entry in entries]
    return Markup(listed(names, conjunction))


def is_channel(entry: str) -> bool:
    """Return whether a permission's entry means the members of a channel."""
    return entry.startswith(("#", "C", "G"))


def _name(entry: str) -> Markup:
    if is_channel(entry):
        return markup("members of {}", channel_link(entry))
    return escape(entry) if entry.startswith("@") else mention(entry)


def refusal(permission: PermissionDenied | Undetermined, deed: str) -> Markup:
    """Say why a person may not, and who can."""
    if isinstance(permission, Undetermined):
        return markup(
            "Slack does not say who is in {} right now, so you may not {}. Try again in a minute.",
            group_names(permission.unknown),
            deed,
        )
    if not permission.who_can:
        return markup("Nobody may {}: the workspace's policy gives that right to no one.", deed)
    return markup("Only {} may {}. Ask one of them.", entry_names(permission.who_can), deed)
