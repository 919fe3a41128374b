"""What the people of the demo said before the visitor came, so that no channel is empty."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.workspace import FakeWorkspace

EARLIER: Final = (
    ("general", 190, "U0MORGAN", "Good morning. It was a busy month, and a rough one for checkout."),
    ("random", 150, "U0RILEY", "Soup of the day: tomato."),
    ("search", 95, "U0PRIYA", "The index is rebuilt. Latency looks normal again."),
    ("payments", 64, "U0OMAR", "The bank's maintenance is over, all calls go through."),
    ("checkout", 47, "U0DANA", "The new checkout page is ready behind the flag `new-checkout`, off for now."),
    ("releases", 41, "U0MORGAN", "Before you ship today, please ask `/ship` and your service's name."),
    ("checkout", 22, "U0SAM", "Can we afford to ship it? The end of last month was bad for our budget."),
    ("checkout", 19, "U0DANA", "I will look at what is left of our error budget first."),
)
"""Channel, minutes before the start, person, text."""


def add_earlier_messages(workspace: FakeWorkspace) -> None:
    """Put what was said before into the channels; the bot receives no events for it."""
    by_name = {channel.name: channel for channel in workspace.channels.values()}
    for number, (name, minutes, user_id, text) in enumerate(EARLIER):
        at = workspace.now() - timedelta(minutes=minutes)
        ts = f"{int(at.timestamp())}.{number:06d}"
        by_name[name].messages.append(Message(ts, user_id, text))
