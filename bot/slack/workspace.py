"""One branch a Slack workspace: everything that its people are answered with, over its own client.

A branch sees the services of its workspace, asks it about rights and time zones, and knows no other.
"""

from dataclasses import dataclass

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import Clock
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.ramps.control import RampControl
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader
from bot.slack.blockkit.blocks import Markup, code, markup
from bot.slack.command_prefix import CommandPrefix
from bot.slack.command_router import CommandRouter
from bot.slack.home.contents import HomeContents
from bot.slack.home.publisher import HomePublisher
from bot.slack.incidents.access import IncidentCapabilities
from bot.slack.incidents.interactions import IncidentInteractions
from bot.slack.interactions import Reply
from bot.slack.permissions import People
from bot.slack.response_url import ReplyTarget, Responder
from bot.slack.webapi.clients import Clients
from bot.store.database import Database

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What every branch offers; `overview` is of all services, `naming` says what commands are called."""

    overview: StatusReader
    freezer: HoldRegistry
    toggles: ChangeExecutor
    ramps: RampControl
    incidents: IncidentCapabilities
    database: Database
    clock: Clock
    naming: CommandPrefix


class WorkspaceNotServedError(Exception):
    """A workspace has no branch. `text` is what its people are told, None where the app is not installed."""

    def __init__(self, text: Markup | None) -> None:
        super().__init__("no branch")
        self.text = text


class SlackWorkspace:
    """The desk, the home tab and the answers of one workspace; `team` is None for the main one."""

    def __init__(self, offered: Capabilities, client: AsyncWebClient, team: str | None) -> None:
        overview = offered.overview.seen_from(team)
        self.people = People(client)
        self.answering = Responder(client, offered.naming)
        self.incidents = IncidentInteractions(
            offered.incidents,
            database=offered.database,
            overview=overview,
            people=self.people,
            clock=offered.clock,
            client=client,
        )
        self.desk = CommandRouter(
            overview=overview,
            freezer=offered.freezer,
            toggles=offered.toggles,
            ramps=offered.ramps,
            database=offered.database,
            people=self.people,
            clock=offered.clock,
            incidents=self.incidents,
        )
        self.home = HomePublisher(HomeContents(self.incidents.access, offered.ramps), client, offered.clock)

    async def bring(
        self, address: ReplyTarget, reply: Reply, *, replace: bool = False, trigger_id: str | None = None
    ) -> None:
        """Bring an answer, and show what became of it where a button of a home tab was pressed."""
        await self.answering.send(address, reply, replace=replace, trigger_id=trigger_id)
        if address.is_home:
            await self.home.pressed(address.user)


class SlackWorkspaces:
    """Finds the branch of a request. Without `clients` every request is the main workspace's."""

    def __init__(self, offered: Capabilities, client: AsyncWebClient, clients: Clients | None) -> None:
        self.main = SlackWorkspace(offered, client, None)
        self._offered = offered
        self._clients = clients if clients is not None and clients.installs else None
        self._further: dict[str, SlackWorkspace] = {}

    async def of(self, team: str | None) -> SlackWorkspace:
        """Return the branch of a Slack workspace; raises `WorkspaceNotServedError`."""
        clients = self._clients
        if clients is None:
            return self.main
        if team is None or not await clients.is_installed(team):
            log.info("workspace_not_installed", team=team)
            raise WorkspaceNotServedError(None)
        if self._offered.overview.catalog.workspace.in_team(team) is not None:
            if team not in self._further:
                self._further[team] = SlackWorkspace(self._offered, clients.of(team), team)
            return self._further[team]
        if team == await clients.main_team():
            return self.main
        raise WorkspaceNotServedError(_unnamed(team))

    def answering(self, team: str | None) -> Responder:
        """Return what brings words to people of a workspace, branch or none."""
        if self._clients is None:
            return self.main.answering
        return Responder(self._clients.of(team), self._offered.naming)

    def stir_homes(self) -> None:
        """Look soon whether home tabs show what is: something was done."""
        for branch in (self.main, *self._further.values()):
            branch.home.stir()

    async def refresh_homes(self) -> None:
        """Show changes to whoever opened a home tab lately."""
        for branch in (self.main, *self._further.values()):
            await branch.home.refresh()


def _unnamed(team: str) -> Markup:
    return markup(
        "No policy names this Slack workspace yet. Next: add a Workspace document with {}, or put that line "
        "into the main one.",
        code(f"team: {team}"),
    )
