"""Showing a flag to more people step by step. Pure; no clock, no I/O.

A ramp pauses by itself while the service is frozen, cannot be measured or burns too fast, and while too few
events were counted since its last step to tell whether it hurts. It reverts to the state before its first
step when a step makes the service burn, and ends as soon as somebody else changes the flag.

A step is stored as begun before the flag is changed, and as taken afterwards: for a ramp that is `begun`
after a restart the flag is read to find out how far the step came.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bot.flags.flag import FlagState, exposure_in_words
from bot.flags.guard import (
    BurnReading,
    Evidence,
    Guard,
    awaits_events,
    compared_words,
    crossing,
    find_undecided,
    unmeasured,
    without_events,
)
from bot.formatting import percent_text
from bot.freezes.verdict import Verdict

_MOST_STEPS = 20
_SAME_SHARE = 1e-6


class InvalidRampError(Exception):
    """The steps do not make a ramp; the message says why."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """A ramp and how far it has come.

    `before` is the state to revert to, `version` the flag's after the last step taken. `taken` counts the
    steps; `begun`: the next one was begun and its outcome is not stored. `held_by` is the person who paused
    the ramp.
    """

    flag: str
    environment: str
    service: str
    steps: tuple[float, ...]
    every: timedelta
    guard: Guard
    before: FlagState
    version: str
    taken: int = 0
    taken_at: datetime | None = None
    begun: bool = False
    held_by: str | None = None

    @property
    def next_share(self) -> float | None:
        """The share of the next step, None after the last."""
        return self.steps[self.taken] if self.taken < len(self.steps) else None

    def begin_step(self) -> "Ramp":
        """Return the ramp to store before the flag is changed."""
        return replace(self, begun=True)

    def take_step(self, after: FlagState, now: datetime) -> "Ramp":
        """Return the ramp to store once the flag has the next share."""
        return replace(self, begun=False, taken=self.taken + 1, taken_at=now, version=after.version)


def start_ramp(
    state: FlagState, *, service: str, steps: Sequence[float], every: timedelta, guard: Guard
) -> Ramp:
    """Return a ramp from the flag as it is.

    Steps at or below the flag's exposure are left out. Raises `InvalidRampError` for steps that do not rise,
    are out of range, or leave nothing to do, and for a flag without a single percentage.
    """
    exposure = state.exposure
    if state.rollout is not None and exposure is None:
        raise InvalidRampError(
            f"who sees {state.flag} is not known, {exposure_in_words(state)}: turn it off first"
        )
    if exposure is None or state.rollout is None:
        raise InvalidRampError(f"{state.flag} has no single percentage ({state.shape})")
    if not steps or len(steps) > _MOST_STEPS:
        raise InvalidRampError(f"a ramp has 1 to {_MOST_STEPS} steps")
    if not all(0 < share <= 1 for share in steps):
        raise InvalidRampError("each step is above 0% and at most 100%")
    if any(low >= high for low, high in itertools.pairwise(steps)):
        raise InvalidRampError("each step is higher than the one before")
    if every <= timedelta(0):
        raise InvalidRampError("there is time between two steps")
    left = tuple(share for share in steps if share > exposure)
    if not left:
        raise InvalidRampError(f"{state.flag} is at {percent_text(exposure, plain=True)} already")
    return Ramp(state.flag, state.environment, service, left, every, guard, state, state.version)


class PauseCause(StrEnum):
    """Why a ramp is paused."""

    PERSON = "person"
    FROZEN = "frozen"
    MISSING_DATA = "missing data"
    BURNING = "burning"
    NO_EVENTS = "no events"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class TakeStep:
    """Set the flag to this share now; `version` is the one to change it from.

    `undecided` says that nobody can tell whether the step before hurts, where the policy lets the ramp go on;
    `compared` what was compared, where the policy names variants.
    """

    share: float
    version: str
    undecided: str = ""
    compared: str = ""


@dataclass(frozen=True, slots=True)
class RecordStepTaken:
    """The step that was begun before a restart did happen: record it."""

    after: FlagState


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing to do before `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Paused:
    """The ramp stays where it is; `why` is fit for people."""

    cause: PauseCause
    why: str


@dataclass(frozen=True, slots=True)
class RevertRamp:
    """A step made the service burn: restore the state before the ramp, and end it."""

    evidence: Evidence
    to: FlagState


@dataclass(frozen=True, slots=True)
class FinishRamp:
    """The last step was taken and watched for long enough; `undecided` as in `TakeStep`."""

    undecided: str = ""


@dataclass(frozen=True, slots=True)
class AbandonRamp:
    """Somebody else changed the flag: the ramp must not change it any more."""

    state: FlagState


Move = TakeStep | RecordStepTaken | WaitUntil | Paused | RevertRamp | FinishRamp | AbandonRamp


def decide_move(
    ramp: Ramp,
    state: FlagState,
    verdict: Verdict,
    readings: Sequence[BurnReading],
    now: datetime,
) -> Move:
    """Return the ramp's next move, from the flag as it is, the verdict on raising it, and the burn rates.

    The readings have tests of the last step once there is one.
    """
    if state.version != ramp.version:
        return _recover(ramp, state)
    evidence = crossing(ramp.guard, readings)
    if evidence is not None and ramp.taken:
        return RevertRamp(evidence, ramp.before)
    return _next_move(ramp, state, _paused(ramp, verdict, readings, evidence), readings, now)


def _next_move(
    ramp: Ramp, state: FlagState, paused: Paused | None, readings: Sequence[BurnReading], now: datetime
) -> Move:
    """Return the move of a ramp that nothing sends back."""
    share = ramp.next_share
    if share is None:
        if paused is not None and paused.cause is PauseCause.MISSING_DATA:
            return paused
        due = now if ramp.taken_at is None else ramp.taken_at + ramp.guard.watch
        return _once_decided(ramp, FinishRamp(), due, readings, now)
    if paused is not None:
        return paused
    if ramp.taken_at is None:
        return TakeStep(share, state.version)
    step = TakeStep(share, state.version, compared=compared_words(readings))
    return _once_decided(ramp, step, ramp.taken_at + ramp.every, readings, now)


def _recover(ramp: Ramp, state: FlagState) -> Move:
    """Return what to do about a flag that is not as the ramp left it."""
    share = ramp.next_share
    if not ramp.begun or share is None or state.rollout is None or abs(state.rollout - share) > _SAME_SHARE:
        return AbandonRamp(state)
    # A system that needs several calls may have the share and not yet the switch.
    return RecordStepTaken(state) if state.enabled else TakeStep(share, state.version)


def _paused(
    ramp: Ramp, verdict: Verdict, readings: Sequence[BurnReading], evidence: Evidence | None
) -> Paused | None:
    unknown = unmeasured(readings)
    if unknown or not readings:
        why = f"{', '.join(unknown)} cannot be measured" if unknown else "the service has no SLO to watch"
        return Paused(PauseCause.MISSING_DATA, why)
    if ramp.held_by is not None:
        return Paused(PauseCause.PERSON, f"{ramp.held_by} holds it")
    if not verdict.allow:
        return Paused(PauseCause.FROZEN, "; ".join(verdict.reasons))
    if evidence is not None:
        return Paused(PauseCause.BURNING, evidence.words)
    return None


def _once_decided(
    ramp: Ramp, move: TakeStep | FinishRamp, due: datetime, readings: Sequence[BurnReading], now: datetime
) -> Move:
    """Return the move once it is due and the events since the last step show that it does not hurt."""
    undecided, without = find_undecided(ramp.guard, readings), without_events(readings)
    if now < due or ((undecided or without) and awaits_events(readings, due)):
        return WaitUntil(due)
    if without:
        # Nobody may have met the step.
        return Paused(PauseCause.NO_EVENTS, f"no {' and no '.join(without)} was counted since the last step")
    if undecided is None:
        return move
    if undecided.holds:
        return Paused(PauseCause.UNDECIDED, undecided.words)
    return replace(move, undecided=undecided.words)


def steps_in_words(before: FlagState, steps: Sequence[float]) -> str:
    """Return a ramp's steps as text: `off → 1% → 5% → 25% of users`."""
    start = exposure_in_words(before) if before.is_off else percent_text(before.rollout or 0.0, plain=True)
    return " → ".join([start, *(percent_text(step, plain=True) for step in steps)]) + " of users"
