"""The Bolt listeners for reviews of long freezes: their buttons, and the form for the work."""

import re
from functools import partial

from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.slack.background_tasks import BackgroundTasks
from bot.slack.blockkit.modals import SubmittedModal
from bot.slack.interactions import Interaction
from bot.slack.request_handling import Body, SlackRequest, find_workspace, read_press, start, target_of
from bot.slack.response_url import ReplyTarget
from bot.slack.reviews.forms import WORK_FORM, work_faults
from bot.slack.reviews.messages import AGREE, FILL_IN
from bot.slack.workspace import SlackWorkspaces

_BUTTONS = re.compile("^(" + "|".join(map(re.escape, (FILL_IN, *AGREE.values()))) + ")$")


class ReviewListeners:
    """The listeners for reviews. A form is validated before it is acknowledged."""

    def __init__(self, workspaces: SlackWorkspaces, tasks: BackgroundTasks) -> None:
        self._workspaces = workspaces
        self._tasks = tasks

    def listen(self, app: AsyncApp) -> None:
        """Register the listeners; call this before listeners that match everything are registered."""
        app.action(_BUTTONS)(self._on_press)
        app.view(WORK_FORM)(self._on_submission)

    async def _on_press(self, ack: AsyncAck, body: Body, action: Body, context: AsyncBoltContext) -> None:
        await ack()
        press = read_press(body, action)
        request = SlackRequest(press.query.command, target_of(body, press), context.team_id)
        start(self._tasks, self._workspaces, request, partial(self._press, press, request))

    async def _press(self, press: Interaction, request: SlackRequest) -> None:
        workspace = await find_workspace(self._workspaces, request)
        if workspace is None:
            return
        reply = await workspace.reviews.press(press)
        await workspace.responder.send(
            request.target, reply, replace=reply.replaces, trigger_id=press.request
        )

    async def _on_submission(self, ack: AsyncAck, body: Body, view: Body, context: AsyncBoltContext) -> None:
        submitted = SubmittedModal.from_view(view, str((body.get("user") or {}).get("id")))
        if faults := work_faults(submitted):
            await ack(response_action="errors", errors=faults)
            return
        await ack()
        target = ReplyTarget(submitted.url, submitted.channel, submitted.user)
        request = SlackRequest(WORK_FORM, target, context.team_id)
        start(self._tasks, self._workspaces, request, partial(self._submit, submitted, request))

    async def _submit(self, submitted: SubmittedModal, request: SlackRequest) -> None:
        workspace = await find_workspace(self._workspaces, request)
        if workspace is not None:
            reply = await workspace.reviews.submit(submitted)
            await workspace.responder.send(request.target, reply, replace=reply.replaces)
