"""Links between deployments and incidents as rows, and the deployments that they name.

Functions run in their callers' transactions.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.judgement import (
    ATTRIBUTE_WITHIN,
    NO_DEPLOYMENT,
    DeploymentLink,
    LinkMeans,
    ServiceIncident,
    SuccessfulDeployment,
    judge,
)
from bot.deployments.records import deployment_of
from bot.incidents.causes.cause import CausingDeployment, CausingFlag, IncidentCauses
from bot.incidents.incident import Incident
from bot.store.database import Database
from bot.store.tables.deployments import deployment_incidents, deployments
from bot.store.value_lists import is_one_of

_LINKS, _ROWS = deployment_incidents.c, deployments.c
_NEARBY = 100
"""How many deployments before an incident are looked at for a suspect, and for what somebody names."""


async def read_links(connection: AsyncConnection, incident_id: int) -> Sequence[DeploymentLink]:
    """Return all links of an incident, those taken back too, in the order in which they were made."""
    query = select(deployment_incidents).where(_LINKS.incident_id == incident_id)
    rows = await connection.execute(query.order_by(_LINKS.at, _LINKS.service, _LINKS.deployment))
    return [_link(row) for row in rows]


async def add_link(database: Database, connection: AsyncConnection, link: DeploymentLink) -> bool:
    """Store a link that was found; return whether it is new. One that a person took back stays so."""
    insertion = database.insert(deployment_incidents).values(_values(link)).on_conflict_do_nothing()
    return (await connection.execute(insertion)).rowcount == 1


async def set_link(database: Database, connection: AsyncConnection, link: DeploymentLink) -> None:
    """Store a link as a person said, in place of what was said of the two before."""
    said = {
        "by_means": link.means.value,
        "by": link.by,
        "at": link.at,
        "removed_at": None,
        "removed_by": None,
    }
    insertion = database.insert(deployment_incidents).values(_values(link))
    keys = ["service", "deployment", "incident_id"]
    await connection.execute(insertion.on_conflict_do_update(index_elements=keys, set_=said))


async def remove_link(connection: AsyncConnection, link: DeploymentLink, by: str, now: datetime) -> None:
    """Mark a link as taken back."""
    removed = update(deployment_incidents).where(
        _LINKS.service == link.service,
        _LINKS.deployment == link.deployment,
        _LINKS.incident_id == link.incident_id,
    )
    await connection.execute(removed.values(removed_at=now, removed_by=by))


async def drop_found(connection: AsyncConnection, service: str, deployment: str) -> Sequence[DeploymentLink]:
    """Delete the links of a deployment that a rollback or revert made; return them."""
    found = and_(
        _LINKS.service == service,
        _LINKS.deployment == deployment,
        _LINKS.by_means.in_([LinkMeans.ROLLBACK.value, LinkMeans.REVERT.value]),
        _LINKS.removed_at.is_(None),
    )
    links = [_link(row) for row in await connection.execute(select(deployment_incidents).where(found))]
    await connection.execute(delete(deployment_incidents).where(found))
    return links


async def copy_links(database: Database, connection: AsyncConnection, id_: int, into: int) -> None:
    """Let the deployments that caused an incident have caused another, too, unless that was denied."""
    known = await read_links(connection, into)
    is_said = any(link.means is LinkMeans.PERSON for link in known)
    for link in await read_links(connection, id_):
        is_denial = link.deployment == NO_DEPLOYMENT
        if link.is_removed or (is_said and link.means is not LinkMeans.PERSON) or (is_denial and known):
            continue
        await add_link(
            database,
            connection,
            DeploymentLink(link.service, link.deployment, into, link.means, link.by, link.at),
        )


async def read_causes(
    connection: AsyncConnection, incident: Incident, attribute_within: Mapping[str, timedelta]
) -> IncidentCauses:
    """Return what is known of the causes of an incident; nothing of one that counts for nothing."""
    if not incident.status.counts:
        return IncidentCauses()
    links = [link for link in await read_links(connection, incident.id) if not link.is_removed]
    if not links:
        return IncidentCauses(suspected=tuple(await _suspects(connection, incident, attribute_within)))
    named = [link for link in links if not link.means.is_of_flag and link.deployment != NO_DEPLOYMENT]
    found = await _by_id(connection, [link.deployment for link in named])
    by_deployment: dict[str, list[DeploymentLink]] = {}
    for link in named:
        by_deployment.setdefault(link.deployment, []).append(link)
    denials = [link.by for link in links if link.deployment == NO_DEPLOYMENT]
    flags = [CausingFlag(link.deployment, link.means, link.by) for link in links if link.means.is_of_flag]
    return IncidentCauses(
        confirmed=tuple(
            CausingDeployment(found[id_], tuple(sorted({l_.service for l_ in own})), own[0].means, own[0].by)
            for id_, own in by_deployment.items()
            if id_ in found
        ),
        flags=tuple(dict.fromkeys(flags)),
        cleared_by=denials[-1] if denials and not named and not flags else None,
    )


async def read_candidates(
    connection: AsyncConnection, services: Collection[str], until: datetime, *, limit: int = _NEARBY
) -> Sequence[CausingDeployment]:
    """Return the deployments to production of services that began until a time, the newest first.

    One that was deployed to several of the services is there once, whatever became of it.
    """
    rows = await _production(
        connection, is_one_of(_ROWS.service, services), _ROWS.started_at <= until, limit=limit
    )
    found: dict[str, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.deployment, []).append(row)
    return [
        CausingDeployment(deployment_of(own[0]), tuple(sorted({row.service for row in own})))
        for own in found.values()
    ]


async def services_deployed(
    connection: AsyncConnection, deployment: str, services: Collection[str]
) -> Sequence[str]:
    """Return those of the services that have a deployment to production of that id, in order."""
    rows = await _production(connection, _ROWS.deployment == deployment, is_one_of(_ROWS.service, services))
    return sorted({row.service for row in rows})


async def find_deployment(connection: AsyncConnection, deployment: str) -> Deployment | None:
    """Return a deployment to production by its id."""
    return (await _by_id(connection, [deployment])).get(deployment)


async def _suspects(
    connection: AsyncConnection, incident: Incident, attribute_within: Mapping[str, timedelta]
) -> Iterable[CausingDeployment]:
    suspects: dict[str, tuple[Row[Any], list[str]]] = {}
    for service in incident.services:
        impacts = incident.impacts_on(service)
        started_at = min((impact.start for impact in impacts), default=incident.started_at)
        rows = await _production(
            connection,
            _ROWS.service == service,
            _ROWS.started_at <= started_at,
            _ROWS.state == DeploymentState.SUCCEEDED.value,
        )
        reported = {
            row.deployment: SuccessfulDeployment(
                row.deployment, row.commit, row.started_at, row.finished_at, row.run
            )
            for row in rows
        }
        own = ServiceIncident(incident.id, started_at, None)
        within = attribute_within.get(service, ATTRIBUTE_WITHIN)
        judged = judge(service, reported.values(), [own], [], within)
        found = next((row for row in rows if judged[row.deployment].is_suspected), None)
        if found is not None:
            suspects.setdefault(found.deployment, (found, []))[1].append(service)
    return [CausingDeployment(deployment_of(row), tuple(services)) for row, services in suspects.values()]


async def _production(
    connection: AsyncConnection, *conditions: ColumnElement[bool], limit: int = _NEARBY
) -> Sequence[Row[Any]]:
    query = select(deployments).where(_ROWS.production, *conditions)
    order = (_ROWS.started_at.desc(), _ROWS.finished_at.desc(), _ROWS.deployment, _ROWS.service)
    return (await connection.execute(query.order_by(*order).limit(limit))).all()


async def _by_id(connection: AsyncConnection, ids: Collection[str]) -> Mapping[str, Deployment]:
    """Return deployments by their ids; of one that failed and then succeeded, what succeeded."""
    rows = await _production(connection, is_one_of(_ROWS.deployment, ids))
    ordered = sorted(rows, key=lambda row: row.state == DeploymentState.SUCCEEDED.value)
    return {row.deployment: deployment_of(row) for row in ordered}


def _values(link: DeploymentLink) -> dict[str, Any]:
    return {
        "service": link.service,
        "deployment": link.deployment,
        "incident_id": link.incident_id,
        "by_means": link.means.value,
        "by": link.by,
        "at": link.at,
    }


def _link(row: Row[Any]) -> DeploymentLink:
    return DeploymentLink(
        row.service,
        row.deployment,
        row.incident_id,
        LinkMeans(row.by_means),
        row.by,
        row.at,
        is_removed=row.removed_at is not None,
    )
