"""Reads what happened around a service: incidents, deployments to production, changes of its flags."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.window import Span
from bot.deployments import records as deployment_records
from bot.deployments.deployment import PRODUCTION, Deployment, DeploymentState
from bot.flags.flag import subject
from bot.flags.records.history import CHANGES
from bot.incidents.attribution import in_order
from bot.incidents.incident import Incident
from bot.incidents.records import incidents as incident_records
from bot.incidents.records.channels import read_channel_ids
from bot.spending.service_events import FlagMoved, ServiceEvents
from bot.store.database import Database
from bot.store.tables.core import audit
from bot.store.value_lists import is_one_of


class ServiceEventReader:
    """Reads what happened around services."""

    def __init__(self, database: Database, current: CurrentCatalog) -> None:
        self._database = database
        self._current = current

    async def read(self, service: Service, span: Span, before: timedelta = timedelta()) -> ServiceEvents:
        """Return what happened in a span; deployments and flags from `before` it on."""
        longer = Span(span.start - before, span.end)
        async with self._database.reading() as connection:
            incidents = await _incidents(connection, service.name, span)
            return ServiceEvents(
                incidents,
                await self._deployments(connection, service.name, longer),
                await self._flags(connection, service, longer),
                await read_channel_ids(connection, [incident.id for incident in incidents]),
            )

    async def _deployments(
        self, connection: AsyncConnection, service: str, span: Span
    ) -> tuple[Deployment, ...]:
        outcomes = await deployment_records.read(connection, [service], span.start, span.end)
        return tuple(
            deployment
            for deployment, _ in outcomes
            if deployment.state is DeploymentState.SUCCEEDED
            and (deployment.is_production or self._is_production(service, deployment.environment))
        )

    async def _flags(
        self, connection: AsyncConnection, service: Service, span: Span
    ) -> tuple[FlagMoved, ...]:
        settings = self._current.workspace.of(service.name).flags
        names = {each.name for each in settings.environments} or {PRODUCTION}
        subjects = {
            subject(flag, environment): (flag, environment)
            for flag in service.flags
            for environment in names
            if settings.is_production(environment)
        }
        if not subjects:
            return ()
        query = (
            select(audit.c.at, audit.c.subject, audit.c.before, audit.c.after)
            .where(is_one_of(audit.c.subject, subjects), audit.c.action.in_(CHANGES))
            .where(audit.c.at.between(span.start, span.end))
            .order_by(audit.c.at, audit.c.id)
        )
        rows = await connection.execute(query)
        return tuple(
            FlagMoved(*subjects[row.subject], row.at, _raises(row.before, row.after)) for row in rows
        )

    def _is_production(self, service: str, environment: str) -> bool:
        settings = self._current.workspace.of(service).flags
        return settings.is_production(environment.strip().casefold())


async def _incidents(connection: AsyncConnection, service: str, span: Span) -> tuple[Incident, ...]:
    found = await incident_records.read_many(connection, service=service)
    within = [
        incident
        for incident in found
        if incident.status.counts
        and incident.started_at < span.end
        and (incident.ended_at is None or incident.ended_at > span.start)
    ]
    return tuple(in_order(within))


def _raises(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Return whether a change let more people see the flag, as its audit row has it."""
    was, is_now = (before or {}).get("exposure"), (after or {}).get("exposure")
    if is_now == 0:
        return False
    return was is None or is_now is None or is_now > was
