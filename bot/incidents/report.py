"""A report on incidents: how many, how quickly detected and restored, and what they spent by cause.

Pure; no clock, no I/O. An incident weighs what it spent of the SLO that it spent most of, for each of its
services; weights are fractions of a budget and add up to more than 1 where more than one was spent. Where
incidents overlap, each weighs only what it added (`attribution.py`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from statistics import median

from bot.incidents.attribution import Charge
from bot.incidents.incident import CauseClass, Incident, Severity, Status, times

WORK: Mapping[CauseClass, str] = {
    CauseClass.SOFTWARE_BUG: "fixes and tests",
    CauseClass.INFRASTRUCTURE: "resilience and failover",
    CauseClass.DESIGN: "design reviews of where one fault can spread",
    CauseClass.CAPACITY: "load tests and tuning",
    CauseClass.DEPENDENCY: "timeouts, fallbacks and agreed objectives",
    CauseClass.HUMAN_PROCEDURE: "automation and guard rails",
    CauseClass.OTHER: "whatever would have shortened it most",
}
"""The reliability work that each class of cause points to."""

LATE_WORK = "monitoring and alerts"
"""The work that late detection points to."""

LATE_FROM = 0.25
"""Detection counts as late when at least this share of what was spent was spent before anybody knew."""

MOST_OF_IT = 0.8
"""The costliest incidents are the fewest that make up this share of all that was spent."""


@dataclass(frozen=True, slots=True)
class ChargedIncident:
    """An incident, and what it is charged with by `service/slo`; empty where its cost is not known."""

    incident: Incident
    charges: Mapping[str, Charge]

    @property
    def weight(self) -> Charge:
        """What it spent in all of each service's SLO that it spent most of."""
        worst: dict[str, Charge] = {}
        for key, charge in self.charges.items():
            service = key.partition("/")[0]
            worst[service] = max(worst.get(service, charge), charge, key=lambda charge: charge.spent)
        charges = worst.values()
        return Charge(sum(charge.spent for charge in charges), sum(charge.unseen for charge in charges))


@dataclass(frozen=True, slots=True)
class DurationSummary:
    """How long something took: the median, and the worst with its incident's number, of `count` incidents."""

    median: timedelta
    worst: timedelta
    worst_id: int
    count: int


@dataclass(frozen=True, slots=True)
class CauseShare:
    """What went to one class of cause (None: not classified yet), by incidents of these numbers.

    `spent` is a fraction of a budget, `share` one of all that was spent.
    """

    cause: CauseClass | None
    spent: float
    share: float
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """The incidents of a time. `spent` is a fraction of a budget; shares are fractions of `spent`.

    `costliest` are the fewest incidents that make up most of it, the costliest first, with `costliest_share`;
    `unseen` is the share from before anybody knew. `unclassified` are resolved and have no class of cause
    yet; what `unweighed` have cost is not known.
    """

    since: datetime
    until: datetime
    service: str | None
    severities: Mapping[Severity, int]
    is_open: int
    detect: DurationSummary | None
    acknowledge: DurationSummary | None
    restore: DurationSummary | None
    spent: float
    shares: tuple[CauseShare, ...]
    costliest: tuple[ChargedIncident, ...]
    costliest_share: float
    unseen: float
    unclassified: tuple[int, ...]
    unweighed: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many incidents there were."""
        return sum(self.severities.values())

    @property
    def most(self) -> CauseShare | None:
        """The class of cause that most was spent by; None where none is known or nothing was spent."""
        known = (share for share in self.shares if share.cause is not None and share.spent > 0)
        return next(known, None)

    @property
    def is_found_late(self) -> bool:
        """Whether enough was spent before anybody knew that detection needs work."""
        return self.unseen >= LATE_FROM


def report_on(
    charged: Sequence[ChargedIncident], *, since: datetime, until: datetime, service: str | None = None
) -> IncidentReport:
    """Return the report on the incidents of a time. `service` only says whose they are."""
    incidents = [item.incident for item in charged]
    weights = {item.incident.id: item.weight for item in charged}
    spent = sum(weight.spent for weight in weights.values())
    costliest = _costliest(charged, spent)
    counted = Counter(incident.severity for incident in incidents)
    taken = [(incident.id, times(incident)) for incident in incidents]
    return IncidentReport(
        since=since,
        until=until,
        service=service,
        severities={severity: counted[severity] for severity in Severity if counted[severity]},
        is_open=sum(not incident.status.is_over for incident in incidents),
        detect=_summary((id_, times_.detect) for id_, times_ in taken),
        acknowledge=_summary((id_, times_.acknowledge) for id_, times_ in taken),
        restore=_summary((id_, times_.restore) for id_, times_ in taken),
        spent=spent,
        shares=_shares(incidents, weights, spent),
        costliest=costliest,
        costliest_share=sum(item.weight.spent for item in costliest) / spent if spent > 0 else 0.0,
        unseen=sum(weight.unseen for weight in weights.values()) / spent if spent > 0 else 0.0,
        unclassified=tuple(
            sorted(
                incident.id
                for incident in incidents
                if incident.cause is None and incident.status is Status.RESOLVED
            )
        ),
        unweighed=tuple(
            sorted(item.incident.id for item in charged if item.incident.services and not item.charges)
        ),
    )


def _summary(lengths: Iterable[tuple[int, timedelta | None]]) -> DurationSummary | None:
    known = [(length, id_) for id_, length in lengths if length is not None]
    if not known:
        return None
    worst, worst_id = max(known)
    middle = median(length.total_seconds() for length, _ in known)
    return DurationSummary(timedelta(seconds=middle), worst, worst_id, len(known))


def _shares(
    incidents: Sequence[Incident], weights: Mapping[int, Charge], spent: float
) -> tuple[CauseShare, ...]:
    """Return the share of each class of cause, most first; of equal shares the unclassified one last."""
    by_cause: dict[CauseClass | None, list[int]] = {}
    for incident in incidents:
        by_cause.setdefault(incident.cause, []).append(incident.id)
    sums = {cause: sum(weights[id_].spent for id_ in ids) for cause, ids in by_cause.items()}
    order = sorted(sums, key=lambda cause: (-sums[cause], cause is None, cause or ""))
    return tuple(
        CauseShare(
            cause, sums[cause], sums[cause] / spent if spent > 0 else 0.0, tuple(sorted(by_cause[cause]))
        )
        for cause in order
    )


def _costliest(charged: Sequence[ChargedIncident], spent: float) -> tuple[ChargedIncident, ...]:
    order = sorted(charged, key=lambda item: (-item.weight.spent, item.incident.id))
    order = [item for item in order if item.weight.spent > 0]
    sums = list(accumulate(item.weight.spent for item in order))
    enough = next((count for count, so_far in enumerate(sums, 1) if so_far >= MOST_OF_IT * spent), 0)
    return tuple(order[:enough])
