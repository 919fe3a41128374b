"""The ledger keeps what it was told, in every rollup, on both databases."""

import asyncio
import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from bot.budgets.budget import EventCounts
from bot.budgets.ledger.ledger import Ledger, PushedEvent, ReadFault
from bot.budgets.ledger.state import LedgerState
from bot.budgets.source import Bucket
from bot.catalog.slo import Slo
from bot.catalog.window import RollingWindow, Span
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import prometheus_sli, slo

SECOND = timedelta(seconds=1)
READ = slo(sli=prometheus_sli())
PUSHED = slo("orders")


def minutes(span: Span, *, bad: float = 1, total: float = 100) -> list[Bucket]:
    return steady(span, MINUTE, bad=bad, total=total)


def steady(span: Span, width: timedelta, *, bad: float, total: float) -> list[Bucket]:
    steps = span.length // width
    return [Bucket(span.start + step * width, width, bad, total) for step in range(steps)]


async def sums(ledger: Ledger, span: Span, of: Slo = READ, now: datetime = NOW) -> EventCounts:
    return (await ledger.counts(of, [span], now))[0]


async def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    assert await ledger.state(READ) == LedgerState()
    assert await sums(ledger, Span(NOW - DAY, NOW)) == EventCounts(0, 0)


async def test_what_is_written_is_summed(ledger: Ledger) -> None:
    span = Span(NOW - HOUR, NOW)
    await ledger.write([(READ, minutes(span))], span, MINUTE, NOW)
    assert await sums(ledger, span) == EventCounts(60, 6_000)
    assert await sums(ledger, Span(NOW - 7 * MINUTE, NOW)) == EventCounts(7, 700)
    assert await sums(ledger, Span(NOW - 30 * DAY, NOW)) == EventCounts(60, 6_000)


async def test_a_second_writing_replaces_the_first_in_every_rollup(ledger: Ledger) -> None:
    span = Span(NOW - HOUR, NOW)
    await ledger.write([(READ, minutes(span))], span, MINUTE, NOW)
    late = Span(NOW - 5 * MINUTE, NOW)
    await ledger.write([(READ, minutes(late, bad=3, total=101))], late, MINUTE, NOW)
    await ledger.write([(READ, minutes(late, bad=3, total=101))], late, MINUTE, NOW)
    for reach in (HOUR, DAY, 30 * DAY):
        assert await sums(ledger, Span(NOW - reach, NOW)) == EventCounts(55 + 15, 5_500 + 505)


async def test_a_bucket_that_is_no_longer_told_is_emptied(ledger: Ledger) -> None:
    span = Span(NOW - HOUR, NOW)
    await ledger.write([(READ, minutes(span))], span, MINUTE, NOW)
    await ledger.write([(READ, [])], span, MINUTE, NOW)
    assert await sums(ledger, Span(NOW - 30 * DAY, NOW)) == EventCounts(0, 0)


async def test_filled_grows_on_both_sides_and_begins_anew_after_a_hole(ledger: Ledger) -> None:
    async def filled() -> tuple[datetime | None, datetime | None]:
        state = await ledger.state(READ)
        return state.filled_from, state.filled_to

    for start, end in [(2, 1), (3, 2), (1, 0)]:
        await ledger.write([(READ, [])], Span(NOW - start * HOUR, NOW - end * HOUR), HOUR, NOW)
    assert await filled() == (NOW - 3 * HOUR, NOW)
    later = NOW + 10 * DAY
    await ledger.write([(READ, [])], Span(later - HOUR, later), HOUR, later)
    assert await filled() == (later - HOUR, later)


async def test_cutting_back_keeps_the_hours_before(ledger: Ledger) -> None:
    span = Span(NOW - 10 * DAY, NOW + DAY)
    await ledger.write([(READ, steady(span, HOUR, bad=1, total=10))], span, HOUR, NOW + DAY)
    await ledger.truncate(READ, NOW)
    state = await ledger.state(READ)
    assert (state.filled_from, state.filled_to) == (NOW - 10 * DAY, NOW - 4 * DAY)
    assert await sums(ledger, Span(NOW - 30 * DAY, NOW + 30 * DAY)) == EventCounts(6 * 24, 60 * 24)


