"""A goal that two teams share for a time: how fast they ship and how reliable it is. Pure; no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from bot.catalog.window import CalendarUnit, CalendarWindow, Span


class DeliveryMeasure(StrEnum):
    """A delivery measure of which a goal names a limit, as policies write it."""

    LEAD_TIME = "leadTime"
    DEPLOYMENT_FREQUENCY = "deploymentFrequency"
    RECOVERY_TIME = "failedDeploymentRecoveryTime"
    CHANGE_FAIL_RATE = "changeFailRate"
    REWORK_RATE = "reworkRate"


class Quantile(StrEnum):
    """Which of many lengths of time is compared."""

    P50 = "p50"
    P90 = "p90"


@dataclass(frozen=True, slots=True)
class TimeTarget:
    """A length of time that a measure's quantile must not exceed."""

    measure: DeliveryMeasure
    quantile: Quantile
    at_most: timedelta


@dataclass(frozen=True, slots=True)
class RateTarget:
    """A share of the deployments that must not be exceeded."""

    measure: DeliveryMeasure
    at_most: Decimal


@dataclass(frozen=True, slots=True)
class FrequencyTarget:
    """How many deployments a week there must be at least."""

    at_least: Decimal

    @property
    def measure(self) -> DeliveryMeasure:
        """The measure that is compared."""
        return DeliveryMeasure.DEPLOYMENT_FREQUENCY


DeliveryTarget = TimeTarget | RateTarget | FrequencyTarget


@dataclass(frozen=True, slots=True)
class ReliabilityTarget:
    """The share of good events that an SLO must reach in the goal's time."""

    service: str
    slo: str
    at_least: Decimal

    @property
    def key(self) -> str:
        """The SLO as people write it: `checkout/availability`."""
        return f"{self.service}/{self.slo}"


@dataclass(frozen=True, slots=True)
class GoalTerm:
    """The time of a goal, and what people call it: `2026-Q4`, or `2026-10-01 to 2026-11-15`."""

    span: Span
    name: str


EVERY_QUARTER: Final = "every"
"""What policies write for a goal that begins anew with each quarter."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the teams of some services want to reach in a time; met only if both halves are.

    `only_term` is None for a goal that begins anew with each quarter in its time zone.
    """

    name: str
    description: str
    services: tuple[str, ...]
    only_term: GoalTerm | None
    time_zone: str
    delivery: tuple[DeliveryTarget, ...]
    reliability: tuple[ReliabilityTarget, ...]
    channel: str

    def term(self, now: datetime) -> GoalTerm:
        """Return its only term, or the quarter that it is now."""
        if self.only_term is not None:
            return self.only_term
        span = CalendarWindow(CalendarUnit.QUARTER, self.time_zone).period(now)
        first = span.start.astimezone(ZoneInfo(self.time_zone))
        return GoalTerm(span, f"{first.year}-Q{(first.month + 2) // 3}")
