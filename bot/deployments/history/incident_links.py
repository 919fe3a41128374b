"""Which incidents deployments caused, as linked. Functions run in their caller's transaction."""

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.deployments.history.past_deployment import PastDeployment
from bot.store.tables.deployments import deployment_incidents
from bot.store.tables.incidents import incidents
from bot.store.value_lists import is_one_of


async def read_incidents(
    connection: AsyncConnection, deployments: Collection[PastDeployment]
) -> Mapping[tuple[str, str, str], tuple[int, ...]]:
    """Return the numbers of the incidents that each deployment caused, by its unit.

    False alarms and duplicates that were merged are none.
    """
    counted = select(incidents.c.id).where(incidents.c.status.not_in(["cancelled", "merged"]))
    columns = deployment_incidents.c
    query = select(columns.service, columns.deployment, columns.incident_id).where(
        is_one_of(columns.service, {each.service for each in deployments}),
        is_one_of(columns.deployment, {id_ for each in deployments for id_ in each.ids}),
        columns.removed_at.is_(None),
        columns.incident_id.in_(counted),
    )
    links: dict[tuple[str, str], set[int]] = {}
    for row in await connection.execute(query):
        links.setdefault((row.service, row.deployment), set()).add(row.incident_id)
    return {
        each.last.unit: tuple(sorted({n for id_ in each.ids for n in links.get((each.service, id_), ())}))
        for each in deployments
    }