async def test_buckets_below_a_minute_serve_short_windows(ledger: Ledger) -> None:
    await ledger.change_resolution([READ], 10, NOW)
    span = Span(NOW - HOUR, NOW)
    await ledger.write([(READ, steady(span, 10 * SECOND, bad=1, total=10))], span, 10 * SECOND, NOW)
    assert await sums(ledger, Span(NOW - 30 * SECOND, NOW)) == EventCounts(3, 30)
    assert await sums(ledger, span) == EventCounts(360, 3_600)


async def test_another_base_keeps_what_was_counted(ledger: Ledger) -> None:
    now = NOW + 30 * SECOND
    await ledger.change_resolution([READ], 10, NOW)
    span = Span(NOW - HOUR, now)
    await ledger.write([(READ, steady(span, 10 * SECOND, bad=0, total=10))], span, 10 * SECOND, now)
    await ledger.change_resolution([READ], 5, now)
    state = await ledger.state(READ)
    assert (state.base, state.base_from) == (5, NOW + MINUTE)
    assert await sums(ledger, Span(NOW - HOUR, now), now=now) == EventCounts(0, 3_630)
    with pytest.raises(ValueError, match="keeps no buckets of 10 s"):
        await ledger.write([(READ, [])], span, 10 * SECOND, now)


async def test_a_span_between_buckets_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="is not made of buckets"):
        await ledger.write([(READ, [])], Span(NOW, NOW + 90 * SECOND), MINUTE, NOW)


async def test_an_old_edge_counts_by_its_share_until_it_is_refined(ledger: Ledger) -> None:
    old = Span(NOW - 30 * DAY, NOW - 30 * DAY + HOUR)
    await ledger.write([(READ, [Bucket(old.start, HOUR, 60, 600)])], old, HOUR, NOW)
    second_half = Span(old.start + HOUR / 2, NOW)
    assert await sums(ledger, second_half) == EventCounts(30, 300)
    burst = [Bucket(old.start + 40 * MINUTE, MINUTE, 60, 600)]
    await ledger.refine([(READ, burst)], old)
    assert await sums(ledger, second_half) == EventCounts(60, 600)
    assert await sums(ledger, Span(old.start + 50 * MINUTE, NOW)) == EventCounts(0, 0)
    await ledger.delete_expired(NOW, 30 * DAY)
    assert await sums(ledger, second_half) == EventCounts(60, 600)


async def test_many_slos_are_summed_at_once(ledger: Ledger) -> None:
    slos = [slo(service=f"service-{number}", sli=prometheus_sli(str(number))) for number in range(20)]
    span = Span(NOW - HOUR, NOW)
    for number, each in enumerate(slos):
        await ledger.write([(each, minutes(span, bad=number))], span, MINUTE, NOW)
    asked: list[tuple[Slo, Sequence[Span]]] = [
        (each, [Span(NOW - DAY, NOW), Span(NOW - MINUTE, NOW)][: 1 + number % 2])
        for number, each in enumerate(slos)
    ]
    found = await ledger.counts_of_many(asked, NOW)
    assert [events[0].bad for events in found] == [60 * number for number in range(20)]
    assert [len(events) for events in found] == [1, 2] * 10
    assert found[7][1] == EventCounts(7, 100)


async def test_the_same_slo_may_be_asked_twice(ledger: Ledger) -> None:
    span = Span(NOW - HOUR, NOW)
    await ledger.write([(READ, minutes(span))], span, MINUTE, NOW)
    found = await ledger.counts_of_many([(READ, [span]), (READ, [Span(NOW - MINUTE, NOW)])], NOW)
    assert found == [[EventCounts(60, 6_000)], [EventCounts(1, 100)]]


async def test_failures_are_noted_and_cleared_by_the_next_reading(ledger: Ledger) -> None:
    await ledger.record_failure([READ], ReadFault.REFUSED, "no such metric")
    state = await ledger.state(READ)
    assert (state.fault, state.problem) == (ReadFault.REFUSED, "no such metric")
    await ledger.write([(READ, [])], Span(NOW - HOUR, NOW), HOUR, NOW)
    state = await ledger.state(READ)
    assert (state.fault, state.problem, state.read_at) == (None, None, NOW)


