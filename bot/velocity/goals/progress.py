"""How far a goal has come. Pure; no clock, no I/O.

A goal is met only when both of its halves are, and a half only when each of its targets is. What cannot be
said yet, because nothing was deployed or counted, is unknown: neither met nor missed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from bot.budgets.budget import EventCounts
from bot.budgets.exact import allowed, exact
from bot.catalog.goal import (
    DeliveryMeasure,
    DeliveryTarget,
    FrequencyTarget,
    Goal,
    GoalTerm,
    Quantile,
    RateTarget,
    ReliabilityTarget,
    TimeTarget,
)
from bot.velocity.measures import DeliveryMeasures


class GoalState(StrEnum):
    """Whether a target, a half or a whole goal is reached so far."""

    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """A target of the delivery half; `n` is on how many deployments or changes its value rests."""

    target: DeliveryTarget
    value: timedelta | float | None
    n: int
    state: GoalState


@dataclass(frozen=True, slots=True)
class ReliabilityProgress:
    """A target of the reliability half; `value` is the share of good events, None without events."""

    target: ReliabilityTarget
    value: float | None
    good: float
    total: float
    state: GoalState


@dataclass(frozen=True, slots=True)
class GoalProgress:
    """A goal as it stands at a time."""

    goal: Goal
    term: GoalTerm
    at: datetime
    delivery: tuple[DeliveryProgress, ...]
    reliability: tuple[ReliabilityProgress, ...]

    @property
    def delivery_state(self) -> GoalState:
        """Whether the half of delivery is met."""
        return _together(each.state for each in self.delivery)

    @property
    def reliability_state(self) -> GoalState:
        """Whether the half of reliability is met."""
        return _together(each.state for each in self.reliability)

    @property
    def state(self) -> GoalState:
        """Whether the goal is met: both halves."""
        return _together((self.delivery_state, self.reliability_state))

    @property
    def has_begun(self) -> bool:
        """Whether its time has begun."""
        return self.at >= self.term.span.start

    @property
    def has_ended(self) -> bool:
        """Whether its time is over, so that this is how it ended."""
        return self.at >= self.term.span.end

    @property
    def elapsed(self) -> float:
        """The share of its time that has passed, from 0 to 1."""
        span = self.term.span
        return min(1.0, max(0.0, (self.at - span.start) / span.length))


def progress(
    goal: Goal, measures: DeliveryMeasures | None, counts: Mapping[str, EventCounts], at: datetime
) -> GoalProgress:
    """Return how far a goal has come.

    `measures` are those of its services from its beginning on, None before that; `counts` the events of its
    SLOs in the same time, by their keys.
    """
    return GoalProgress(
        goal,
        goal.term(at),
        at,
        tuple(_delivery(target, measures) for target in goal.delivery),
        tuple(_reliability(target, counts.get(target.key)) for target in goal.reliability),
    )


def _delivery(target: DeliveryTarget, measures: DeliveryMeasures | None) -> DeliveryProgress:
    if measures is None:
        return DeliveryProgress(target, None, 0, GoalState.UNKNOWN)
    match target:
        case TimeTarget():
            is_recovery = target.measure is DeliveryMeasure.RECOVERY_TIME
            times = (measures.recovery if is_recovery else measures.lead_time).times
            length = times.p50 if target.quantile is Quantile.P50 else times.p90
            return DeliveryProgress(
                target, length, times.n, _state(None if length is None else length <= target.at_most)
            )
        case RateTarget():
            is_failure = target.measure is DeliveryMeasure.CHANGE_FAIL_RATE
            rate = measures.change_fail_rate if is_failure else measures.rework_rate
            # Of whole numbers, so that a share of exactly the limit is within it.
            is_met = None if not rate.n else Decimal(rate.count) <= target.at_most * rate.n
            return DeliveryProgress(target, rate.value, rate.n, _state(is_met))
        case FrequencyTarget():
            frequency = measures.deployment_frequency
            is_met = frequency.per_week >= float(target.at_least)
            return DeliveryProgress(target, frequency.per_week, frequency.n, _state(is_met))
        case _:
            assert_never(target)


def _reliability(target: ReliabilityTarget, counts: EventCounts | None) -> ReliabilityProgress:
    if counts is None or not counts.total:
        return ReliabilityProgress(target, None, 0.0, 0.0, GoalState.UNKNOWN)
    is_met = exact(counts.bad) <= allowed(counts.total, target.at_least)
    value = counts.good / counts.total
    return ReliabilityProgress(target, value, counts.good, counts.total, _state(is_met))


def _state(is_met: bool | None) -> GoalState:
    if is_met is None:
        return GoalState.UNKNOWN
    return GoalState.MET if is_met else GoalState.NOT_MET


def _together(states: Iterable[GoalState]) -> GoalState:
    every = tuple(states)
    if GoalState.NOT_MET in every:
        return GoalState.NOT_MET
    return GoalState.UNKNOWN if GoalState.UNKNOWN in every else GoalState.MET
