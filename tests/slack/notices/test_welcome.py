"""Whoever meets the bot for the first time is welcomed in a direct message, once in each Slack workspace."""

import asyncio

from sqlalchemy import select

from bot.catalog.current import CurrentCatalog
from bot.sandbox.fake_slack.block_kit.validation import message_faults
from bot.slack.notices.welcome import Welcomes, welcome_message
from bot.store.database import Database
from bot.store.tables.core import outbox
from tests.support.clock import StoppedClock
from tests.support.values import catalog, service


def welcomes(database: Database) -> Welcomes:
    return Welcomes(database, CurrentCatalog(catalog(service("search"))), StoppedClock())


async def sent(database: Database) -> list[tuple[str, str]]:
    query = select(outbox.c.channel, outbox.c.event_type).order_by(outbox.c.id)
    async with database.reading() as connection:
        return [(row.channel, row.event_type) for row in await connection.execute(query)]


async def test_each_person_is_welcomed_once_on_whichever_replica(database: Database) -> None:
    one, other = welcomes(database), welcomes(database)
    await asyncio.gather(*(each.greet(None, "U0DANA") for each in (one, other, one)))
    await one.greet(None, "U0SAM")
    await other.greet("T0OTHER", "U0DANA")
    await welcomes(database).greet(None, "U0DANA")
    assert sorted(await sent(database)) == [
        ("T0OTHER/U0DANA", "welcome"), ("U0DANA", "welcome"), ("U0SAM", "welcome")
    ]  # fmt: skip


async def test_only_people_are_welcomed(database: Database) -> None:
    await welcomes(database).greet(None, "")
    assert await sent(database) == []


def test_the_welcome_names_three_things_to_try() -> None:
    message = welcome_message(None, "U0DANA", ["search"])
    assert message_faults(message.blocks) == []
    assert message.text.count("•") == 3
    assert "`/ship search`" in message.text
    assert "`/ship SERVICE`" in welcome_message(None, "U0DANA", []).text
