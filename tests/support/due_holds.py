"""Lets the time of holds run out, as the bot does it."""

from collections.abc import Callable
from datetime import datetime

from bot.catalog.catalog import Service
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.records import read_holds
from bot.freezes.tasks.hold_expiry import HoldExpiry
from bot.store.database import Database
from bot.tasks.runner import TaskRunner
from tests.support.clock import StoppedClock
from tests.support.values import service


async def expire(
    database: Database,
    hold_registry: HoldRegistry,
    now: datetime,
    service_of: Callable[[str], Service] = service,
) -> int:
    """Do what is due for holds at a time; return how many holds it ended."""
    before = await _count(database)
    runner = TaskRunner(database, StoppedClock(now))
    runner.register([HoldExpiry(hold_registry, service_of)])
    await runner.tick()
    return before - await _count(database)


async def _count(database: Database) -> int:
    async with database.reading() as connection:
        return len(await read_holds(connection))
