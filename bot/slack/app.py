"""The Slack face: a Bolt app that acknowledges first and works after.

Bolt runs each listener within the dispatch (`process_before_response`): the listener acknowledges, hands
the work to `BackgroundTasks` and returns, so Slack has its answer in a millisecond. Bolt's own way, a
task for the listener and a poll for its ack every 10 ms, takes ten times as long.
"""

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import Clock
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.ramps.control import RampControl
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader
from bot.slack.background_tasks import BackgroundTasks
from bot.slack.command_prefix import CommandPrefix
from bot.slack.command_reference import COMMANDS
from bot.slack.flags.announcements import APPROVE, DECLINE
from bot.slack.flags.buttons import ORDERS, ordered
from bot.slack.home.view import HOME_SHOW
from bot.slack.incident_listeners import IncidentListeners
from bot.slack.incidents.access import IncidentCapabilities
from bot.slack.interactions import SHARE, SHOW, TURN_BACK, TURN_ON, Interaction, Query
from bot.slack.request_handling import At, SlackRequest, begin
from bot.slack.response_url import ReplyTarget
from bot.slack.uninstall import EVENTS as DEPARTURES
from bot.slack.uninstall import UninstallHandler
from bot.slack.webapi.clients import Clients
from bot.slack.workspace import Capabilities, SlackWorkspace, SlackWorkspaces, WorkspaceNotServedError
from bot.store import idempotency as requests
from bot.store.database import Database

log = structlog.get_logger(__name__)

MOST_REQUEST = 200
_KNOWN = frozenset({SHOW, TURN_BACK, TURN_ON, SHARE, APPROVE, DECLINE}) | ORDERS

Body = Mapping[str, Any]


