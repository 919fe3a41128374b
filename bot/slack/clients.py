"""Web API clients, one a Slack workspace: each call is made with the token that is kept for it just then.

So nobody who holds a client need know when an installation comes, goes or gets another token. Without an
installation a call is refused with `not_installed`, as if Slack had said so.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.logs import hide
from bot.store.installations import Installation, Installations

NOT_INSTALLED = "not_installed"
KEEP_S = 5.0
"""For how long a token is used without asking the database again: other replicas may change it too."""

_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class _Kept:
    installation: Installation | None
    until_s: float


class Clients:
    """Makes them. `single_token` is the main workspace's, where it has one from the environment.

    Without one, `main_team` answers which installation is the main workspace's, None while there is none.
    """

    def __init__(
        self,
        base_url: str,
        session: aiohttp.ClientSession,
        *,
        single_token: str | None,
        installations: Installations | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._base_url = base_url
        self._session = session
        self._single_token = single_token
        self._installations = installations
        self._now_s = now_s
        self._kept: dict[str, _Kept] = {}
        self._clients: dict[str | None, AsyncWebClient] = {}
        self.main_team: Callable[[], Awaitable[str | None]] = _nobody

    def of(self, team: str | None) -> AsyncWebClient:
        """Answer the client of a workspace, of the main one for None. Always the same for the same one."""
        if team not in self._clients:
            self._clients[team] = _TeamClient(
                lambda: self._token(team), base_url=self._base_url, timeout=_TIMEOUT_S, session=self._session
            )
        return self._clients[team]

    def bare(self) -> AsyncWebClient:
        """Answer a client without a token, for calls that bring their own."""
        return AsyncWebClient(base_url=self._base_url, timeout=_TIMEOUT_S, session=self._session)

    async def installation(self, team: str) -> Installation | None:
        """Answer the installation in a workspace as it was at most some seconds ago."""
        if self._installations is None:
            return None
        kept = self._kept.get(team)
        if kept is None or kept.until_s < self._now_s():
            found = await self._installations.find(team)
            if found is not None:
                hide(filter(None, (found.bot_token, found.refresh_token)))
            kept = self._kept[team] = _Kept(found, self._now_s() + KEEP_S)
        return kept.installation

    def forget(self, team: str) -> None:
        """Ask the database again: something changed."""
        self._kept.pop(team, None)

    async def _token(self, team: str | None) -> str | None:
        if team is None:
            if self._single_token is not None:
                return self._single_token
            team = await self.main_team()
        installation = await self.installation(team) if team is not None else None
        return installation.bot_token if installation is not None else None


class _TeamClient(AsyncWebClient):
    """Asks for the token before each call."""

    def __init__(self, token: Callable[[], Awaitable[str | None]], **options: Any) -> None:
        super().__init__(**options)
        self._ask_token = token

    async def api_call(self, api_method: str, **options: Any) -> AsyncSlackResponse:
        """Call with the workspace's token; raises `SlackApiError` as Slack does."""
        token = await self._ask_token()
        if token is None:
            words = f"{api_method}: {NOT_INSTALLED}"
            raise SlackApiError(words, _not_installed(self, api_method))  # type: ignore[no-untyped-call]
        # Read at once by the call below: nothing else runs in between.
        self.token = token
        return await super().api_call(api_method, **options)


def _not_installed(client: AsyncWebClient, api_method: str) -> AsyncSlackResponse:
    return AsyncSlackResponse(
        client=client,
        http_verb="POST",
        api_url=f"{client.base_url}{api_method}",
        req_args={},
        data={"ok": False, "error": NOT_INSTALLED},
        headers={},
        status_code=200,
    )


async def _nobody() -> str | None:
    return None
