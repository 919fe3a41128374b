"""Sums after adjustments equal a recomputation event by event, in every rollup and on both databases."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, AdjustmentState, CountsAs
from bot.budgets.adjustments.effects import AdjustedCounts, AdjustmentPlanner, adjusted
from bot.budgets.adjustments.records import row_values
from bot.budgets.budget import EventCounts
from bot.budgets.ledger.adjusted_sums import Supposition
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.source import Bucket
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import Span
from bot.store.database import Database
from bot.store.tables.adjustments import adjustments as rows
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import prometheus_sli, slo

READ = slo(sli=prometheus_sli())
START = NOW - 6 * HOUR
Minutes = dict[datetime, tuple[int, int]]
"""Bad events and all events of each minute."""


def adjustment(
    number: int,
    start: datetime,
    length: timedelta,
    counts_as: CountsAs = CountsAs.DROPPED,
    *,
    bad_events: int = 0,
    of: str | None = None,
) -> Adjustment:
    kind = AdjustmentKind.CORRECTION if bad_events else AdjustmentKind.EXCLUSION
    span = Span(start, start + length)
    return Adjustment(number, "checkout", of, kind, counts_as, span, "x", "U1", NOW, bad_events)


async def store(database: Database, *given: Adjustment, state: str = "approved") -> None:
    async with database.transaction() as connection:
        for each in given:
            values = row_values(each, f"request {each.id}") | {"id": each.id, "state": state}
            await connection.execute(insert(rows).values(values))


async def fill(ledger: Ledger, events: Minutes, now: datetime = NOW) -> None:
    buckets = [Bucket(at, MINUTE, bad, total) for at, (bad, total) in events.items()]
    span = Span(min(events), max(events) + MINUTE)
    await ledger.write([(READ, buckets)], span, MINUTE, now)


def recomputed(events: Minutes, adjustments: Sequence[Adjustment], window: Span) -> EventCounts:
    """Return the sum of a window that covers corrections wholly or not at all, minute by minute."""
    excluded = [each for each in adjustments if not each.is_correction]
    dropped = [each.span for each in excluded if each.counts_as is CountsAs.DROPPED]
    good = [each.span for each in excluded if each.counts_as is CountsAs.GOOD]
    bad = total = 0
    for at, (own_bad, own_total) in events.items():
        if not window.start <= at < window.end or any(span.start <= at < span.end for span in dropped):
            continue
        total += own_total
        bad += 0 if any(span.start <= at < span.end for span in good) else own_bad
    for each in adjustments:
        if not each.is_correction or each.span.start < window.start or each.span.end > window.end:
            continue
        covered = [*dropped, *good]
        own = [
            counts
            for at, counts in events.items()
            if each.span.start <= at < each.span.end
            and not any(span.start <= at < span.end for span in covered)
        ]
        drops = each.counts_as is CountsAs.DROPPED
        there_are = sum(b for b, _ in own) if each.bad_events < 0 else sum(t - b for b, t in own)
        if each.bad_events > 0 and drops:
            free = any(
                not any(span.start <= each.span.start + MINUTE * step < span.end for span in covered)
                for step in range(each.span.length // MINUTE)
            )
            moved = each.bad_events if free else 0
        else:
            moved = min(abs(each.bad_events), there_are) * (1 if each.bad_events > 0 else -1)
        bad += moved
        total += moved if drops else 0
    return EventCounts(bad, total)


def random_events(seed: int, count: int = 360) -> Minutes:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    totals = [chance.choice([0, 1, 40, 1_000]) for _ in range(count)]
    return {START + MINUTE * step: (chance.randint(0, total), total) for step, total in enumerate(totals)}


def drawn_adjustments(seed: int) -> list[Adjustment]:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    made = [
        adjustment(
            number,
            START + MINUTE * chance.randrange(340),
            MINUTE * chance.randint(1, 120),
            chance.choice(list(CountsAs)),
        )
        for number in range(1, chance.randint(1, 6))
    ]
    # Corrections do not overlap one another: a request that would is refused.
    for number, hour in enumerate(chance.sample(range(6), chance.randint(0, 4)), start=10):
        events = chance.choice([-1, 1]) * chance.randint(1, 5_000)
        start = START + HOUR * hour + MINUTE * chance.randrange(30)
        counts_as = chance.choice(list(CountsAs))
        made.append(adjustment(number, start, MINUTE * chance.randint(1, 30), counts_as, bad_events=events))
    return made


@given(seed=st.integers(0, 2**32))
def test_any_adjustments_of_any_events_equal_a_recount(seed: int) -> None:
    events, adjustments = random_events(seed), drawn_adjustments(seed)
    planner = AdjustmentPlanner(adjustments)

    def sum_of(span: Span) -> EventCounts:
        return recomputed(events, (), span)

    window = Span(START, NOW)
    plan = planner.plan(window)
    found = adjusted(sum_of(window), plan, sum_of)
    expected = recomputed(events, adjustments, window)
    assert (found.bad, found.total) == (expected.bad, expected.total)
    if isinstance(found, AdjustedCounts):
        assert found.recorded.bad + sum(each.bad for each in found.effects) == found.bad
        assert found.recorded.total + sum(each.total for each in found.effects) == found.total
    # Any two parts of the window add up to the whole of it.
    cut = START + MINUTE * (1 + seed % 359)
    halves = [Span(START, cut), Span(cut, NOW)]
    sums = [adjusted(sum_of(half), planner.plan(half), sum_of) for half in halves]
    assert sum(each.bad for each in sums) == pytest.approx(found.bad, abs=0.02)
    assert sum(each.total for each in sums) == pytest.approx(found.total, abs=0.02)


@pytest.mark.parametrize("seed", range(4))
async def test_the_ledger_sums_what_is_left(ledger: Ledger, database: Database, seed: int) -> None:
    events, adjustments = random_events(seed), drawn_adjustments(seed)
    await fill(ledger, events)
    await store(database, *adjustments)
    windows = [Span(START, NOW), Span(NOW - 30 * DAY, NOW), Span(NOW - HOUR, NOW)]
    found = await ledger.counts(READ, windows, NOW)
    for window, each in zip(windows[:2], found, strict=False):
        expected = recomputed(events, adjustments, window)
        assert (each.bad, each.total) == (expected.bad, expected.total)
    parts = await ledger.history(READ, Span(START, NOW), 12, NOW)
    assert sum(part.bad for part in parts) == pytest.approx(found[0].bad, abs=0.1)
    assert sum(part.total for part in parts) == pytest.approx(found[0].total, abs=0.1)
    days = (await ledger.cells_of_many([READ], Span(NOW - 30 * DAY, NOW + DAY), 86_400, NOW))[READ]
    assert sum(bad for bad, _ in days.values()) == pytest.approx(found[0].bad)


async def test_what_is_asked_and_what_is_reversed_does_not_count(ledger: Ledger, database: Database) -> None:
    await fill(ledger, {START + MINUTE * step: (1, 100) for step in range(360)})
    span = Span(START, NOW)
    for number, state in enumerate(AdjustmentState, start=1):
        if state is not AdjustmentState.APPROVED:
            await store(database, adjustment(number, START, HOUR), state=state)
    assert await ledger.counts(READ, [span], NOW) == [EventCounts(360, 36_000)]
    asked = adjustment(9, START, HOUR)
    supposed = await ledger.supposing(Supposition(also=(asked,))).counts(READ, [span], NOW)
    assert (supposed[0].bad, supposed[0].total) == (300, 30_000)
    await store(database, asked)
    assert (await ledger.counts(READ, [span], NOW))[0].bad == 300
    without = await ledger.supposing(Supposition(without=frozenset({9}))).counts(READ, [span], NOW)
    assert without == [EventCounts(360, 36_000)]


async def test_an_adjustment_is_of_its_own_slo_and_service(ledger: Ledger, database: Database) -> None:
    await fill(ledger, {START + MINUTE * step: (1, 100) for step in range(360)})
    await store(database, adjustment(1, START, HOUR, of="latency"))
    assert (await ledger.counts(READ, [Span(START, NOW)], NOW))[0].bad == 360
    await store(database, adjustment(2, START, HOUR, of="availability"))
    assert (await ledger.counts(READ, [Span(START, NOW)], NOW))[0].bad == 300


async def test_a_second_ledger_sees_a_change_at_once(ledger: Ledger, database: Database) -> None:
    events = {START + MINUTE * step: (1, 100) for step in range(360)}
    await fill(ledger, events)
    other = Ledger(database)
    window = Span(NOW - 30 * DAY, NOW)
    assert (await other.counts(READ, [window], NOW))[0].bad == 360
    await store(database, adjustment(1, START + 7 * MINUTE, 20 * MINUTE, CountsAs.GOOD))
    for each in (ledger, other):
        (found,) = await each.counts(READ, [window], NOW)
        assert (found.bad, found.total) == (340, 36_000)


async def test_minutes_stay_exact_long_after_the_others_are_deleted(
    ledger: Ledger, database: Database
) -> None:
    # Ten minutes of an hour had all the errors; an hour's share would leave most of them.
    outage = Span(START + 20 * MINUTE, START + 30 * MINUTE)
    events = {START + MINUTE * step: (0, 100) for step in range(360)}
    events |= {outage.start + MINUTE * step: (60, 100) for step in range(10)}
    await fill(ledger, events)
    await store(database, adjustment(1, outage.start, outage.length))
    later = NOW + 20 * DAY
    await ledger.register([READ])
    span = Span(NOW, later)
    hours = [Bucket(NOW + HOUR * step, HOUR, 0, 10) for step in range(span.length // HOUR)]
    await ledger.write([(READ, hours)], span, HOUR, later)
    minute = Span(later, later + MINUTE)
    await ledger.write([(READ, [Bucket(later, MINUTE, 0, 1)])], minute, MINUTE, later + MINUTE)
    await ledger.delete_expired(later + MINUTE, 30 * DAY)
    window = Span(later - 30 * DAY, later)
    (found,) = await ledger.counts(READ, [window], later)
    assert isinstance(found, AdjustedCounts)
    assert (found.recorded.bad, found.bad) == (600, 0)
    assert found.recorded.total - found.total == 1_000


async def test_recorded_downtime_is_adjusted_too(database: Database) -> None:
    uptime = slo("uptime", sli=DowntimeSli())
    outage = Span(START, START + HOUR)

    async def bad_seconds(_service: str, spans: Sequence[Span]) -> list[float]:
        return [
            max(0.0, (min(span.end, outage.end) - max(span.start, outage.start)).total_seconds())
            for span in spans
        ]

    ledger = Ledger(database, bad_seconds)
    await store(
        database,
        adjustment(1, START, 20 * MINUTE),
        adjustment(2, START + HOUR / 2, 10 * MINUTE, CountsAs.GOOD),
    )
    (found,) = await ledger.downtime_counts(uptime, [Span(START, NOW)])
    assert (found.bad, found.total) == (1_800, 6 * 3_600 - 1_200)


def test_another_slo_is_not_reached() -> None:
    other: Slo = slo("latency")
    assert not adjustment(1, START, HOUR, of="availability").concerns(other.name)
    assert adjustment(1, START, HOUR).concerns(other.name)
