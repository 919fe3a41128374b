"""What Slack sends about incidents besides commands: presses, forms that were filled in, reactions.

As in `app.py`, each listener acknowledges first and hands the work to `BackgroundTasks`. A form is
looked through before it is acknowledged, so that what is wrong is said beside its inputs.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp, AsyncBoltContext
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.slack.background_tasks import BackgroundTasks
from bot.slack.blockkit.modals import SubmittedModal
from bot.slack.incidents.buttons import PREFIXES
from bot.slack.incidents.timeline_pins import EVENTS, PinReaction
from bot.slack.interactions import Interaction, Query
from bot.slack.request_handling import At, SlackRequest, begin
from bot.slack.response_url import ReplyTarget
from bot.slack.workspace import SlackWorkspace, SlackWorkspaces, WorkspaceNotServedError

log = structlog.get_logger(__name__)

_MOST_REQUEST = 200
_OURS = re.compile("^(" + "|".join(map(re.escape, PREFIXES)) + ")")

Body = Mapping[str, Any]


class IncidentListeners:
    """Listens for everything about incidents but the commands."""

    def __init__(self, branches: SlackWorkspaces, jobs: BackgroundTasks) -> None:
        self._branches = branches
        self._jobs = jobs

    def listen(self, app: AsyncApp) -> None:
        """Take what is ours; to be called before others listen for everything."""
        app.action(_OURS)(self._on_action)
        app.view(_OURS)(self._on_submission)
        for event in EVENTS:
            app.event(event)(self._on_reaction)

    async def _on_action(self, ack: AsyncAck, body: Body, action: Body, context: AsyncBoltContext) -> None:
        await ack()
        deed = str(action.get("action_id"))
        channel = body.get("channel") or {}
        ask = Interaction(
            Query(deed, str(action.get("value"))),
            user=str((body.get("user") or {}).get("id")),
            channel=str(channel.get("id") or ""),
            channel_name=str(channel.get("name") or ""),
            request=str(body.get("trigger_id"))[:_MOST_REQUEST],
        )
        address = ReplyTarget(str(body.get("response_url") or ""), ask.channel, ask.user)
        self._begin(deed, address, context, partial(self._press, ask, address))

    async def _press(self, ask: Interaction, address: ReplyTarget, branch: SlackWorkspace) -> None:
        reply = await branch.incidents.press(ask)
        there = ""
        if reply.seen_by_channel and (address.is_home or address.is_direct):
            # Those who work on it see the change, though it was made where they are not.
            there = await branch.incidents.channel_of(ask.question.command, ask.text)
        if there:
            await branch.answering.send(ReplyTarget("", there, ask.user), reply)
        if there and address.is_home:
            await branch.home.pressed(ask.user)
        else:
            await branch.bring(address, reply, trigger_id=ask.request)

    async def _on_submission(self, ack: AsyncAck, body: Body, view: Body, context: AsyncBoltContext) -> None:
        submitted = SubmittedModal.from_view(view, str((body.get("user") or {}).get("id")))
        # What is wrong with the words alone is the same in every workspace.
        if faults := self._branches.main.incidents.faults(submitted):
            await ack(response_action="errors", errors=faults)
            return
        await ack()
        address = ReplyTarget(submitted.url, submitted.channel, submitted.user)
        self._begin(submitted.callback, address, context, partial(self._submit, submitted, address))

    async def _submit(self, submitted: SubmittedModal, address: ReplyTarget, branch: SlackWorkspace) -> None:
        await branch.bring(address, await branch.incidents.submit(submitted))

    async def _on_reaction(self, ack: AsyncAck, event: Body, context: AsyncBoltContext) -> None:
        await ack()
        reacted = PinReaction.from_event(event)
        if reacted is not None:
            self._jobs.start("pin", partial(self._pin, reacted, context.team_id), _say_nothing)

    async def _pin(self, reacted: PinReaction, team: str | None) -> None:
        try:
            branch = await self._branches.of(team)
        except WorkspaceNotServedError:
            return
        await branch.incidents.pins.follow(reacted)

    def _begin(self, job: str, address: ReplyTarget, context: AsyncBoltContext, work: At) -> None:
        begin(self._jobs, self._branches, SlackRequest(job, address, context.team_id), work)


async def _say_nothing(error_id: str) -> None:
    """Do nothing: a reaction has no reply, and the log says that it was not followed."""
    log.warning("pin_not_followed", error_id=error_id)
