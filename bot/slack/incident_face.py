"""What Slack sends about incidents besides commands: presses, forms that were filled in, reactions.

As in `face.py`, each listener acknowledges first and hands the work to `Jobs`. A form is looked through
before it is acknowledged, so that what is wrong is said beside its inputs.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.slack.answering import Address, Answering
from bot.slack.asking import Ask, Question, say
from bot.slack.blocks import code, markup
from bot.slack.forms import Submitted
from bot.slack.incident_buttons import PREFIXES
from bot.slack.incident_desk import IncidentDesk
from bot.slack.incident_pins import EVENTS, Reacted
from bot.slack.jobs import Jobs, Work

log = structlog.get_logger(__name__)

_MOST_REQUEST = 200
_OURS = re.compile("^(" + "|".join(map(re.escape, PREFIXES)) + ")")

Body = Mapping[str, Any]


class IncidentFace:
    """Listens for everything about incidents but the commands."""

    def __init__(self, desk: IncidentDesk, answering: Answering, jobs: Jobs) -> None:
        self._desk = desk
        self._answering = answering
        self._jobs = jobs

    def listen(self, app: AsyncApp) -> None:
        """Take what is ours; to be called before others listen for everything."""
        app.action(_OURS)(self._on_action)
        app.view(_OURS)(self._on_submission)
        for event in EVENTS:
            app.event(event)(self._on_reaction)

    async def _on_action(self, ack: AsyncAck, body: Body, action: Body) -> None:
        await ack()
        deed = str(action.get("action_id"))
        channel = body.get("channel") or {}
        ask = Ask(
            Question(deed, str(action.get("value"))),
            user=str((body.get("user") or {}).get("id")),
            channel=str(channel.get("id") or ""),
            channel_name=str(channel.get("name") or ""),
            request=str(body.get("trigger_id"))[:_MOST_REQUEST],
        )
        address = Address(str(body.get("response_url") or ""), ask.channel, ask.user)
        self._begin(deed, address, partial(self._press, ask, address))

    async def _press(self, ask: Ask, address: Address) -> None:
        reply = await self._desk.press(ask)
        await self._answering.send(address, reply, trigger_id=ask.request)

    async def _on_submission(self, ack: AsyncAck, body: Body, view: Body) -> None:
        submitted = Submitted.from_view(view, str((body.get("user") or {}).get("id")))
        if faults := self._desk.faults(submitted):
            await ack(response_action="errors", errors=faults)
            return
        await ack()
        address = Address(submitted.url, submitted.channel, submitted.user)
        self._begin(submitted.callback, address, partial(self._submit, submitted, address))

    async def _submit(self, submitted: Submitted, address: Address) -> None:
        await self._answering.send(address, await self._desk.submit(submitted))

    async def _on_reaction(self, ack: AsyncAck, event: Body) -> None:
        await ack()
        reacted = Reacted.from_event(event)
        if reacted is not None:
            self._jobs.start("pin", partial(self._desk.pins.follow, reacted), _say_nothing)

    def _begin(self, job: str, address: Address, work: Work) -> None:
        async def apologise(error_id: str) -> None:
            sorry = markup("That did not work. Try again; if it stays, name error {}.", code(error_id))
            await self._answering.send(address, say(sorry))

        self._jobs.start(job, work, apologise)


async def _say_nothing(error_id: str) -> None:
    """A reaction is nothing to answer: that it was not followed is in the log."""
    log.warning("pin_not_followed", error_id=error_id)
