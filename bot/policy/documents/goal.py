"""The model of a Goal: what the teams of some services want to reach together in a time."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, PlainValidator, WithJsonSchema

from bot.catalog.catalog import Service, Workspace
from bot.catalog.goal import (
    EVERY_QUARTER,
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
from bot.catalog.window import Span
from bot.durations import CANONICAL_FORM
from bot.policy.documents.envelope import Envelope
from bot.policy.documents.fields import Channel, Objective, Share, TimeZone
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.planning_fields import Day, Services
from bot.policy.documents.quantities import duration_between
from bot.policy.faults import IT, InvalidValueError
from bot.store.addresses import qualified

_QUARTERS = "a quarter such as 2026-Q4, or every"
_MOST_A_WEEK = 10_000
_LONGEST = timedelta(days=366)


def _quarter(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(rf"2[01][0-9]{{2}}-Q[1-4]|{EVERY_QUARTER}", value):
        raise InvalidValueError(f"{IT} is not a quarter", _QUARTERS)
    return value


def _time(value: object) -> timedelta:
    return duration_between(value, "1m", "400d")


def _per_week(value: object) -> Decimal:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}(?:\.[0-9]{1,3})?", value):
        number = Decimal(value)
    elif is_number:
        number = Decimal(str(value))
    else:
        raise InvalidValueError(f"{IT} is not a number", "how many a week, such as 5")
    if not 0 < number <= _MOST_A_WEEK:
        raise InvalidValueError(f"{IT} is out of range", f"above 0, at most {_MOST_A_WEEK}")
    return number


Quarter = Annotated[
    str,
    PlainValidator(_quarter),
    WithJsonSchema(
        {"type": "string", "pattern": "^(?:2[01][0-9]{2}-Q[1-4]|every)$", "examples": ["2026-Q4", "every"]}
    ),
]
GoalTime = Annotated[
    timedelta,
    PlainValidator(_time),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{CANONICAL_FORM})$", "examples": ["1d", "4h"]}),
]
PerWeek = Annotated[
    Decimal,
    PlainValidator(_per_week),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": _MOST_A_WEEK, "examples": [5]}),
]


class TimeTargetSpec(Model):
    """How long it may take at most: half of all times (`p50`), or nine of ten (`p90`), or both."""

    p50: GoalTime | None = None
    """The longest median, such as `1d`."""
    p90: GoalTime | None = None
    """The longest time of the quickest nine in ten."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is one at all, and that they fit together."""
        if self.p50 is None and self.p90 is None:
            yield BrokenRule((), "it names neither `p50` nor `p90`", "one of them or both")
        elif self.p50 is not None and self.p90 is not None and self.p90 < self.p50:
            yield BrokenRule(("p90",), "the p90 is never shorter than the median", "at least `p50`")


class FrequencyTargetSpec(Model):
    """How often to deploy at least."""

    per_week: PerWeek
    """Deployments to production a week, all services together."""


class DeliveryTargetsSpec(Model):
    """The half of delivery: limits of the five measures, all services together. At least one."""

    lead_time: TimeTargetSpec | None = None
    """From a change's authoring to production."""
    deployment_frequency: FrequencyTargetSpec | None = None
    """How often to deploy."""
    failed_deployment_recovery_time: TimeTargetSpec | None = None
    """From the end of a failed deployment to recovery."""
    change_fail_rate: Share | None = None
    """The largest share of deployments that fail."""
    rework_rate: Share | None = None
    """The largest share of deployments that are unplanned work after a failure."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is one at all."""
        if not self.model_dump(exclude_none=True):
            yield BrokenRule((), "a goal needs both halves, and this one is empty", "at least one measure")


