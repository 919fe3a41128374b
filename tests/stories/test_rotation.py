"""A pair of a rotation at work, in a workspace without user groups: told, joined, asked, subscribed to."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest

from bot.incidents.incident import Role
from bot.sandbox.fake_slack.model import Message
from tests.stories.conftest import POLICIES
from tests.support.running_bot import RunningBot, start_bot

T = TypeVar("T")

ROTATION = """---
apiVersion: governor/v1
kind: Rotation
metadata: {name: shop}
spec: {services: checkout, startsOn: "2026-01-05", every: 4w}
"""
POLICY = POLICIES.replace(
    '{development: "@checkout-devs", reliability: "@sre"}',
    "{development: [U0DANA, U0PRIYA, U0OMAR], reliability: [U0SAM, U0MORGAN]}",
).replace('permissions: {freeze: ["@sre"]}', "permissions: {freeze: everyone, incidents: everyone}")
ADDRESS = re.compile(r"https://governor\.example(/rotations/shop\.ics\?token=[\w-]+)")


async def until(condition: Callable[[], T]) -> T:
    """Return what a condition gives once that is something."""
    async with asyncio.timeout(30):
        while not (found := condition()):  # noqa: ASYNC110 - the bot works meanwhile
            await asyncio.sleep(0.05)
    return found


async def until_read(read: Callable[[], Awaitable[T]]) -> T:
    """Return what can be read once that is something."""
    async with asyncio.timeout(30):
        while not (found := await read()):  # noqa: ASYNC110 - the bot works meanwhile
            await asyncio.sleep(0.05)
    return found


class Shop:
    """A running bot with a rotation, whose first pair has begun."""

    def __init__(self, bot: RunningBot, pair: tuple[str, ...]) -> None:
        self.bot = bot
        self.developer, self.sre = pair
        self.control = bot.governor.parts.rotations.control
        (self.rotation,) = bot.governor.watcher.current.catalog.rotations.values()

    async def asks(self, person: str, text: str, channel: str = "#general") -> str:
        """Return what a person reads last in a channel after typing a command there."""
        await self.bot.slack.person(person).says(text, channel)
        await self.bot.governor.parts.slack.app.drain(10)
        last = self.bot.slack.seen_by(person, channel)[-1]
        return f"{last.text} {last.blocks}"

    async def roles(self) -> Mapping[Role, str]:
        """Return the roles of the first incident."""
        return (await self.bot.governor.parts.incidents.snapshots.of(1)).incident.roles

    async def pair(self) -> tuple[str, ...]:
        """Return who serves now."""
        period = await self.control.current(self.rotation)
        return period.pair if period is not None else ()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with start_bot(tmp_path, text=POLICY + ROTATION, public_url="https://governor.example") as bot:
        bot.slack.workspace.groups.clear()
        await until(lambda: [m for m in bot.slack.messages("#checkout") if "Rotation shop" in m.text])
        (rotation,) = bot.governor.watcher.current.catalog.rotations.values()
        period = await bot.governor.parts.rotations.control.current(rotation)
        assert period is not None
        yield Shop(bot, period.pair)


async def test_a_pair_joins_incidents_and_leads_their_postmortems(shop: Shop) -> None:
    slack, both = shop.bot.slack, (shop.developer, shop.sre)
    (begun,) = [m for m in slack.messages("#checkout") if "Rotation shop" in m.text]
    assert f"<@{both[0]}> and <@{both[1]}> serve together until" in begun.text
    guide = await until(lambda: [m for m in slack.messages("#checkout") if "For both of you" in m.text])
    assert guide[0].thread_ts == begun.ts
    assert "You lead the postmortems together" in str(guide[0].blocks)
    assert f"<@{both[0]}> and <@{both[1]}> until" in await shop.asks("riley", "/rotation")

    await shop.asks("riley", "/incident open Cards refused sev2 checkout")
    roles = await until_read(shop.roles)
    assert roles == {Role.SHADOW_DEVELOPMENT: both[0], Role.SHADOW_RELIABILITY: both[1]}
    channel = next(c for c in slack.workspace.channels.values() if c.name.startswith("inc-"))
    assert set(both) <= set(channel.members)
    await until(lambda: "Shadow from development" in str([m.blocks for m in channel.messages]))

    await shop.asks("riley", "/incident status resolved", channel.id)
    await shop.asks("riley", "/postmortem open", channel.id)

    async def leads() -> bool:
        return Role.FACILITATOR_DEVELOPMENT in await shop.roles()

    await until_read(leads)
    roles = await shop.roles()
    assert (roles[Role.FACILITATOR_DEVELOPMENT], roles[Role.FACILITATOR_RELIABILITY]) == both


async def test_a_calendar_app_subscribes_to_the_address_that_slack_gives(shop: Shop) -> None:
    address = ADDRESS.search(await shop.asks("riley", "/rotation calendar"))
    assert address is not None
    async with aiohttp.ClientSession() as session:
        async with session.get(shop.bot.governor.url + address[1]) as answer:
            assert answer.content_type == "text/calendar"
            text = (await answer.text()).replace("\r\n ", "")
        async with session.get(shop.bot.governor.url + address[1][:-1]) as answer:
            assert answer.status == 404
    users = shop.bot.slack.workspace.users
    assert f"SUMMARY:{users[shop.developer].name} and {users[shop.sre].name}" in text
    assert shop.developer not in text
    assert "renew" in await shop.asks("riley", "/rotation calendar")


async def test_two_swap_by_a_button_in_a_direct_message(shop: Shop) -> None:
    slack = shop.bot.slack
    other, *_ = (await shop.control.outlook(shop.rotation, 20)).swap_partners(shop.developer)
    name = slack.workspace.users[other].name
    assert "Asked" in await shop.asks(slack.workspace.users[shop.developer].name, f"/rotation swap @{name}")

    def asked() -> list[tuple[Message, str]]:
        return [
            (message, channel.id)
            for channel in slack.workspace.channels.values()
            for message in channel.messages
            if "asks you to swap" in message.text
        ]

    message, direct = (await until(asked))[0]
    await slack.person(other).acts(message, direct, "rotation.agree")
    await until(lambda: [m for m in slack.messages("#checkout") if "have swapped" in m.text])
    assert await shop.pair() == (other, shop.sre)


async def test_what_cannot_be_done_is_said(shop: Shop) -> None:
    name = shop.bot.slack.workspace.users[shop.sre].name
    assert f"<@{shop.sre}> is away" in await shop.asks("riley", f"/rotation away @{name} for 2d")
    assert "is back" in await shop.asks("riley", f"/rotation back @{name}")
    assert "is in no rotation" in await shop.asks("riley", "/rotation away until friday")
    assert "Say until when" in await shop.asks("dana", "/rotation away")
    assert "There is no rotation" in await shop.asks("dana", "/rotation shpo")
    assert "Name whom you swap with" in await shop.asks("dana", "/rotation swap")
    assert f"<@{shop.developer}>" in await shop.asks("dana", "/rotation history")
