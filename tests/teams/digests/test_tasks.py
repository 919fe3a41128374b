"""Digests as due tasks: each is sent once, whatever happens to the bot, the clock and the policies."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.digests import DigestSettings, DigestTimes
from bot.store.database import Database
from bot.store.outbox import OutboxMessage
from bot.store.tables.core import outbox
from bot.tasks import records
from bot.tasks.runner import TaskRunner
from bot.teams.digests import pauses
from bot.teams.digests.pauses import DigestPause
from bot.teams.digests.schedule import DigestSchedule, schedules
from bot.teams.digests.tasks import DIGEST, DigestHandler, DigestPlanner, comes_at
from tests.support.clock import DAY, HOUR, MINUTE, NOW, StoppedClock
from tests.support.values import catalog, service

ZONES = {
    "Europe/London": (6, time(1, 30)),
    "Europe/Berlin": (6, time(2, 30)),
    "Europe/Kyiv": (6, time(3)),
    "America/New_York": (6, time(2)),
    "America/Los_Angeles": (6, time(1, 59)),
    "America/Santiago": (6, time(0, 15)),
    "America/Havana": (6, time(0, 30)),
    "Africa/Cairo": (4, time(0, 30)),
    "Asia/Jerusalem": (4, time(2, 30)),
    "Australia/Lord_Howe": (6, time(2, 10)),
    "Pacific/Auckland": (6, time(2, 30)),
    "Asia/Kathmandu": (6, time(3)),
}
"""Zones that change their clocks on Fridays, at midnight, by half an hour, in the other half of the year, or
never, each with a day and a time that the change touches."""


class Digests:
    """Replicas of the bot, as far as digests go."""

    def __init__(self, database: Database, current: Catalog, clock: StoppedClock) -> None:
        self.database = database
        self.clock = clock
        self.current = CurrentCatalog(current)

    async def start(self) -> TaskRunner:
        """Start a replica."""
        await DigestPlanner(self.database).follow(self.current.catalog, self.clock.time)
        runner = TaskRunner(self.database, self.clock)
        runner.register([DigestHandler(self.current, self.compose)])
        return runner

    async def change(self, policies: Catalog) -> None:
        self.current.set(policies)
        await DigestPlanner(self.database).follow(policies, self.clock.time)

    async def compose(self, schedule: DigestSchedule, now: datetime) -> Sequence[OutboxMessage]:
        day = now.astimezone(ZoneInfo(schedule.time_zone)).date()
        return [OutboxMessage(schedule.channel, schedule.kind.value, day.isoformat())]

    async def next_due(self) -> datetime:
        async with self.database.reading() as connection:
            return (await records.read_pending(connection, DIGEST))[0].due_at

    async def told(self) -> datetime:
        """Return when the next digest comes, as people are told."""
        async with self.database.reading() as connection:
            (task,) = await records.read_pending(connection, DIGEST)
        (schedule,) = schedules(self.current.catalog)
        return comes_at(schedule, task, self.clock.time)

    async def sent(self) -> list[tuple[str, str]]:
        """Return the channel and the local day of each digest."""
        columns = (outbox.c.channel, outbox.c.text)
        async with self.database.reading() as connection:
            rows = await connection.execute(select(*columns).order_by(outbox.c.id))
            return [(row.channel, row.text) for row in rows]


def settings(at: time, *days: int) -> DigestSettings:
    return DigestSettings(None, DigestTimes(at, frozenset(days)))


def shop(digests: DigestSettings | None = None, zone: str = "UTC") -> Catalog:
    mondays = DigestSettings(DigestTimes(time(9), frozenset({0})))
    return catalog(replace(service(), digests=digests or mondays, time_zone=zone))


async def interrupted(runner: TaskRunner, steps: int) -> None:
    """Let a replica work, and kill it after some steps of its loop."""
    tick = asyncio.create_task(runner.tick())
    for _ in range(steps):
        await asyncio.sleep(0)
    tick.cancel()
    with suppress(asyncio.CancelledError):
        await tick


async def test_a_year_of_digests_in_twelve_zones_comes_once_each(database: Database) -> None:
    chance = random.Random(4)  # noqa: S311
    clock, end = StoppedClock(datetime(2026, 1, 1, tzinfo=UTC)), datetime(2027, 1, 2, tzinfo=UTC)
    policies = catalog(
        *(
            replace(
                service(zone.rpartition("/")[2].lower().replace("_", "-")),
                digests=DigestSettings(DigestTimes(at, frozenset({day}))), time_zone=zone,
            )
            for zone, (day, at) in ZONES.items()
        )
    )  # fmt: skip
    digests = Digests(database, policies, clock)
    replicas = [await digests.start(), await digests.start()]
    while (due := await digests.next_due()) < end:
        # Replicas are up to 170 minutes late, work at the same time, are killed at work and restarted.
        clock.time = max(clock.time, due) + timedelta(minutes=chance.choice([0, 1, 170]))
        if chance.random() < 0.2:
            await interrupted(replicas[0], chance.randrange(200))
            replicas[0] = await digests.start()
        await asyncio.gather(*(replica.tick() for replica in replicas))
    days = [date(2026, 1, 2) + DAY * ahead for ahead in range(364)]
    expected = [
        (each.channel, day.isoformat())
        for each in policies.services.values()
        for day in days
        if day.weekday() == ZONES[each.time_zone][0]
    ]
    assert len(expected) == 12 * 52
    sent = [(channel, day) for channel, day in await digests.sent() if "2026-01-02" <= day <= "2026-12-31"]
    assert sorted(sent) == sorted(expected)


@pytest.mark.parametrize(
    ("digests", "late", "is_sent"),
    [
        (None, 23 * HOUR, True),
        (None, 25 * HOUR, False),
        (settings(time(9), *range(7)), 2 * HOUR, True),
        (settings(time(9), *range(7)), 4 * HOUR, False),
    ],
)
async def test_after_an_outage_a_digest_is_sent_once_or_left_out(
    database: Database, digests: DigestSettings | None, late: timedelta, is_sent: bool
) -> None:
    bot = Digests(database, shop(digests), StoppedClock(NOW - HOUR))
    await bot.start()
    bot.clock.time = NOW + late
    for _ in range(2):
        while await (await bot.start()).tick():
            pass
    assert len(await bot.sent()) == is_sent
    assert await bot.next_due() > bot.clock.time


async def test_a_digest_follows_the_policies(database: Database) -> None:
    bot = Digests(database, shop(), StoppedClock(NOW - HOUR))
    runner = await bot.start()
    assert await bot.next_due() == NOW
    await bot.change(shop(zone="America/New_York"))
    assert await bot.next_due() == NOW + 5 * HOUR
    await bot.change(shop(zone="UTC"))
    bot.clock.time = NOW
    await runner.tick()
    assert await bot.next_due() == NOW + 7 * DAY
    # It was sent this week: moved to a later day, it comes next week.
    await bot.change(shop(DigestSettings(DigestTimes(time(9), frozenset({2})))))
    assert await bot.next_due() == NOW + 9 * DAY
    assert await bot.told() == NOW + 9 * DAY
    # Nobody hears of what is switched off, and of what is switched on again at its time.
    await bot.change(shop(DigestSettings(None)))
    bot.clock.time = NOW + 9 * DAY
    await runner.tick()
    assert len(await bot.sent()) == 1
    await bot.change(shop())
    bot.clock.time = NOW + 14 * DAY
    await runner.tick()
    assert [day for _, day in await bot.sent()] == ["2026-11-23", "2026-12-07"]


async def test_a_day_that_the_policies_take_out_brings_no_stand_up_line(database: Database) -> None:
    bot = Digests(database, shop(settings(time(9), *range(6))), StoppedClock(NOW + 4 * DAY + HOUR))
    runner = await bot.start()
    assert await bot.next_due() == NOW + 5 * DAY
    await bot.change(shop(settings(time(9), *range(5))))
    assert await bot.told() == NOW + 7 * DAY
    for days in (5, 7):
        bot.clock.time = NOW + days * DAY
        await runner.tick()
    assert [day for _, day in await bot.sent()] == ["2026-11-30"]


async def test_a_paused_channel_hears_nothing_until_the_pause_ends(database: Database) -> None:
    bot = Digests(database, shop(settings(time(9), *range(7))), StoppedClock(NOW - HOUR))
    runner = await bot.start()
    async with database.transaction() as connection:
        until = NOW + DAY + MINUTE
        await pauses.pause(database, connection, "#checkout", DigestPause("U0RILEY", NOW, until))
    for days in range(3):
        bot.clock.time = NOW + days * DAY
        await runner.tick()
    assert [day for _, day in await bot.sent()] == ["2026-11-25"]


async def test_nothing_to_say_is_no_message(database: Database) -> None:
    bot = Digests(database, shop(), StoppedClock(NOW - HOUR))

    async def nothing(_: DigestSchedule, __: datetime) -> Sequence[OutboxMessage]:
        return ()

    bot.compose = nothing  # type: ignore[assignment,method-assign]
    runner = await bot.start()
    bot.clock.time = NOW
    await runner.tick()
    assert await bot.sent() == []
    assert await bot.next_due() == NOW + 7 * DAY
