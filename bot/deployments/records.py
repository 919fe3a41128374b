"""Deployments as rows: an outcome once for each service. Functions run in their caller's transaction."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.deployments.deployment import Deployment, DeploymentState
from bot.store.database import Database
from bot.store.tables.deployments import deployments


async def add(database: Database, connection: AsyncConnection, service: str, deployment: Deployment) -> bool:
    """Store the outcome for the service; return whether it is new."""
    values = {
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
    }
    insertion = database.insert(deployments).values(values).on_conflict_do_nothing()
    return (await connection.execute(insertion)).rowcount == 1


async def read(
    connection: AsyncConnection, services: Collection[str], since: datetime, until: datetime
) -> Sequence[tuple[Deployment, Sequence[str]]]:
    """Return the outcomes from `since` to `until`, both included, oldest first, each with its services."""
    columns = deployments.c
    query = select(deployments).where(
        columns.service.in_(list(services)), columns.finished_at.between(since, until)
    )
    order = (columns.finished_at, columns.deployment, columns.state, columns.service)
    outcomes: dict[tuple[str, str], tuple[Deployment, list[str]]] = {}
    for row in await connection.execute(query.order_by(*order)):
        deployment = Deployment(
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
        )
        outcomes.setdefault((row.deployment, row.state), (deployment, []))[1].append(row.service)
    return list(outcomes.values())
