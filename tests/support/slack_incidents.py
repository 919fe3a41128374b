"""A Slack app for tests of incidents: services with teams, and shortcuts to an incident's channel."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.catalog.teams import Teams
from bot.incidents.records.channels import ChannelKind
from bot.incidents.snapshot import IncidentSnapshot
from bot.sandbox.fake_slack.model import Json, Message
from bot.sandbox.fake_slack.request_sender import Ack
from tests.support.examples import shop_service
from tests.support.slack_app import RunningSlackApp, run_slack_app, shop
from tests.support.values import slo

_EXPECTED = {
    "already_in_channel",
    "channel_canvas_already_exists",
    "free_team_canvas_tab_already_exists",
}
"""Whoever opened it is invited once more with their team; a canvas is asked for before it is rewritten."""


@dataclass
class RunningIncidentApp:
    """A Slack app, and what tests of incidents often do with it."""

    slack_app: RunningSlackApp

    async def open(self, text: str = "Checkout 500s sev2 checkout", who: str = "dana") -> str:
        """Open an incident in one line; return the id of its channel."""
        await self.slack_app.types(who, f"/incident open {text}")
        return self.channel_id(await self.view())

    async def view(self, id_: int = 1) -> IncidentSnapshot:
        return await self.slack_app.incidents.snapshots.of(id_)

    def channel_id(self, view: IncidentSnapshot, kind: ChannelKind = ChannelKind.INCIDENT) -> str:
        channel_id = view.channel_id(kind)
        assert channel_id is not None
        return channel_id

    async def work(self) -> None:
        """Carry out the pending steps."""
        for _ in range(3):
            await self.slack_app.incidents.step_runner.tick()

    async def card(self, channel: str, kind: ChannelKind = ChannelKind.INCIDENT, id_: int = 1) -> Message:
        """Update the card; return its message in the channel."""
        message = self.slack_app.incidents.step_runner._cards._messages.card(await self.view(id_), kind)
        await self.slack_app.client.chat_postMessage(
            channel=channel, text=message.text, blocks=list(message.blocks)
        )
        return self.slack_app.slack.messages(channel)[-1]

    async def presses(self, who: str, message: Message, channel: str, action: str) -> None:
        await self.slack_app.presses(who, message, action, channel)

    async def says(self, who: str, text: str, channel: str) -> Ack | None:
        """Type a command that opens a form."""
        ack = await self.slack_app.slack.person(who).says(text, channel)
        await self.slack_app.app.drain(10)
        return ack

    def form(self, who: str) -> Json:
        """Return the form on a person's screen."""
        modal = self.slack_app.slack.person(who).modal
        assert modal is not None
        return modal.content

    async def submits(self, who: str, **values: Json) -> dict[str, str]:
        """Fill the form on top in, each input by its name, and submit it; return what is wrong."""
        filled = {name: {name: entry} for name, entry in values.items()}
        faults = await self.slack_app.slack.person(who).submits(filled)
        await self.slack_app.app.drain(10)
        return faults

    def last(self, who: str, channel: str = "#general") -> Message:
        """Return what a person sees last in a channel."""
        return self.slack_app.slack.seen_by(who, channel)[-1]


@asynccontextmanager
async def run_incident_app(
    path: Path, *, expected: Collection[str] = ()
) -> AsyncIterator[RunningIncidentApp]:
    """Checkout and search have teams; payments has none. Slack may refuse calls with what is `expected`."""
    checkout = replace(shop_service("checkout", slo()), teams=Teams(("@checkout-devs",), ("@sre",)))
    search = replace(shop_service("search"), teams=Teams(("@search-devs",), ("@sre",)))
    async with run_slack_app(path, shop(checkout, search, shop_service("payments"))) as slack_app:
        slack_app.slack.rates.enabled = False
        yield RunningIncidentApp(slack_app)
        refused = [made for made in slack_app.slack.refused if made.error not in {*_EXPECTED, *expected}]
        assert not refused


def typed(text: str) -> Json:
    """Return the state of a text input."""
    return {"type": "plain_text_input", "value": text}


def number(text: str) -> Json:
    """Return the state of a number input."""
    return {"type": "number_input", "value": text}


def chosen(value: str) -> Json:
    """Return the state of a menu."""
    return {"type": "static_select", "selected_option": _option(value)}


def several(*values: str) -> Json:
    """Return the state of a menu with several choices."""
    return {"type": "multi_static_select", "selected_options": [_option(value) for value in values]}


def ticked() -> Json:
    """Return the state of a ticked checkbox."""
    return {"type": "checkboxes", "selected_options": [_option("yes")]}


def picked(seconds: float) -> Json:
    """Return the state of a date and time input."""
    return {"type": "datetimepicker", "selected_date_time": int(seconds)}


def _option(value: str) -> Json:
    return {"text": {"type": "plain_text", "text": value}, "value": value}
