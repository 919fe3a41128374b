"""How deliveries come of what was reported: the jobs of one run joined, with what became of them. Pure.

Which of them failed, are suspected, are rework, and when they recovered is judged by
`bot/deployments/judgement.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from bot.deployments.judgement import (
    DeploymentJudgement,
    DeploymentLink,
    ServiceIncident,
    SuccessfulDeployment,
    judge,
)
from bot.velocity.delivery import UNKNOWN_ACTOR, DeliveredChange, Delivery

ReportKey: TypeAlias = tuple[str, str]
"""A service and the id of a deployment of it."""


@dataclass(frozen=True, slots=True)
class ReportDetails:
    """What else was reported of a deployment: who made it, how large it was, where its page is."""

    actor: str = "pipeline"
    size: int | None = None
    lines_changed: int | None = None
    url: str = ""
    changes: Sequence[DeliveredChange] = ()


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """What is stored of a service's deployments around a time, and of the incidents that affected it.

    `details` are by the id of the report. `links` may be those of other services too.
    """

    service: str
    reports: Sequence[SuccessfulDeployment]
    details: Mapping[str, ReportDetails] = field(default_factory=dict)
    incidents: Sequence[ServiceIncident] = ()
    links: Sequence[DeploymentLink] = ()
    attribute_within: timedelta = timedelta(days=1)


def assemble(records: Iterable[ServiceRecord]) -> list[Delivery]:
    """Return the deliveries of services, oldest first."""
    found = [delivery for record in records for delivery in _of_service(record)]
    return sorted(found, key=lambda each: (each.finished_at, each.service, each.reports))


def _of_service(record: ServiceRecord) -> Iterable[Delivery]:
    judged = judge(record.service, record.reports, record.incidents, record.links, record.attribute_within)
    reports = {each.id: each for each in record.reports}
    for judgement in {each.reports: each for each in judged.values()}.values():
        yield _delivery(record, judgement, [reports[id_] for id_ in judgement.reports])


def _delivery(
    record: ServiceRecord, judgement: DeploymentJudgement, reports: Sequence[SuccessfulDeployment]
) -> Delivery:
    details = [record.details.get(each.id, ReportDetails()) for each in reports]
    # The jobs of a run carry the same commits: each is one change of it.
    changes = {change.commit: change for each in reversed(details) for change in each.changes}
    sizes = [each.size for each in details if each.size is not None]
    lines = [each.lines_changed for each in details if each.lines_changed is not None]
    actors = {each.actor for each in details}
    return Delivery(
        service=record.service,
        reports=judgement.reports,
        commit=reports[-1].commit,
        started_at=min(each.started_at for each in reports),
        finished_at=reports[-1].finished_at,
        actor=actors.pop() if len(actors) == 1 else UNKNOWN_ACTOR,
        changes=tuple(changes.values()),
        size=max([len(changes), *sizes]) if changes or sizes else None,
        lines_changed=max(lines, default=None),
        url=details[-1].url,
        has_failed=judgement.has_failed,
        is_suspected=judgement.is_suspected,
        is_rework=judgement.rework is not None,
        recovered_at=judgement.recovered_at,
        incidents=judgement.incidents,
    )
