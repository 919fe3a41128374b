"""What is asked for next, by example and for any state."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.ledger.rollups import base_width, seconds
from bot.budgets.ledger.state import OVERLAP, LedgerState, ReadFault
from bot.budgets.reading.read_plan import (
    Read,
    earlier_read,
    edge_to_refine,
    is_ahead,
    is_hourly_read_due,
    turns,
)
from bot.budgets.reading.read_plan import plan_reads as plan
from bot.catalog.slo import Slo
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow, Span, Window
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import slo

SECOND = timedelta(seconds=1)
MONTH = RollingWindow(30 * DAY)
SHORT = RollingWindow(HOUR)


def filled(start: datetime, end: datetime, *, fault: ReadFault | None = None) -> LedgerState:
    return LedgerState(filled_from=start, filled_to=end, base=60, fault=fault)


def plan_reads(state: LedgerState, window: Window, now: datetime, base: int) -> list[Read]:
    found = plan(state, window, now, base)
    return [*found.new, *found.history]


def test_first_sight_of_a_month_goes_back_in_time_with_wider_buckets() -> None:
    assert plan_reads(LedgerState(), MONTH, NOW + 20 * SECOND, 60) == [
        Read(Span(NOW - 12 * HOUR, NOW), MINUTE),
        Read(Span(NOW - DAY - 0 * HOUR, NOW - 12 * HOUR), 5 * MINUTE),
        Read(Span(NOW - 2 * DAY, NOW - DAY), 5 * MINUTE),
        Read(Span(NOW - 3 * DAY, NOW - 2 * DAY), 5 * MINUTE),
        Read(Span(NOW - 4 * DAY, NOW - 3 * DAY), 5 * MINUTE),
        Read(Span(NOW - 9 * DAY, NOW - 4 * DAY), HOUR),
        Read(Span(NOW - 16 * DAY, NOW - 9 * DAY), HOUR),
        Read(Span(NOW - 23 * DAY, NOW - 16 * DAY), HOUR),
        Read(Span(NOW - 30 * DAY, NOW - 23 * DAY), HOUR),
    ]


def test_a_short_window_reaches_back_for_the_longest_burn_rate() -> None:
    reads = plan_reads(LedgerState(), SHORT, NOW, 10)
    assert reads[0] == Read(Span(NOW - 2 * HOUR, NOW), 10 * SECOND)
    assert reads[-1].span.start == NOW - 3 * DAY


def test_a_calendar_window_begins_with_its_period() -> None:
    quarter = CalendarWindow(CalendarUnit.QUARTER, "UTC")
    assert plan_reads(LedgerState(), quarter, NOW, 60)[-1].span.start == datetime.fromisoformat(
        "2026-10-01T00:00Z"
    )


def test_the_next_reading_overlaps_the_last() -> None:
    state = filled(NOW - 30 * DAY, NOW)
    assert plan_reads(state, MONTH, NOW + MINUTE, 60) == [Read(Span(NOW - MINUTE, NOW + MINUTE), MINUTE)]


@pytest.mark.parametrize("every", [10 * SECOND, MINUTE, 4 * MINUTE, 7 * MINUTE])
def test_a_sample_that_is_ten_minutes_late_is_read_within_five_minutes_and_an_interval(
    every: timedelta,
) -> None:
    base, now, state = base_width(every), NOW, filled(NOW - 30 * DAY, NOW)
    missing: dict[datetime, datetime] = {}
    while now < NOW + HOUR:
        missing |= {now - 10 * MINUTE: now}
        now += every
        read, *_ = plan_reads(state, MONTH, now, base)
        state = replace(state, filled_to=read.span.end)
        missing = {at: came for at, came in missing.items() if at < read.span.start}
        assert all(now - came < 5 * MINUTE + every for came in missing.values())


def test_nothing_is_asked_twice_within_a_bucket_but_after_a_failure() -> None:
    assert plan_reads(filled(NOW - 30 * DAY, NOW), MONTH, NOW + 59 * SECOND, 60) == []
    again = plan_reads(filled(NOW - 30 * DAY, NOW, fault=ReadFault.INVALID), MONTH, NOW + 59 * SECOND, 60)
    assert again == [Read(Span(NOW - OVERLAP, NOW), MINUTE)]


def test_a_gap_is_read_forwards_and_as_finely_as_it_is_kept() -> None:
    reads = plan_reads(filled(NOW - 30 * DAY, NOW - 6 * DAY), MONTH, NOW, 60)
    assert reads[0] == Read(Span(NOW - 6 * DAY - OVERLAP, NOW - 6 * DAY), 5 * MINUTE)
    assert reads[1] == Read(Span(NOW - 6 * DAY, NOW - 4 * DAY), HOUR)
    assert reads[-1] == Read(Span(NOW - 12 * HOUR, NOW), MINUTE)


def test_a_gap_that_begins_amid_an_hour_begins_with_narrow_buckets() -> None:
    start = NOW - 6 * DAY + 52 * MINUTE
    reads = plan_reads(filled(NOW - 30 * DAY, start), MONTH, NOW, 60)
    assert [(read.span.length, read.width) for read in reads[:2]] == [
        (3 * MINUTE, MINUTE),
        (20 * MINUTE, 5 * MINUTE),
    ]


def test_what_was_told_in_hours_is_not_told_again_in_minutes() -> None:
    hours = replace(filled(NOW - 30 * DAY, NOW - DAY), fives_from=NOW - DAY, minutes_from=NOW - DAY)
    assert plan_reads(hours, MONTH, NOW, 60)[0].span.start == NOW - DAY


def test_after_a_silence_longer_than_the_window_all_is_read_again() -> None:
    reads = plan_reads(filled(NOW - 90 * DAY, NOW - 31 * DAY), MONTH, NOW, 60)
    assert reads == plan_reads(LedgerState(), MONTH, NOW, 60)


def test_a_back_fill_that_was_broken_off_goes_on_where_it_ended() -> None:
    reads = plan_reads(filled(NOW - 9 * DAY, NOW - MINUTE), MONTH, NOW, 60)
    assert reads[0].span.end == NOW
    assert reads[1] == Read(Span(NOW - 16 * DAY, NOW - 9 * DAY), HOUR)
    assert reads[-1].span.start == NOW - 30 * DAY


def test_a_clock_a_little_behind_waits_and_one_far_behind_is_noticed() -> None:
    state = filled(NOW - 31 * DAY, NOW)
    assert plan_reads(state, MONTH, NOW - 2 * MINUTE, 60) == []
    assert not is_ahead(state, NOW - 5 * MINUTE)
    assert is_ahead(state, NOW - 6 * MINUTE)


@pytest.mark.parametrize(
    ("window", "edge"),
    [
        (RollingWindow(30 * DAY), Span(NOW - 30 * DAY, NOW - 30 * DAY + HOUR)),
        (RollingWindow(30 * DAY + 7 * MINUTE), None),
        (RollingWindow(6 * HOUR), None),
        (CalendarWindow(CalendarUnit.MONTH, "UTC"), None),
    ],
)
def test_the_hour_a_window_begins_in_is_refined(window: RollingWindow, edge: Span | None) -> None:
    state = filled(NOW - 40 * DAY, NOW + 7 * MINUTE)
    assert edge_to_refine(state, window, NOW + 7 * MINUTE) == edge


@given(
    window=st.sampled_from(
        [MONTH, SHORT, RollingWindow(7 * DAY), CalendarWindow(CalendarUnit.WEEK, "Asia/Kolkata")]
    ),
    base=st.sampled_from([1, 10, 60]),
    past=st.integers(0, 100 * 86_400),
    gap=st.integers(0, 60 * 86_400),
    known=st.integers(0, 40 * 24),
)
def test_any_plan_leaves_no_hole_and_asks_what_a_source_can_answer(
    window: RollingWindow, base: int, past: int, gap: int, known: int
) -> None:
    now = NOW + timedelta(seconds=past)
    end = now - timedelta(seconds=gap)
    filled_to = end - timedelta(seconds=seconds(end) % base)
    hour = filled_to - timedelta(seconds=seconds(filled_to) % 3_600)
    state = LedgerState(filled_from=hour - known * HOUR, filled_to=filled_to, base=base)
    reads = plan_reads(state, window, now, base)
    spans = [(state.filled_from, state.filled_to)]
    for read in reads:
        assert read.span.start < read.span.end
        assert seconds(read.span.start) % read.width.total_seconds() == 0
        assert seconds(read.span.end) % read.width.total_seconds() == 0
        assert read.points <= 10_000
        spans.append((read.span.start, read.span.end))
    if gap >= base:
        assert max(read.span.end for read in reads) == now - timedelta(seconds=seconds(now) % base)
    covered = sorted((start, stop) for start, stop in spans if start is not None and stop is not None)
    wanted = min(window.span(now).start, now - 3 * DAY)
    if state.filled_to is not None and state.filled_to >= wanted:
        latest = covered[0][1]
        for (_, stop), (start, later) in itertools.pairwise(covered):
            assert start <= max(stop, latest)
            latest = max(latest, stop, later)
        assert covered[0][0] <= wanted


def test_the_time_before_the_window_is_read_last_and_in_parts_of_a_week() -> None:
    start, parts = NOW - 30 * DAY, []
    while part := earlier_read(filled(start, NOW), MONTH):
        parts.append(part)
        start = part.span.start
    assert parts[0] == Read(Span(NOW - 37 * DAY, NOW - 30 * DAY), HOUR)
    assert start == NOW - 60 * DAY
    assert len(parts) == 5


def test_nothing_before_the_window_is_read_while_the_window_itself_is_not_there() -> None:
    assert earlier_read(LedgerState(), MONTH) is None
    assert earlier_read(filled(NOW - 20 * DAY, NOW), MONTH) is None


def test_slos_of_a_service_are_read_again_together_and_a_workspace_not_at_once() -> None:
    slos = [slo(f"slo-{number}", service=f"service-{number // 10}") for number in range(300)]
    turn_of = turns(slos)
    due: dict[int, set[Slo]] = {}
    for minute in range(60):
        now = NOW + minute * MINUTE
        state = LedgerState(filled_from=NOW - DAY, filled_to=now - MINUTE)
        due[minute] = {each for each in slos if is_hourly_read_due(state, now, 60, turn_of[each])}
    assert sum(map(len, due.values())) == len(slos)
    assert set().union(*due.values()) == set(slos)
    assert max(map(len, due.values())) <= len(slos) // 5
    services = [{each.service for each in those} for those in due.values()]
    assert sum(map(len, services)) == 30


def test_the_many_slos_of_one_service_take_turns() -> None:
    turn_of = turns([slo(f"slo-{number}") for number in range(35)])
    assert sorted(Counter(turn_of.values()).values()) == [5, 10, 10, 10]
