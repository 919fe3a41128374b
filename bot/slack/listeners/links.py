"""The Bolt listeners for links that people share, and for the details that they open.

Without the events in the app's manifest, or without a public address, nothing is shown. As in `app.py`, each
listener acknowledges first and starts the work in the background.
"""

from functools import partial

from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.slack.background_tasks import BackgroundTasks
from bot.slack.links.events import DetailsRequest, SharedLinks
from bot.slack.links.unfurls import LinkPreviews, log_failure
from bot.slack.request_handling import Body
from bot.slack.webapi.errors import SlackError
from bot.slack.workspace import SlackWorkspaces, WorkspaceNotServedError


class LinkListeners:
    """The listeners for links to incidents and services."""

    def __init__(self, workspaces: SlackWorkspaces, tasks: BackgroundTasks) -> None:
        self._workspaces = workspaces
        self._tasks = tasks

    def listen(self, app: AsyncApp) -> None:
        """Register the listeners."""
        app.event("link_shared")(self._on_links)
        app.event("entity_details_requested")(self._on_details)

    async def _on_links(self, ack: AsyncAck, body: Body, event: Body, context: AsyncBoltContext) -> None:
        await ack()
        shared = SharedLinks.from_event(event)
        # People of other organisations read along in a shared channel.
        if shared is not None and not body.get("is_ext_shared_channel"):
            self._tasks.start("links", partial(self._show, shared, context.team_id), _say_nothing)

    async def _on_details(self, ack: AsyncAck, event: Body, context: AsyncBoltContext) -> None:
        await ack()
        request = DetailsRequest.from_event(event)
        if request is not None:
            self._tasks.start("details", partial(self._present, request, context.team_id), _say_nothing)

    async def _show(self, shared: SharedLinks, team: str | None) -> None:
        links = await self._links_of(team)
        if links is None:
            return
        try:
            await links.show(shared, team)
        except SlackError as error:
            log_failure(error, "shared link")

    async def _present(self, request: DetailsRequest, team: str | None) -> None:
        links = await self._links_of(team)
        if links is None:
            return
        try:
            await links.present(request)
        except SlackError as error:
            log_failure(error, "details")

    async def _links_of(self, team: str | None) -> LinkPreviews | None:
        try:
            return (await self._workspaces.find(team)).links
        except WorkspaceNotServedError:
            return None


async def _say_nothing(_error_id: str, _error: Exception) -> None:
    """Report no failure to the person: the link stays as it is."""
