"""Every message, form and home tab of the bot, as they went to the stand-in for Slack, from real states."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.incidents.postmortem import PostmortemPart
from bot.incidents.records.channels import ChannelKind
from bot.sandbox.fake_slack.model import Message
from bot.slack.announcements.freeze_buttons import REQUEST
from bot.slack.approvals.decision import APPROVAL, REFUSAL
from bot.slack.exemptions.forms import REQUEST_FORM
from bot.slack.home.view import HELP, OTHER_SERVICE
from bot.slack.incidents import interactions as incident_desk
from bot.slack.incidents import modals as incident_form
from bot.slack.incidents.buttons import EDIT
from bot.slack.incidents.messages import IncidentMessages
from bot.slack.incidents.shortcuts import ADD_TO_TIMELINE
from tests.stories.test_drawn import show_everything
from tests.support.examples import WORKSPACE, shop_service
from tests.support.slack_app import RunningSlackApp, run_slack_app, shop
from tests.support.slack_flags import (
    FLAG,
    declines,
    deliver,
    evaluated,
    later,
    raised,
    run_slack_app_with_flags,
)
from tests.support.slack_home import home_of, much_to_show, open_home, presses_home, run_slack_app_with_home
from tests.support.slack_incidents import typed
from tests.support.values import in_force

Body = dict[str, Any]

_INCIDENT_FORMS = (
    incident_form.OPEN,
    incident_form.ADD_MESSAGE,
    *incident_desk._FORMS,
    *(f"{EDIT}{part}" for part in PostmortemPart),
)
FORMS = (*_INCIDENT_FORMS, HELP, OTHER_SERVICE, APPROVAL, REFUSAL, REQUEST_FORM)
"""The `callback_id` of every form that the bot can open."""

_CHANNEL = "#checkout"


@dataclass
class SentMessages:
    """What was sent: messages as `text` and `blocks`, views as Slack takes them. Each once."""

    messages: list[Body] = field(default_factory=list)
    modals: list[Body] = field(default_factory=list)
    homes: list[Body] = field(default_factory=list)

    def note(self, slack_app: RunningSlackApp) -> None:
        """Collect what the workspace shows, and the calls that led to it."""
        for channel in slack_app.slack.workspace.channels.values():
            self._note_messages([*channel.messages, *channel.ephemerals])
        for call in slack_app.slack.calls:
            if call.method.startswith("chat.") and "blocks" in call.args:
                _add(self.messages, _message(call.args))
            if call.method == "views.open":
                _add(self.modals, _read(call.args["view"]))
            if call.method == "views.publish":
                _add(self.homes, _read(call.args["view"]))

    def _note_messages(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.bot_id and message.blocks:
                _add(self.messages, _message({"text": message.text, "blocks": message.blocks}))


async def everything(folder: Path) -> SentMessages:
    """Use every feature once; return what was sent."""
    found = SentMessages()
    for play in (
        _announcements_and_commands,
        _long_lists,
        _forms,
        _flags,
        _exemptions,
        _home,
        _busy_home,
    ):
        place = folder / play.__name__
        place.mkdir()
        async for slack_app in play(place):
            await slack_app.app.drain(10)
            found.note(slack_app)
    return found


async def _announcements_and_commands(folder: Path) -> AsyncIterator[RunningSlackApp]:
    async with _unhurried(folder) as slack_app:
        await show_everything(slack_app)
        yield slack_app


async def _long_lists(folder: Path) -> AsyncIterator[RunningSlackApp]:
    """List more services, holds and incidents than are shown as paragraphs."""
    many = [shop_service(f"service-{number:02}") for number in range(12)]
    async with run_slack_app(folder, shop(*many)) as slack_app:
        slack_app.slack.rates.enabled = False
        for of in many:
            await slack_app.types("sam", f"/freeze {of.name} for 2h db migration", _CHANNEL)
            await slack_app.types("sam", f"/incident open Slow {of.name} sev3 {of.name}", _CHANNEL)
        for command in ("/budget", "/ship", "/freeze", "/incident list"):
            await slack_app.types("riley", command, _CHANNEL)
        yield slack_app


async def _forms(folder: Path) -> AsyncIterator[RunningSlackApp]:
    async with _unhurried(folder) as slack_app:
        sam = slack_app.slack.person("sam")
        await slack_app.types("sam", "/incident open Checkout 500s sev1 checkout search", _CHANNEL)
        client = AsyncWebClient(token=slack_app.slack.bot_token, base_url=slack_app.slack.api_url)
        voice, view = IncidentMessages(in_force(WORKSPACE)), await slack_app.incidents.snapshots.of(1)
        cards = {kind: voice.card(view, kind) for kind in ChannelKind}
        for card in cards.values():
            await client.chat_postMessage(channel=_CHANNEL, text=card.text, blocks=list(card.blocks))
        shown = slack_app.slack.messages(_CHANNEL)[-len(cards) :]
        for name in _INCIDENT_FORMS:
            if name == incident_form.OPEN:
                await sam.says("/incident", _CHANNEL)
            elif name == incident_form.ADD_MESSAGE:
                await sam.uses_shortcut(ADD_TO_TIMELINE, message=shown[0], channel=_CHANNEL)
            else:
                of = next(one for one in shown if f'"action_id": "{name}"' in json.dumps(one.blocks))
                await sam.acts(of, _CHANNEL, name)
            await slack_app.app.drain(10)
            await sam.closes(everything=True)
        yield slack_app


async def _flags(folder: Path) -> AsyncIterator[RunningSlackApp]:
    """Raise, revert, ramp, hold, kill and undo a flag, and show it after each."""
    async with run_slack_app_with_flags(folder) as slack_app:
        slack_app.slack.rates.enabled = False
        looks = ["", f"show {FLAG}", f"history {FLAG}", "stale", "nothing-like-it", "kil it"]
        await raised(slack_app)
        for words in looks:
            await slack_app.types("riley", f"/flag {words}".strip(), _CHANNEL)
        await evaluated(slack_app, 20.0)
        await slack_app.types("dana", f"/flag ramp {FLAG} 1% 5% every 30m the new till", _CHANNEL)
        asked = (await deliver(slack_app))[-1]
        await slack_app.presses("sam", asked, "flag.approve", _CHANNEL)
        await slack_app.tick()
        await slack_app.types("riley", f"/flag show {FLAG}", _CHANNEL)
        await slack_app.types("sam", f"/flag ramp hold {FLAG}", _CHANNEL)
        await slack_app.types("sam", f"/flag ramp go {FLAG}", _CHANNEL)
        later(slack_app, timedelta(minutes=30))
        await slack_app.tick()
        for words in (f"kill {FLAG} it hurts", f"on {FLAG} for 2h staging", f"undo {FLAG} staging"):
            await slack_app.types("sam", f"/flag {words}", _CHANNEL)
        await slack_app.types("dana", f"/flag rollout {FLAG} 5% once more", _CHANNEL)
        asked = next(one for one in await deliver(slack_app) if "flag.decline" in json.dumps(one.blocks))
        await slack_app.presses("sam", asked, "approval.comment", _CHANNEL)
        await slack_app.slack.person("sam").closes(everything=True)
        await declines(slack_app, "sam", asked)
        await deliver(slack_app)
        yield slack_app


async def _exemptions(folder: Path) -> AsyncIterator[RunningSlackApp]:
    """Ask for an exemption where `/ship` is refused, approve it, and list it."""
    async with _unhurried(folder) as slack_app:
        await slack_app.types("sam", "/freeze checkout peak sale", _CHANNEL)
        refused = await slack_app.types("riley", "/ship checkout PR-12", _CHANNEL)
        await slack_app.presses("riley", refused, REQUEST, _CHANNEL)
        await slack_app.submits("riley", reason=typed("Customers <cannot> pay."))
        asked = (await deliver(slack_app))[-1]
        await slack_app.types("riley", "/freeze", _CHANNEL)
        await slack_app.presses("sam", asked, "approval.comment", _CHANNEL)
        await slack_app.submits("sam", comment=typed("Watch *it*."))
        await slack_app.types("riley", "/freeze", _CHANNEL)
        await deliver(slack_app)
        yield slack_app


async def _home(folder: Path) -> AsyncIterator[RunningSlackApp]:
    async with _unhurried(folder) as slack_app:
        for who in ("sam", "riley"):
            slack_app.slack.person(who).opens_home()
            await slack_app.slack.wait_until_delivered()
            await slack_app.app.drain(10)
        await slack_app.types("sam", "/freeze checkout peak sale")
        slack_app.slack.person("dana").opens_home()
        await slack_app.slack.wait_until_delivered()
        yield slack_app


async def _busy_home(folder: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_home(folder) as slack_app:
        await much_to_show(slack_app)
        for who in ("dana", "sam", "riley"):
            await open_home(slack_app, who)
        for button in ("flag.ramp.hold", "action.done", "home.show.incident", "home.help"):
            await presses_home(slack_app, "dana", button)
        option = {"text": {"type": "plain_text", "text": "search"}, "value": "search"}
        dana = slack_app.slack.person("dana")
        await dana.acts_in_view(home_of(slack_app, "dana"), "home.service", selected_option=option)
        yield slack_app


@asynccontextmanager
async def _unhurried(folder: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app(folder, shop()) as slack_app:
        slack_app.slack.rates.enabled = False
        yield slack_app


def _message(args: Body) -> Body:
    return {"text": args.get("text"), "blocks": _read(args["blocks"])}


def _read(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _add(to: list[Body], body: Body) -> None:
    if body not in to:
        to.append(body)


def charts(bodies: Sequence[Body]) -> list[Body]:
    """Return the blocks that draw a chart."""
    return [block for body in bodies for block in body["blocks"] if block["type"] == "data_visualization"]
