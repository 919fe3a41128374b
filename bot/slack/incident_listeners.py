"""The Bolt listeners for incidents besides commands: actions, submitted modals, reactions.

As in `app.py`, each listener acknowledges first and starts the work in the background. A modal is validated
before it is acknowledged, so that errors are shown beside its inputs.
"""

import re
from dataclasses import replace
from functools import partial

import structlog
from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.slack.background_tasks import BackgroundTasks, Work
from bot.slack.blockkit.modals import SubmittedModal
from bot.slack.incidents.buttons import PREFIXES
from bot.slack.incidents.shortcuts import ShortcutUse
from bot.slack.incidents.timeline_pins import EVENTS, PinReaction
from bot.slack.interactions import Interaction
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
from bot.slack.workspace import SlackWorkspaces, WorkspaceNotServedError

log = structlog.get_logger(__name__)

_INCIDENT_IDS = re.compile("^(" + "|".join(map(re.escape, PREFIXES)) + ")")


class IncidentListeners:
    """The listeners for everything about incidents but the commands."""

    def __init__(self, workspaces: SlackWorkspaces, tasks: BackgroundTasks) -> None:
        self._workspaces = workspaces
        self._tasks = tasks

    def listen(self, app: AsyncApp) -> None:
        """Register the listeners; call this before listeners that match everything are registered."""
        app.action(_INCIDENT_IDS)(self._on_action)
        app.shortcut(_INCIDENT_IDS)(self._on_shortcut)
        app.view(_INCIDENT_IDS)(self._on_submission)
        for event in EVENTS:
            app.event(event)(self._on_reaction)

    async def _on_action(self, ack: AsyncAck, body: Body, action: Body, context: AsyncBoltContext) -> None:
        await ack()
        interaction = read_press(body, action)
        request = SlackRequest(interaction.query.command, target_of(body, interaction), context.team_id)
        is_ephemeral = bool((body.get("container") or {}).get("is_ephemeral"))
        self._start(request, partial(self._press, interaction, request, is_ephemeral=is_ephemeral))

    async def _press(self, interaction: Interaction, request: SlackRequest, *, is_ephemeral: bool) -> None:
        workspace = await find_workspace(self._workspaces, request)
        if workspace is None:
            return
        target = request.target
        reply = await workspace.incidents.press(interaction)
        await workspace.respond(target, reply, replace_message=reply.replaces, trigger_id=interaction.request)
        if reply.redrawn is not None and is_ephemeral:
            # Others may see a message of the channel, which must not show what only this person may see.
            redrawn = await workspace.router.answer(replace(interaction, query=reply.redrawn, request=None))
            await workspace.respond(target, redrawn, replace_message=True)

    async def _on_shortcut(self, ack: AsyncAck, body: Body, context: AsyncBoltContext) -> None:
        await ack()
        use = ShortcutUse.from_body(body, idempotency_key(body))
        interaction = use.interaction
        request = SlackRequest(interaction.query.command, target_of(body, interaction), context.team_id)
        self._start(request, partial(self._use_shortcut, use, request))

    async def _use_shortcut(self, use: ShortcutUse, request: SlackRequest) -> None:
        workspace = await find_workspace(self._workspaces, request)
        if workspace is None:
            return
        reply = await workspace.incidents.use_shortcut(use)
        await workspace.responder.send(request.target, reply, trigger_id=use.interaction.request)

    async def _on_submission(self, ack: AsyncAck, body: Body, view: Body, context: AsyncBoltContext) -> None:
        submitted = SubmittedModal.from_view(view, str((body.get("user") or {}).get("id")))
        # The input is validated alike in every workspace.
        if faults := self._workspaces.main.incidents.faults(submitted):
            await ack(response_action="errors", errors=faults)
            return
        await ack()
        target = ReplyTarget(submitted.url, submitted.channel, submitted.user)
        request = SlackRequest(submitted.callback, target, context.team_id)
        self._start(request, partial(self._submit, submitted, request))

    async def _submit(self, submitted: SubmittedModal, request: SlackRequest) -> None:
        workspace = await find_workspace(self._workspaces, request)
        if workspace is None:
            return
        reply = await workspace.incidents.submit(submitted)
        await workspace.respond(request.target, reply)

    async def _on_reaction(self, ack: AsyncAck, event: Body, context: AsyncBoltContext) -> None:
        await ack()
        reaction = PinReaction.from_event(event)
        if reaction is not None:
            self._tasks.start("pin", partial(self._pin, reaction, context.team_id), _log_failure)

    async def _pin(self, reaction: PinReaction, team: str | None) -> None:
        try:
            workspace = await self._workspaces.find(team)
        except WorkspaceNotServedError:
            return
        await workspace.incidents.pins.follow(reaction)

    def _start(self, request: SlackRequest, work: Work) -> None:
        start(self._tasks, self._workspaces, request, work)


async def _log_failure(error_id: str, _error: Exception) -> None:
    """Log the failure: a reaction has no reply."""
    log.warning("pin_not_followed", error_id=error_id)
