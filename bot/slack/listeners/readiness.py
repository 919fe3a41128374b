"""The Bolt listener for the checkboxes of launch checklists."""

from functools import partial

from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.slack.background_tasks import BackgroundTasks
from bot.slack.readiness.messages import TICK, read_block_id
from bot.slack.readiness.ticking import TickPress
from bot.slack.request_handling import Body, SlackRequest, find_workspace, read_press, start, target_of
from bot.slack.workspace import SlackWorkspaces


class ReadinessListeners:
    """The listener for launch checklists."""

    def __init__(self, workspaces: SlackWorkspaces, tasks: BackgroundTasks) -> None:
        self._workspaces = workspaces
        self._tasks = tasks

    def listen(self, app: AsyncApp) -> None:
        """Register the listener; call this before listeners that match everything are registered."""
        app.action(TICK)(self._on_tick)

    async def _on_tick(self, ack: AsyncAck, body: Body, action: Body, context: AsyncBoltContext) -> None:
        await ack()
        interaction = read_press(body, action)
        about = read_block_id(str(action.get("block_id")))
        if about is None:
            return
        service, item = about
        press = TickPress(service, item, interaction.user, bool(action.get("selected_options")))
        request = SlackRequest(TICK, target_of(body, interaction), context.team_id)
        is_own = bool((body.get("container") or {}).get("is_ephemeral")) or request.target.is_direct
        start(self._tasks, self._workspaces, request, partial(self._tick, press, request, is_own=is_own))

    async def _tick(self, press: TickPress, request: SlackRequest, *, is_own: bool) -> None:
        """Tick the item. The channel's message is edited through the outbox, a reply is replaced here."""
        workspace = await find_workspace(self._workspaces, request)
        if workspace is None:
            return
        reply = await workspace.readiness.press(press)
        if is_own or not reply.replaces:
            await workspace.responder.send(request.target, reply, replace=reply.replaces)
