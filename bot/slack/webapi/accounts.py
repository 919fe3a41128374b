"""What kind of account a person has in a Slack workspace: full member, guest, of elsewhere, bot, deactivated.

https://docs.slack.dev/reference/objects/user-object. Members of other organisations in a shared channel have
another `team_id`; `is_stranger` marks only those who share no channel with the app. Cached for some minutes,
a failure for some seconds; older answers are never returned, an error is raised instead: permissions depend
on them.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.webapi.errors import SlackError, SlackRefusedError, translate_slack_errors

CACHE_S = 300.0
"""How long an account is cached."""
FAILURE_CACHE_S = 5.0
"""How long Slack is not asked again about an account after it failed."""

_TIMEOUT_S = 10.0
_MOST_CACHED = 10_000
_SLACKBOT = "USLACKBOT"
# Slack knows nobody of that id, or does not show them to this workspace.
_NOT_HERE = frozenset({"user_not_found", "user_not_visible", "users_not_found"})


class AccountKind(StrEnum):
    """The kinds of account; the values name a person in a sentence."""

    MEMBER = "a full member of this workspace"
    GUEST = "a guest in this workspace"
    OUTSIDER = "from another workspace"
    BOT = "a bot"
    DEACTIVATED = "deactivated"


class Accounts:
    """Reads accounts through `client`; `now_s` is a monotonic clock."""

    def __init__(self, client: AsyncWebClient, now_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now_s = now_s
        self._team: str | None = None
        self._known: dict[str, tuple[float, AccountKind | SlackError]] = {}

    async def kind(self, user: str) -> AccountKind:
        """Return the kind of a person's account. Raises `SlackError`."""
        until_s, known = self._known.get(user, (0.0, AccountKind.OUTSIDER))
        if self._now_s() >= until_s:
            known = await self._ask(user)
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            cached_s = FAILURE_CACHE_S if isinstance(known, SlackError) else CACHE_S
            self._known[user] = (self._now_s() + cached_s, known)
        if isinstance(known, SlackError):
            raise known
        return known

    async def _ask(self, user: str) -> AccountKind | SlackError:
        try:
            async with translate_slack_errors(), asyncio.timeout(_TIMEOUT_S):
                if self._team is None:
                    self._team = str((await self._client.auth_test())["team_id"])
                answer = await self._client.users_info(user=user)
        except SlackRefusedError as refusal:
            return AccountKind.OUTSIDER if refusal.error in _NOT_HERE else refusal
        except SlackError as fault:
            return fault
        return kind_of(answer["user"], self._team)


def kind_of(user: Mapping[str, Any], team: str) -> AccountKind:
    """Return the kind of an account, as `users.info` describes it, in the workspace `team`."""
    if user.get("deleted"):
        return AccountKind.DEACTIVATED
    if user.get("is_bot") or user.get("is_workflow_bot") or user.get("id") == _SLACKBOT:
        return AccountKind.BOT
    # On Enterprise Grid a person may be in several workspaces of the organisation.
    teams = {user.get("team_id"), *((user.get("enterprise_user") or {}).get("teams") or ())}
    if user.get("is_stranger") or team not in teams:
        return AccountKind.OUTSIDER
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return AccountKind.GUEST
    return AccountKind.MEMBER
