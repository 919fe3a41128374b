"""Tells once a week, for each service whose policy only observes, what would have been stopped.

Services with a weekly digest have it there.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import ErrorBudgetPolicy
from bot.catalog.window import Span
from bot.clock import Clock
from bot.deployments import records as deployment_records
from bot.incidents.records import incidents as records
from bot.incidents.spending.observed_week import ObservedWeek, observed_week
from bot.incidents.visibility import ANYBODY, may_see
from bot.store.conditions import begin_condition
from bot.store.database import Database
from bot.store.item_failures import ItemFailures
from bot.store.outbox import OutboxMessage, enqueue
from bot.store.tables.core import holds
from bot.store.tables.replicas import conditions
from bot.store.value_lists import begins_with

WEEK = timedelta(days=7)
_HOUR = time(9)
_PREFIX = "observed since: "

AnnounceWeek = Callable[[Service, ObservedWeek], OutboxMessage]
"""Returns the message on one service's week."""


class WeeklyObservation:
    """Each `tick` enqueues the lines that are due: Mondays at 09:00 UTC, once for each service."""

    def __init__(
        self, database: Database, current: CurrentCatalog, announce: AnnounceWeek, clock: Clock
    ) -> None:
        self._database = database
        self._current = current
        self._announce = announce
        self._clock = clock
        self._failures = ItemFailures("observation_failed")

    async def tick(self) -> None:
        """Tell of every service whose week is over; one that fails delays none of the others."""
        now = self._clock.now()
        observing = {
            name: policy
            for name, service in self._current.catalog.services.items()
            if service.digests.weekly is None and (policy := observing_policy(service)) is not None
        }
        async with self._database.reading() as connection:
            stored = await connection.execute(
                select(conditions).where(begins_with(conditions.c.name, _PREFIX))
            )
            told = {row.name.removeprefix(_PREFIX): row.since for row in stored}
        for name in told.keys() - observing.keys():
            with self._failures.isolate(name) as is_due:
                if is_due:
                    await self._forget(name)
        for name, policy in observing.items():
            if name in told and told[name] >= last_due(now):
                continue
            with self._failures.isolate(name) as is_due:
                if is_due:
                    await self._tell(self._current.catalog.services[name], policy, now)

    async def _forget(self, name: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(delete(conditions).where(conditions.c.name == _PREFIX + name))

    async def _tell(self, service: Service, policy: ErrorBudgetPolicy, now: datetime) -> None:
        """Enqueue the line on the time since the last one; only remember when observing began at first."""
        condition = _PREFIX + service.name
        async with self._database.transaction() as connection:
            if await begin_condition(self._database, connection, condition, now):
                return
            row = (await connection.execute(select(conditions).where(conditions.c.name == condition))).one()
            if row.since >= last_due(now):
                return
            week = await read_observed_week(
                connection, service, policy, Span(max(row.since, now - WEEK), now)
            )
            await enqueue(connection, [self._announce(service, week)], now)
            await connection.execute(delete(conditions).where(conditions.c.name == condition))
            await begin_condition(self._database, connection, condition, now)


async def read_observed_week(
    connection: AsyncConnection, service: Service, policy: ErrorBudgetPolicy, span: Span
) -> ObservedWeek:
    """Return what a policy of a service would have stopped in a time, as everybody may read it."""
    within = policy.attribute_within
    rows = await connection.execute(
        select(holds).where(
            holds.c.service == service.name,
            holds.c.observed,
            holds.c.since < span.end,
            or_(holds.c.lifted_at.is_(None), holds.c.lifted_at > span.start),
        )
    )
    frozen = [Span(row.since, min(row.lifted_at or row.until or span.end, span.end)) for row in rows]
    deployed = await deployment_records.read(connection, [service.name], span.start, span.end)
    incidents = await records.read_many(connection, service=service.name, since=span.start)
    return observed_week(
        span,
        policy.name,
        frozen,
        [deployment for deployment, _ in deployed],
        # The line is read by everybody.
        [incident for incident in incidents if may_see(incident, ANYBODY)],
        within=within,
    )


def observing_policy(service: Service) -> ErrorBudgetPolicy | None:
    """Return the first of a service's policies that only observes; None where all are enforced."""
    policies = (service.error_budget_policy, *(service.policy_for(slo) for slo in service.slos))
    return next((policy for policy in policies if not policy.enforces), None)


def last_due(now: datetime) -> datetime:
    """Return when a line was due last: the newest Monday, 09:00 UTC, up to now."""
    today = now.astimezone(UTC)
    monday = datetime.combine(today.date() - timedelta(days=today.weekday()), _HOUR, UTC)
    return monday if monday <= today else monday - WEEK
