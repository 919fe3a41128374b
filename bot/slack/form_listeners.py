"""The Bolt listeners for the forms of exemptions, approvals and settings: their buttons, and submissions.

As in `incident_listeners.py`, a form is validated before it is acknowledged.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.slack.announcements.freeze_buttons import REQUEST
from bot.slack.approvals.buttons import FORM_BUTTONS
from bot.slack.approvals.decision import APPROVAL, REFUSAL, ApprovalDecision, comment_faults
from bot.slack.background_tasks import BackgroundTasks
from bot.slack.blockkit.modals import SubmittedModal
from bot.slack.exemptions.forms import REQUEST_FORM, request_faults
from bot.slack.interactions import Interaction
from bot.slack.personal.settings import NOTIFY_CHANGE, NOTIFY_FORM
from bot.slack.request_handling import Body, SlackRequest, find_workspace, read_press, start, target_of
from bot.slack.response_url import ReplyTarget
from bot.slack.workspace import SlackWorkspaces

_FAULTS: Mapping[str, Callable[[SubmittedModal], dict[str, str]]] = {
    REQUEST_FORM: request_faults,
    NOTIFY_FORM: lambda _submitted: {},
    APPROVAL: comment_faults,
    REFUSAL: comment_faults,
}


class FormListeners:
    """The listeners for these forms."""

    def __init__(self, workspaces: SlackWorkspaces, tasks: BackgroundTasks) -> None:
        self._workspaces = workspaces
        self._tasks = tasks

    def listen(self, app: AsyncApp) -> None:
        """Register the listeners; call this before listeners that match everything are registered."""
        app.action(_any_of([REQUEST, NOTIFY_CHANGE, *FORM_BUTTONS]))(self._on_action)
        app.view(_any_of(_FAULTS))(self._on_submission)

    async def _on_action(self, ack: AsyncAck, body: Body, action: Body, context: AsyncBoltContext) -> None:
        await ack()
        press = read_press(body, action)
        request = SlackRequest(press.query.command, target_of(body, press), context.team_id)
        start(self._tasks, self._workspaces, request, partial(self._open, press, request))

    async def _open(self, press: Interaction, request: SlackRequest) -> None:
        workspace = await find_workspace(self._workspaces, request)
        if workspace is None:
            return
        if press.query.command == REQUEST:
            reply = await workspace.exemptions.form(press)
        elif press.query.command == NOTIFY_CHANGE:
            reply = await workspace.personal.form(press.user)
        else:
            reply = await workspace.router.decision_form(ApprovalDecision.of_press(press))
        await workspace.responder.send(request.target, reply, trigger_id=press.request)

    async def _on_submission(self, ack: AsyncAck, body: Body, view: Body, context: AsyncBoltContext) -> None:
        submitted = SubmittedModal.from_view(view, str((body.get("user") or {}).get("id")))
        if faults := _FAULTS[submitted.callback](submitted):
            await ack(response_action="errors", errors=faults)
            return
        await ack()
        target = ReplyTarget(submitted.url, submitted.channel, submitted.user)
        request = SlackRequest(submitted.callback, target, context.team_id)
        start(self._tasks, self._workspaces, request, partial(self._submit, submitted, request))

    async def _submit(self, submitted: SubmittedModal, request: SlackRequest) -> None:
        workspace = await find_workspace(self._workspaces, request)
        if workspace is None:
            return
        if submitted.callback == REQUEST_FORM:
            await workspace.responder.send(request.target, await workspace.exemptions.submit(submitted))
            return
        if submitted.callback == NOTIFY_FORM:
            await workspace.responder.send(request.target, await workspace.personal.submit(submitted))
            return
        outcome = await workspace.router.decide(ApprovalDecision.of_form(submitted))
        await workspace.responder.send(request.target, outcome.reply, replace=outcome.is_final)


def _any_of(ids: Iterable[str]) -> re.Pattern[str]:
    return re.compile("^(" + "|".join(map(re.escape, ids)) + ")$")
