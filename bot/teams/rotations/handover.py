"""What happened in a period of a rotation, for the note at its end: what anybody may read of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.deployments import records as deployment_records
from bot.deployments.deployment import DeploymentState
from bot.freezes.hold import Hold
from bot.freezes.records import hold_of
from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.incidents.records import actions as action_records
from bot.incidents.records import incidents as incident_records
from bot.incidents.records.hidden import read_hidden
from bot.incidents.visibility import ANYBODY, may_see
from bot.store.tables.core import holds
from bot.store.value_lists import is_one_of
from bot.teams.rotations.period import RotationPeriod


@dataclass(frozen=True, slots=True)
class HandoverNote:
    """What happened to a rotation's services in a period, and what is left to do."""

    period: RotationPeriod
    incidents: tuple[Incident, ...]
    freezes: tuple[Hold, ...]
    deployments: int
    failed_deployments: int
    open_actions: tuple[Action, ...]
    private_incidents: int = 0


async def read_note(
    connection: AsyncConnection, period: RotationPeriod, services: Sequence[str]
) -> HandoverNote:
    """Return what happened in a period that is over."""
    begin, end = period.begins_at, period.ends_at
    incidents = await _incidents(connection, services, begin, end)
    outcomes = await deployment_records.read(connection, services, begin, end)
    production = [deployment for deployment, _ in outcomes if deployment.is_production]
    failed = [each for each in production if each.state is DeploymentState.FAILED]
    return HandoverNote(
        period,
        incidents=tuple(incident for incident in incidents if may_see(incident, ANYBODY)),
        freezes=await _freezes(connection, services, begin, end),
        deployments=len(production),
        failed_deployments=len(failed),
        open_actions=await _open_actions(connection, services),
        private_incidents=sum(not may_see(incident, ANYBODY) for incident in incidents),
    )


async def _incidents(
    connection: AsyncConnection, services: Sequence[str], begin: datetime, end: datetime
) -> list[Incident]:
    found: dict[int, Incident] = {}
    for service in services:
        for incident in await incident_records.read_many(connection, service=service):
            ended = incident.resolved_at
            if incident.status.counts and incident.opened_at < end and (ended is None or ended >= begin):
                found[incident.id] = incident
    return [found[id_] for id_ in sorted(found)]


async def _freezes(
    connection: AsyncConnection, services: Sequence[str], begin: datetime, end: datetime
) -> tuple[Hold, ...]:
    columns = holds.c
    query = select(holds).where(
        is_one_of(columns.service, services),
        columns.observed.is_(False),
        columns.since < end,
        or_(columns.lifted_at.is_(None), columns.lifted_at >= begin),
        or_(columns.until.is_(None), columns.until >= begin),
    )
    return tuple(hold_of(row) for row in await connection.execute(query.order_by(columns.id)))


async def _open_actions(connection: AsyncConnection, services: Sequence[str]) -> tuple[Action, ...]:
    hidden = await read_hidden(connection, ANYBODY)
    found = [
        action
        for service in services
        for action in await action_records.read(connection, service=service)
        if action.done_at is None and not hidden.hides(action)
    ]
    return tuple(sorted(found, key=lambda action: (not action.is_p0, action.id)))
