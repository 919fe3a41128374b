"""Deployments as rows: an outcome once for each service. Functions run in their caller's transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.deployments.actor import Actor
from bot.deployments.change import TOLD, CarriedChange, ChangesState
from bot.deployments.deployment import PRODUCTION, Deployment, DeploymentState
from bot.freezes.transition import PrecedingDeployment
from bot.store.database import Database
from bot.store.tables.deployments import deployment_changes, deployments
from bot.store.value_lists import begins_with, is_one_of, is_one_of_parameter


def _last_to_production() -> Select[Any]:
    columns = deployments.c
    newest_first = (columns.finished_at.desc(), columns.started_at.desc(), columns.deployment, columns.state)
    rank = func.row_number().over(partition_by=columns.service, order_by=newest_first).label("rank")
    ranked = (
        select(deployments, rank)
        .where(
            is_one_of_parameter(columns.service, "services"),
            columns.production,
            columns.finished_at <= bindparam("before"),
        )
        .subquery()
    )
    return select(ranked).where(ranked.c.rank == 1)


_LAST_TO_PRODUCTION = _last_to_production()


async def add(database: Database, connection: AsyncConnection, service: str, deployment: Deployment) -> bool:
    """Store the outcome for the service, with the changes that were told; return whether it is new."""
    run = await _common_run(connection, service, deployment)
    values = _values(service, deployment) | {"run": run}
    insertion = database.insert(deployments).values(values).on_conflict_do_nothing()
    if (await connection.execute(insertion)).rowcount != 1:
        return False
    await add_changes(database, connection, service, deployment.id, deployment.changes or ())
    return True


async def add_all(
    database: Database,
    connection: AsyncConnection,
    services: Collection[str],
    outcomes: Collection[Deployment],
) -> frozenset[str]:
    """Store many outcomes for each of the services, without changes; return the ids that have a new one."""
    columns = deployments.c
    query = select(columns.service, columns.deployment, columns.state).where(
        is_one_of(columns.deployment, [each.id for each in outcomes])
    )
    known = {tuple(row) for row in await connection.execute(query)}
    rows = [
        _values(service, each)
        for each in outcomes
        for service in services
        if (service, each.id, each.state.value) not in known
    ]
    if rows:
        await connection.execute(database.insert(deployments).on_conflict_do_nothing(), rows)
    return frozenset(row["deployment"] for row in rows)


async def add_changes(
    database: Database,
    connection: AsyncConnection,
    service: str,
    deployment: str,
    changes: Collection[CarriedChange],
) -> None:
    """Store the commits that a deployment carried; one that is stored already stays as it is."""
    rows = [
        {
            "service": service,
            "deployment": deployment,
            "commit": change.commit,
            "title": change.title,
            "change": change.change,
            "authored_at": change.authored_at,
            "merged_at": change.merged_at,
            "reverts": change.reverts,
        }
        for change in changes
    ]
    if rows:
        await connection.execute(database.insert(deployment_changes).on_conflict_do_nothing(), rows)


def _values(service: str, deployment: Deployment) -> dict[str, Any]:
    values: dict[str, Any] = {
        "service": service,
        "deployment": deployment.id,
        "state": deployment.state.value,
        "repository": deployment.repository,
        "environment": deployment.environment,
        "commit": deployment.commit,
        "ref": deployment.ref,
        "by": deployment.by,
        "url": deployment.url,
        "started_at": deployment.started_at,
        "finished_at": deployment.finished_at,
        "production": deployment.is_production,
        "actor": deployment.actor.value,
        "run": deployment.run,
        "previous_commit": deployment.previous_commit,
        "lines_changed": deployment.lines_changed,
    }
    if deployment.changes is not None:
        values |= {
            "changes_state": ChangesState.KNOWN.value,
            "changes_note": TOLD,
            "changes": len(deployment.changes),
        }
    return values


async def _common_run(connection: AsyncConnection, service: str, deployment: Deployment) -> str | None:
    """Return the run, also where only another outcome of the same deployment names it; all name it then."""
    columns = deployments.c
    own = (columns.service == service) & (columns.deployment == deployment.id)
    if deployment.run is None:
        return await connection.scalar(select(columns.run).where(own, columns.run.is_not(None)).limit(1))
    await connection.execute(update(deployments).where(own, columns.run.is_(None)).values(run=deployment.run))
    return deployment.run


async def read_outcomes(
    connection: AsyncConnection, ids: Collection[str]
) -> Mapping[str, Sequence[Deployment]]:
    """Return the outcomes that are known of deployments for any service, by id."""
    query = select(deployments).where(is_one_of(deployments.c.deployment, ids))
    outcomes: dict[tuple[str, str], Deployment] = {}
    for row in await connection.execute(query.order_by(deployments.c.service)):
        outcomes.setdefault((row.deployment, row.state), deployment_of(row))
    found: dict[str, list[Deployment]] = {}
    for (id_, _), deployment in outcomes.items():
        found.setdefault(id_, []).append(deployment)
    return found


async def read(
    connection: AsyncConnection, services: Collection[str], since: datetime, until: datetime
) -> Sequence[tuple[Deployment, Sequence[str]]]:
    """Return the outcomes from `since` to `until`, both included, oldest first, each with its services."""
    columns = deployments.c
    query = select(deployments).where(
        is_one_of(columns.service, services), columns.finished_at.between(since, until)
    )
    order = (columns.finished_at, columns.deployment, columns.state, columns.service)
    outcomes: dict[tuple[str, str], tuple[Deployment, list[str]]] = {}
    for row in await connection.execute(query.order_by(*order)):
        deployment = deployment_of(row)
        outcomes.setdefault((row.deployment, row.state), (deployment, []))[1].append(row.service)
    return list(outcomes.values())


async def last_to_production(
    connection: AsyncConnection, services: Collection[str], before: datetime
) -> Mapping[str, PrecedingDeployment]:
    """Return for each service its production deployment that ended last, `before` included.

    One that failed counts too: it may have changed something. Services without any are left out.
    """
    rows = await connection.execute(_LAST_TO_PRODUCTION, {"services": services, "before": before})
    return {row.service: _preceding(deployment_of(row)) for row in rows}


async def last_with_prefix(
    connection: AsyncConnection, service: str, environment: str, prefix: str
) -> Deployment | None:
    """Return the outcome that finished last, of the service's deployments whose ids begin so."""
    columns = deployments.c
    query = select(deployments).where(
        columns.service == service,
        columns.environment == environment,
        begins_with(columns.deployment, prefix),
    )
    row = (await connection.execute(query.order_by(columns.finished_at.desc()).limit(1))).one_or_none()
    return None if row is None else deployment_of(row)


def _preceding(deployment: Deployment) -> PrecedingDeployment:
    is_usual = deployment.environment.casefold() == PRODUCTION
    return PrecedingDeployment(
        name=deployment.short_commit,
        by=deployment.by,
        finished_at=deployment.finished_at,
        environment="" if is_usual else deployment.environment,
        url=deployment.url,
        has_failed=deployment.state is DeploymentState.FAILED,
    )


def deployment_of(row: Row[Any]) -> Deployment:
    """Return the deployment in a row of its table."""
    return Deployment(
        id=row.deployment,
        environment=row.environment,
        commit=row.commit,
        by=row.by,
        state=DeploymentState(row.state),
        started_at=row.started_at,
        finished_at=row.finished_at,
        ref=row.ref,
        repository=row.repository,
        url=row.url,
        is_production=row.production,
        actor=Actor(row.actor),
        run=row.run,
        previous_commit=row.previous_commit,
        lines_changed=row.lines_changed,
    )
