"""The collector asks for what is new, keeps what it has, and says honestly what it could not read."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.budget import NO_EVENTS, EventCounts, SloState
from bot.budgets.ledger.ledger import Ledger, PushedEvent, ReadFault
from bot.budgets.reading.collector import Collector, ReadProgress
from bot.budgets.reading.read_plan import SHORT_OVERLAP
from bot.budgets.source import InvalidAnswerError, SourceError, SourceRefusedError, SourceUnavailableError
from bot.catalog.error_budget_policy import AlertSeverity, BurnAlert
from bot.catalog.slo import CounterSli, DowntimeSli, EventsSli, Slo
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow, Span, Window
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.formula_source import CountingSource, assessed, truth
from tests.support.stores import create_tables
from tests.support.values import prometheus_sli, slo

SECOND = timedelta(seconds=1)
MONTHLY = slo(sli=prometheus_sli())
DOWN = SourceUnavailableError("nobody answers")


@pytest.fixture
def source() -> CountingSource:
    return CountingSource()


@pytest.fixture
def collector(ledger: Ledger, source: CountingSource) -> Collector:
    return Collector(ledger, {"prometheus": source}, retry_wait=timedelta())


async def counted(ledger: Ledger, span: Span, now: datetime, of: Slo = MONTHLY) -> EventCounts:
    return (await ledger.counts(of, [span], now))[0]


async def test_the_first_sight_reads_the_whole_window(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    now = NOW + 23 * SECOND
    await collector.collect([MONTHLY], now, MINUTE)
    state = await ledger.state(MONTHLY)
    assert (state.filled_from, state.filled_to) == (NOW - 30 * DAY, NOW)
    for length in (30 * DAY, 3 * DAY, 6 * HOUR, HOUR, MINUTE):
        span = Span(NOW - length, NOW)
        assert await counted(ledger, span, now) == truth(span)
    assert {step for _, step in source.reads} == {MINUTE, 5 * MINUTE, HOUR}
    assert all(a[0].start == b[0].end for a, b in zip(source.reads, source.reads[1:], strict=False))


async def test_later_only_the_new_part_is_read(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    await collector.collect([MONTHLY], NOW, MINUTE)
    source.reads.clear()
    await collector.collect([MONTHLY], NOW + 2 * MINUTE, MINUTE)
    assert source.reads[0] == (Span(NOW - SHORT_OVERLAP, NOW + 2 * MINUTE), MINUTE)
    # The other question is for the hour in which the window now begins.
    assert source.reads[1:] == [(Span(NOW - 30 * DAY, NOW - 30 * DAY + HOUR), MINUTE)]
    source.reads.clear()
    await collector.collect([MONTHLY], NOW + 2 * MINUTE + SECOND, MINUTE)
    assert source.reads == []


async def test_the_edge_of_the_window_is_exact_to_the_minute(collector: Collector, ledger: Ledger) -> None:
    for past in (0, 7, 53, 60, 61):
        now = NOW + past * MINUTE
        await collector.collect([MONTHLY], now, MINUTE)
        budget = await assessed(ledger, MONTHLY, now)
        assert budget.events == truth(Span(now - 30 * DAY, now))


async def test_an_edge_that_the_source_forgot_keeps_its_share(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    await collector.collect([MONTHLY], NOW, MINUTE)
    source.begins = NOW - 15 * DAY
    now = NOW + 30 * MINUTE
    await collector.collect([MONTHLY], now, MINUTE)
    events = await counted(ledger, Span(now - 30 * DAY, now), now)
    exact = truth(Span(now - 30 * DAY, now))
    assert events.total == pytest.approx(exact.total, rel=1e-4)
    source.reads.clear()
    await collector.collect([MONTHLY], now + MINUTE, MINUTE)
    assert len(source.reads) == 1


async def test_late_samples_are_taken_in(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    source.missing = Span(NOW - 3 * MINUTE, NOW)
    await collector.collect([MONTHLY], NOW, MINUTE)
    assert await counted(ledger, Span(NOW - 3 * MINUTE, NOW), NOW) == NO_EVENTS
    source.missing = None
    later = NOW + 5 * MINUTE
    await collector.collect([MONTHLY], later - MINUTE, MINUTE)
    await collector.collect([MONTHLY], later, MINUTE)
    for length in (8 * MINUTE, HOUR, 30 * DAY):
        assert await counted(ledger, Span(later - length, later), later) == truth(Span(later - length, later))


@pytest.mark.parametrize("every", [MINUTE, 10 * SECOND])
@pytest.mark.parametrize("late", [4 * MINUTE, 7 * MINUTE, 10 * MINUTE, 25 * MINUTE])
async def test_samples_that_are_always_late_are_all_counted_once(
    collector: Collector, ledger: Ledger, source: CountingSource, late: timedelta, every: timedelta
) -> None:
    for tick in range(2 * HOUR // MINUTE + 1):
        now = NOW + tick * MINUTE
        source.known_until = now - late
        await collector.collect([MONTHLY], now, every)
    behind = late + (5 * MINUTE if late <= 10 * MINUTE else HOUR)
    settled = Span(NOW - 30 * MINUTE, now - behind)
    assert await counted(ledger, settled, now) == truth(settled)
    # What has not arrived is not claimed: the window ends with the newest sample.
    budget = await assessed(ledger, MONTHLY, now)
    assert (budget.state, budget.as_of) == (SloState.OK, now - late)
    source.known_until = None
    await collector.collect([MONTHLY], now + MINUTE, every)
    assert (await assessed(ledger, MONTHLY, now + MINUTE)).as_of == now + MINUTE


@pytest.mark.parametrize("every", [MINUTE, 10 * SECOND])
@pytest.mark.parametrize("delay", [3 * MINUTE, 10 * MINUTE, 90 * MINUTE])
async def test_a_delay_that_is_raised_or_lowered_claims_nothing_too_soon(
    collector: Collector, ledger: Ledger, source: CountingSource, delay: timedelta, every: timedelta
) -> None:
    """While nobody says that they come late, samples are missed: all that may be is read again."""
    source.missing = Span(NOW - delay, NOW + HOUR)
    await collector.collect([MONTHLY], NOW, every)
    source.missing, source.delay = None, delay
    now = NOW + every
    source.failure = DOWN
    await collector.collect([MONTHLY], now, every)
    budget = await assessed(ledger, MONTHLY, now, every)
    assert budget.as_of is not None
    assert (budget.state, budget.as_of < NOW - delay) == (SloState.STALE, True)
    source.failure = None
    for past in range(3):
        now = NOW + (past + 1) * MINUTE
        await collector.collect([MONTHLY], now, every)
        budget = await assessed(ledger, MONTHLY, now, every)
        assert (budget.state, budget.as_of) == (SloState.OK, now - delay)
        assert budget.events == truth(Span(now - delay - 30 * DAY, now - delay))
        assert all(span.end <= now - delay for span, _ in source.reads[-3:])
    source.delay = timedelta()
    await collector.collect([MONTHLY], now + MINUTE, every)
    budget = await assessed(ledger, MONTHLY, now + MINUTE, every)
    assert (budget.state, budget.as_of) == (SloState.OK, now + MINUTE)
    assert budget.events == truth(Span(now + MINUTE - 30 * DAY, now + MINUTE))


@pytest.mark.parametrize("every", [MINUTE, 10 * SECOND])
async def test_a_raised_delay_counts_nothing_twice(
    collector: Collector, ledger: Ledger, source: CountingSource, every: timedelta
) -> None:
    """Narrow buckets were kept and dropped by the present; reads end hours before it from now on."""
    # All minutes of them are read again at other minutes of an hour.
    weekly = [
        slo(service=service, window=RollingWindow(7 * DAY), sli=prometheus_sli(service))
        for service in ("checkout", "search", "orders")
    ]
    now = NOW
    for _ in range(50):
        await collector.collect(weekly, now, every)
        now += 20 * MINUTE
    await ledger.register(weekly)
    source.delay = 3 * HOUR
    for _ in range(3 * 5):
        await ledger.delete_expired(now, 30 * DAY)
        await collector.collect(weekly, now, every)
        for each in weekly:
            budget = await assessed(ledger, each, now, every)
            assert (budget.state, budget.as_of) == (SloState.OK, now - source.delay)
            assert budget.events == truth(Span(now - source.delay - 7 * DAY, now - source.delay))
        now += 20 * MINUTE


@pytest.mark.parametrize(("silent", "delay"), [(20 * HOUR, 10 * MINUTE), (3 * DAY, 2 * MINUTE)])
async def test_a_delay_that_is_raised_after_a_silence_leaves_no_hole(
    collector: Collector, ledger: Ledger, source: CountingSource, silent: timedelta, delay: timedelta
) -> None:
    await collector.collect([MONTHLY], NOW, MINUTE)
    source.delay = delay
    now = NOW + silent
    await collector.collect([MONTHLY], now, MINUTE)
    budget = await assessed(ledger, MONTHLY, now)
    assert (budget.state, budget.as_of) == (SloState.OK, now - delay)
    assert budget.events == truth(Span(now - delay - 30 * DAY, now - delay))


async def test_a_delay_that_is_raised_over_all_that_was_read_begins_the_ledger_anew(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    source.failure, source.fails_before = DOWN, NOW - 5 * MINUTE
    await collector.collect([MONTHLY], NOW, 10 * SECOND)
    assert (await ledger.state(MONTHLY)).filled_from == NOW - 5 * MINUTE
    source.failure, source.delay = None, 10 * MINUTE
    for past in range(3):
        now = NOW + past * 5 * MINUTE
        await collector.collect([MONTHLY], now, 10 * SECOND)
        budget = await assessed(ledger, MONTHLY, now, 10 * SECOND)
        assert (budget.state, budget.as_of) == (SloState.OK, now - 10 * MINUTE)
        assert budget.events == truth(Span(now - 10 * MINUTE - 30 * DAY, now - 10 * MINUTE))
    assert all(span.end <= now - 10 * MINUTE for span, _ in source.reads[1:])


async def test_what_arrives_hours_late_is_counted_within_an_hour(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    source.missing = Span(NOW - HOUR, NOW - 50 * MINUTE)
    await collector.collect([MONTHLY], NOW, MINUTE)
    for tick in range(1, 9 * 60, 15):
        await collector.collect([MONTHLY], NOW + tick * MINUTE, MINUTE)
    source.missing = None
    later = NOW + 10 * HOUR
    await collector.collect([MONTHLY], later - MINUTE, MINUTE)
    await collector.collect([MONTHLY], later, MINUTE)
    for length in (11 * HOUR, 30 * DAY):
        assert await counted(ledger, Span(later - length, later), later) == truth(Span(later - length, later))


@pytest.mark.parametrize("outage", [10 * MINUTE, 5 * HOUR, 2 * DAY, 9 * DAY, 40 * DAY])
async def test_a_gap_is_filled_when_the_source_returns(
    collector: Collector, ledger: Ledger, source: CountingSource, outage: timedelta
) -> None:
    await collector.collect([MONTHLY], NOW, MINUTE)
    source.failure = DOWN
    later = NOW + outage
    await collector.collect([MONTHLY], later - MINUTE, MINUTE)
    assert (await assessed(ledger, MONTHLY, later - MINUTE)).state is SloState.STALE
    source.failure = None
    await collector.collect([MONTHLY], later, MINUTE)
    budget = await assessed(ledger, MONTHLY, later)
    assert budget.state is SloState.OK
    assert budget.events == truth(Span(later - 30 * DAY, later))
    for length in (HOUR, 6 * HOUR, 3 * DAY):
        assert await counted(ledger, Span(later - length, later), later) == truth(Span(later - length, later))


async def test_a_failed_chunk_keeps_those_before_it(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    source.failure, source.fails_before = DOWN, NOW - 20 * DAY
    await collector.collect([MONTHLY], NOW, MINUTE)
    state = await ledger.state(MONTHLY)
    assert state.fault is ReadFault.NO_DATA
    assert state.filled_from is not None
    assert NOW - 30 * DAY < state.filled_from <= NOW - 11 * DAY
    assert state.filled_to == NOW
    budget = await assessed(ledger, MONTHLY, NOW)
    assert (budget.state, budget.problem) == (SloState.STALE, "nobody answers")
    source.reads.clear()
    source.failure = None
    later = NOW + 6 * DAY
    await collector.collect([MONTHLY], later, MINUTE)
    assert not any(
        span.start >= state.filled_from and span.end <= NOW - HOUR for span, _ in source.reads[:-1]
    )
    assert await counted(ledger, Span(NOW - 24 * DAY, later), later) == truth(Span(NOW - 24 * DAY, later))


async def test_a_wider_window_is_filled_behind(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    await collector.collect([slo(sli=prometheus_sli(), window=RollingWindow(7 * DAY))], NOW, MINUTE)
    budget = await assessed(ledger, MONTHLY, NOW)
    assert (budget.state, budget.problem) == (
        SloState.STALE,
        "the history is still being read: 7 d of 30 d so far",
    )
    source.reads.clear()
    await collector.collect([MONTHLY], NOW, MINUTE)
    assert max(span.end for span, _ in source.reads) == NOW - 7 * DAY
    assert (await assessed(ledger, MONTHLY, NOW)).events == truth(Span(NOW - 30 * DAY, NOW))


async def test_a_passing_fault_is_tried_again_but_a_refusal_is_not(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    source.failure = DOWN
    await collector.collect([MONTHLY], NOW, MINUTE)
    assert source.attempts == 3
    source.failure = SourceRefusedError("no such metric")
    await collector.collect([MONTHLY], NOW, MINUTE)
    assert source.attempts == 4
    budget = await assessed(ledger, MONTHLY, NOW)
    assert (budget.state, budget.problem) == (SloState.NO_DATA, "no such metric")


async def test_an_outage_is_logged_when_it_begins_changes_and_ends(
    collector: Collector, source: CountingSource
) -> None:
    await collector.collect([MONTHLY], NOW, MINUTE)
    outage: list[SourceError | None] = [
        DOWN,
        DOWN,
        DOWN,
        SourceRefusedError("no such metric"),
        DOWN,
        None,
        None,
    ]
    with capture_logs() as logs:
        for tick, failure in enumerate(outage, 1):
            source.failure = failure
            await collector.collect([MONTHLY], NOW + tick * MINUTE, MINUTE)
    assert [(entry["event"], entry.get("problem")) for entry in logs if "slos" in entry] == [
        ("read_failed", "nobody answers"),
        ("read_failed", "no such metric"),
        ("read_failed", "nobody answers"),
        ("read_again", None),
    ]


async def test_history_that_always_fails_is_logged_once(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    source.failure, source.fails_before = SourceRefusedError("too long ago"), NOW - 20 * DAY
    with capture_logs() as logs:
        for tick in range(3):
            await collector.collect([MONTHLY], NOW + tick * MINUTE, MINUTE)
            assert (await ledger.state(MONTHLY)).problem == "too long ago"
    assert [entry["event"] for entry in logs if entry["event"].startswith("read_")] == ["read_failed"]


async def test_an_impossible_answer_makes_the_slo_invalid(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    source.failure = InvalidAnswerError("there are more good events than events in all")
    await collector.collect([MONTHLY], NOW, MINUTE)
    assert (await assessed(ledger, MONTHLY, NOW)).state is SloState.INVALID
    source.failure = None
    await collector.collect([MONTHLY], NOW, MINUTE)
    assert (await assessed(ledger, MONTHLY, NOW)).state is SloState.OK


async def test_a_number_that_is_none_is_never_written(
    collector: Collector, ledger: Ledger, source: CountingSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.formula_source._bad", lambda _: float("nan"))
    await collector.collect([MONTHLY], NOW, MINUTE)
    budget = await assessed(ledger, MONTHLY, NOW)
    assert budget.state is SloState.INVALID
    assert (await ledger.state(MONTHLY)).filled_to is None


async def test_a_source_that_does_not_exist_is_told(collector: Collector, ledger: Ledger) -> None:
    elsewhere = slo(sli=CounterSli("thanos", "a", bad="b"))
    await collector.collect([elsewhere], NOW, MINUTE)
    budget = await assessed(ledger, elsewhere, NOW)
    assert (budget.state, budget.problem) == (SloState.NO_DATA, "there is no source named thanos")


async def test_nothing_read_for_three_intervals_is_stale(collector: Collector, ledger: Ledger) -> None:
    await collector.collect([MONTHLY], NOW, MINUTE)
    assert (await assessed(ledger, MONTHLY, NOW + 3 * MINUTE)).state is SloState.OK
    budget = await assessed(ledger, MONTHLY, NOW + 3 * MINUTE + SECOND)
    assert budget.state is SloState.STALE
    assert budget.as_of == NOW
    assert budget.remaining is not None


@pytest.mark.parametrize(
    ("delay", "age"), [(50 * MINUTE, timedelta()), (HOUR, 4 * HOUR), (3 * HOUR, 4 * HOUR)]
)
async def test_what_is_read_by_the_minute_is_current_all_through_the_minute(
    collector: Collector, ledger: Ledger, source: CountingSource, delay: timedelta, age: timedelta
) -> None:
    """A new ledger has narrow buckets of its last minutes only: they begin after the end of what is read."""
    daily, every = slo(window=RollingWindow(DAY), sli=prometheus_sli()), 10 * SECOND
    source.delay = delay
    await collector.collect([daily], NOW - age, every)
    for tick in range(13):
        now = NOW + 7 * SECOND + tick * every
        await collector.collect([daily], now, every)
        assert (await assessed(ledger, daily, now, every)).state is SloState.OK
    assert (await assessed(ledger, daily, now + 2 * MINUTE, every)).state is SloState.STALE


async def test_evaluations_that_cannot_keep_up_with_a_second_leave_counts_current(
    collector: Collector, ledger: Ledger
) -> None:
    await collector.collect([MONTHLY], NOW, SECOND)
    assert (await assessed(ledger, MONTHLY, NOW + 30 * SECOND, SECOND)).state is SloState.OK
    assert (await assessed(ledger, MONTHLY, NOW + 31 * SECOND, SECOND)).state is SloState.STALE


async def test_a_new_ledger_reads_seconds_of_its_last_minutes_only(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    now = NOW + 23 * SECOND
    await collector.collect([MONTHLY], now, SECOND)
    in_seconds = [span for span, step in source.reads if step == SECOND]
    assert in_seconds == [Span(NOW - 4 * MINUTE, now)]
    for start in (NOW - 30 * DAY, NOW - HOUR, NOW - MINUTE, now - 7 * SECOND):
        assert await counted(ledger, Span(start, now), now) == truth(Span(start, now))
    source.reads.clear()
    await collector.collect([MONTHLY], now + 2 * SECOND, SECOND)
    assert {step for span, step in source.reads if span.end == now + 2 * SECOND} == {SECOND}


async def test_a_burn_rate_over_longer_than_what_was_read_is_not_known(
    collector: Collector, ledger: Ledger
) -> None:
    daily = slo(window=RollingWindow(DAY), sli=prometheus_sli())
    alert = BurnAlert(AlertSeverity.TICKET, Decimal(1), 4 * DAY, 6 * HOUR)
    request = AssessmentRequest(daily, (4 * DAY,), (alert,))
    await collector.collect([daily], NOW, MINUTE)
    (budget,) = await assess_all(ledger, [request], NOW, MINUTE)
    assert (budget.state, budget.burn.get(4 * DAY), budget.burns) == (SloState.OK, None, False)
    assert budget.recent[3 * DAY] == truth(Span(NOW - 3 * DAY, NOW))
    # Once an hour a part of what lies before is read.
    now = NOW + HOUR
    await collector.collect([daily], now, MINUTE)
    (budget,) = await assess_all(ledger, [request], now, MINUTE)
    assert budget.recent[4 * DAY].total == pytest.approx(truth(Span(now - 4 * DAY, now)).total, rel=1e-3)
    assert budget.burns


async def test_progress_is_seen_while_the_history_is_read(
    collector: Collector, source: CountingSource
) -> None:
    seen: list[ReadProgress] = []
    read = source.read_together

    async def watched(*question: object) -> object:
        seen.extend(collector.progress.values())
        return await read(*question)  # type: ignore[arg-type]

    source.read_together = watched  # type: ignore[method-assign, assignment]
    await collector.collect([MONTHLY], NOW, MINUTE)
    assert [progress.done for progress in seen] == sorted({progress.done for progress in seen})
    assert 0 < seen[0].done < seen[-1].done < seen[-1].total
    assert collector.progress == {}


async def test_pushed_events_are_never_read(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    orders = slo("orders", sli=EventsSli(), objective=0.9)
    await collector.collect([orders], NOW, MINUTE)
    assert (await assessed(ledger, orders, NOW)).state is SloState.NO_TRAFFIC
    await ledger.push([PushedEvent(orders, 95, 5, NOW - HOUR)], NOW)
    budget = await assessed(ledger, orders, NOW + 5 * DAY)
    assert (budget.state, budget.as_of) == (SloState.OK, NOW + 5 * DAY)
    assert float(budget.remaining or 0) == pytest.approx(0.5)
    assert source.attempts == 0


async def test_an_uptime_without_incidents_is_whole(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    uptime = slo("uptime", sli=DowntimeSli(), window=RollingWindow(7 * DAY))
    await collector.collect([uptime], NOW, MINUTE)
    budget = await assessed(ledger, uptime, NOW)
    assert (budget.state, budget.as_of, budget.remaining) == (SloState.OK, NOW, Decimal(1))
    assert budget.remaining_minutes == pytest.approx(10.08)
    assert source.attempts == 0


async def test_a_calendar_window_begins_at_local_midnight(collector: Collector, ledger: Ledger) -> None:
    monthly = slo(sli=prometheus_sli(), window=CalendarWindow(CalendarUnit.MONTH, "Asia/Kolkata"))
    await collector.collect([monthly], NOW, MINUTE)
    budget = await assessed(ledger, monthly, NOW)
    assert budget.events == truth(Span(datetime.fromisoformat("2026-10-31T18:30Z"), NOW))


@pytest.mark.parametrize(
    ("unit", "start", "begins"),
    [
        (CalendarUnit.MONTH, "2020-01-07T12:35", "2026-11-07T07:05Z"),
        (CalendarUnit.YEAR, "2020-10-01T00:00", "2026-09-30T18:30Z"),
        (CalendarUnit.YEAR, "2020-11-30T00:00", "2025-11-29T18:30Z"),
    ],
)
async def test_a_period_with_a_start_of_its_own_is_counted_to_the_minute(
    collector: Collector, ledger: Ledger, unit: CalendarUnit, start: str, begins: str
) -> None:
    window = CalendarWindow(unit, "Asia/Kolkata", datetime.fromisoformat(start))
    promised = slo(sli=prometheus_sli(), window=window)
    await collector.collect([promised], NOW, MINUTE)
    budget = await assessed(ledger, promised, NOW)
    assert budget.events == truth(Span(datetime.fromisoformat(begins), NOW))
    # What the window needs stays when what no window needs is dropped.
    await ledger.delete_expired(NOW, window.full_length(NOW))
    assert (await assessed(ledger, promised, NOW)).events == budget.events


async def test_a_clock_set_back_and_forth_corrupts_nothing(collector: Collector, ledger: Ledger) -> None:
    for hours in (0, -5, 30, 1, 2):
        now = NOW + hours * HOUR
        await collector.collect([MONTHLY], now, MINUTE)
        assert (await ledger.state(MONTHLY)).filled_to == now
    now = NOW + 31 * HOUR
    await collector.collect([MONTHLY], now, MINUTE)
    for length in (HOUR, 6 * HOUR, 3 * DAY, 30 * DAY):
        assert await counted(ledger, Span(now - length, now), now) == truth(Span(now - length, now))


WINDOWS: list[Window] = [
    RollingWindow(7 * MINUTE),
    RollingWindow(6 * HOUR),
    RollingWindow(5 * DAY),
    CalendarWindow(CalendarUnit.WEEK, "Europe/London"),
    CalendarWindow(CalendarUnit.WEEK, "Asia/Kolkata", datetime(2020, 1, 8, 12, 35)),  # noqa: DTZ001 - local
]
TICKS = st.lists(
    st.tuples(
        st.sampled_from([-90_000, -7_200, -60, 7, 30, 60, 90, 600, 7_200, 50_000, 400_000]),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking thousands of rows takes minutes


@settings(
    max_examples=15, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(
    # The hour in which the window begins was read by the minute, and deleted with what a wrong clock filled.
    ticks=[(400_000, False, False), (-90_000, False, True), (400_000, True, False)],
    window=WINDOWS[-1],
    every=10,
)
@given(ticks=TICKS, window=st.sampled_from(WINDOWS), every=st.sampled_from([10, 60, 300]))
async def test_whatever_fails_in_between_the_ledger_ends_with_the_truth(
    tmp_path_factory: pytest.TempPathFactory, ticks: list[tuple[int, bool, bool]], window: Window, every: int
) -> None:
    folder: Path = tmp_path_factory.mktemp("ledger")
    promised = slo(sli=prometheus_sli(), window=window)
    source = CountingSource()
    now, interval = NOW, timedelta(seconds=every)
    async with Database(f"sqlite+aiosqlite:///{folder}/governor.db") as database:
        await create_tables(database)
        ledger = Ledger(database)
        collector = Collector(ledger, {"prometheus": source}, retry_wait=timedelta())
        other_replica = Ledger(database)
        for step, fails, compacts in ticks:
            now += timedelta(seconds=step)
            source.failure = DOWN if fails else None
            source.fails_before = now - HOUR if step % 60 else None
            await collector.collect([promised], now, interval)
            if compacts:
                await ledger.delete_expired(now, 30 * DAY)
            # What is remembered of earlier sums is what anybody counts who remembers nothing.
            spans = [window.span(now), Span(now - 3 * DAY, now), Span(now - HOUR, now)]
            fresh = await Ledger(database).counts(promised, spans, now)
            assert await ledger.counts(promised, spans, now) == pytest.approx(fresh)
            assert await other_replica.counts(promised, spans, now) == pytest.approx(fresh)
        source.failure = None
        await collector.collect([promised], now, interval)
        filled_to = (await ledger.state(promised)).filled_to
        assert filled_to is not None
        assert now - filled_to < MINUTE
        start = window.span(filled_to).start.replace(second=0)
        assert await counted(ledger, Span(start, filled_to), now, promised) == truth(Span(start, filled_to))


async def test_the_time_before_the_window_is_read_a_week_an_hour(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    await collector.collect([MONTHLY], NOW, MINUTE)
    for minute in range(1, 6 * 60 + 1):
        if minute % 10 == 0:
            await collector.collect([MONTHLY], NOW + minute * MINUTE, MINUTE)
    state = await ledger.state(MONTHLY)
    assert state.filled_from is not None
    assert NOW - 60 * DAY <= state.filled_from <= NOW - 60 * DAY + 6 * HOUR
    earlier = Span(NOW - 59 * DAY, NOW - 31 * DAY)
    assert await counted(ledger, earlier, NOW + 6 * HOUR) == truth(earlier)
    assert max(span.length for span, _ in source.reads) == 7 * DAY


async def test_a_source_that_has_nothing_older_is_no_fault(
    collector: Collector, ledger: Ledger, source: CountingSource
) -> None:
    await collector.collect([MONTHLY], NOW, MINUTE)
    source.failure, source.fails_before = SourceRefusedError("too far back"), NOW - 30 * DAY
    for hour in range(1, 3):
        await collector.collect([MONTHLY], NOW + hour * HOUR, MINUTE)
        budget = await assessed(ledger, MONTHLY, NOW + hour * HOUR)
        assert (budget.state, budget.problem) == (SloState.OK, None)
    assert (await ledger.state(MONTHLY)).filled_from == NOW - 30 * DAY
