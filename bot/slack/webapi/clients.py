"""Web API clients, one for each Slack workspace: every call uses the token that is stored at that moment.

So whoever holds a client need not know when the app is installed, uninstalled or gets another token. Without
an installation a call is refused with `not_installed`, as if Slack had said so.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.catalog.current import CurrentCatalog
from bot.logs import hide
from bot.slack.command_prefix import CommandPrefix
from bot.slack.webapi.client import ObserveCall, SlackClient
from bot.store.installations import Installation, Installations

ClientOf = Callable[[str | None], AsyncWebClient]
"""Returns the client of a Slack workspace, of the main one for None."""

NOT_INSTALLED = "not_installed"
CACHE_S = 5.0
"""For how long a token is used without asking the database again: other replicas may change it too."""

_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class _CachedInstallation:
    installation: Installation | None
    until_s: float


class Clients:
    """Makes the clients. `single_token` is the main workspace's token from the environment, if there is one.

    `current` holds the policies in force, `prefix` goes before the names of commands in what is sent. Tokens
    are cached for `CACHE_S` by `now_s`.
    """

    def __init__(
        self,
        base_url: str,
        session: aiohttp.ClientSession,
        *,
        single_token: str | None,
        installations: Installations | None = None,
        current: CurrentCatalog | None = None,
        prefix: CommandPrefix | None = None,
        now_s: Callable[[], float] = time.monotonic,
        observe: ObserveCall = lambda _method, _outcome, _seconds: None,
    ) -> None:
        self._observe = observe
        self._base_url = base_url
        self._session = session
        self._single_token = single_token
        self._installations = installations
        self._prefix = prefix or CommandPrefix()
        self._now_s = now_s
        self._cache: dict[str, _CachedInstallation] = {}
        self._clients: dict[str | None, SlackClient] = {}
        self._current = current
        self._single_team: str | None = None
        self._teams: tuple[float, dict[str, str]] = (-1.0, {})

    @property
    def has_install_flow(self) -> bool:
        """Whether workspaces may install the app by themselves."""
        return self._installations is not None

    @property
    def has_single_token(self) -> bool:
        """Whether the main workspace's token comes from the environment."""
        return self._single_token is not None

    def for_team(self, team: str | None) -> SlackClient:
        """Return the client of a workspace, of the main one for None; always the same one."""
        if team not in self._clients:
            self._clients[team] = _TeamClient(
                lambda: self._token(team),
                self._prefix,
                base_url=self._base_url,
                timeout=_TIMEOUT_S,
                session=self._session,
                observe=self._observe,
            )
        return self._clients[team]

    def without_token(self) -> SlackClient:
        """Return a client without a token, for calls that bring their own."""
        return SlackClient(
            base_url=self._base_url, timeout=_TIMEOUT_S, session=self._session, observe=self._observe
        )

    async def installation(self, team: str) -> Installation | None:
        """Return the installation in a workspace as it was at most some seconds ago."""
        if self._installations is None:
            return None
        cached = self._cache.get(team)
        if cached is None or cached.until_s < self._now_s():
            installation = await self._installations.find(team)
            if installation is not None:
                hide(filter(None, (installation.bot_token, installation.refresh_token)))
            cached = self._cache[team] = _CachedInstallation(installation, self._now_s() + CACHE_S)
        return cached.installation

    def cached_installation(self, team: str | None) -> Installation | None:
        """Return the cached installation in a workspace, however old, without asking the database."""
        cached = self._cache.get(team or "")
        return cached.installation if cached is not None else None

    async def installed_teams(self) -> dict[str, str]:
        """Return the names of the workspaces in which the app is installed by its flow, by id."""
        until_s, names = self._teams
        if self._installations is not None and until_s < self._now_s():
            names = await self._installations.teams()
            self._teams = (self._now_s() + CACHE_S, names)
        return names

    async def main_team(self) -> str | None:
        """Return the main workspace's id, None if it is not known; raises `SlackApiError`.

        It is the single token's workspace, else the one that the main document names, else the only
        installation that no further document names.
        """
        if self._single_token is not None:
            if self._single_team is None:
                self._single_team = str((await self.for_team(None).auth_test())["team_id"])
            return self._single_team
        main = self._current.workspace if self._current is not None else None
        if main is not None and main.team is not None:
            return main.team
        named = {workspace.team for workspace in main.further} if main is not None else set()
        unnamed = [team for team in await self.installed_teams() if team not in named]
        return unnamed[0] if len(unnamed) == 1 else None

    async def is_installed(self, team: str) -> bool:
        """Return whether the bot may act in a workspace: by an installation, or by the single token."""
        if await self.installation(team) is not None:
            return True
        return self.has_single_token and team == await self.main_team()

    def invalidate(self, team: str) -> None:
        """Drop what is cached of an installation: it has changed."""
        self._cache.pop(team, None)
        self._teams = (-1.0, {})

    async def _token(self, team: str | None) -> str | None:
        if team is None:
            if self._single_token is not None:
                return self._single_token
            team = await self.main_team()
        installation = await self.installation(team) if team is not None else None
        return installation.bot_token if installation is not None else None


class _TeamClient(SlackClient):
    """Looks up the token before each call, and puts the prefix before the names of commands."""

    def __init__(
        self, token: Callable[[], Awaitable[str | None]], prefix: CommandPrefix, **options: Any
    ) -> None:
        super().__init__(**options)
        self._read_token = token
        self._prefix = prefix

    async def api_call(self, api_method: str, **options: Any) -> AsyncSlackResponse:
        """Call with the workspace's token; raises `SlackApiError` as Slack does."""
        token = await self._read_token()
        if token is None:
            message = f"{api_method}: {NOT_INSTALLED}"
            raise SlackApiError(message, _not_installed(self, api_method))  # type: ignore[no-untyped-call]
        # The call below reads it at once: nothing else runs in between.
        self.token = token
        if isinstance(options.get("json"), dict):
            options["json"] = self._prefix.rename_commands(options["json"])
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
