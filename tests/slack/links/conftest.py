"""A Slack app in whose workspace people share links."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.shared_links import link_shared
from tests.support.slack_app import PUBLIC_URL
from tests.support.slack_incidents import RunningIncidentApp, run_incident_app

INCIDENT = f"{PUBLIC_URL}/incidents/1"
SERVICE = f"{PUBLIC_URL}/services/checkout"


async def shares(incident_app: RunningIncidentApp, text: str, channel: str, who: str = "riley") -> Message:
    """Let a person write links; return their message once the bot has answered."""
    slack = incident_app.slack_app.slack
    await slack.person(who).says(text, channel)
    message = slack.messages(channel)[-1]
    await slack.wait_until_delivered()
    await incident_app.slack_app.app.drain(10)
    return message


async def tells_again(incident_app: RunningIncidentApp, message: Message) -> None:
    """Let Slack send the event of a message in #random again."""
    slack = incident_app.slack_app.slack
    links = [{"domain": "governor.example", "url": INCIDENT}]
    channel = slack.find_channel("#random")
    slack.events.send(link_shared(message, channel, "conversations_history", links), channel)
    await slack.wait_until_delivered()
    await incident_app.slack_app.app.drain(10)


def unfurls(incident_app: RunningIncidentApp) -> list[Any]:
    """Return the calls of `chat.unfurl`."""
    return [call for call in incident_app.slack_app.slack.calls if call.method == "chat.unfurl"]


@pytest.fixture
async def incident_app(tmp_path: Path) -> AsyncIterator[RunningIncidentApp]:
    """A Slack app with teams and incidents; Slack refuses nothing but entities that it does not know."""
    async with run_incident_app(tmp_path, expected={"missing_unfurls"}) as incident_app:
        yield incident_app
