"""The Slack app: Bolt listeners that acknowledge first and work in the background.

Bolt runs each listener within the dispatch (`process_before_response`): the listener acknowledges, starts
the work in `BackgroundTasks` and returns, so Slack has its answer in a millisecond. Bolt's own way, a task
for the listener and a poll for its ack every 10 ms, takes ten times as long.
"""

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import structlog
from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.background_tasks import BackgroundTasks, Work
from bot.slack.capabilities import Capabilities
from bot.slack.command_reference import COMMANDS
from bot.slack.flags.announcements import APPROVE, DECLINE
from bot.slack.flags.buttons import ORDERS, ordered
from bot.slack.home.view import HOME_SHOW
from bot.slack.incident_listeners import IncidentListeners
from bot.slack.interactions import SHARE, SHOW, TURN_BACK, TURN_ON, Interaction, Query
from bot.slack.request_handling import (
    Body,
    SlackRequest,
    find_workspace,
    read_press,
    request_name,
    start,
    target_of,
)
from bot.slack.uninstall import EVENTS as UNINSTALL_EVENTS
from bot.slack.uninstall import UninstallHandler
from bot.slack.webapi.clients import Clients
from bot.slack.workspace import SlackWorkspaces, WorkspaceNotServedError
from bot.store import idempotency

log = structlog.get_logger(__name__)

_KNOWN_ACTIONS = frozenset({SHOW, TURN_BACK, TURN_ON, SHARE, APPROVE, DECLINE}) | ORDERS


