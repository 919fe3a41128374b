"""Who people are and what they may do, as Slack's user groups say.

Groups and time zones are kept for some minutes. Where Slack cannot be asked, rights fail closed: nobody
is allowed a change on an old answer.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import aiohttp
import structlog
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.policy.catalog import EVERYONE
from bot.slack.blocks import Markup, escape, markup, mention
from bot.slack.wording import listed

log = structlog.get_logger(__name__)

KEEP_GROUPS_S = 300.0
KEEP_ZONE_S = 3_600.0
_TIMEOUT_S = 10.0
_UNREACHABLE = (SlackClientError, aiohttp.ClientError, TimeoutError, ValueError)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The person may; `because` is the entry of the policy that says so."""

    because: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The person may not; `who_can` are those who may, empty where nobody is."""

    who_can: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsure:
    """Slack did not say who is in the groups, so nobody is let through on their account."""

    who_can: tuple[str, ...]


Right = Allowed | Refused | Unsure


@dataclass(frozen=True, slots=True)
class Zone:
    """A person's time zone; `known` is whether it is theirs or UTC for want of it."""

    tz: tzinfo
    name: str
    known: bool


_UTC = Zone(UTC, "UTC", known=False)


class People:
    """Asks Slack about users and groups through `client`."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._asking = asyncio.Lock()
        self._groups: Mapping[str, frozenset[str]] = {}
        self._groups_until = 0.0
        self._zones: dict[str, tuple[float, Zone]] = {}
        self._names: dict[str, str] = {}

    async def right(self, user: str, entries: Sequence[str]) -> Right:
        """Answer whether a person is one of those that a permission names."""
        if EVERYONE in entries:
            return Allowed(EVERYONE)
        if user in entries:
            return Allowed(user)
        handles = [entry for entry in entries if entry.startswith("@")]
        if not handles:
            return Refused(tuple(entries))
        try:
            groups = await self._members()
        except _UNREACHABLE as fault:
            log.warning("groups_unknown", error=type(fault).__name__)
            return Unsure(tuple(entries))
        for handle in handles:
            if user in groups.get(handle.removeprefix("@").casefold(), frozenset()):
                return Allowed(handle)
        return Refused(tuple(entries))

    async def zone(self, user: str) -> Zone:
        """Answer the person's time zone, UTC where Slack does not say."""
        until, zone = self._zones.get(user, (0.0, _UTC))
        if time.monotonic() < until:
            return zone
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                answer = await self._client.users_info(user=user)
            name = str(answer["user"]["tz"])
            zone = Zone(ZoneInfo(name), name, known=True)
        except (*_UNREACHABLE, KeyError, TypeError, OSError, ZoneInfoNotFoundError) as fault:
            log.info("time_zone_unknown", user=user, error=type(fault).__name__)
            return _UTC
        self._zones[user] = (time.monotonic() + KEEP_ZONE_S, zone)
        return zone

    async def name(self, user: str) -> str:
        """Answer what people call a person, the id where Slack does not say."""
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

    async def _members(self) -> Mapping[str, frozenset[str]]:
        async with self._asking:
            if time.monotonic() >= self._groups_until:
                async with asyncio.timeout(_TIMEOUT_S):
                    answer = await self._client.usergroups_list(include_users=True)
                self._groups = {
                    str(group["handle"]).casefold(): frozenset(group.get("users") or ())
                    for group in answer.get("usergroups") or ()
                }
                self._groups_until = time.monotonic() + KEEP_GROUPS_S
            return self._groups


def named(entries: Sequence[str], conjunction: str = "or") -> Markup:
    """Name those a permission is given to, without pinging a group."""
    names = [mention(entry) if not entry.startswith("@") else escape(entry) for entry in entries]
    return Markup(listed(names, conjunction))


def refusal(right: Refused | Unsure, deed: str) -> Markup:
    """Say why a person may not, and who can."""
    if isinstance(right, Unsure):
        return markup(
            "Slack does not say who is in {} right now, so nobody may {}. Try again in a minute.",
            named(right.who_can),
            deed,
        )
    if not right.who_can:
        return markup("Nobody may {}: the workspace's policy gives that right to no one.", deed)
    return markup("Only {} may {}. Ask one of them.", named(right.who_can), deed)