async def test_another_sli_begins_another_ledger_but_another_promise_does_not(ledger: Ledger) -> None:
    span = Span(NOW - HOUR, NOW)
    await ledger.write([(READ, minutes(span))], span, MINUTE, NOW)
    stricter = slo(sli=prometheus_sli(), objective=0.9999, window=RollingWindow(7 * DAY))
    other = slo(sli=prometheus_sli("other"))
    await ledger.register([stricter, other])
    assert await sums(ledger, span, stricter) == EventCounts(60, 6_000)
    assert await sums(ledger, span, other) == EventCounts(0, 0)


async def test_history_adjoins_and_adds_up(ledger: Ledger) -> None:
    span = Span(NOW - 6 * HOUR, NOW)
    await ledger.write([(READ, minutes(span))], span, MINUTE, NOW)
    history = await ledger.history(READ, Span(NOW - 30 * DAY, NOW), 60, NOW)
    assert sum(bucket.total for bucket in history) == 36_000
    assert all(a.start + a.width == b.start for a, b in itertools.pairwise(history))
    assert history[-1].start < NOW <= history[-1].start + history[-1].width
    assert 50 <= len(history) <= 70


async def test_retention_keeps_the_sums(ledger: Ledger, database: Database) -> None:
    span = Span(NOW - 2 * DAY, NOW)
    await ledger.register([READ])
    await ledger.write([(READ, minutes(span))], span, MINUTE, NOW)
    before = await sums(ledger, Span(NOW - 30 * DAY, NOW))
    await ledger.delete_expired(NOW, 30 * DAY)
    assert await sums(ledger, Span(NOW - 30 * DAY, NOW)) == before == EventCounts(2_880, 288_000)
    async with database.reading() as connection:
        kept = await connection.exec_driver_sql("SELECT count(*) FROM buckets WHERE width = 60")
        assert 720 <= int(kept.scalar_one()) <= 780


async def test_a_clock_far_ahead_costs_no_history(ledger: Ledger) -> None:
    span = Span(NOW - 2 * DAY, NOW)
    await ledger.register([READ])
    await ledger.write([(READ, minutes(span))], span, MINUTE, NOW)
    await ledger.delete_expired(NOW + 3_650 * DAY, 30 * DAY)
    for reach in (MINUTE, HOUR, DAY, 30 * DAY):
        covered = min(reach, 2 * DAY) / MINUTE
        assert await sums(ledger, Span(NOW - reach, NOW)) == EventCounts(covered, 100 * covered)


async def test_ledgers_out_of_use_are_dropped_after_a_while(ledger: Ledger) -> None:
    span = Span(NOW - HOUR, NOW)
    await ledger.register([READ])
    await ledger.write([(READ, minutes(span))], span, MINUTE, NOW)
    await ledger.delete_expired(NOW, 30 * DAY)
    await ledger.register([])
    await ledger.delete_expired(NOW + 29 * DAY, 60 * DAY)
    assert (await sums(ledger, span)).total == 6_000
    await ledger.delete_expired(NOW + 31 * DAY, 60 * DAY)
    assert await ledger.state(READ) == LedgerState()


async def test_two_writers_at_once_lose_nothing(database: Database) -> None:
    one, other = Ledger(database), Ledger(database)
    events = [PushedEvent(PUSHED, 9, 1, NOW - MINUTE, f"{number}") for number in range(100)]
    answers = await asyncio.gather(
        *(
            ledger.push(events[start : start + 20], NOW)
            for ledger in (one, other)
            for start in range(0, 100, 20)
        )
    )
    assert sum(answer.accepted for answer in answers) == 100
    assert sum(answer.duplicates for answer in answers) == 100
    assert await sums(one, Span(NOW - HOUR, NOW), PUSHED) == EventCounts(100, 1_000)


async def test_late_events_that_another_process_reads_are_counted_within_the_hour(database: Database) -> None:
    asking, reading = Ledger(database), Ledger(database)
    week, began = 7 * DAY, NOW.replace(hour=20, minute=0)
    history = Span(began - week, began)
    await reading.write([(READ, steady(history, HOUR, bad=1, total=100))], history, HOUR, began)
    for passed in range(1, 20):
        now = began + passed * HOUR
        kept = Span(max(began, now - 11 * HOUR), now)
        await reading.write([(READ, minutes(kept, bad=passed))], kept, MINUTE, now)
        spans = [Span(now - week, now), Span(now - DAY, now)]
        assert await asking.counts(READ, spans, now) == await Ledger(database).counts(READ, spans, now)