class SlackApp:
    """Everything that Slack sends arrives at `app`; `tasks` is the work under way.

    `clients` make the Web API's clients: of one workspace, or of all that installed the app, of which
    `uninstall` forgets those that the app leaves.
    """

    def __init__(
        self,
        capabilities: Capabilities,
        clients: Clients,
        *,
        signing_secret: str,
        bot_token: str,
        uninstall: UninstallHandler | None = None,
    ) -> None:
        self.tasks = BackgroundTasks()
        self.workspaces = SlackWorkspaces(capabilities, clients)
        self._clients = clients
        self._client = clients.for_team(None)
        self._uninstall = uninstall
        self._database = capabilities.database
        self._clock = capabilities.clock
        self._bot_token = bot_token
        self._bot_user_id: str | None = None
        self._bot_id: str | None = None
        self._incidents = IncidentListeners(self.workspaces, self.tasks)
        self.app = self._build(signing_secret)

    async def start(self) -> str:
        """Ask Slack who the bot is and return its user id; raises `SlackApiError` for a bad token."""
        who = await self._client.auth_test()
        self._bot_user_id, self._bot_id = str(who["user_id"]), who.get("bot_id")
        log.info("slack_connected", team=who.get("team"), user_id=self._bot_user_id)
        return self._bot_user_id

    async def drain(self, timeout_s: float) -> int:
        """Let the work under way finish; return how many tasks had to be cancelled."""
        return await self.tasks.drain(timeout_s)

    def _build(self, signing_secret: str) -> AsyncApp:
        logger = logging.getLogger("slack_bolt")
        # Bolt warns of a token beside `authorize`, and of requests that the last listener here takes.
        logger.setLevel(logging.ERROR)
        app = AsyncApp(
            name="governor",
            logger=logger,
            signing_secret=signing_secret,
            client=AsyncWebClient(base_url=self._client.base_url),
            authorize=self._authorizer(),
            process_before_response=True,
        )
        for command in COMMANDS:
            # `governor manifest --prefix` names them anew where another app has `/budget`.
            app.command(re.compile(rf"^/\S*{command.name}$"))(self._on_command)
        app.event("app_home_opened")(self._on_home)
        for event in UNINSTALL_EVENTS:
            app.event(event)(self._on_uninstall)
        self._incidents.listen(app)
        app.action(re.compile(""))(self._on_action)
        app.error(self._on_error)
        return app

    def _authorizer(self) -> Callable[..., Awaitable[AuthorizeResult]]:
        # A function, not a method: Bolt fills in arguments by name and would take `self` for one.
        async def authorize(context: AsyncBoltContext) -> AuthorizeResult:
            # What is known already must do: an acknowledgement waits for no database.
            known = self._clients.cached_installation(context.team_id)
            return AuthorizeResult(
                enterprise_id=context.enterprise_id,
                team_id=context.team_id,
                bot_token=self._bot_token if known is None else known.bot_token,
                bot_user_id=self._bot_user_id if known is None else known.bot_user_id,
                bot_id=self._bot_id if known is None else known.bot_id,
            )

        return authorize

    async def _on_command(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> None:
        await ack()
        typed = str(body.get("command"))
        name = next(command.name for command in COMMANDS if typed.endswith(command.name))
        interaction = Interaction(
            Query(name, str(body.get("text") or "")),
            user=str(body.get("user_id")),
            channel=str(body.get("channel_id")),
            channel_name=str(body.get("channel_name") or ""),
            request=request_name(body),
        )
        request = SlackRequest(f"/{name}", target_of(body, interaction), context.team_id)
        self._start(request, partial(self._answer, interaction, request))

    async def _answer(
        self, interaction: Interaction, request: SlackRequest, *, replace_message: bool = False
    ) -> None:
        """Find the workspace, ask the command, respond: the way of every command and query."""
        workspace = await find_workspace(self.workspaces, request)
        if workspace is None:
            return
        reply = await workspace.router.answer(interaction)
        await workspace.respond(
            request.target, reply, replace_message=replace_message, trigger_id=interaction.request
        )

    async def _on_action(self, ack: AsyncAck, body: Body, action: Body, context: AsyncBoltContext) -> None:
        await ack()
        press = read_press(body, action)
        name, value = press.query.command, press.query.text
        if name not in _KNOWN_ACTIONS and not name.startswith(HOME_SHOW):
            return
        request = SlackRequest(name, target_of(body, press), context.team_id)
        work: Work
        if name in {APPROVE, DECLINE}:
            work = partial(self._decide, replace(press, request=None), request)
        elif name in ORDERS:
            work = partial(self._answer, replace(press, query=ordered(name, value)), request)
        else:
            # A query changes nothing, so that it needs no name.
            repeated = replace(press, query=Query.from_value(value), request=None)
            work = partial(self._answer, repeated, request, replace_message=name in {TURN_BACK, TURN_ON})
            if name == SHARE:
                work = partial(self._share, repeated, request, _press_name(body, action))
        self._start(request, work)

    async def _decide(self, interaction: Interaction, request: SlackRequest) -> None:
        """Carry out a decision on what waits for one, and show the outcome in its place."""
        workspace = await find_workspace(self.workspaces, request)
        if workspace is None:
            return
        outcome = await workspace.router.decide(interaction)
        await workspace.responder.send(request.target, outcome.reply, replace=outcome.settled)

    async def _share(self, interaction: Interaction, request: SlackRequest, press: str) -> None:
        """Show an answer to the channel, once however often the button was pressed."""
        workspace = await find_workspace(self.workspaces, request)
        if workspace is None:
            return
        async with self._database.transaction(in_turn=False) as connection:
            if not await idempotency.is_first(self._database, connection, press, self._clock.now()):
                return
        try:
            reply = await workspace.router.answer(interaction)
            if reply.shareable is not None:
                await workspace.responder.send(request.target, reply.shared(interaction.user))
            await workspace.responder.send(request.target, reply.unshareable(), replace=True)
        except BaseException:
            await idempotency.forget(self._database, press)
            raise

    async def _on_home(self, event: Body, context: AsyncBoltContext) -> None:
        if event.get("tab") == "home":
            user, team = str(event.get("user")), context.team_id
            self.tasks.start("home", partial(self._open_home, user, team), _report_nothing)

    async def _open_home(self, user: str, team: str | None) -> None:
        try:
            await (await self.workspaces.find(team)).home.opened(user)
        except WorkspaceNotServedError:
            log.info("home_not_served", team=team)

    async def _on_uninstall(self, event: Body, context: AsyncBoltContext) -> None:
        if self._uninstall is not None and context.team_id is not None:
            follow = partial(self._uninstall.follow, context.team_id, event)
            self.tasks.start("uninstall", follow, _report_nothing)

    def _start(self, request: SlackRequest, work: Work) -> None:
        start(self.tasks, self.workspaces, request, work)

    async def _on_error(self, error: Exception, body: Body) -> BoltResponse:
        """Bolt's boundary: what a listener could not take is logged, and Slack told that it arrived."""
        log.error("listener_failed", kind=body.get("type"), command=body.get("command"), exc_info=error)
        return BoltResponse(status=200, body="")


async def _report_nothing(_error_id: str) -> None:
    """Leave the home tab as it is: opening it again asks again."""


def _press_name(body: Body, action: Body) -> str:
    """Return what names the press of a button: the same for the same button of the same message."""
    container = body.get("container") or {}
    where = [container.get("channel_id"), container.get("message_ts"), action.get("value")]
    return f"share {hashlib.sha256(repr(where).encode()).hexdigest()}"
