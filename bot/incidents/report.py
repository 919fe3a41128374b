"""What a time's incidents teach: how many, how quickly found and mended, and where the budget went.

Pure; no clock, no I/O. An incident weighs what it spent of the SLO that it hurt most, of each of its
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
"""From this share of the budget on that was spent before anybody knew, detection counts as late."""

MOST_OF_IT = 0.8
"""The costliest incidents are the fewest that make up this share of all that was spent."""


@dataclass(frozen=True, slots=True)
class ChargedIncident:
    """An incident, and what it is charged with by `service/slo`; empty where its cost is not known."""

    incident: Incident
    charges: Mapping[str, Charge]

    @property
    def weight(self) -> Charge:
        """What it spent of the SLO that it hurt most, of each service, in all."""
        worst: dict[str, Charge] = {}
        for key, charge in self.charges.items():
            service = key.partition("/")[0]
            worst[service] = max(worst.get(service, charge), charge, key=lambda one: one.spent)
        return Charge(sum(one.spent for one in worst.values()), sum(one.unseen for one in worst.values()))


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
    """What a time's incidents teach. `spent` is a fraction of a budget; shares are fractions of `spent`.

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
        """The class of cause that most of it went to; None where none is known or nothing was spent."""
        return next((one for one in self.shares if one.cause is not None and one.spent > 0), None)

    @property
    def is_found_late(self) -> bool:
        """Whether so much was spent before anybody knew that this is a thing to work on."""
        return self.unseen >= LATE_FROM


def report_on(
    found: Sequence[ChargedIncident], *, since: datetime, until: datetime, service: str | None = None
) -> IncidentReport:
    """Sum the incidents of a time up. `service` only says whose they are."""
    incidents = [one.incident for one in found]
    weights = {one.incident.id: one.weight for one in found}
    spent = sum(weight.spent for weight in weights.values())
    costliest = _costliest(found, spent)
    counted = Counter(one.severity for one in incidents)
    taken = [(one.id, times(one)) for one in incidents]
    return IncidentReport(
        since=since,
        until=until,
        service=service,
        severities={severity: counted[severity] for severity in Severity if counted[severity]},
        is_open=sum(one.status is not Status.RESOLVED for one in incidents),
        detect=_taken((id_, each.detect) for id_, each in taken),
        acknowledge=_taken((id_, each.acknowledge) for id_, each in taken),
        restore=_taken((id_, each.restore) for id_, each in taken),
        spent=spent,
        shares=_shares(incidents, weights, spent),
        costliest=costliest,
        costliest_share=sum(one.weight.spent for one in costliest) / spent if spent > 0 else 0.0,
        unseen=sum(weight.unseen for weight in weights.values()) / spent if spent > 0 else 0.0,
        unclassified=tuple(
            sorted(one.id for one in incidents if one.cause is None and one.status is Status.RESOLVED)
        ),
        unweighed=tuple(
            sorted(one.incident.id for one in found if one.incident.services and not one.charges)
        ),
    )


def _taken(lengths: Iterable[tuple[int, timedelta | None]]) -> DurationSummary | None:
    known = [(length, id_) for id_, length in lengths if length is not None]
    if not known:
        return None
    worst, worst_id = max(known)
    middle = median(length.total_seconds() for length, _ in known)
    return DurationSummary(timedelta(seconds=middle), worst, worst_id, len(known))


def _shares(
    incidents: Sequence[Incident], weights: Mapping[int, Charge], spent: float
) -> tuple[CauseShare, ...]:
    """Return what went where, most first; what is not classified last of what spent the same."""
    by_cause: dict[CauseClass | None, list[int]] = {}
    for one in incidents:
        by_cause.setdefault(one.cause, []).append(one.id)
    sums = {cause: sum(weights[id_].spent for id_ in ids) for cause, ids in by_cause.items()}
    order = sorted(sums, key=lambda cause: (-sums[cause], cause is None, cause or ""))
    return tuple(
        CauseShare(
            cause, sums[cause], sums[cause] / spent if spent > 0 else 0.0, tuple(sorted(by_cause[cause]))
        )
        for cause in order
    )


def _costliest(found: Sequence[ChargedIncident], spent: float) -> tuple[ChargedIncident, ...]:
    order = sorted(found, key=lambda one: (-one.weight.spent, one.incident.id))
    order = [one for one in order if one.weight.spent > 0]
    sums = list(accumulate(one.weight.spent for one in order))
    enough = next((at for at, so_far in enumerate(sums, 1) if so_far >= MOST_OF_IT * spent), 0)
    return tuple(order[:enough])
