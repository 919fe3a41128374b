"""The five delivery measures of a span of time, by the definitions of dora.dev. Pure; no clock, no I/O.

Everything is computed from single deliveries and belongs to the time at which the delivery itself ended:
an incident that is linked later changes the delivery's own week, and shifting the span moves nothing else.
A team's measures are those of all deliveries of its services together.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from bot.catalog.window import Span
from bot.velocity.delivery import LONGEST_LEAD_TIME, DeliveredChange, Delivery, within
from bot.velocity.statistics import DurationQuantiles, Proportion, duration_quantiles, proportion

WEEK = timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class LeadTime:
    """How long changes took to production; `dropped` had negative times or more than 400 days.

    `unknown` are changes of which the forge did not tell the time.
    """

    times: DurationQuantiles
    dropped: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class DeploymentFrequency:
    """How many deployments there were, how many that is a week, and the time between two of one service."""

    n: int
    per_week: float
    between: DurationQuantiles


@dataclass(frozen=True, slots=True)
class RecoveryTime:
    """How long failed deployments took to recover; `unrecovered` have not yet."""

    times: DurationQuantiles
    unrecovered: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryMeasures:
    """The measures of the deliveries that ended in a span.

    `lead_time` counts from authoring, `lead_time_from_merge` from when a change was first on the default
    branch. `suspected` are deployments that are not counted as failed, but shortly before an incident that
    nobody has linked. `without_changes` are those of which nobody told what they carried.
    """

    span: Span
    lead_time: LeadTime
    lead_time_from_merge: LeadTime
    deployment_frequency: DeploymentFrequency
    recovery: RecoveryTime
    change_fail_rate: Proportion
    suspected: Proportion
    rework_rate: Proportion
    without_changes: int


def measure(deliveries: Iterable[Delivery], span: Span) -> DeliveryMeasures:
    """Return the measures of a span that is not empty.

    `deliveries` may lie outside it: the first one's distance to the one before it is known then. Raises
    `ValueError` for an empty span.
    """
    if span.length <= timedelta():
        raise ValueError("the measures of no time are asked for")
    every = list(deliveries)
    counted = within(every, span)
    n = len(counted)
    failed = [each for each in counted if each.has_failed]
    recovered = [length for each in failed if (length := each.recovery_time) is not None]
    return DeliveryMeasures(
        span=span,
        lead_time=_lead_time(counted, lambda change: change.authored_at),
        lead_time_from_merge=_lead_time(counted, lambda change: change.merged_at),
        deployment_frequency=DeploymentFrequency(n, n / (span.length / WEEK), _between(every, span)),
        recovery=RecoveryTime(duration_quantiles(recovered), len(failed) - len(recovered)),
        change_fail_rate=proportion(len(failed), n),
        suspected=proportion(sum(each.is_suspected for each in counted), n),
        rework_rate=proportion(sum(each.is_rework for each in counted), n),
        without_changes=sum(each.size is None for each in counted),
    )


def _lead_time(counted: Sequence[Delivery], began: Callable[[DeliveredChange], datetime | None]) -> LeadTime:
    """Return the lead time of all changes that came to production for the first time."""
    times: list[timedelta] = []
    seen: Counter[str] = Counter()
    for delivery in counted:
        for change in delivery.changes:
            at = began(change)
            if not change.is_first:
                continue
            if at is None:
                seen["unknown"] += 1
            elif timedelta() <= (length := delivery.finished_at - at) <= LONGEST_LEAD_TIME:
                times.append(length)
            else:
                seen["dropped"] += 1
    return LeadTime(duration_quantiles(times), seen["dropped"], seen["unknown"])


def _between(every: Iterable[Delivery], span: Span) -> DurationQuantiles:
    """Return the times between two deliveries of one service, of which the later ended in the span."""
    by_service: dict[str, list[datetime]] = {}
    for delivery in every:
        by_service.setdefault(delivery.service, []).append(delivery.finished_at)
    return duration_quantiles(
        later - earlier
        for ends in by_service.values()
        for earlier, later in pairwise(sorted(ends))
        if span.start <= later < span.end
    )
