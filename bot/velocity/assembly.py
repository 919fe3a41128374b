"""How deliveries come of what was reported: jobs of one run joined, failures, rework and recovery. Pure.

A delivery has failed where somebody said so: it is linked to an incident that counts, or a later deployment
undid it. One near in time is only suspected: the last one before an incident that nobody has linked, within
`attributeWithin`. However many incidents a delivery has, it failed once; the clock of its recovery runs
until the last of them is over, or until what undid it was in production where it has none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from bot.velocity.delivery import UNKNOWN_ACTOR, DeliveredChange, Delivery

ReportKey: TypeAlias = tuple[str, str]
"""A service and the id of a deployment of it."""


@dataclass(frozen=True, slots=True)
class ReportedDeployment:
    """A deployment to production that succeeded, as it was reported; `run` is None where it is one itself."""

    service: str
    id: str
    commit: str
    started_at: datetime
    finished_at: datetime
    run: str | None = None
    actor: str = "pipeline"
    size: int | None = None
    lines_changed: int | None = None
    undoes: str | None = None
    is_rework: bool = False
    url: str = ""

    @property
    def key(self) -> ReportKey:
        """What tells it from all others."""
        return self.service, self.id


@dataclass(frozen=True, slots=True)
class IncidentPeriod:
    """From when to when an incident hurt a service; `ended_at` is None while it does."""

    id: int
    service: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """What is stored of deployments around a time.

    `changes` are the commits of each deployment. `causes` are the incidents that each is said to have caused.
    `incidents` are those that count, of all services; `attribute_within` is by service.
    """

    deployments: Sequence[ReportedDeployment]
    changes: Mapping[ReportKey, Sequence[DeliveredChange]]
    causes: Mapping[ReportKey, frozenset[int]]
    incidents: Sequence[IncidentPeriod]
    attribute_within: Mapping[str, timedelta]


def assemble(record: DeploymentRecord) -> list[Delivery]:
    """Return the deliveries, oldest first."""
    runs: dict[tuple[str, str, bool], list[ReportedDeployment]] = {}
    for each in record.deployments:
        runs.setdefault(run_key(each.service, each.id, each.run), []).append(each)
    deliveries = [_PipelineRun(reports, record) for reports in runs.values()]
    undone = _undone(deliveries)
    blamed = _suspected(deliveries, record)
    found = [run.delivery(undone_at=undone.get(id(run)), is_blamed=id(run) in blamed) for run in deliveries]
    return sorted(found, key=lambda each: (each.finished_at, each.service, each.reports))


def run_key(service: str, deployment: str, run: str | None) -> tuple[str, str, bool]:
    """Return what the reports of one run have in common; a run and a deployment may have the same name."""
    return service, run or deployment, run is not None


class _PipelineRun:
    """The reports of one run, in the order in which they ended."""

    def __init__(self, reports: Iterable[ReportedDeployment], record: DeploymentRecord) -> None:
        self.reports = sorted(reports, key=lambda each: (each.finished_at, each.id))
        self.last = self.reports[-1]
        self.service, self.finished_at = self.last.service, self.last.finished_at
        self.causes = frozenset[int]().union(*(record.causes.get(each.key, ()) for each in self.reports))
        periods = (each for each in record.incidents if each.service == self.service)
        self.incidents = [each for each in periods if each.id in self.causes]
        changes: dict[str, DeliveredChange] = {}
        for each in self.reports:
            for change in record.changes.get(each.key, ()):
                changes.setdefault(change.commit, change)
        self.changes = tuple(changes.values())

    def delivery(self, *, undone_at: datetime | None, is_blamed: bool) -> Delivery:
        has_failed = bool(self.incidents) or undone_at is not None
        actors = {each.actor for each in self.reports}
        sizes = [each.size for each in self.reports if each.size is not None]
        lines = [each.lines_changed for each in self.reports if each.lines_changed is not None]
        return Delivery(
            service=self.service,
            reports=tuple(each.id for each in self.reports),
            commit=self.last.commit,
            started_at=min(each.started_at for each in self.reports),
            finished_at=self.finished_at,
            actor=actors.pop() if len(actors) == 1 else UNKNOWN_ACTOR,
            changes=self.changes,
            # The jobs of a run carry the same commits: each is one change of it.
            size=len(self.changes) or (max(sizes) if sizes else None),
            lines_changed=max(lines) if lines else None,
            url=self.last.url,
            has_failed=has_failed,
            is_suspected=is_blamed and not has_failed,
            is_rework=any(each.is_rework or each.undoes for each in self.reports),
            recovered_at=self._recovered_at(undone_at),
        )

    def _recovered_at(self, undone_at: datetime | None) -> datetime | None:
        ends = [each.ended_at for each in self.incidents]
        known = [end for end in ends if end is not None]
        if ends:
            return max(known) if len(known) == len(ends) else None
        return undone_at


def _undone(runs: Sequence[_PipelineRun]) -> Mapping[int, datetime]:
    """Return when each run that a later one undid was undone, by the run's `id()`."""
    by_report = {report.key: run for run in runs for report in run.reports}
    found: dict[int, datetime] = {}
    for run in sorted(runs, key=lambda each: each.finished_at):
        for report in run.reports:
            target = by_report.get((run.service, report.undoes or ""))
            if target is not None and target is not run and target.finished_at <= run.finished_at:
                found.setdefault(id(target), run.finished_at)
    return found


def _suspected(runs: Sequence[_PipelineRun], record: DeploymentRecord) -> frozenset[int]:
    """Return the `id()` of each run that ended last before an incident whose cause nobody has said."""
    said = {(service, incident) for (service, _), causes in record.causes.items() for incident in causes}
    by_service: dict[str, list[_PipelineRun]] = {}
    for run in sorted(runs, key=lambda each: each.finished_at):
        by_service.setdefault(run.service, []).append(run)
    found = set()
    for incident in record.incidents:
        if (incident.service, incident.id) in said:
            continue
        before = [r for r in by_service.get(incident.service, ()) if r.finished_at <= incident.started_at]
        within = record.attribute_within.get(incident.service, timedelta())
        if before and incident.started_at - before[-1].finished_at <= within:
            found.add(id(before[-1]))
    return frozenset(found)
