"""When an increase is taken back, when it is let stand, and when nobody can tell."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.flags.guard import (
    BurnReading,
    ChangedElsewhere,
    Evidence,
    Guard,
    GuardWatch,
    RollBack,
    StillWatching,
    Unmeasurable,
    WatchPassed,
    judge_watch,
)
from tests.flags.values import FIVE, QUARTER
from tests.support.clock import MINUTE, NOW

GUARD = Guard(burn=6, watch=30 * MINUTE)
AFTER = replace(QUARTER, version="2")
WATCH = GuardWatch("new-checkout", "production", "checkout", FIVE, "2", NOW, GUARD, {"availability": 0.4})


def reading(burn: float | None, slo: str = "availability") -> BurnReading:
    return BurnReading(slo, burn, 5 * MINUTE)


def test_a_service_that_bears_the_increase_passes_at_the_end_of_the_watch() -> None:
    calm = [reading(0.5)]
    assert judge_watch(WATCH, AFTER, calm, NOW + 29 * MINUTE) == StillWatching(NOW + 30 * MINUTE)
    assert judge_watch(WATCH, AFTER, calm, NOW + 30 * MINUTE) == WatchPassed()


@pytest.mark.parametrize("after", [timedelta(0), 10 * MINUTE, 30 * MINUTE])
def test_burning_at_the_guard_takes_the_increase_back_to_the_recorded_state(after: timedelta) -> None:
    verdict = judge_watch(WATCH, AFTER, [reading(6.0), reading(18.2, "latency")], NOW + after)
    assert verdict == RollBack(Evidence("latency", 18.2, 6, 5 * MINUTE), FIVE)


def test_the_evidence_reads_as_a_sentence() -> None:
    evidence = Evidence("availability", 18.24, 6, 5 * MINUTE, 0.4)
    assert evidence.words == "availability burns at 18.2 over 5 minutes, the guard is 6; before it was 0.4"


def test_what_somebody_touched_since_is_left_alone() -> None:
    moved = replace(AFTER, version="3")
    assert judge_watch(WATCH, moved, [reading(0.5)], NOW) == ChangedElsewhere(None)
    verdict = judge_watch(WATCH, moved, [reading(18.0)], NOW)
    assert isinstance(verdict, ChangedElsewhere)
    assert verdict.evidence is not None


def test_a_watch_does_not_pass_blindly() -> None:
    late = NOW + 60 * MINUTE
    assert judge_watch(WATCH, AFTER, [reading(0.5), reading(None, "latency")], late) == Unmeasurable(
        ("latency",)
    )
    assert judge_watch(WATCH, AFTER, [], late) == Unmeasurable(())


def test_missing_data_of_one_slo_does_not_hide_the_burning_of_another() -> None:
    verdict = judge_watch(WATCH, AFTER, [reading(None, "latency"), reading(7.0)], NOW)
    assert isinstance(verdict, RollBack)


def test_a_service_that_burned_before_is_blamed_on_the_flag_only_if_it_burns_faster() -> None:
    burning = replace(WATCH, baseline={"availability": 8.0})
    assert isinstance(judge_watch(burning, AFTER, [reading(7.5)], NOW), StillWatching)
    assert isinstance(judge_watch(burning, AFTER, [reading(8.5)], NOW), RollBack)
