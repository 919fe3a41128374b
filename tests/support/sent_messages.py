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
from bot.incidents.records.steps import ChannelKind
from bot.sandbox.fake_slack.model import Message
from bot.slack.incidents import interactions as incident_desk
from bot.slack.incidents import modals as incident_form
from bot.slack.incidents.buttons import EDIT
from bot.slack.incidents.card import IncidentMessages
from tests.stories.test_drawn import show_everything
from tests.support.examples import WORKSPACE
from tests.support.slack_app import Office, open_office, shop
from tests.support.slack_flags import FLAG, deliver, evaluated, later, open_flag_office, raised
from tests.support.slack_home import home_office, much_to_show, open_home, presses_home
from tests.support.values import in_force

Body = dict[str, Any]

FORMS = (incident_form.OPEN, *incident_desk._FORMS, *(f"{EDIT}{part}" for part in PostmortemPart))
"""The `callback_id` of every form that the bot can open."""

_CHANNEL = "#checkout"


@dataclass
class Everything:
    """What was sent: messages as `text` and `blocks`, views as Slack takes them. Each once."""

    messages: list[Body] = field(default_factory=list)
    modals: list[Body] = field(default_factory=list)
    homes: list[Body] = field(default_factory=list)

    def note(self, office: Office) -> None:
        """Note what the workspace shows and what it was asked to show before that."""
        for channel in office.slack.workspace.channels.values():
            self._note_messages([*channel.messages, *channel.ephemerals])
        for call in office.slack.calls:
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


async def everything(folder: Path) -> Everything:
    """Play everything, and return what was sent."""
    found = Everything()
    for play in (_announcements_and_commands, _forms, _flags, _home, _busy_home):
        place = folder / play.__name__
        place.mkdir()
        async for office in play(place):
            await office.face.drain(10)
            found.note(office)
    return found


async def _announcements_and_commands(folder: Path) -> AsyncIterator[Office]:
    async with _unhurried(folder) as office:
        await show_everything(office)
        yield office


async def _forms(folder: Path) -> AsyncIterator[Office]:
    async with _unhurried(folder) as office:
        sam = office.slack.person("sam")
        await office.types("sam", "/incident open Checkout 500s sev1 checkout search", _CHANNEL)
        client = AsyncWebClient(token=office.slack.bot_token, base_url=office.slack.api_url)
        voice, view = IncidentMessages(in_force(WORKSPACE)), await office.response.snapshots.of(1)
        cards = {kind: voice.card(view, kind) for kind in ChannelKind}
        for card in cards.values():
            await client.chat_postMessage(channel=_CHANNEL, text=card.text, blocks=list(card.blocks))
        shown = office.slack.messages(_CHANNEL)[-len(cards) :]
        for name in FORMS:
            if name == incident_form.OPEN:
                await sam.says("/incident", _CHANNEL)
            else:
                of = next(one for one in shown if f'"action_id": "{name}"' in json.dumps(one.blocks))
                await sam.acts(of, _CHANNEL, name)
            await office.face.drain(10)
            await sam.closes(everything=True)
        yield office


async def _flags(folder: Path) -> AsyncIterator[Office]:
    """A flag is raised, taken back, ramped, held, killed and undone, and looked at all the while."""
    async with open_flag_office(folder) as office:
        office.slack.rates.enabled = False
        looks = ["", f"show {FLAG}", f"history {FLAG}", "stale", "nothing-like-it", "kil it"]
        await raised(office)
        for words in looks:
            await office.types("riley", f"/flag {words}".strip(), _CHANNEL)
        await evaluated(office, 20.0)
        await office.types("dana", f"/flag ramp {FLAG} 1% 5% every 30m the new till", _CHANNEL)
        asked = (await deliver(office))[-1]
        await office.presses("sam", asked, "flag.approve", _CHANNEL)
        await office.flags.tick()
        await office.types("riley", f"/flag show {FLAG}", _CHANNEL)
        await office.types("sam", f"/flag ramp hold {FLAG}", _CHANNEL)
        await office.types("sam", f"/flag ramp go {FLAG}", _CHANNEL)
        later(office, timedelta(minutes=30))
        await office.flags.tick()
        for words in (f"kill {FLAG} it hurts", f"on {FLAG} for 2h staging", f"undo {FLAG} staging"):
            await office.types("sam", f"/flag {words}", _CHANNEL)
        await office.types("dana", f"/flag rollout {FLAG} 5% once more", _CHANNEL)
        asked = next(one for one in await deliver(office) if "flag.decline" in json.dumps(one.blocks))
        await office.presses("sam", asked, "flag.decline", _CHANNEL)
        await deliver(office)
        yield office


async def _home(folder: Path) -> AsyncIterator[Office]:
    async with _unhurried(folder) as office:
        for who in ("sam", "riley"):
            office.slack.person(who).opens_home()
            await office.slack.settle()
            await office.face.drain(10)
        await office.types("sam", "/freeze checkout peak sale")
        office.slack.person("dana").opens_home()
        await office.slack.settle()
        yield office


async def _busy_home(folder: Path) -> AsyncIterator[Office]:
    async with home_office(folder) as office:
        await much_to_show(office)
        for who in ("dana", "sam", "riley"):
            await open_home(office, who)
        for button in ("flag.ramp.hold", "action.done", "home.show.incident"):
            await presses_home(office, "dana", button)
        yield office


@asynccontextmanager
async def _unhurried(folder: Path) -> AsyncIterator[Office]:
    async with open_office(folder, shop()) as office:
        office.slack.rates.enabled = False
        yield office


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
