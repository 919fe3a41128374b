"""When an increase is taken back, when it is let stand, and when nobody can tell."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.budgets.budget import NO_EVENTS, EventCounts
from bot.flags.guard import (
    BurnReading,
    ChangedElsewhere,
    ChangeTest,
    Evidence,
    Guard,
    GuardWatch,
    RollBack,
    StillWatching,
    Undecided,
    Unmeasurable,
    WatchPassed,
    WatchUndecided,
    judge_watch,
)
from tests.flags.values import FIVE, QUARTER
from tests.support.clock import MINUTE, NOW

GUARD = Guard(burn=6, watch=30 * MINUTE)
AFTER = replace(QUARTER, version="2")
WATCH = GuardWatch("new-checkout", "production", "checkout", FIVE, "2", NOW, GUARD, {"availability": 0.4})


def burning_at(burn: float | None, slo: str = "availability") -> BurnReading:
    return BurnReading(slo, burn, 5 * MINUTE)


def test_a_service_that_bears_the_increase_passes_at_the_end_of_the_watch() -> None:
    calm = [burning_at(0.5)]
    assert judge_watch(WATCH, AFTER, calm, NOW + 29 * MINUTE) == StillWatching(NOW + 30 * MINUTE)
    assert judge_watch(WATCH, AFTER, calm, NOW + 30 * MINUTE) == WatchPassed()


@pytest.mark.parametrize("after", [timedelta(0), 10 * MINUTE, 30 * MINUTE])
def test_burning_at_the_guard_takes_the_increase_back_to_the_recorded_state(after: timedelta) -> None:
    verdict = judge_watch(WATCH, AFTER, [burning_at(6.0), burning_at(18.2, "latency")], NOW + after)
    assert verdict == RollBack(Evidence("latency", 18.2, 6, 5 * MINUTE), FIVE)


def test_the_evidence_reads_as_a_sentence() -> None:
    evidence = Evidence("availability", 18.24, 6, 5 * MINUTE, 0.4)
    assert evidence.words == "availability burns at 18.2× over 5 minutes, the guard is 6×; before it was 0.4×"


def test_what_somebody_touched_since_is_left_alone() -> None:
    moved = replace(AFTER, version="3")
    assert judge_watch(WATCH, moved, [burning_at(0.5)], NOW) == ChangedElsewhere(None)
    verdict = judge_watch(WATCH, moved, [burning_at(18.0)], NOW)
    assert isinstance(verdict, ChangedElsewhere)
    assert verdict.evidence is not None


def test_a_watch_does_not_pass_blindly() -> None:
    late = NOW + 60 * MINUTE
    assert judge_watch(WATCH, AFTER, [burning_at(0.5), burning_at(None, "latency")], late) == Unmeasurable(
        ("latency",)
    )
    assert judge_watch(WATCH, AFTER, [], late) == Unmeasurable(())


def test_missing_data_of_one_slo_does_not_hide_the_burning_of_another() -> None:
    verdict = judge_watch(WATCH, AFTER, [burning_at(None, "latency"), burning_at(7.0)], NOW)
    assert isinstance(verdict, RollBack)


def test_a_service_that_burned_before_is_blamed_on_the_flag_only_if_it_burns_faster() -> None:
    burning = replace(WATCH, baseline={"availability": 8.0})
    assert isinstance(judge_watch(burning, AFTER, [burning_at(7.5)], NOW), StillWatching)
    assert isinstance(judge_watch(burning, AFTER, [burning_at(8.5)], NOW), RollBack)


def counted(
    bad: float,
    total: float,
    *,
    before: EventCounts = NO_EVENTS,
    until: datetime | None = NOW + 31 * MINUTE,
    slo: str = "availability",
) -> BurnReading:
    """Return what a 99.9% SLO counted since the change, and the burn rate of that."""
    test = ChangeTest("checkout", 0.001, before, EventCounts(bad, total), until)
    return BurnReading(slo, bad / total / 0.001 if total else 0.0, 5 * MINUTE, test)


WORKBOOK_WATCH = replace(WATCH, guard=Guard(burn=14.4, watch=30 * MINUTE), baseline={})
END = NOW + 30 * MINUTE


def test_a_few_bad_requests_by_chance_take_nothing_back() -> None:
    """One of 42 burns at 23.8 and proves nothing; three of 150 do."""
    assert isinstance(judge_watch(WORKBOOK_WATCH, AFTER, [counted(1, 42)], NOW), StillWatching)
    verdict = judge_watch(WORKBOOK_WATCH, AFTER, [counted(3, 150)], NOW)
    assert isinstance(verdict, RollBack)
    assert verdict.evidence.words == (
        "availability burns at 20.0× over 5 minutes, the guard is 14.4×; "
        "3 of 150 requests since the change were bad"
    )


def test_what_was_bad_before_is_not_blamed_on_the_change() -> None:
    before = EventCounts(36, 1_800)
    as_before, worse = counted(20, 1_000, before=before), counted(50, 1_000, before=before)
    assert isinstance(judge_watch(WORKBOOK_WATCH, AFTER, [as_before], NOW), StillWatching)
    assert judge_watch(WORKBOOK_WATCH, AFTER, [as_before], END) == WatchPassed()
    verdict = judge_watch(WORKBOOK_WATCH, AFTER, [worse], NOW)
    assert isinstance(verdict, RollBack)
    assert "before it was 20.0" in verdict.evidence.words


def test_harm_below_the_guard_is_no_reason_to_take_it_back() -> None:
    assert judge_watch(WORKBOOK_WATCH, AFTER, [counted(500, 100_000)], END) == WatchPassed()


@pytest.mark.parametrize(("total", "text"), [(42, "42 requests"), (1, "1 request"), (0, "0 requests")])
def test_a_watch_that_ends_with_too_little_traffic_says_so(total: float, text: str) -> None:
    verdict = judge_watch(WORKBOOK_WATCH, AFTER, [counted(0, 9_000, slo="latency"), counted(0, total)], END)
    assert isinstance(verdict, WatchUndecided)
    assert verdict.undecided.words == f"not enough traffic to tell ({text})"


def test_a_watch_waits_for_events_that_are_not_counted_yet_before_it_is_undecided() -> None:
    late = counted(0, 42, until=END - MINUTE)
    assert isinstance(judge_watch(WORKBOOK_WATCH, AFTER, [late], END), StillWatching)
    assert isinstance(judge_watch(WORKBOOK_WATCH, AFTER, [counted(0, 42, until=None)], END), StillWatching)
    enough = counted(0, 420, until=END - MINUTE)
    assert judge_watch(WORKBOOK_WATCH, AFTER, [enough], END) == WatchPassed()


def test_a_stricter_alpha_needs_more() -> None:
    reading = counted(3, 150)
    assert reading.test is not None
    strict = replace(reading, test=replace(reading.test, alpha=0.0001))
    assert isinstance(judge_watch(WORKBOOK_WATCH, AFTER, [strict], NOW), StillWatching)


def test_an_objective_whose_guard_cannot_be_reached_is_never_undecided() -> None:
    """At 90% even a full outage burns at 10."""
    reading = counted(2, 3)
    assert reading.test is not None
    loose = replace(reading, burn=6.7, test=replace(reading.test, allowed=0.1))
    assert judge_watch(WORKBOOK_WATCH, AFTER, [loose], END) == WatchPassed()


def test_the_slo_with_the_fewest_requests_is_named() -> None:
    readings = [counted(0, 90, slo="latency"), counted(0, 42)]
    verdict = judge_watch(WORKBOOK_WATCH, AFTER, readings, END)
    assert verdict == WatchUndecided(Undecided(42, holds=True))
