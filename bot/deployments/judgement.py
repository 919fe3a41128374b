"""Which deployments failed, which are only suspected, and when each recovered. Pure; no clock, no I/O.

A deployment failed where a person, a revert or a rollback links it to an incident, or where a later one
undid it. Everything is computed from all rows that there are, each deployment for itself,
so that no choice of a window changes what is said of one. The rules:

- Reports of one run are one deployment. Only what succeeded in production is judged, and can undo.
- A deployment with two incidents failed once; it has recovered when users were well again in both.
- Without an incident it has recovered when the deployment that undid it ended.
- Undoing what had undone something (a roll forward) makes no failure of it: the rollback had done its work.
  A deployment that was rolled forward and undone again has failed like any other.
- Where no deployment and no flag explains an incident, the deployment that began last before it is suspected,
  if it ended `attribute_within` before or later. A person who says that no deployment caused it clears all.
- Incidents that were cancelled or merged count for nothing; a merged one's links go to the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

ATTRIBUTE_WITHIN = timedelta(hours=24)
"""How long before an incident a deployment is suspected unless a policy says otherwise."""
NO_DEPLOYMENT = ""
"""What stands for the deployment where a person says that none of the service's caused the incident."""


class LinkMeans(StrEnum):
    """What a link between a deployment and an incident comes from."""

    PERSON = "person"
    REVERT = "revert"
    ROLLBACK = "rollback"
    GUARD = "guard"
    FLAG = "flag"

    @property
    def is_of_flag(self) -> bool:
        """Whether a flag's change caused the incident, so that no deployment did."""
        return self in {LinkMeans.GUARD, LinkMeans.FLAG}


