"""Permissions: who may do what, by person, Slack user group or channel; also people's names and time zones.

Every entry of a permission means full members of the workspace, `everyone` too. Guests and people of
elsewhere have it only if `permissions.guests` of the policy means them too; bots and deactivated accounts
never have it.

Members, accounts and time zones are cached for some minutes. If Slack cannot be asked, permissions fail
closed: nobody may change anything on an outdated answer.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import aiohttp
import structlog
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.catalog.catalog import EVERYONE
from bot.formatting import listed
from bot.slack.blockkit.mrkdwn import Markup, channel_link, code, escape, markup, mention
from bot.slack.webapi.accounts import AccountKind, Accounts
from bot.slack.webapi.errors import SlackError
from bot.slack.webapi.members import Members
from bot.slack.webapi.user_groups import PLAN_HAS_NONE

log = structlog.get_logger(__name__)

_ZONE_CACHE_S = 3_600.0
_TIMEOUT_S = 10.0
_UNREACHABLE = (SlackClientError, aiohttp.ClientError, TimeoutError, ValueError)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The person may; `because` is the entry of the policy that allows it."""

    because: str


@dataclass(frozen=True, slots=True)
class PermissionDenied:
    """The person may not; `who_can` are the entries of those who may, empty if nobody may.

    `without_plan` are those of them that are user groups, where the workspace's plan has none.
    """

    who_can: tuple[str, ...]
    without_plan: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Undetermined:
    """Slack did not say who is in `unknown`, so nobody is allowed by these entries."""

    who_can: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotAMember:
    """The person is no full member of the workspace, and the policy's `guests` does not mean them."""

    kind: AccountKind


@dataclass(frozen=True, slots=True)
class AccountUnknown:
    """Slack did not say what kind of account the person has; `error` is its code."""

    error: str


Denial = PermissionDenied | Undetermined | NotAMember | AccountUnknown
PermissionResult = Allowed | Denial
GuestEntries = Callable[[], Sequence[str]]
"""Returns the entries of `permissions.guests` in force."""


def no_guests() -> Sequence[str]:
    """Return that no guest has a permission."""
    return ()


@dataclass(frozen=True, slots=True)
class Zone:
    """A person's time zone; `known` is False if it is UTC because Slack did not say."""

    tz: tzinfo
    name: str
    known: bool


UNKNOWN_ZONE = Zone(UTC, "UTC", known=False)
"""The time zone of a person whose own is not known."""


class People:
    """Checks permissions and reads names and time zones, through `client`.

    `guests` returns which guests and people of elsewhere the workspace's permissions may mean.
    """

    def __init__(self, client: AsyncWebClient, guests: GuestEntries = no_guests) -> None:
        self._client = client
        self._guests = guests
        self._members = Members(client)
        self._accounts = Accounts(client)
        self._zones: dict[str, tuple[float, Zone]] = {}
        self._names: dict[str, str] = {}

    async def check_permission(self, user: str, entries: Sequence[str]) -> PermissionResult:
        """Return whether the entries (people, groups, channels) of a permission give it to a person."""
        found = await self.find_entry(user, entries)
        if not isinstance(found, Allowed):
            return found
        return await self.check_account(user) or found

    async def check_account(self, user: str) -> NotAMember | AccountUnknown | Undetermined | None:
        """Return why a person can have no permission, whatever it is; None if they can."""
        try:
            kind = await self._accounts.kind(user)
        except SlackError as fault:
            log.warning("account_unknown", user=user, error=fault.error)
            return AccountUnknown(fault.error)
        match kind:
            case AccountKind.MEMBER:
                return None
            case AccountKind.BOT | AccountKind.DEACTIVATED:
                return NotAMember(kind)
            case AccountKind.GUEST:
                entries = self._guests()
            case AccountKind.OUTSIDER:
                # `everyone` means guests of the workspace: whoever is of elsewhere must be named.
                entries = [entry for entry in self._guests() if entry != EVERYONE]
            case _:
                assert_never(kind)
        found = await self.find_entry(user, entries)
        if isinstance(found, PermissionDenied):
            return NotAMember(kind)
        return found if isinstance(found, Undetermined) else None

    async def find_entry(
        self, user: str, entries: Sequence[str]
    ) -> Allowed | PermissionDenied | Undetermined:
        """Return which entry (a person, group or channel) a person is of, whatever their account is."""
        if EVERYONE in entries:
            return Allowed(EVERYONE)
        if user in entries:
            return Allowed(user)
        unknown: list[str] = []
        without_plan: list[str] = []
        for entry in entries:
            if entry.startswith(("U", "W")):
                continue
            try:
                if await self._members.has(entry, user):
                    return Allowed(entry)
            except SlackError as fault:
                log.warning("members_unknown", of=entry, error=fault.error)
                (without_plan if fault.error == PLAN_HAS_NONE else unknown).append(entry)
        if unknown:
            return Undetermined(tuple(entries), tuple(unknown))
        return PermissionDenied(tuple(entries), tuple(without_plan))

    async def zone(self, user: str) -> Zone:
        """Return the person's time zone, UTC if Slack does not say."""
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
        self._zones[user] = (time.monotonic() + _ZONE_CACHE_S, zone)
        return zone

    async def name(self, user: str) -> str:
        """Return a person's display name, the id if Slack does not say."""
        if user not in self._names:
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    answer = await self._client.users_info(user=user)
                profile = answer["user"]
                shown = (profile.get("profile") or {}).get("display_name") or profile.get("real_name")
                self._names[user] = str(shown or profile["name"])
            except (*_UNREACHABLE, KeyError, TypeError, OSError) as fault:
                log.info("name_unknown", user=user, error=type(fault).__name__)
                return user
        return self._names[user]

    async def names(self, users: Collection[str]) -> Mapping[str, str]:
        """Return people's display names by their ids."""
        return {user: await self.name(user) for user in users}


