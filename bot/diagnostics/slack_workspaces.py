"""Checks every Slack workspace that the bot serves: SLACK_BOT_TOKEN's and those that installed the app."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import aiohttp
from slack_sdk.errors import SlackApiError
from sqlalchemy.exc import SQLAlchemyError

from bot.app.installations import open_installations
from bot.catalog.catalog import EVERYONE, Catalog, Workspace
from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.diagnostics.findings import Finding, fault, skipped
from bot.diagnostics.slack_checks import TOKEN, SlackChecks
from bot.settings import Settings
from bot.slack.webapi.client import SlackClient
from bot.slack.webapi.clients import Clients
from bot.store.addresses import local
from bot.store.database import Database
from bot.store.encryption import BadKeyError, UndecryptableError
from bot.store.installations import Installations

WithTimeout = Callable[[str, Awaitable[list[Finding]]], Awaitable[list[Finding]]]
"""Awaits the findings; returns a fault of that check if they take too long."""

_TIMEOUT = timedelta(seconds=20)
_INSTALL = "open `/slack/install` of the running bot and choose that workspace"


class WorkspaceChecks:
    """Checks each workspace. Nothing is changed; a request that fails is a finding."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog | None,
        *,
        database: Database,
        session: aiohttp.ClientSession,
        clock: Clock,
        with_timeout: WithTimeout,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._database = database
        self._session = session
        self._clock = clock
        self._with_timeout = with_timeout

    async def examine(self) -> list[Finding]:
        """Return the findings, the main workspace's first."""
        findings: list[Finding] = []
        if self._settings.slack_bot_token is not None:
            findings += await self._check_token(self._settings.slack_bot_token.get_secret_value())
        elif not self._settings.may_be_installed:
            findings.append(skipped("token", TOKEN, "not set, so Slack was not asked"))
        if self._settings.may_be_installed and self._settings.governor_encryption_key is not None:
            findings += await self._check_installations()
        return findings

    async def _check_token(self, token: str) -> list[Finding]:
        app_token = self._settings.slack_app_token
        checks = SlackChecks(
            self._client(token),
            app_token.get_secret_value() if app_token else None,
            address=self._settings.governor_url,
        )
        main = self._catalog.workspace if self._catalog else None
        connection = checks.connection(self._clock.now(), team=main.team if main else None)
        findings = await self._with_timeout("token", connection)
        return await self._with_channels_and_people(checks, None, findings)

    async def _check_installations(self) -> list[Finding]:
        try:
            installations = open_installations(self._settings, self._database, self._clock)
            teams = await installations.teams() if installations is not None else {}
        except BadKeyError as error:
            fix = "`governor key` makes one; several are separated by commas, the newest first"
            return [fault("environment", "GOVERNOR_ENCRYPTION_KEY", str(error), fix)]
        except (SQLAlchemyError, OSError):
            fix = "fix the database first, as described above"
            return [fault("token", "installations", "the database that holds them cannot be read", fix)]
        findings: list[Finding] = []
        main_team = await self._main_team(installations) if installations is not None else None
        for team, name in teams.items():
            findings += await self._check_installation(team, name, installations, main_team)
        return findings + self._not_installed(teams)

    async def _check_installation(
        self, team: str, name: str, installations: Installations | None, main_team: str | None
    ) -> list[Finding]:
        """Check one installation; `main_team` is the main workspace's id."""
        if team == main_team and self._settings.slack_bot_token is not None:
            return []
        try:
            installation = await installations.find(team) if installations is not None else None
        except UndecryptableError:
            fix = f"add the key that encrypted it after the newest in GOVERNOR_ENCRYPTION_KEY, or {_INSTALL}"
            return [fault("token", f"{name} ({team})", "no key decrypts its token", fix)]
        if installation is None:
            return []
        checks = SlackChecks(
            self._client(installation.bot_token),
            subject="token",
            token_fix=_INSTALL,
            address=self._settings.governor_url,
        )
        connected = await self._with_timeout("token", checks.connection(self._clock.now(), team=team))
        further = None if team == main_team else team
        findings = await self._with_channels_and_people(checks, further, connected)
        if self._catalog is not None and further is not None and not _is_named(self._catalog, team):
            fix = f"write a Workspace document with `team: {team}`, `channels` and `permissions`"
            findings.append(fault("policies", team, "no Workspace document names it", fix))
        return [replace(finding, subject=f"{name}: {finding.subject}") for finding in findings]

    def _not_installed(self, teams: Mapping[str, str]) -> list[Finding]:
        further: Sequence[Workspace] = self._catalog.workspace.further if self._catalog else ()
        missing = [workspace for workspace in further if workspace.team not in teams]
        return [
            fault("token", f"{workspace.name} ({workspace.team})", "not installed", _INSTALL)
            for workspace in missing
        ]

    async def _with_channels_and_people(
        self, checks: SlackChecks, team: str | None, findings: list[Finding]
    ) -> list[Finding]:
        """Add the findings of the workspace's channels and people, if its token works."""
        is_token_bad = any(finding.state == "fault" and finding.check == "token" for finding in findings)
        if self._catalog is None or is_token_bad:
            return findings
        visible = self._catalog.seen_from(team)
        if team is not None and not _is_named(self._catalog, team):
            return findings
        findings = findings + await self._with_timeout("channels", checks.channels(channels_of(visible)))
        return findings + await self._with_timeout("groups", checks.people(people_of(visible)))

    async def _main_team(self, installations: Installations) -> str | None:
        """Return the main workspace's id as a running bot determines it; None if Slack cannot be asked."""
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

    def _client(self, token: str) -> SlackClient:
        return SlackClient(
            token=token,
            base_url=self._settings.slack_api_url,
            timeout=int(_TIMEOUT.total_seconds()),
            session=self._session,
        )


def channels_of(catalog: Catalog) -> Mapping[str, str]:
    """Return the channels that the policies name, by their name in the workspace, and what each is for."""
    workspace = catalog.workspace
    uses: dict[str, list[str]] = {local(workspace.announcements): ["announcements"]}
    if workspace.incidents:
        uses.setdefault(local(workspace.incidents), []).append("incidents")
    for service in catalog.services.values():
        uses.setdefault(local(service.channel), []).append(service.name)
    return {address: ", ".join(names) for address, names in uses.items()}


def people_of(catalog: Catalog) -> frozenset[str]:
    """Return the user groups, channels and people that have rights or are teams in the policies."""
    permissions = catalog.workspace.permissions
    entries = {*permissions.freeze, *permissions.exempt, *permissions.incidents, *permissions.guests}
    entries |= set(permissions.adjusters)
    entries |= {entry for allowed in permissions.flags.values() for entry in allowed}
    for service in catalog.services.values():
        entries |= set(service.teams.entries)
    return frozenset(local(entry) for entry in entries - {EVERYONE})


def _is_named(catalog: Catalog, team: str) -> bool:
    return any(workspace.team == team for workspace in (catalog.workspace, *catalog.workspace.further))
