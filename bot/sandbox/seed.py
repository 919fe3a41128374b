"""Who works at Acme: the people, groups and channels that a new workspace has."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from bot.sandbox.model import Channel, Group, User
from bot.sandbox.workspace import APP_ID, BOT_ID, BOT_USER_ID, SLACKBOT_ID, Workspace

PEOPLE: Final = (
    ("U0DANA", "dana", "Dana Reyes", "Developer, checkout"),
    ("U0SAM", "sam", "Sam Okafor", "Site reliability engineer"),
    ("U0MORGAN", "morgan", "Morgan Lee", "Engineering manager"),
    ("U0RILEY", "riley", "Riley Chen", "Support, no rights"),
    ("U0PRIYA", "priya", "Priya Nair", "Developer, search"),
    ("U0OMAR", "omar", "Omar Haddad", "Developer, payments"),
)
GROUPS: Final = {
    "checkout-devs": ("Checkout developers", ["U0DANA"]),
    "search-devs": ("Search developers", ["U0PRIYA"]),
    "payments-devs": ("Payments developers", ["U0OMAR"]),
    "sre": ("Site reliability", ["U0SAM"]),
    "leads": ("Engineering leads", ["U0MORGAN"]),
}
CHANNELS: Final = {
    "general": "Everybody at Acme",
    "random": "Lunch, mostly",
    "releases": "What ships, and what may not",
    "incidents": "What is broken right now",
    "checkout": "Takes the customer's money",
    "search": "Finds the product",
    "payments": "Talks to the banks",
}
BOT_IS_IN: Final = ("releases", "incidents", "checkout", "search", "payments")
"""The bot has been invited to these; it is in neither #general nor #random."""


def acme(now: Callable[[], datetime], *, bot_name: str = "governor") -> Workspace:
    """Make the workspace, everybody in every channel."""
    workspace = Workspace(now=now)
    for user_id, name, real_name, title in PEOPLE:
        email = f"{name}@acme.example"
        workspace.users[user_id] = User(user_id, name, real_name, title, email)
    workspace.users[SLACKBOT_ID] = User(SLACKBOT_ID, "slackbot", "Slackbot", is_bot=True)
    workspace.users[BOT_USER_ID] = User(
        BOT_USER_ID,
        bot_name.lower(),
        bot_name.capitalize(),
        is_bot=True,
        bot_id=BOT_ID,
        app_id=APP_ID,
    )
    for index, (handle, (name, users)) in enumerate(GROUPS.items(), start=1):
        group = Group(f"S000000{index:02d}", handle, name, list(users))
        workspace.groups[group.id] = group
    everybody = [user_id for user_id, *_ in PEOPLE]
    for name, purpose in CHANNELS.items():
        channel = Channel(workspace.new_id("C"), name, "U0MORGAN", now(), purpose=purpose)
        channel.is_general = name == "general"
        channel.members = [*everybody, *([BOT_USER_ID] if name in BOT_IS_IN else [])]
        workspace.channels[channel.id] = channel
    return workspace
