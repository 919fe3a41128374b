"""Occurrences of maintenance windows become adjustments once they have begun: once, and no others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.budgets.adjustment_preview import AdjustmentPreview
from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, AdjustmentState, CountsAs
from bot.budgets.adjustments.records import adjustment_of
from bot.budgets.adjustments.registry import AdjustmentRegistry
from bot.budgets.ledger.ledger import Ledger, PushedEvent
from bot.budgets.maintenance.recorder import LOOK_BACK, MaintenanceRecorder
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.maintenance import MaintenanceWindow
from bot.catalog.window import Span
from bot.slack.announcements.adjustments import AdjustmentAnnouncer
from bot.store.database import Database
from bot.store.tables.adjustments import adjustments
from bot.store.tables.core import audit, outbox
from bot.tasks.runner import TaskRunner
from tests.support.clock import DAY, HOUR, MINUTE, StoppedClock
from tests.support.values import catalog, service

BEGIN = datetime(2026, 11, 29, 2, 30, tzinfo=UTC)
WEEK = 7 * DAY


def window(**changes: Any) -> MaintenanceWindow:
    first = datetime(2026, 1, 4, 2, 30)  # noqa: DTZ001 - a local time
    weekly = MaintenanceWindow("upgrade", first, "UTC", HOUR, "dropped", "Upgrade", "FREQ=WEEKLY")
    return replace(weekly, **changes)


class _Replica:
    """The recorder and the runner of one process over a database."""

    def __init__(self, database: Database, clock: StoppedClock, *windows: MaintenanceWindow) -> None:
        self.current = CurrentCatalog()
        self._database, self._clock = database, clock
        ledger = Ledger(database)
        self.recorder = MaintenanceRecorder(
            database,
            self.current,
            AdjustmentRegistry(database, AdjustmentAnnouncer(self.current)),
            AdjustmentPreview(ledger, self.current),
        )
        self._runner = TaskRunner(database, clock)
        self._runner.register([self.recorder])
        self.set(*windows)

    def set(self, *windows: MaintenanceWindow) -> Service:
        shop = catalog(replace(service(), maintenance=windows))
        self.current.set(shop)
        return shop.services["checkout"]

    async def loads(self, *windows: MaintenanceWindow) -> None:
        """Put policies with these windows in force."""
        self.set(*windows)
        await self.recorder.plan(self.current.catalog, self._clock.now())

    async def works(self) -> None:
        while await self._runner.tick():
            pass


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(BEGIN - DAY)


async def stored(database: Database) -> list[Adjustment]:
    async with database.reading() as connection:
        rows = await connection.execute(select(adjustments).order_by(adjustments.c.starts_at))
        return [adjustment_of(row) for row in rows]


async def starts(database: Database) -> list[datetime]:
    return [each.span.start for each in await stored(database)]


async def test_an_occurrence_is_recorded_once_it_has_begun(database: Database, clock: StoppedClock) -> None:
    replica = _Replica(database, clock)
    await replica.loads(window())
    clock.time = BEGIN - MINUTE
    await replica.works()
    assert await stored(database) == []
    clock.time = BEGIN
    await replica.works()
    (found,) = await stored(database)
    assert found.span == Span(BEGIN, BEGIN + HOUR)
    assert (found.kind, found.counts_as) == (AdjustmentKind.MAINTENANCE, CountsAs.DROPPED)
    assert (found.state, found.reason, found.slo) == (AdjustmentState.APPROVED, "Upgrade", None)
    async with database.reading() as connection:
        (entry,) = await connection.execute(select(audit))
        (told,) = await connection.execute(select(outbox))
    assert (entry.action, entry.actor) == ("adjustment.maintenance", "governor")
    assert entry.after["window"] == "upgrade"
    assert told.channel == "#checkout"
    clock.time += WEEK
    await replica.works()
    assert await starts(database) == [BEGIN, BEGIN + WEEK]


async def test_replicas_and_restarts_record_it_once(database: Database, clock: StoppedClock) -> None:
    for _ in range(2):
        await _Replica(database, clock).loads(window())
    clock.time = BEGIN + MINUTE
    for _ in range(3):
        replica = _Replica(database, clock)
        await replica.loads(window())
        await replica.works()
    assert await starts(database) == [BEGIN]
    async with database.reading() as connection:
        assert len((await connection.execute(select(outbox))).all()) == 1


async def test_what_began_while_the_bot_was_down_is_recorded_with_its_figures(
    database: Database, clock: StoppedClock
) -> None:
    await _Replica(database, clock).loads(window())
    clock.time = BEGIN + 2 * WEEK + 2 * HOUR
    replica = _Replica(database, clock)
    checkout = replica.set(window())
    last = BEGIN + 2 * WEEK
    ledger = Ledger(database)
    for minute in range(120):
        event = PushedEvent(checkout.slos[0], 90.0, 10.0, last + minute * MINUTE, f"{minute}")
        await ledger.push([event], clock.time)
    await replica.loads(window())
    await replica.works()
    assert await starts(database) == [BEGIN, BEGIN + WEEK, last]
    (sums,) = await ledger.counts(checkout.slos[0], [Span(last, clock.time)], clock.time)
    assert (sums.bad, sums.total) == (600, 6_000)
    async with database.reading() as connection:
        told = list(await connection.scalars(select(outbox.c.text).order_by(outbox.c.id)))
    assert "maintenance was from" in told[-1]
    assert "(1200 bad of 12000 → 600 bad of 6000)" in told[-1]


async def test_the_look_back_ends(database: Database, clock: StoppedClock) -> None:
    await _Replica(database, clock).loads(window())
    clock.time = BEGIN + 10 * WEEK + 2 * HOUR
    replica = _Replica(database, clock)
    await replica.loads(window())
    await replica.works()
    found = await starts(database)
    assert found == [BEGIN + number * WEEK for number in (6, 7, 8, 9, 10)]
    assert min(found) + HOUR > clock.time - LOOK_BACK


async def test_a_window_that_has_begun_before_it_was_planned_is_not_recorded(
    database: Database, clock: StoppedClock
) -> None:
    clock.time = BEGIN + 10 * MINUTE
    replica = _Replica(database, clock)
    await replica.loads(window())
    await replica.works()
    assert await stored(database) == []
    clock.time = BEGIN + WEEK
    await replica.works()
    assert await starts(database) == [BEGIN + WEEK]


@pytest.mark.parametrize("later", [(), (window(start=datetime(2026, 1, 4, 3, 30)),)])  # noqa: DTZ001
async def test_an_edit_stops_what_is_to_come_and_leaves_what_was(
    database: Database, clock: StoppedClock, later: tuple[MaintenanceWindow, ...]
) -> None:
    replica = _Replica(database, clock)
    await replica.loads(window())
    clock.time = BEGIN
    await replica.works()
    clock.time = BEGIN + DAY
    await replica.loads(*later)
    clock.time = BEGIN + WEEK
    await replica.works()
    assert await starts(database) == [BEGIN]
    clock.time = BEGIN + WEEK + 2 * HOUR
    await replica.works()
    assert await starts(database) == [BEGIN, *(BEGIN + WEEK + HOUR for _ in later)]


async def test_a_window_that_comes_back_goes_on(database: Database, clock: StoppedClock) -> None:
    replica = _Replica(database, clock)
    await replica.loads(window())
    await replica.loads()
    clock.time = BEGIN + HOUR
    await replica.works()
    assert await stored(database) == []
    await replica.loads(window())
    clock.time = BEGIN + WEEK
    await replica.works()
    assert await starts(database) == [BEGIN + WEEK]


async def test_another_reason_changes_no_times(database: Database, clock: StoppedClock) -> None:
    replica = _Replica(database, clock)
    await replica.loads(window())
    await replica.loads(window(reason="Another"))
    clock.time = BEGIN
    await replica.works()
    assert [each.reason for each in await stored(database)] == ["Another"]


async def test_what_people_reversed_stays_reversed(database: Database, clock: StoppedClock) -> None:
    replica = _Replica(database, clock)
    await replica.loads(window())
    clock.time = BEGIN
    await replica.works()
    registry = AdjustmentRegistry(database, AdjustmentAnnouncer(replica.current))
    checkout = replica.current.catalog.services["checkout"]
    (found,) = await stored(database)
    await registry.reverse(checkout, found.id, (), by="U0SAM", reason="It was put off.", now=clock.now())
    await replica.loads(window())
    clock.time = BEGIN + timedelta(minutes=30)
    await replica.works()
    (found,) = await stored(database)
    assert (found.state, found.reversed_by) == (AdjustmentState.REVERSED, "U0SAM")
