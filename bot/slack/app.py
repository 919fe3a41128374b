"""The Slack app: Bolt listeners that acknowledge first and work in the background.

Bolt runs each listener within the dispatch (`process_before_response`): the listener acknowledges, starts
the work in `BackgroundTasks` and returns, so Slack has its response in a millisecond. Bolt's default, a task
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

from bot.pacing import Pacer
from bot.slack.addressed_messages import AddressedMessage
from bot.slack.announcements.adjustment_buttons import ADJUSTMENT_DECISIONS, REVERSE_ADJUSTMENT
from bot.slack.announcements.freeze_buttons import FREEZE_BUTTONS
from bot.slack.approvals.buttons import APPROVE
from bot.slack.approvals.decision import ApprovalDecision
from bot.slack.arguments import name_bot
from bot.slack.background_tasks import BackgroundTasks, Work
from bot.slack.canaries.messages import CANARY_BUTTONS, canary_command_of, shown_canary_of
from bot.slack.capabilities import Capabilities
from bot.slack.command_reference import COMMANDS
from bot.slack.flags.buttons import COMMAND_BUTTONS, command_of, shown_flag_of
from bot.slack.form_listeners import FormListeners
from bot.slack.home.dialogs import DIALOGS
from bot.slack.home.view import HOME_SHOW
from bot.slack.incident_listeners import IncidentListeners
from bot.slack.interactions import NEXT_PAGE, PREVIOUS_PAGE, SHARE, SHOW, Interaction, Query
from bot.slack.listeners.links import LinkListeners
from bot.slack.listeners.readiness import ReadinessListeners
from bot.slack.listeners.reviews import ReviewListeners
from bot.slack.request_handling import (
    Body,
    SlackRequest,
    find_workspace,
    idempotency_key,
    read_press,
    start,
    target_of,
)
from bot.slack.response_url import ReplyTarget
from bot.slack.rotations.buttons import ROTATION_BUTTONS
from bot.slack.uninstall import EVENTS as UNINSTALL_EVENTS
from bot.slack.uninstall import UninstallHandler
from bot.slack.webapi.clients import Clients
from bot.slack.workspace import SlackWorkspaces, WorkspaceNotServedError
from bot.store import idempotency
from bot.texts import clean_all

log = structlog.get_logger(__name__)

_KNOWN_ACTIONS = (
    frozenset({SHOW, PREVIOUS_PAGE, NEXT_PAGE, SHARE, APPROVE, REVERSE_ADJUSTMENT})
    | ADJUSTMENT_DECISIONS
    | COMMAND_BUTTONS
    | CANARY_BUTTONS
    | FREEZE_BUTTONS
    | ROTATION_BUTTONS
)


class SlackApp:
    """The Bolt `app` with its listeners; `tasks` are those that run in the background.

    `clients` makes the Web API clients of one workspace, or of all that installed the app; `uninstall`
    removes the installations of workspaces that uninstall it.
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
        self._links = LinkListeners(self.workspaces, self.tasks)
        self.app = self._build(signing_secret)

    async def start(self) -> str:
        """Ask Slack for the bot's identity and return its user id; raises `SlackApiError` for a bad token."""
        identity = await self._client.auth_test()
        self._bot_user_id, self._bot_id = str(identity["user_id"]), identity.get("bot_id")
        log.info("slack_connected", team=identity.get("team"), user_id=self._bot_user_id)
        return self._bot_user_id

    async def drain(self, timeout_s: float) -> int:
        """Let the running tasks finish; return how many had to be cancelled."""
        return await self.tasks.drain(timeout_s)

    def _build(self, signing_secret: str) -> AsyncApp:
        logger = logging.getLogger("slack_bolt")
        # Bolt warns of a token beside `authorize`, and of requests that only the last listener matches.
        logger.setLevel(logging.ERROR)
        app = AsyncApp(
            name="governor",
            logger=logger,
            signing_secret=signing_secret,
            client=AsyncWebClient(base_url=self._client.base_url),
            authorize=self._authorizer(),
            process_before_response=True,
        )
        app.middleware(_clean_texts)
        for command in COMMANDS:
            # `governor manifest --prefix` renames them if another app has `/budget`.
            app.command(re.compile(rf"^/\S*{command.name}$"))(self._on_command)
        app.event("app_home_opened")(self._on_home)
        app.event("app_mention")(self._on_message)
        app.event("message")(self._on_message)
        for event in UNINSTALL_EVENTS:
            app.event(event)(self._on_uninstall)
        self._incidents.listen(app)
        FormListeners(self.workspaces, self.tasks).listen(app)
        ReadinessListeners(self.workspaces, self.tasks).listen(app)
        ReviewListeners(self.workspaces, self.tasks).listen(app)
        self._links.listen(app)
        app.action(re.compile(""))(self._on_action)
        app.error(self._on_error)
        return app

    def _authorizer(self) -> Callable[..., Awaitable[AuthorizeResult]]:
        # A function, not a method: Bolt passes arguments by name and would take `self` for one.
        async def authorize(context: AsyncBoltContext) -> AuthorizeResult:
            # Only what is cached: an acknowledgement must not wait for the database.
            cached = self._clients.cached_installation(context.team_id)
            return AuthorizeResult(
                enterprise_id=context.enterprise_id,
                team_id=context.team_id,
                bot_token=self._bot_token if cached is None else cached.bot_token,
                bot_user_id=self._bot_user_id if cached is None else cached.bot_user_id,
                bot_id=self._bot_id if cached is None else cached.bot_id,
            )

        return authorize

    async def _on_command(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> None:
        await ack()
        typed = str(body.get("command"))
        name = next(command.name for command in COMMANDS if typed.endswith(command.name))
        interaction = Interaction(
            Query(name, name_bot(str(body.get("text") or ""), context.bot_user_id)),
            user=str(body.get("user_id")),
            channel=str(body.get("channel_id")),
            channel_name=str(body.get("channel_name") or ""),
            request=idempotency_key(body),
        )
        request = SlackRequest(f"/{name}", target_of(body, interaction), context.team_id)
        self._start(request, partial(self._answer, interaction, request))

    async def _answer(
        self, interaction: Interaction, request: SlackRequest, *, replace_message: bool = False
    ) -> None:
        """Find the workspace, run the command and reply: the path of every command and query."""
        workspace = await find_workspace(self.workspaces, request)
        if workspace is None:
            return
        pace = Pacer()
        reply = await workspace.router.answer(interaction)
        # Other requests are acknowledged between the work and the words of a large answer.
        await pace()
        await workspace.respond(
            request.target, reply, replace_message=replace_message, trigger_id=interaction.request
        )
        await workspace.greet(interaction.user)

    async def _on_action(self, ack: AsyncAck, body: Body, action: Body, context: AsyncBoltContext) -> None:
        await ack()
        press = read_press(body, action)
        name, value = press.query.command, press.query.text
        if name in DIALOGS:
            request = SlackRequest(name, target_of(body, press), context.team_id)
            self._start(request, partial(self._open_dialog, press, request))
            return
        if name not in _KNOWN_ACTIONS and not name.startswith(HOME_SHOW):
            return
        request = SlackRequest(name, target_of(body, press), context.team_id)
        work: Work
        if name == APPROVE:
            work = partial(self._decide, ApprovalDecision.of_press(press), request)
        elif name in ADJUSTMENT_DECISIONS:
            work = partial(self._decide_adjustment, replace(press, request=None), request)
        elif name in FREEZE_BUTTONS | ROTATION_BUTTONS | {REVERSE_ADJUSTMENT}:
            work = partial(self._answer, replace(press, query=Query.from_value(value)), request)
        elif name in COMMAND_BUTTONS | CANARY_BUTTONS:
            work = partial(self._press_command, press, request, is_ephemeral=_is_ephemeral(body))
        else:
            # A query changes nothing, so it needs no idempotency key.
            repeated = replace(press, query=Query.from_value(value), request=None)
            work = partial(
                self._answer, repeated, request, replace_message=name in {PREVIOUS_PAGE, NEXT_PAGE}
            )
            if name == SHARE:
                work = partial(self._share, repeated, request, _press_key(body, action))
        self._start(request, work)

    async def _press_command(self, press: Interaction, request: SlackRequest, *, is_ephemeral: bool) -> None:
        """Run the command that a button stands for, and show anew what it stood beside."""
        name, value = press.query.command, press.query.text
        is_canary = name in CANARY_BUTTONS
        typed = canary_command_of(name, value) if is_canary else command_of(name, value)
        await self._answer(replace(press, query=typed), request)
        shown = shown_canary_of(value) if is_canary else shown_flag_of(name, value)
        if shown is not None and is_ephemeral:
            query = replace(press, query=shown, request=None)
            await self._answer(query, request, replace_message=True)

    async def _open_dialog(self, press: Interaction, request: SlackRequest) -> None:
        """Open what a button of the home tab shows in a dialog."""
        workspace = await find_workspace(self.workspaces, request)
        if workspace is not None:
            reply = await workspace.home_dialogs.open(press)
            await workspace.respond(request.target, reply, trigger_id=press.request)

    async def _decide(self, decision: ApprovalDecision, request: SlackRequest) -> None:
        """Approve what is pending, and replace the message with the outcome."""
        workspace = await find_workspace(self.workspaces, request)
        if workspace is None:
            return
        outcome = await workspace.router.decide(decision)
        await workspace.responder.send(request.target, outcome.reply, replace=outcome.is_final)

    async def _decide_adjustment(self, press: Interaction, request: SlackRequest) -> None:
        """Approve or decline an adjustment of the record, and replace the message with the outcome."""
        workspace = await find_workspace(self.workspaces, request)
        if workspace is not None:
            outcome = await workspace.router.decide_adjustment(press)
            await workspace.responder.send(request.target, outcome.reply, replace=outcome.is_final)

    async def _share(self, interaction: Interaction, request: SlackRequest, press: str) -> None:
        """Show a reply to the channel, once however often the button was pressed."""
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
            workspace = await self.workspaces.find(team)
            await workspace.home.publish(user)
            await workspace.greet(user)
        except WorkspaceNotServedError:
            log.info("home_not_served", team=team)

    async def _on_message(self, event: Body, context: AsyncBoltContext) -> None:
        """Reply to what a person wrote to the bot, once however often Slack sends it."""
        message = AddressedMessage.from_event(event, context.bot_user_id)
        if message is not None:
            target = ReplyTarget("", message.channel, message.user, message.thread)
            request = SlackRequest("message", target, context.team_id)
            self._start(request, partial(self._answer_message, message, request))

    async def _answer_message(self, message: AddressedMessage, request: SlackRequest) -> None:
        workspace = await find_workspace(self.workspaces, request)
        if workspace is None:
            return
        id_ = message.id(request.team)
        async with self._database.transaction(in_turn=False) as connection:
            if not await idempotency.is_first(self._database, connection, id_, self._clock.now()):
                return
        try:
            await workspace.respond(request.target, message.reply())
        except BaseException:
            await idempotency.forget(self._database, id_)
            raise
        await workspace.greet(message.user)

    async def _on_uninstall(self, event: Body, context: AsyncBoltContext) -> None:
        if self._uninstall is not None and context.team_id is not None:
            process = partial(self._uninstall.process_event, context.team_id, event)
            self.tasks.start("uninstall", process, _report_nothing)

    def _start(self, request: SlackRequest, work: Work) -> None:
        start(self.tasks, self.workspaces, request, work)

    async def _on_error(self, error: Exception, body: Body) -> BoltResponse:
        """Log what a listener failed on, and acknowledge it: Bolt's boundary for errors."""
        log.error("listener_failed", kind=body.get("type"), command=body.get("command"), exc_info=error)
        return BoltResponse(status=200, body="")


async def _clean_texts(body: Body, next: Callable[[], Awaitable[None]]) -> None:  # noqa: A002 - Bolt's name
    """Clean every text of a request before a listener sees it: the rule of `bot/texts.py` at Slack's door."""
    clean_all(body)
    await next()


async def _report_nothing(_error_id: str, _error: Exception) -> None:
    """Report no failure to the person: opening the home tab again tries again."""


def _is_ephemeral(body: Body) -> bool:
    """Return whether only the person sees the message whose button was pressed."""
    return bool((body.get("container") or {}).get("is_ephemeral"))


def _press_key(body: Body, action: Body) -> str:
    """Return the idempotency key of a press: the same for the same button of the same message."""
    container = body.get("container") or {}
    location = [container.get("channel_id"), container.get("message_ts"), action.get("value")]
    return f"share {hashlib.sha256(repr(location).encode()).hexdigest()}"
