"""Reads what is stored of deployments to production, their changes, and the incidents that they caused."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.window import Span
from bot.deployments.deployment import DeploymentState
from bot.deployments.judgement import DeploymentLink, LinkMeans, ServiceIncident, SuccessfulDeployment
from bot.incidents.downtime import Impact
from bot.incidents.incident import Status
from bot.store.tables.deployments import deployment_changes, deployment_incidents, deployments
from bot.store.tables.incidents import incident_impacts, incident_services, incidents
from bot.store.value_lists import is_one_of
from bot.velocity.assembly import ReportDetails, ReportKey, ServiceRecord
from bot.velocity.delivery import DeliveredChange

_ROWS, _CHANGES, _LINKS = deployments.c, deployment_changes.c, deployment_incidents.c
_IS_CARRIED = and_(_ROWS.service == _CHANGES.service, _ROWS.deployment == _CHANGES.deployment)
_MOST_MERGES = 20
_LONGEST_DEPLOYMENT = timedelta(days=1)
"""One that takes longer may be taken for the last before an incident where a span begins just then."""


async def read_records(
    connection: AsyncConnection, attribute_within: Mapping[str, timedelta], span: Span
) -> list[ServiceRecord]:
    """Return what is stored of the services of `attribute_within`, enough for every delivery of the span.

    That is more than lies in the span: what failed in it may have been undone after it, a run may end in it
    that began before, and which deployment an incident is near to must not depend on where the span begins.
    """
    margin = max(attribute_within.values(), default=timedelta()) + _LONGEST_DEPLOYMENT
    longer = Span(span.start - margin, span.end + margin)
    services = list(attribute_within)
    rows = await _deployments(connection, services, longer)
    changes = await _changes(connection, services, span)
    links = await _links(connection, services)
    linked = {link.incident_id for link in links}
    found = await _incidents(connection, services)
    return [
        ServiceRecord(
            service,
            [_reported(row) for row in rows.get(service, ())],
            {row.deployment: _details(row, changes) for row in rows.get(service, ())},
            # Others are near no deployment that was read.
            [each for each in found.get(service, ()) if each.id in linked or _is_in(each.started_at, longer)],
            links,
            within,
        )
        for service, within in attribute_within.items()
    ]


def _is_in(at: datetime, span: Span) -> bool:
    return span.start <= at <= span.end


def _run_key(service: str, deployment: str, run: str | None) -> tuple[str, str, bool]:
    """Return what the reports of one run have in common; a run and a deployment may have the same name."""
    return service, run or deployment, run is not None


def _is_delivered(services: Collection[str]) -> ColumnElement[bool]:
    return and_(
        is_one_of(_ROWS.service, services), _ROWS.production, _ROWS.state == DeploymentState.SUCCEEDED.value
    )


def _wanted(services: Collection[str], span: Span) -> ColumnElement[bool]:
    """Return which deployments ended in a span or undid another at any time, with all of their runs."""
    direct = or_(_ROWS.finished_at.between(span.start, span.end), _ROWS.undoes.is_not(None))
    runs = select(_ROWS.run).where(_is_delivered(services), _ROWS.run.is_not(None), direct)
    return and_(_is_delivered(services), or_(direct, _ROWS.run.in_(runs)))


async def _deployments(
    connection: AsyncConnection, services: Collection[str], span: Span
) -> Mapping[str, Sequence[Row[Any]]]:
    """Return by service what ended in a span, with all of its runs, and what undid others.

    The last one before it is there too, for each service: how long ago it was is a measure.
    """
    before = (
        select(_ROWS.service, func.max(_ROWS.finished_at))
        .where(_is_delivered(services), _ROWS.finished_at < span.start)
        .group_by(_ROWS.service)
    )
    is_last = and_(_is_delivered(services), tuple_(_ROWS.service, _ROWS.finished_at).in_(before))
    query = select(deployments).where(or_(_wanted(services, span), is_last)).order_by(_ROWS.finished_at)
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in await connection.execute(query):
        found[row.service].append(row)
    return found


def _reported(row: Row[Any]) -> SuccessfulDeployment:
    return SuccessfulDeployment(
        id=row.deployment,
        commit=row.commit,
        started_at=row.started_at,
        finished_at=row.finished_at,
        run=row.run,
        undoes=row.undoes,
        rework=row.rework,
    )


def _details(row: Row[Any], changes: Mapping[ReportKey, Sequence[DeliveredChange]]) -> ReportDetails:
    carried = changes.get((row.service, row.deployment), ())
    return ReportDetails(row.actor, row.changes, row.lines_changed, row.url, carried)


async def _changes(
    connection: AsyncConnection, services: Collection[str], span: Span
) -> dict[ReportKey, list[DeliveredChange]]:
    """Return the commits of the deployments that ended in a span, with all of their runs."""
    joined = deployment_changes.join(deployments, _IS_CARRIED)
    columns = (
        _CHANGES.deployment,
        _CHANGES.commit,
        _CHANGES.authored_at,
        _CHANGES.merged_at,
        _CHANGES.change,
    )
    query = select(_ROWS.service, _ROWS.run, _ROWS.finished_at, *columns).select_from(joined)
    query = query.where(_wanted(services, span)).order_by(_ROWS.finished_at, _CHANGES.commit)
    rows = (await connection.execute(query)).all()
    began: dict[tuple[str, str, bool], datetime] = {}
    for row in rows:
        began.setdefault(_run_key(row.service, row.deployment, row.run), row.finished_at)
    first = await _first_carried(connection, services, span.end)
    found: dict[ReportKey, list[DeliveredChange]] = defaultdict(list)
    for row in rows:
        # In the same run, another job may have carried it a little earlier.
        run_began = began[_run_key(row.service, row.deployment, row.run)]
        is_first = first.get((row.service, row.commit), run_began) >= run_began
        change = DeliveredChange(row.commit, row.authored_at, row.merged_at, is_first, row.change)
        found[row.service, row.deployment].append(change)
    return found


async def _first_carried(
    connection: AsyncConnection, services: Collection[str], until: datetime
) -> dict[tuple[str, str], datetime]:
    """Return when each commit that more than one deployment carried was first in production."""
    query = (
        select(_CHANGES.service, _CHANGES.commit, func.min(_ROWS.finished_at).label("first"))
        .select_from(deployment_changes.join(deployments, _IS_CARRIED))
        .where(_is_delivered(services), _ROWS.finished_at <= until)
        .group_by(_CHANGES.service, _CHANGES.commit)
        .having(func.count() > 1)
    )
    return {(row.service, row.commit): row.first for row in await connection.execute(query)}


async def _links(connection: AsyncConnection, services: Collection[str]) -> list[DeploymentLink]:
    """Return the links of the services' deployments and of their incidents.

    The link of a duplicate is one of the incident that it was merged into, unless that has its own of the
    deployment: what was taken back there stays so.
    """
    of_services = incident_services.c
    concerned = select(of_services.incident_id).where(is_one_of(of_services.service, services))
    query = select(deployment_incidents).where(
        or_(is_one_of(_LINKS.service, services), _LINKS.incident_id.in_(concerned))
    )
    rows = (await connection.execute(query)).all()
    is_merged = and_(incidents.c.status == Status.MERGED, incidents.c.merged_into.is_not(None))
    merged = await connection.execute(select(incidents.c.id, incidents.c.merged_into).where(is_merged))
    into = {row.id: row.merged_into for row in merged}
    said = {(row.service, row.deployment, row.incident_id) for row in rows}
    return [
        DeploymentLink(
            row.service,
            row.deployment,
            _target(row.incident_id, into),
            LinkMeans(row.by_means),
            row.by,
            row.at,
            row.removed_at is not None,
        )
        for row in rows
        if row.incident_id not in into
        or (row.service, row.deployment, _target(row.incident_id, into)) not in said
    ]


def _target(id_: int, into: Mapping[int, int]) -> int:
    for _ in range(_MOST_MERGES):
        id_ = into.get(id_, id_)
    return id_


async def _incidents(
    connection: AsyncConnection, services: Collection[str]
) -> Mapping[str, Sequence[ServiceIncident]]:
    """Return the incidents that affected each service: when its users suffered, by the recorded impacts."""
    rows, of_services, suffered = incidents.c, incident_services.c, incident_impacts.c
    affected = incidents.join(incident_services, of_services.incident_id == rows.id)
    is_of_services = is_one_of(of_services.service, services)
    of_found = select(rows.id).select_from(affected).where(is_of_services)
    impacts: dict[int, list[Impact]] = defaultdict(list)
    for row in await connection.execute(
        select(incident_impacts).where(suffered.incident_id.in_(of_found)).order_by(suffered.start)
    ):
        impacts[row.incident_id].append(Impact(row.start, row.end, row.share, row.service))
    columns = (rows.id, rows.status, rows.opened_at, rows.mitigated_at, rows.resolved_at, of_services.service)
    query = select(*columns).select_from(affected).where(is_of_services).order_by(rows.id)
    found: dict[str, list[ServiceIncident]] = defaultdict(list)
    for row in await connection.execute(query):
        own = [each for each in impacts[row.id] if each.concerns(row.service)]
        started = min((each.start for each in own), default=row.opened_at)
        ended = row.mitigated_at or row.resolved_at
        if own:
            ends = [each.end for each in own if each.end is not None]
            ended = max(ends) if len(ends) == len(own) else None
        counts = Status(row.status).counts
        found[row.service].append(ServiceIncident(row.id, started, ended, counts))
    return found