@dataclass(frozen=True, slots=True)
class DeploymentLink:
    """A deployment of a service that caused an incident; `NO_DEPLOYMENT` where a person says that none did.

    `deployment` is the id of one report of it, or the flag where a flag's change caused the incident.
    """

    service: str
    deployment: str
    incident_id: int
    means: LinkMeans
    by: str
    at: datetime
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class SuccessfulDeployment:
    """A report that a deployment to production succeeded. `undoes` is the id of the one that it undid.

    `run` is the same for all reports of one run of a pipeline. `rework` says why it was unplanned.
    """

    id: str
    commit: str
    started_at: datetime
    finished_at: datetime
    run: str | None = None
    undoes: str | None = None
    rework: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceIncident:
    """An incident that affected a service: when users began to suffer, and when they no longer did.

    `counts` is False for one that was cancelled or merged.
    """

    id: int
    started_at: datetime
    ended_at: datetime | None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class DeploymentJudgement:
    """What is known of one deployment; `reports` are the ids of its reports.

    `incidents` are those that it caused, `suspected_of` those that it may have; `undone_by` is the id of the
    first deployment that undid it. `rework` says in words why it was unplanned work after a failure.
    """

    reports: tuple[str, ...]
    incidents: tuple[int, ...] = ()
    undone_by: str | None = None
    recovered_at: datetime | None = None
    suspected_of: tuple[int, ...] = ()
    rework: str | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it needed somebody to intervene: it caused an incident, or was undone."""
        return bool(self.incidents) or self.undone_by is not None

    @property
    def is_suspected(self) -> bool:
        """Whether it has not failed as far as anybody said, but an incident began shortly after it."""
        return not self.has_failed and bool(self.suspected_of)


@dataclass(frozen=True, slots=True)
class _JudgedRun:
    """All reports of one run of a pipeline, in the order in which they ended."""

    reports: tuple[SuccessfulDeployment, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(report.id for report in self.reports)

    @property
    def started_at(self) -> datetime:
        return min(report.started_at for report in self.reports)

    @property
    def finished_at(self) -> datetime:
        return self.reports[-1].finished_at

    @property
    def rework(self) -> str | None:
        return next((report.rework for report in self.reports if report.rework), None)


def judge(
    service: str,
    deployments: Iterable[SuccessfulDeployment],
    incidents: Iterable[ServiceIncident],
    links: Iterable[DeploymentLink],
    attribute_within: timedelta = ATTRIBUTE_WITHIN,
) -> Mapping[str, DeploymentJudgement]:
    """Return the judgement of each deployment of a service by the ids of its reports.

    All reports of one run have the same. `links` may be those of other services as well: an incident that
    one of them explains is nobody else's.
    """
    runs = _runs(deployments)
    counted = {incident.id: incident for incident in incidents if incident.counts}
    in_force = [link for link in links if not link.is_removed and link.incident_id in counted]
    undone = _undone(runs)
    explained = {link.incident_id for link in in_force}
    suspects = _suspects(
        runs, [each for each in counted.values() if each.id not in explained], attribute_within
    )
    caused: dict[str, set[int]] = {}
    for link in in_force:
        if link.service == service and not link.means.is_of_flag:
            caused.setdefault(link.deployment, set()).add(link.incident_id)
    judgements: dict[str, DeploymentJudgement] = {}
    for run in runs:
        ids = sorted({incident for report in run.ids for incident in caused.get(report, ())})
        by = undone.get(run.ids)
        judged = DeploymentJudgement(
            reports=run.ids,
            incidents=tuple(ids),
            undone_by=None if by is None else by.ids[-1],
            recovered_at=_recovered_at([counted[id_] for id_ in ids], by),
            suspected_of=tuple(suspects.get(run.ids, ())),
            rework=run.rework,
        )
        judgements.update(dict.fromkeys(run.ids, judged))
    return judgements


def suspect(
    deployments: Iterable[SuccessfulDeployment], started_at: datetime, attribute_within: timedelta
) -> SuccessfulDeployment | None:
    """Return the deployment that may have caused an incident: the last that began before it, if near enough.

    One that was still going on when the incident began is the most likely of all.
    """
    before = [each for each in deployments if each.started_at <= started_at]
    last = max(before, key=lambda each: (each.started_at, each.finished_at, each.id), default=None)
    if last is None or started_at - last.finished_at > attribute_within:
        return None
    return last


def restorations(undoes: Mapping[str, str | None]) -> frozenset[str]:
    """Return the ids of the deployments that undid what had not itself undone something.

    `undoes` has for each id the id that it undid. So a rollback is one, its roll forward is none, and the
    rollback of that is one again.
    """
    known: dict[str, bool] = {}
    for first in undoes:
        chain: list[str] = []
        at: str | None = first
        while at is not None and at not in known and at not in chain:
            chain.append(at)
            at = undoes.get(at)
        is_restoring = at is not None and known.get(at, False)
        for id_ in reversed(chain):
            is_restoring = undoes.get(id_) is not None and not is_restoring
            known[id_] = is_restoring
    return frozenset(id_ for id_, is_restoring in known.items() if is_restoring)


def _runs(deployments: Iterable[SuccessfulDeployment]) -> Sequence[_JudgedRun]:
    """Return the deployments by their runs in the order in which they ended, each report once."""
    reports = {report.id: report for report in deployments}
    grouped: dict[tuple[str, str], list[SuccessfulDeployment]] = {}
    for report in reports.values():
        key = ("id", report.id) if report.run is None else ("run", report.run)
        grouped.setdefault(key, []).append(report)
    runs = [
        _JudgedRun(tuple(sorted(each, key=lambda report: (report.finished_at, report.id))))
        for each in grouped.values()
    ]
    return sorted(runs, key=lambda run: (run.finished_at, run.ids))


def _undone(runs: Sequence[_JudgedRun]) -> Mapping[tuple[str, ...], _JudgedRun]:
    """Return for each run that failed by being undone the one that undid it first."""
    first_report = {report.id: run.ids[0] for run in runs for report in run.reports}
    undoes: dict[str, str | None] = {}
    for run in runs:
        undone = next((report.undoes for report in run.reports if report.undoes is not None), None)
        first = None if undone is None else first_report.get(undone, undone)
        undoes[run.ids[0]] = None if first == run.ids[0] else first
    restoring = restorations(undoes)
    by_id = {run.ids[0]: run for run in runs}
    result: dict[tuple[str, ...], _JudgedRun] = {}
    for run in runs:
        undone_run = by_id.get(undoes[run.ids[0]] or "")
        if run.ids[0] in restoring and undone_run is not None:
            result.setdefault(undone_run.ids, run)
    return result


def _suspects(
    runs: Sequence[_JudgedRun], unexplained: Iterable[ServiceIncident], attribute_within: timedelta
) -> Mapping[tuple[str, ...], Sequence[int]]:
    """Return the incidents that runs may have caused."""
    as_one = {run.ids[0]: run for run in runs}
    whole = [SuccessfulDeployment(run.ids[0], "", run.started_at, run.finished_at) for run in runs]
    result: dict[tuple[str, ...], list[int]] = {}
    for incident in sorted(unexplained, key=lambda incident: (incident.started_at, incident.id)):
        found = suspect(whole, incident.started_at, attribute_within)
        if found is not None:
            result.setdefault(as_one[found.id].ids, []).append(incident.id)
    return result


def _recovered_at(incidents: Sequence[ServiceIncident], undone_by: _JudgedRun | None) -> datetime | None:
    ends = [incident.ended_at for incident in incidents]
    if not ends:
        return None if undone_by is None else undone_by.finished_at
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None
