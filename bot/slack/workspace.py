"""One Slack workspace: its commands, home tabs, permissions and replies, over its own client.

It sees only the services, permissions and time zones of its workspace.
"""

from dataclasses import replace

import structlog

from bot.slack.blockkit.mrkdwn import Markup, code, markup
from bot.slack.capabilities import Capabilities
from bot.slack.command_router import CommandRouter
from bot.slack.exemptions.requesting import ExemptionRequesting
from bot.slack.home.contents import HomeContents
from bot.slack.home.dialogs import HomeDialogs
from bot.slack.home.publisher import HomePublisher
from bot.slack.incidents.interactions import IncidentInteractions
from bot.slack.interactions import Reply
from bot.slack.links.unfurls import LinkPreviews
from bot.slack.permissions import People
from bot.slack.personal.settings import PersonalSettings
from bot.slack.readiness.ticking import LaunchTicking
from bot.slack.response_url import ReplyTarget, Responder
from bot.slack.reviews.reviewing import FreezeReviewing
from bot.slack.webapi.clients import Clients
from bot.store.item_failures import ItemFailures

log = structlog.get_logger(__name__)


class WorkspaceNotServedError(Exception):
    """A workspace is not served. `text` tells its people why, None if the app is not installed there."""

    def __init__(self, text: Markup | None) -> None:
        super().__init__("this Slack workspace is not served")
        self.text = text


class SlackWorkspace:
    """The commands, the home tab and the replies of one workspace; `team` is None for the main one."""

    def __init__(self, capabilities: Capabilities, clients: Clients, team: str | None) -> None:
        self._team, self._welcomes = team, capabilities.welcomes
        client = clients.for_team(team)
        seen = capabilities.seen_from(team)
        self.people = People(client, lambda: seen.status_reader.catalog.workspace.permissions.guests)
        self.responder = Responder(client, capabilities.prefix)
        self.incidents = IncidentInteractions(seen, self.people, client)
        self.links = LinkPreviews(self.incidents.access, seen.addresses, client)
        self.router = CommandRouter(seen, self.people, self.incidents)
        self.exemptions = ExemptionRequesting(seen, self.people)
        self.personal = PersonalSettings(seen, self.people)
        self.readiness = LaunchTicking(seen, self.people)
        self.reviews = FreezeReviewing(seen, self.people)
        self.home_dialogs = HomeDialogs(seen.status_reader)
        contents = HomeContents(self.incidents.access, seen.ramps, seen.velocity.goals, seen.clock)
        self.home = HomePublisher(contents, client, seen.clock)

    async def greet(self, person: str) -> None:
        """Welcome a person in a direct message, once."""
        if self._welcomes is not None:
            await self._welcomes.greet(self._team, person)

    async def respond(
        self,
        target: ReplyTarget,
        reply: Reply,
        *,
        replace_message: bool = False,
        trigger_id: str | None = None,
    ) -> None:
        """Send a reply, and republish the home tab if one of its buttons was pressed.

        What another channel is told is not said to the person as well where the home tab shows it.
        """
        if reply.told_in:
            told = replace(reply, seen_by_channel=True)
            await self.responder.send(ReplyTarget("", reply.told_in, target.user), told)
        if not (reply.told_in and target.is_home):
            await self.responder.send(target, reply, replace=replace_message, trigger_id=trigger_id)
        if target.is_home:
            await self.home.republish(target.user)


class SlackWorkspaces:
    """Finds the workspace of a request. Without an install flow every request is the main one's."""

    def __init__(self, capabilities: Capabilities, clients: Clients) -> None:
        self.main = SlackWorkspace(capabilities, clients, None)
        self._capabilities = capabilities
        self._clients = clients
        self._others: dict[str, SlackWorkspace] = {}
        self._home_failures = ItemFailures("homes_not_refreshed")

    async def find(self, team: str | None) -> SlackWorkspace:
        """Return the Slack workspace of that id; raises `WorkspaceNotServedError`."""
        clients = self._clients
        if not clients.has_install_flow:
            return self.main
        if team is None or not await clients.is_installed(team):
            log.info("workspace_not_installed", team=team)
            raise WorkspaceNotServedError(None)
        if self._capabilities.status_reader.catalog.workspace.in_team(team) is not None:
            if team not in self._others:
                self._others[team] = SlackWorkspace(self._capabilities, clients, team)
            return self._others[team]
        if team == await clients.main_team():
            return self.main
        raise WorkspaceNotServedError(_not_named(team))

    def responder(self, team: str | None) -> Responder:
        """Return the responder to people of a workspace, served or not."""
        if not self._clients.has_install_flow:
            return self.main.responder
        return Responder(self._clients.for_team(team), self._capabilities.prefix)

    def request_home_refresh(self) -> None:
        """Refresh the open home tabs soon: something was committed."""
        for workspace in (self.main, *self._others.values()):
            workspace.home.request_refresh()

    async def refresh_homes(self) -> None:
        """Show changes to whoever opened a home tab recently; one workspace's error delays no other."""
        for team, workspace in [(None, self.main), *self._others.items()]:
            with self._home_failures.isolate(team) as is_due:
                if is_due:
                    await workspace.home.refresh()


def _not_named(team: str) -> Markup:
    return markup(
        "No policy names this Slack workspace yet. Next: add a Workspace document with {}, or add that line "
        "to the main one.",
        code(f"team: {team}"),
    )
