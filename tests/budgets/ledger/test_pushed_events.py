"""Pushed events count once, whenever they happened."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from bot.budgets.budget import EventCounts
from bot.budgets.ledger.ledger import Ledger, PushedEvent, PushResult
from bot.budgets.ledger.pushed_events import time_fault
from bot.catalog.window import Span
from bot.store.database import Database
from bot.store.tables.core import event_ids
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import slo

ORDERS = slo("orders")
CHECKOUTS = slo("checkouts")


def order(number: int, at: datetime = NOW, *, bad: float = 0) -> PushedEvent:
    return PushedEvent(ORDERS, 10 - bad, bad, at, f"order-{number}")


async def total(ledger: Ledger, reach: timedelta, now: datetime = NOW) -> EventCounts:
    return (await ledger.counts(ORDERS, [Span(now - reach, now)], now))[0]


async def test_an_event_counts_at_once_in_every_window(ledger: Ledger) -> None:
    now = NOW + timedelta(seconds=3.25)
    assert await ledger.push([order(1, now, bad=2)], now) == PushResult(1, 0)
    for reach in (MINUTE, HOUR, DAY, 30 * DAY):
        assert await total(ledger, reach, now) == EventCounts(2, 10)


async def test_an_id_counts_once_per_slo(ledger: Ledger) -> None:
    assert await ledger.push([order(1), order(1), order(2)], NOW) == PushResult(2, 1)
    assert await ledger.push([order(1), order(3)], NOW) == PushResult(1, 1)
    elsewhere = PushedEvent(CHECKOUTS, 1, 0, NOW, "order-1")
    assert await ledger.push([elsewhere], NOW) == PushResult(1, 0)
    assert await total(ledger, DAY) == EventCounts(0, 30)


async def test_events_without_an_id_always_count(ledger: Ledger) -> None:
    event = PushedEvent(ORDERS, 1, 0, NOW)
    assert await ledger.push([event, event], NOW) == PushResult(2, 0)
    assert await total(ledger, DAY) == EventCounts(0, 2)


async def test_nothing_is_counted_when_one_event_cannot_be(ledger: Ledger) -> None:
    with pytest.raises(OverflowError):
        await ledger.push([order(1), order(2, bad=float("inf")), _impossible()], NOW)
    assert await total(ledger, DAY) == EventCounts(0, 0)
    assert await ledger.push([order(1)], NOW) == PushResult(1, 0)


def _impossible() -> PushedEvent:
    return PushedEvent(ORDERS, 10**400, 0, NOW)


async def test_thirty_days_pushed_backwards_are_found(ledger: Ledger) -> None:
    times = [NOW - number * 5 * MINUTE for number in range(8_640)]
    events = [order(number, at, bad=number % 2) for number, at in enumerate(times)]
    for start in range(0, len(events), 1_000):
        await ledger.push(events[start : start + 1_000], NOW)
    assert await total(ledger, 31 * DAY) == EventCounts(4_320, 86_400)
    assert await total(ledger, DAY) == EventCounts(144, 2_890)
    assert await total(ledger, HOUR) == EventCounts(6, 130)
    state = await ledger.state(ORDERS)
    assert state.filled_from == times[-1]
    assert state.filled_to == NOW


async def test_ids_are_forgotten_after_days(ledger: Ledger, database: Database) -> None:
    await ledger.push([order(1)], NOW)
    await ledger.delete_expired(NOW + 6 * DAY, 30 * DAY)
    assert await ledger.push([order(1)], NOW + 6 * DAY) == PushResult(0, 1)
    await ledger.delete_expired(NOW + 8 * DAY, 30 * DAY)
    async with database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(event_ids))).scalar_one() == 0


async def test_no_event_at_all_is_fine(ledger: Ledger) -> None:
    assert await ledger.push([], NOW) == PushResult(0, 0)


@pytest.mark.parametrize(
    ("ahead", "fault"),
    [
        (timedelta(), None),
        (MINUTE, None),
        (2 * MINUTE, "lies 120 s in the future"),
        (-30 * DAY, None),
        (-31 * DAY, "is older than the longest window, 30 days"),
    ],
)
def test_times_that_cannot_be_counted_are_told(ahead: timedelta, fault: str | None) -> None:
    assert time_fault(NOW + ahead, NOW, 30 * DAY) == fault