class GoalSpec(Model):
    """What the teams of some services want to reach in a time: met only if both halves are."""

    description: str = ""
    """One sentence that says why."""
    services: Services
    """Names of the services, one or a list, all of one Slack workspace; their teams share the goal."""
    channel: Channel | None = None
    """Where it belongs, `#name` or an id; the channel of the first service if left out."""
    quarter: Quarter | None = None
    """The quarter of a year, such as `2026-Q4`, or `every` to begin anew with each; else `from`, `until`."""
    begins: Day | None = Field(None, alias="from")
    """The first day, in quotes."""
    until: Day | None = None
    """The last day, in quotes."""
    time_zone: TimeZone | None = None
    """IANA time zone in which the days begin; that of the first service if left out."""
    delivery: DeliveryTargetsSpec
    """The half of delivery: how fast to ship."""
    reliability: dict[str, Objective] = Field(min_length=1)
    """The half of reliability: for each `service/slo` the share of good events in this time."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that the time is named once and as a whole, and that the SLOs are of these services."""
        yield from self._broken_time()
        for index, service in enumerate(self.services):
            if service in self.services[:index]:
                yield BrokenRule(("services", index), f"{IT} is in this list twice", "each once")
        for key in self.reliability:
            service, _, slo = key.partition("/")
            if not slo or service not in self.services:
                known = ", ".join(f"{name}/…" for name in self.services)
                yield BrokenRule(("reliability", key), f"`{key}` is not an SLO of these services", known)

    def _broken_time(self) -> Iterator[BrokenRule]:
        if self.quarter is not None:
            for name, day in (("from", self.begins), ("until", self.until)):
                if day is not None:
                    yield BrokenRule((name,), "`quarter` names the time already", "one of both")
        elif self.begins is None or self.until is None:
            yield BrokenRule((), "it does not say when", "`quarter`, or `from` and `until`")
        elif self.until < self.begins:
            yield BrokenRule(("until",), "it ends before it begins", "not before `from`")
        elif self.until - self.begins >= _LONGEST:
            yield BrokenRule(("until",), "a goal is for a year at most", "at most 366 days")


class GoalDocument(Envelope):
    """A goal that development and reliability share."""

    kind: Literal["Goal"]
    """What the document describes."""
    spec: GoalSpec
    """The goal."""


def goal_of(document: GoalDocument, services: Mapping[str, Service], home: Workspace) -> Goal:
    """Return the goal that a document describes; `home` is the workspace of its services."""
    spec = document.spec
    first = next((services[name] for name in spec.services if name in services), None)
    zone = spec.time_zone or (first.time_zone if first else home.time_zone)
    channel = qualified(home.elsewhere, spec.channel) if spec.channel else None
    return Goal(
        name=document.metadata.name,
        description=spec.description,
        services=spec.services,
        only_term=None if spec.quarter == EVERY_QUARTER else _term(spec, ZoneInfo(zone)),
        time_zone=zone,
        delivery=tuple(_delivery(spec.delivery)),
        reliability=tuple(
            ReliabilityTarget(key.partition("/")[0], key.partition("/")[2], objective)
            for key, objective in sorted(spec.reliability.items())
        ),
        channel=channel or (first.channel if first else home.announcements),
    )


def _term(spec: GoalSpec, zone: ZoneInfo) -> GoalTerm:
    if spec.quarter is not None:
        year, quarter = int(spec.quarter[:4]), int(spec.quarter[-1])
        begins = date(year, 3 * quarter - 2, 1)
        following = date(year + quarter // 4, 3 * (quarter % 4) + 1, 1)
    else:
        if spec.begins is None or spec.until is None:
            raise ValueError("the document was not validated")
        begins, following = spec.begins, spec.until + timedelta(days=1)
    span = Span(*(datetime.combine(day, time(), zone).astimezone(UTC) for day in (begins, following)))
    return GoalTerm(span, spec.quarter or f"{spec.begins} to {spec.until}")


def _delivery(spec: DeliveryTargetsSpec) -> Iterator[DeliveryTarget]:
    if spec.deployment_frequency is not None:
        yield FrequencyTarget(spec.deployment_frequency.per_week)
    for measure, times in (
        (DeliveryMeasure.LEAD_TIME, spec.lead_time),
        (DeliveryMeasure.RECOVERY_TIME, spec.failed_deployment_recovery_time),
    ):
        if times is not None:
            limits = (Quantile.P50, times.p50), (Quantile.P90, times.p90)
            yield from (TimeTarget(measure, each, limit) for each, limit in limits if limit is not None)
    for measure, share in (
        (DeliveryMeasure.CHANGE_FAIL_RATE, spec.change_fail_rate),
        (DeliveryMeasure.REWORK_RATE, spec.rework_rate),
    ):
        if share is not None:
            yield RateTarget(measure, share)
