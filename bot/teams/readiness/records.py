"""Known services and ticked items as rows. Functions run in their caller's transaction."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.tables.deployments import deployments
from bot.store.tables.readiness import known_services, launch_ticks
from bot.store.value_lists import is_one_of
from bot.teams.readiness.checklist import LaunchChecklist, LaunchItem, Tick

_BEGINNING = ""
"""The name of the row that says since when services are remembered."""


async def begin(database: Database, connection: AsyncConnection, now: datetime) -> bool:
    """Record that services are remembered from now on; return whether they were not before."""
    return await remember(database, connection, _BEGINNING, now, is_asked=False)


async def remember(
    database: Database, connection: AsyncConnection, service: str, now: datetime, *, is_asked: bool
) -> bool:
    """Record that a service is known; return whether it is new."""
    values = {"service": service, "seen_at": now, "asked": is_asked}
    insertion = database.insert(known_services).values(values).on_conflict_do_nothing()
    return (await connection.execute(insertion)).rowcount == 1


async def read_known(connection: AsyncConnection) -> frozenset[str]:
    """Return the names of all services that are known."""
    return frozenset(await connection.scalars(select(known_services.c.service))) - {_BEGINNING}


async def read_checklists(
    connection: AsyncConnection, services: Collection[str]
) -> Mapping[str, LaunchChecklist]:
    """Return the checklist of each of the services."""
    columns = launch_ticks.c
    ticks: dict[str, dict[LaunchItem, Tick]] = {service: {} for service in services}
    for row in await connection.execute(select(launch_ticks).where(is_one_of(columns.service, services))):
        if row.item in set(LaunchItem):
            ticks[row.service][LaunchItem(row.item)] = Tick(row.by, row.at)
    return {service: LaunchChecklist(service, done) for service, done in ticks.items()}


async def read_launched(connection: AsyncConnection, services: Collection[str]) -> frozenset[str]:
    """Return those of the services that were deployed to production before."""
    columns = deployments.c
    deployed = columns.production & (columns.state == "succeeded") & is_one_of(columns.service, services)
    return frozenset(await connection.scalars(select(columns.service).where(deployed).distinct()))


async def was_launched_without(connection: AsyncConnection, service: str, deployment: str) -> bool:
    """Return whether the service was deployed to production by any other deployment."""
    columns = deployments.c
    query = select(columns.service).where(
        columns.production,
        columns.state == "succeeded",
        columns.service == service,
        columns.deployment != deployment,
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def tick(
    database: Database, connection: AsyncConnection, service: str, item: LaunchItem, done: Tick
) -> bool:
    """Tick an item; return whether it was open. Who ticked it first stays."""
    values = {"service": service, "item": item.value, "by": done.by, "at": done.at}
    insertion = database.insert(launch_ticks).values(values).on_conflict_do_nothing()
    return (await connection.execute(insertion)).rowcount == 1


async def untick(connection: AsyncConnection, service: str, item: LaunchItem) -> bool:
    """Take the tick from an item; return whether there was one."""
    same = (launch_ticks.c.service == service) & (launch_ticks.c.item == item.value)
    return (await connection.execute(delete(launch_ticks).where(same))).rowcount == 1