PeopleOf = Callable[[str | None], People]
"""Returns the people of a Slack workspace, of the main one for None."""


def entry_names(entries: Sequence[str], conjunction: str = "or") -> Markup:
    """Return the names of a permission's entries, without pinging a group."""
    return Markup(listed([_entry_name(entry) for entry in entries], conjunction))


def group_names(entries: Sequence[str], conjunction: str = "and") -> Markup:
    """Return the names of groups and channels."""
    names = [channel_link(entry) if is_channel(entry) else escape(entry) for entry in entries]
    return Markup(listed(names, conjunction))


def without_groups(groups: Sequence[str]) -> Markup:
    """Return why nobody is in user groups that the plan does not have, and what to do."""
    return markup(
        "Nobody is in {}, because this workspace's Slack plan has no user groups. "
        "Next: the policies can name people ({}) or a private channel instead.",
        group_names(groups),
        code("U…"),
    )


def is_channel(entry: str) -> bool:
    """Return whether an entry of a permission means the members of a channel."""
    return entry.startswith(("#", "C", "G"))


def _entry_name(entry: str) -> Markup:
    if is_channel(entry):
        return markup("members of {}", channel_link(entry))
    return escape(entry) if entry.startswith("@") else mention(entry)


def refusal(permission: Denial, action: str) -> Markup:
    """Return why a person may not, and who may."""
    match permission:
        case Undetermined(_, unknown):
            return markup(
                "Slack does not say who is in {} right now, so you may not {}. Try again in a minute.",
                group_names(unknown),
                action,
            )
        case AccountUnknown(error):
            return markup(
                "Slack does not say right now whether you are a member here ({}), so you may not {}. "
                "Try again in a minute.",
                code(error),
                action,
            )
        case NotAMember(kind):
            return markup("You are {}, so you may not {}.{}", kind.value, action, _how_allowed(kind))
        case PermissionDenied(()):
            return markup("Nobody may {}: the workspace's policy gives that right to no one.", action)
        case PermissionDenied(who_can, without_plan) if without_plan:
            return markup("Only {} may {}. {}", entry_names(who_can), action, without_groups(without_plan))
        case PermissionDenied(who_can):
            is_person = len(who_can) == 1 and not is_channel(who_can[0]) and not who_can[0].startswith("@")
            ask = "Ask them." if is_person else "Ask one of them."
            return markup("Only {} may {}. {}", entry_names(who_can), action, ask)
        case _:
            assert_never(permission)


def role_refusal(person: str, denial: NotAMember | AccountUnknown | Undetermined) -> Markup:
    """Return why a person cannot be given a role."""
    match denial:
        case NotAMember(kind):
            return markup(
                "{} is {}, and can have no role.{}", mention(person), kind.value, _how_allowed(kind)
            )
        case Undetermined(_, unknown):
            return markup(
                "Slack does not say who is in {} right now. Try again in a minute.", group_names(unknown)
            )
        case AccountUnknown(error):
            return markup(
                "Slack does not say right now who {} is ({}). Try again in a minute.",
                mention(person),
                code(error),
            )
        case _:
            assert_never(denial)


def _how_allowed(kind: AccountKind) -> Markup:
    """Return how the policy can allow such accounts, where it can."""
    if kind in {AccountKind.BOT, AccountKind.DEACTIVATED}:
        return Markup("")
    return markup(" The policy can allow it: {}.", code("permissions.guests"))
