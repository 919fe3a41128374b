"""The people, user groups and channels of new workspaces: Acme and Globex."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from bot.sandbox.fake_slack.model import Account, Channel, Group, User
from bot.sandbox.fake_slack.workspace import APP_ID, BOT_ID, BOT_USER_ID, SLACKBOT_ID, FakeWorkspace

PEOPLE: Final = (
    ("U0DANA", "dana", "Dana Reyes", "Developer, checkout"),
    ("U0SAM", "sam", "Sam Okafor", "Site reliability engineer"),
    ("U0MORGAN", "morgan", "Morgan Lee", "Engineering manager"),
    ("U0RILEY", "riley", "Riley Chen", "Support, no rights"),
    ("U0PRIYA", "priya", "Priya Nair", "Developer, search"),
    ("U0OMAR", "omar", "Omar Haddad", "Developer, payments"),
)
OTHERS: Final[tuple[tuple[str, str, str, str, Account, str], ...]] = (
    ("U0KIM", "kim", "Kim Sato", "Contractor, guest", "guest", "T0SANDBOX"),
    ("U0GUS", "gus", "Gus Adeyemi", "Auditor, guest of one channel", "single-channel guest", "T0SANDBOX"),
    ("U1LENA", "lena", "Lena Fischer", "Of Globex, in a shared channel", "member", "T0GLOBEX"),
    ("U0THEO", "theo", "Theo Brandt", "Left the company", "deactivated", "T0SANDBOX"),
)
"""People of Acme's Slack who are no full members: guests, a member of another organisation, one who left."""
SHARED_CHANNEL: Final = "checkout"
"""The channel in which the guests and the member of another organisation are."""
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
BOT_CHANNELS: Final = ("releases", "incidents", "checkout", "search", "payments")
"""The channels that the bot is a member of."""

GLOBEX_PEOPLE: Final = (
    ("U1HANK", "hank", "Hank Scorpio", "Site reliability engineer"),
    ("U1IRIS", "iris", "Iris Novak", "Developer, rockets"),
)
GLOBEX_GROUPS: Final = {"sre": ("Site reliability", ["U1HANK"])}
GLOBEX_CHANNELS: Final = {
    "general": "Everybody at Globex",
    "releases": "What ships at Globex",
    "rockets": "Goes up",
}


def acme(now: Callable[[], datetime], *, bot_name: str = "governor") -> FakeWorkspace:
    """Create Acme's workspace, with everybody in every channel."""
    workspace = _populated(FakeWorkspace(now=now), PEOPLE, GROUPS, (CHANNELS, BOT_CHANNELS), bot_name)
    for user_id, name, real_name, title, account, team_id in OTHERS:
        workspace.users[user_id] = User(
            user_id, name, real_name, title, f"{name}@elsewhere.example", account=account, team_id=team_id
        )
        if account != "deactivated":
            workspace.channel(SHARED_CHANNEL).members.append(user_id)
    return workspace


def globex(now: Callable[[], datetime], *, bot_name: str = "governor") -> FakeWorkspace:
    """Create another company's workspace; the bot's ids are the same as at Acme."""
    workspace = FakeWorkspace(now=now, team=("T0GLOBEX", "Globex"), first_id=5_000_000)
    return _populated(workspace, GLOBEX_PEOPLE, GLOBEX_GROUPS, (GLOBEX_CHANNELS, ("releases",)), bot_name)


def _populated(
    workspace: FakeWorkspace,
    people: Sequence[tuple[str, str, str, str]],
    groups: Mapping[str, tuple[str, list[str]]],
    channels: tuple[Mapping[str, str], Sequence[str]],
    bot_name: str,
) -> FakeWorkspace:
    for user_id, name, real_name, title in people:
        email = f"{name}@{workspace.domain}.example"
        workspace.users[user_id] = User(user_id, name, real_name, title, email, team_id=workspace.team_id)
    workspace.users[SLACKBOT_ID] = User(
        SLACKBOT_ID, "slackbot", "Slackbot", is_bot=True, team_id=workspace.team_id
    )
    workspace.users[BOT_USER_ID] = User(
        BOT_USER_ID,
        bot_name.lower(),
        bot_name.capitalize(),
        is_bot=True,
        bot_id=BOT_ID,
        app_id=APP_ID,
        team_id=workspace.team_id,
    )
    for index, (handle, (name, users)) in enumerate(groups.items(), start=1):
        group = Group(f"S000000{index:02d}", handle, name, list(users))
        workspace.groups[group.id] = group
    everybody = [user_id for user_id, *_ in people]
    purposes, bot_channels = channels
    creator = "U0MORGAN" if "U0MORGAN" in workspace.users else everybody[0]
    for name, purpose in purposes.items():
        channel = Channel(workspace.new_id("C"), name, creator, workspace.now(), purpose=purpose)
        channel.is_general = name == "general"
        channel.members = [*everybody, *([BOT_USER_ID] if name in bot_channels else [])]
        workspace.channels[channel.id] = channel
    return workspace