class SlackApp:
    """Everything that Slack sends arrives at `app`; `jobs` is the work under way.

    `client` speaks for the bot (with `bot_token`) and keeps its own session. With `clients` there may be
    several workspaces, of which `departures` forgets those that the app leaves. `naming` says what commands
    are called.
    """

    def __init__(
        self,
        *,
        overview: StatusReader,
        freezer: HoldRegistry,
        toggles: ChangeExecutor,
        ramps: RampControl,
        incidents: IncidentCapabilities,
        database: Database,
        client: AsyncWebClient,
        clock: Clock,
        signing_secret: str,
        bot_token: str,
        clients: Clients | None = None,
        departures: UninstallHandler | None = None,
        naming: CommandPrefix | None = None,
    ) -> None:
        self.jobs = BackgroundTasks()
        offered = Capabilities(
            overview=overview,
            freezer=freezer,
            toggles=toggles,
            ramps=ramps,
            incidents=incidents,
            database=database,
            clock=clock,
            naming=naming or CommandPrefix(),
        )
        self.branches = SlackWorkspaces(offered, client, clients)
        main = self.branches.main
        self.people, self.desk, self.home = main.people, main.desk, main.home
        self._clients = clients
        self._departures = departures
        self._client = client
        self._database = database
        self._clock = clock
        self._bot_token = bot_token
        self._bot_user_id: str | None = None
        self._bot_id: str | None = None
        self._incidents = IncidentListeners(self.branches, self.jobs)
        self.app = self._build(signing_secret)

    async def start(self) -> str:
        """Ask Slack who the bot is and answer its user id; raises `SlackApiError` for a bad token."""
        who = await self._client.auth_test()
        self._bot_user_id, self._bot_id = str(who["user_id"]), who.get("bot_id")
        log.info("slack_ready", team=who.get("team"), user_id=self._bot_user_id)
        return self._bot_user_id

    async def drain(self, timeout_s: float) -> int:
        """Let the work under way finish; return how many jobs had to be cancelled."""
        return await self.jobs.drain(timeout_s)

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
        for event in DEPARTURES:
            app.event(event)(self._on_departure)
        self._incidents.listen(app)
        app.action(re.compile(""))(self._on_action)
        app.error(self._on_error)
        return app

    def _authorizer(self) -> Callable[..., Awaitable[AuthorizeResult]]:
        # A function, not a method: Bolt fills in arguments by name and would take `self` for one.
        async def authorize(context: AsyncBoltContext) -> AuthorizeResult:
            # What is known already must do: an answer to Slack waits for no database.
            known = self._clients.known(context.team_id) if self._clients is not None else None
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
        ask = Interaction(
            Query(name, str(body.get("text") or "")),
            user=str(body.get("user_id")),
            channel=str(body.get("channel_id")),
            channel_name=str(body.get("channel_name") or ""),
            request=str(body.get("trigger_id"))[:MOST_REQUEST],
        )
        address = _address(body, ask)
        self._begin(f"/{name}", address, context.team_id, partial(self._answer, ask, address))

    async def _on_action(self, ack: AsyncAck, body: Body, action: Body, context: AsyncBoltContext) -> None:
        await ack()
        deed = str(action.get("action_id"))
        if deed not in _KNOWN and not deed.startswith(HOME_SHOW):
            return
        channel = body.get("channel") or {}
        carried = str(action.get("value"))
        if deed in {APPROVE, DECLINE}:
            question = Query(deed, carried)
        elif deed in ORDERS:
            question = ordered(deed, carried)
        else:
            question = Query.from_value(carried)
        ask = Interaction(
            question,
            user=str((body.get("user") or {}).get("id")),
            channel=str(channel.get("id") or ""),
            channel_name=str(channel.get("name") or ""),
            request=str(body.get("trigger_id"))[:MOST_REQUEST] if deed in ORDERS else None,
        )
        address = _address(body, ask)
        if deed == SHARE:
            work: At = partial(self._share, ask, address, _press(body, action))
        elif deed in {APPROVE, DECLINE}:
            work = partial(self._decide, ask, address)
        else:
            work = partial(self._answer, ask, address, replace=deed in {TURN_BACK, TURN_ON})
        self._begin(deed, address, context.team_id, work)

    async def _on_home(self, event: Body, context: AsyncBoltContext) -> None:
        if event.get("tab") == "home":
            user, team = str(event.get("user")), context.team_id
            self.jobs.start("home", partial(self._open_home, user, team), _say_nothing)

    async def _on_departure(self, event: Body, context: AsyncBoltContext) -> None:
        if self._departures is not None and context.team_id is not None:
            follow = partial(self._departures.follow, context.team_id, event)
            self.jobs.start("departure", follow, _say_nothing)

    async def _open_home(self, user: str, team: str | None) -> None:
        try:
            await (await self.branches.of(team)).home.opened(user)
        except WorkspaceNotServedError:
            log.info("home_not_served", team=team)

    async def _answer(
        self, ask: Interaction, address: ReplyTarget, branch: SlackWorkspace, *, replace: bool = False
    ) -> None:
        reply = await branch.desk.answer(ask)
        await branch.bring(address, reply, replace=replace, trigger_id=ask.request)

    async def _decide(self, ask: Interaction, address: ReplyTarget, branch: SlackWorkspace) -> None:
        pressed = await branch.desk.decide(ask)
        await branch.answering.send(address, pressed.reply, replace=pressed.settled)

    async def _share(
        self, ask: Interaction, address: ReplyTarget, press: str, branch: SlackWorkspace
    ) -> None:
        """Show an answer to the channel, once however often the button was pressed."""
        async with self._database.transaction(in_turn=False) as connection:
            if not await requests.is_first(self._database, connection, press, self._clock.now()):
                return
        try:
            await self._show(ask, address, branch)
        except BaseException:
            await requests.forget(self._database, press)
            raise

    async def _show(self, ask: Interaction, address: ReplyTarget, branch: SlackWorkspace) -> None:
        reply = await branch.desk.answer(ask)
        if reply.shareable is not None:
            await branch.answering.send(address, reply.shared(ask.user))
        await branch.answering.send(address, reply.unshareable(), replace=True)

    def _begin(self, job: str, address: ReplyTarget, team: str | None, work: At) -> None:
        begin(self.jobs, self.branches, SlackRequest(job, address, team), work)

    async def _on_error(self, error: Exception, body: Body) -> BoltResponse:
        """Bolt's boundary: what a listener could not take is logged, and Slack told that it arrived."""
        log.error("listener_failed", kind=body.get("type"), command=body.get("command"), exc_info=error)
        return BoltResponse(status=200, body="")


async def _say_nothing(_error_id: str) -> None:
    """Leave the home tab as it is: opening it again asks again."""


def _press(body: Body, action: Body) -> str:
    """Name the press of a button: the same for the same button of the same message."""
    container = body.get("container") or {}
    where = [container.get("channel_id"), container.get("message_ts"), action.get("value")]
    return f"share {hashlib.sha256(repr(where).encode()).hexdigest()}"


def _address(body: Body, ask: Interaction) -> ReplyTarget:
    return ReplyTarget(str(body.get("response_url") or ""), ask.channel, ask.user)
