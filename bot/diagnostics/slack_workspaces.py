"""Examines every Slack workspace that the bot serves: the single token's, and those that installed it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import SQLAlchemyError

from bot.app.installations import open_installations
from bot.catalog.catalog import EVERYONE, Catalog, Workspace
from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.diagnostics.findings import Finding, fault, skipped
from bot.diagnostics.slack_checks import TOKEN, SlackChecks
from bot.settings import Settings
from bot.slack.webapi.clients import Clients
from bot.store.addresses import local
from bot.store.database import Database
from bot.store.encryption import BadKeyError, UndecryptableError
from bot.store.installations import Installations

Bounded = Callable[[str, Awaitable[list[Finding]]], Awaitable[list[Finding]]]
"""What was found, or a fault of that check where it took too long."""

_TIMEOUT = timedelta(seconds=20)
_INSTALL = "open `/slack/install` of the running bot and choose that workspace"


class WorkspaceChecks:
    """Asks Slack about each of them. Nothing is changed; every question that fails is a finding."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog | None,
        *,
        database: Database,
        session: aiohttp.ClientSession,
        clock: Clock,
        bounded: Bounded,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._database = database
        self._session = session
        self._clock = clock
        self._bounded = bounded

    async def examine(self) -> list[Finding]:
        """Return what was found, the main workspace first."""
        found: list[Finding] = []
        if self._settings.slack_bot_token is not None:
            found += await self._single(self._settings.slack_bot_token.get_secret_value())
        elif not self._settings.may_be_installed:
            found.append(skipped("token", TOKEN, "not set, so Slack was not asked"))
        if self._settings.may_be_installed:
            found += await self._installed()
        return found

    async def _single(self, token: str) -> list[Finding]:
        app_token = self._settings.slack_app_token
        checkup = SlackChecks(self._client(token), app_token.get_secret_value() if app_token else None)
        main = self._catalog.workspace if self._catalog else None
        asking = checkup.connection(self._clock.now(), team=main.team if main else None)
        return await self._about(checkup, None, await self._bounded("token", asking))

    async def _installed(self) -> list[Finding]:
        try:
            installations = open_installations(self._settings, self._database, self._clock)
            teams = await installations.teams() if installations is not None else {}
        except BadKeyError as error:
            fix = "`governor key` makes one; several are separated by commas, the newest first"
            return [fault("environment", "GOVERNOR_ENCRYPTION_KEY", str(error), fix)]
        except (SQLAlchemyError, OSError):
            fix = "mend what is said of the database first"
            return [fault("token", "installations", "the database that keeps them cannot be read", fix)]
        found: list[Finding] = []
        main_team = await self._main_team(installations) if installations is not None else None
        for team, name in teams.items():
            found += await self._of(team, name, installations, main_team)
        return found + self._not_installed(teams)

    async def _of(
        self, team: str, name: str, installations: Installations | None, main_team: str | None
    ) -> list[Finding]:
        """Return what was found of one installation; `main_team` is the main workspace's id."""
        if team == main_team and self._settings.slack_bot_token is not None:
            return []
        try:
            installation = await installations.find(team) if installations is not None else None
        except UndecryptableError:
            fix = f"put the key that sealed it behind the newest in GOVERNOR_ENCRYPTION_KEY, or {_INSTALL}"
            return [fault("token", f"{name} ({team})", "no key opens its token", fix)]
        if installation is None:
            return []
        checkup = SlackChecks(self._client(installation.bot_token), subject="token", mend=_INSTALL)
        connected = await self._bounded("token", checkup.connection(self._clock.now(), team=team))
        further = None if team == main_team else team
        found = await self._about(checkup, further, connected)
        if self._catalog is not None and further is not None and not _is_named(self._catalog, team):
            fix = f"write a Workspace document with `team: {team}`, `channels` and `permissions`"
            found.append(fault("policies", team, "no Workspace document names it", fix))
        return [replace(one, subject=f"{name}: {one.subject}") for one in found]

    def _not_installed(self, teams: Mapping[str, str]) -> list[Finding]:
        further: Sequence[Workspace] = self._catalog.workspace.further if self._catalog else ()
        missing = [one for one in further if one.team not in teams]
        return [fault("token", f"{one.name} ({one.team})", "not installed", _INSTALL) for one in missing]

    async def _about(self, checkup: SlackChecks, team: str | None, found: list[Finding]) -> list[Finding]:
        """Add what the workspace's own channels and people are like, if its token is good."""
        if self._catalog is None or any(one.state == "fault" and one.check == "token" for one in found):
            return found
        seen = self._catalog.seen_from(team)
        if team is not None and not _is_named(self._catalog, team):
            return found
        found = found + await self._bounded("channels", checkup.channels(channels_of(seen)))
        return found + await self._bounded("groups", checkup.people(people_of(seen)))

    async def _main_team(self, installations: Installations) -> str | None:
        """Return the main workspace's id as the running bot would tell it, None where it could not."""
        token = self._settings.slack_bot_token
        clients = Clients(
            self._settings.slack_api_url,
            self._session,
            single_token=token.get_secret_value() if token else None,
            installations=installations,
            current=CurrentCatalog(self._catalog) if self._catalog is not None else None,
        )
        try:
            async with asyncio.timeout(_TIMEOUT.total_seconds()):
                return await clients.main_team()
        except (SlackApiError, aiohttp.ClientError, OSError):
            return None

    def _client(self, token: str) -> AsyncWebClient:
        return AsyncWebClient(
            token=token,
            base_url=self._settings.slack_api_url,
            timeout=int(_TIMEOUT.total_seconds()),
            session=self._session,
        )


def channels_of(catalog: Catalog) -> Mapping[str, str]:
    """Return every channel that the policies name, as its workspace calls it, and what each is for."""
    workspace = catalog.workspace
    uses: dict[str, list[str]] = {local(workspace.announcements): ["announcements"]}
    if workspace.incidents:
        uses.setdefault(local(workspace.incidents), []).append("incidents")
    for service in catalog.services.values():
        uses.setdefault(local(service.channel), []).append(service.name)
    return {address: ", ".join(for_) for address, for_ in uses.items()}


def people_of(catalog: Catalog) -> frozenset[str]:
    """Return every user group, channel and person that the policies give rights to or name as a team."""
    permissions = catalog.workspace.permissions
    entries = {*permissions.freeze, *permissions.exempt, *permissions.incidents}
    entries |= {entry for allowed in permissions.flags.values() for entry in allowed}
    for service in catalog.services.values():
        teams = service.teams
        entries |= {team for team in (teams.development, teams.reliability) if team}
    return frozenset(local(entry) for entry in entries - {EVERYONE})


def _is_named(catalog: Catalog, team: str) -> bool:
    return any(one.team == team for one in (catalog.workspace, *catalog.workspace.further))
