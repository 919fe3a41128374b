"""Ramps: steps in time, holds, the way back, and what a restart in the middle of a step finds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.budgets.budget import NO_EVENTS, EventCounts
from bot.flags.flag import FlagState
from bot.flags.guard import BurnReading, ChangeTest, Guard
from bot.flags.ramp import (
    AbandonRamp,
    FinishRamp,
    InvalidRampError,
    Move,
    PauseCause,
    Paused,
    Ramp,
    RecordStepTaken,
    RevertRamp,
    TakeStep,
    WaitUntil,
    decide_move,
    start_ramp,
)
from bot.freezes.verdict import Change, Verdict, VerdictAnswer
from tests.flags.values import EVERYONE, FIVE, OFF, TARGETED, flag_state
from tests.support.clock import MINUTE, NOW

GUARD = Guard(burn=6, watch=45 * MINUTE)
STEPS = (0.01, 0.05, 0.25, 1.0)
EVERY = 30 * MINUTE
CALM = (BurnReading("availability", 0.5, 5 * MINUTE),)
BURNING = (BurnReading("availability", 18.0, 5 * MINUTE),)
BLIND = (BurnReading("availability", None, 5 * MINUTE),)


def verdict(*, allow: bool = True) -> Verdict:
    reasons = () if allow else ("budget hold: 0% left",)
    answer = VerdictAnswer.GO if allow else VerdictAnswer.WAIT
    return Verdict(answer, "checkout", Change(), reasons, (), None, None, NOW)


def ramp(state: FlagState = OFF, steps: Sequence[float] = STEPS) -> Ramp:
    return start_ramp(state, service="checkout", steps=steps, every=EVERY, guard=GUARD)


def at(share: float, version: str) -> FlagState:
    return flag_state(share, version=version)


def move(
    one: Ramp,
    state: FlagState,
    *,
    after: timedelta = timedelta(0),
    readings: Sequence[BurnReading] = CALM,
    allow: bool = True,
) -> Move:
    return decide_move(one, state, verdict(allow=allow), readings, NOW + after)


def stepped(count: int) -> tuple[Ramp, FlagState]:
    """Return a ramp after `count` steps, the last of them now, and the flag."""
    one, state = ramp(), OFF
    for number in range(count):
        state = at(STEPS[number], f"step-{number + 1}")
        one = one.begin_step().take_step(state, NOW)
    return one, state


def test_a_calm_ramp_takes_every_step_in_its_time_and_finishes() -> None:
    one, state, now = ramp(), OFF, NOW
    taken: list[tuple[datetime, float]] = []
    while True:
        what = decide_move(one, state, verdict(), CALM, now)
        match what:
            case TakeStep(share, version):
                assert version == state.version
                taken.append((now, share))
                state = at(share, f"v{len(taken)}")
                one = one.begin_step().take_step(state, now)
            case WaitUntil(until):
                assert until > now
                now = until
            case _:
                break
    assert what == FinishRamp()
    assert taken == [(NOW + number * EVERY, share) for number, share in enumerate(STEPS)]
    assert now == NOW + 3 * EVERY + GUARD.watch


def test_a_step_that_burns_goes_back_to_the_state_before_the_ramp() -> None:
    for count in (1, 3, 4):
        one, state = stepped(count)
        what = move(one, state, readings=BURNING, after=MINUTE)
        assert isinstance(what, RevertRamp)
        assert (what.to, what.evidence.burn) == (OFF, 18.0)


def test_going_back_waits_for_nobody() -> None:
    one, state = stepped(3)
    held = replace(one, held_by="U1")
    assert isinstance(move(held, state, readings=BURNING, allow=False), RevertRamp)
    assert isinstance(move(held, state, readings=(*BURNING, *BLIND), allow=False), RevertRamp)


@pytest.mark.parametrize(
    ("readings", "allow", "held_by", "cause"),
    [
        (CALM, False, None, PauseCause.FROZEN),
        (BLIND, True, None, PauseCause.MISSING_DATA),
        ((), True, None, PauseCause.MISSING_DATA),
        (CALM, True, "U1", PauseCause.PERSON),
        (BURNING, True, None, PauseCause.BURNING),
    ],
)
def test_a_ramp_holds_where_it_stands(
    readings: Sequence[BurnReading], allow: bool, held_by: str | None, cause: PauseCause
) -> None:
    one = replace(ramp(), held_by=held_by)
    what = move(one, OFF, readings=readings, allow=allow)
    assert isinstance(what, Paused)
    assert what.cause is cause
    assert what.why
    assert move(replace(one, held_by=None), OFF) == TakeStep(0.01, OFF.version)


def test_a_hold_that_ends_late_goes_on_where_it_stood() -> None:
    one, state = stepped(2)
    assert isinstance(move(one, state, allow=False, after=60 * MINUTE), Paused)
    assert move(one, state, after=61 * MINUTE) == TakeStep(0.25, "step-2")


def reading(
    total: float,
    *,
    until: datetime | None = NOW + 60 * MINUTE,
    bad: float = 0.0,
    service: str = "checkout",
    holds: bool = True,
) -> BurnReading:
    """Return what a 99.9% SLO counted since the step."""
    test = ChangeTest(service, 0.001, NO_EVENTS, EventCounts(bad, total), until, holds=holds)
    return BurnReading("availability", bad / total / 0.001 if total else 0.0, 5 * MINUTE, test)


def test_a_step_that_nobody_met_is_not_followed_by_another() -> None:
    one, state = stepped(2)

    def seen(total: float, until: datetime | None = NOW + 60 * MINUTE, *, holds: bool = True) -> Move:
        readings = [reading(7_000, service="search"), reading(total, until=until, holds=holds)]
        return move(one, state, after=EVERY + MINUTE, readings=readings)

    why = "no event of checkout was counted since the last step"
    assert seen(0.0) == Paused(PauseCause.NO_EVENTS, why)
    assert seen(0.0, holds=False) == Paused(PauseCause.NO_EVENTS, why)
    assert seen(1_000) == TakeStep(0.25, "step-2")
    # What came since the step may not be counted yet.
    assert seen(0.0, NOW + EVERY - MINUTE) == WaitUntil(NOW + EVERY)
    assert seen(0.0, None) == WaitUntil(NOW + EVERY)


def test_a_step_that_too_few_met_holds_the_ramp_and_says_so() -> None:
    one, state = stepped(2)
    late = EVERY + MINUTE
    why = "not enough traffic to tell (42 requests)"
    assert move(one, state, readings=[reading(42)]) == WaitUntil(NOW + EVERY)
    assert move(one, state, after=late, readings=[reading(42)]) == Paused(PauseCause.UNDECIDED, why)
    assert move(one, state, after=late, readings=[reading(42, until=NOW)]) == WaitUntil(NOW + EVERY)
    assert move(one, state, after=late, readings=[reading(4_200)]) == TakeStep(0.25, "step-2")


def test_where_the_policy_says_so_an_undecided_ramp_goes_on_but_not_in_silence() -> None:
    one, state = stepped(2)
    why = "not enough traffic to tell (42 requests)"
    readings = [reading(42, holds=False)]
    assert move(one, state, after=EVERY, readings=readings) == TakeStep(0.25, "step-2", why)
    one, state = stepped(4)
    assert move(one, state, after=GUARD.watch, readings=readings) == FinishRamp(why)
    mixed = [*readings, reading(43)]
    assert move(one, state, after=GUARD.watch, readings=mixed) == Paused(PauseCause.UNDECIDED, why)


def test_one_bad_request_by_chance_does_not_take_a_ramp_back() -> None:
    one, state = stepped(2)
    assert move(one, state, readings=[reading(42, bad=1)]) == WaitUntil(NOW + EVERY)
    assert isinstance(move(one, state, readings=[reading(42, bad=3)]), RevertRamp)


def test_a_ramp_whose_last_step_nobody_met_does_not_finish() -> None:
    one, state = stepped(4)
    after = GUARD.watch + MINUTE
    what = move(one, state, after=after, readings=[reading(0)])
    assert isinstance(what, Paused)
    assert what.cause is PauseCause.NO_EVENTS
    assert isinstance(move(one, state, after=after, readings=[reading(0), *BURNING]), RevertRamp)
    assert move(one, state, after=after, readings=[reading(1_000)]) == FinishRamp()


def test_a_ramp_does_not_finish_blindly() -> None:
    one, state = stepped(4)
    assert isinstance(move(one, state, readings=BLIND, after=60 * MINUTE), Paused)
    assert move(one, state, after=60 * MINUTE) == FinishRamp()
    assert move(one, state, allow=False, after=60 * MINUTE) == FinishRamp()


def test_a_flag_that_somebody_else_moved_is_theirs() -> None:
    one, _ = stepped(2)
    for moved in (
        at(0.5, "theirs"),
        at(0.05, "there and back"),
        flag_state(0.05, enabled=False, version="x"),
    ):
        assert move(one, moved) == AbandonRamp(moved)
        assert move(one, moved, readings=BURNING) == AbandonRamp(moved)


def test_after_a_crash_a_step_that_happened_is_noted_and_not_taken_twice() -> None:
    one, _ = stepped(1)
    happened = at(0.05, "after")
    assert move(one.begin_step(), happened) == RecordStepTaken(happened)
    resumed = one.begin_step().take_step(happened, NOW)
    assert move(resumed, happened) == WaitUntil(NOW + EVERY)


def test_after_a_crash_a_step_that_did_not_happen_is_taken() -> None:
    one, state = stepped(1)
    assert move(one.begin_step(), state, after=EVERY) == TakeStep(0.05, "step-1")


def test_after_a_crash_a_step_that_happened_by_half_is_taken_again() -> None:
    half = flag_state(0.01, enabled=False, version="half")
    assert move(ramp().begin_step(), half) == TakeStep(0.01, "half")


def test_after_a_crash_a_flag_at_another_share_is_somebody_elses() -> None:
    one, _ = stepped(1)
    assert isinstance(move(one.begin_step(), at(0.5, "theirs")), AbandonRamp)


def test_steps_that_the_flag_is_beyond_are_left_out() -> None:
    assert ramp(FIVE).steps == (0.25, 1.0)
    assert ramp(FIVE).before == FIVE


@pytest.mark.parametrize(
    ("state", "steps", "why"),
    [
        (OFF, (), "1 to 20 steps"),
        (OFF, tuple(n / 100 for n in range(1, 22)), "1 to 20 steps"),
        (OFF, (0.25, 0.05), "higher than the one before"),
        (OFF, (0.05, 0.05), "higher than the one before"),
        (OFF, (0.0, 0.5), "above 0%"),
        (OFF, (0.5, 1.5), "at most 100%"),
        (EVERYONE, STEPS, "at 100% already"),
        (TARGETED, STEPS, "no single percentage"),
    ],
)
def test_what_is_no_ramp_is_refused(state: FlagState, steps: Sequence[float], why: str) -> None:
    with pytest.raises(InvalidRampError, match=why):
        ramp(state, steps)
    with pytest.raises(InvalidRampError, match="time between"):
        start_ramp(OFF, service="checkout", steps=(1.0,), every=timedelta(0), guard=GUARD)
