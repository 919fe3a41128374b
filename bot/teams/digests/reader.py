"""Reads what a digest tells of a channel's services. Private incidents, and their actions, are never read."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.catalog.digests import DigestKind
from bot.catalog.window import Span
from bot.deployments import records as deployment_records
from bot.deployments.deployment import Deployment, DeploymentState
from bot.flags.flag import Shape, state_from_json, subject
from bot.flags.records import ramps as ramp_records
from bot.flags.records.history import CHANGES
from bot.freezes.status import ServiceStatus, StatusReader
from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.incidents.records import incidents as incident_records
from bot.incidents.records.actions import Actions
from bot.incidents.spending.weekly_observation import observing_policy, read_observed_week
from bot.incidents.visibility import ANYBODY, may_see
from bot.spending.breakdown import as_seen
from bot.spending.reader import SpendingReader
from bot.store.database import Database
from bot.store.tables.core import audit
from bot.store.tables.flags import flag_sightings
from bot.store.value_lists import is_one_of
from bot.teams.digests.contents import (
    LINGERING_AFTER,
    DigestContents,
    LingeringFlag,
    ServiceNews,
    change_of,
    due_actions,
    told_incidents,
)
from bot.teams.digests.planning import PlanningSheet, ServicePlan, plan_of
from bot.teams.digests.serving import read_serving
from bot.teams.reviews import records as review_records
from bot.teams.reviews.review import FreezeReview
from bot.teams.rotations.control import RotationControl
from bot.velocity.cost_reader import CostReader
from bot.velocity.goals.progress import GoalProgress
from bot.velocity.goals.reader import GoalReader
from bot.velocity.reader import VelocityReader
from bot.velocity.scope import ScopeKind, VelocityScope

_POINTS = 60
_EVERYBODY = 1.0
_NEXT_WITHIN = {DigestKind.WEEKLY: timedelta(days=7), DigestKind.STAND_UP: timedelta()}


class DigestReader:
    """Reads the contents of digests."""

    def __init__(
        self,
        database: Database,
        status_reader: StatusReader,
        velocity: VelocityReader,
        goals: GoalReader,
        *,
        spending: SpendingReader,
        rotations: RotationControl,
        costs: CostReader,
    ) -> None:
        self._database = database
        self._status_reader = status_reader
        self._velocity = velocity
        self._goals = goals
        self._spending = spending
        self._rotations = rotations
        self._costs = costs

    async def read(
        self, kind: DigestKind, channel: str, names: Collection[str], since: datetime, now: datetime
    ) -> DigestContents:
        """Return what happened to services since a time, and what is to be done, without unknown ones."""
        span = Span(since, now)
        catalog = self._status_reader.catalog
        services = [catalog.services[name] for name in sorted(names) if name in catalog.services]
        statuses = [await self._status_reader.service(service.name) for service in services]
        news = [await self._news(status, kind, span) for status in statuses]
        news.sort(key=_by_need)
        today = now.astimezone(ZoneInfo(services[0].time_zone if services else "UTC")).date()
        flags = {flag for service in services for flag in service.flags}
        async with self._database.reading() as connection:
            incidents = await _incidents(connection, services, span)
            lingering = await _lingering(connection, flags, now) if kind is DigestKind.WEEKLY else []
            reviews = await _reviews(connection, services)
            ramps = [each for each in await ramp_records.running(connection) if each.ramp.flag in flags]
        scope, is_weekly = _scope(channel, services), kind is DigestKind.WEEKLY and bool(services)
        budgets = {status.service.name: status.budgets for status in statuses}
        return DigestContents(
            kind,
            channel,
            span,
            today,
            tuple(news),
            told_incidents(incidents, span),
            due_actions(await self._actions(services), kind, today),
            tuple(lingering),
            tuple(ramps),
            await self._velocity.measures(scope, span) if is_weekly else None,
            tuple(await self._shared_goals(names, now)) if kind is DigestKind.WEEKLY else (),
            tuple(await read_serving(self._rotations, catalog, names, now + _NEXT_WITHIN[kind])),
            tuple(reviews),
            (await self._costs.costs(scope, span, budgets)).budgets if is_weekly else (),
        )

    async def planning(self, names: Collection[str]) -> PlanningSheet:
        """Return where the budgets of services went, and how much pace they carry."""
        catalog = self._status_reader.catalog
        plans, unmeasured = [], []
        for name in sorted(name for name in names if name in catalog.services):
            plan = await self._plan(await self._status_reader.service(name))
            if plan is None:
                unmeasured.append(name)
            else:
                plans.append(plan)
        plans.sort(key=lambda plan: (plan.budget.remaining or 0, plan.status.service.name))
        return PlanningSheet(tuple(plans), tuple(unmeasured))

    async def _plan(self, status: ServiceStatus) -> ServicePlan | None:
        worst = status.worst
        found = await self._spending.where(status.service, [worst] if worst is not None else [])
        if worst is None or not found:
            return None
        async with self._database.reading() as connection:
            deployments = await _deployments(connection, status.service, found[0].window)
        # What was spent after one that failed is not put down to it.
        deployed = [each for each in deployments if each.state is DeploymentState.SUCCEEDED]
        seen = as_seen(found[0], lambda incident: may_see(incident, ANYBODY))
        return plan_of(status, worst, seen, deployed)

    async def _shared_goals(self, names: Collection[str], now: datetime) -> Sequence[GoalProgress]:
        """Return the goals under way that are about one of the services."""
        current = await self._goals.current(self._status_reader.catalog, now)
        return [each for each in current if not set(names).isdisjoint(each.goal.services)]

    async def _news(self, status: ServiceStatus, kind: DigestKind, span: Span) -> ServiceNews:
        service = status.service
        changes = {}
        for budget in status.budgets:
            change = change_of(budget, await self._status_reader.rolling(budget, _POINTS), span)
            if change is not None:
                changes[budget.slo.name] = change
        async with self._database.reading() as connection:
            deployments = await _deployments(connection, service, span)
            policy = observing_policy(service) if kind is DigestKind.WEEKLY else None
            observed = policy and await read_observed_week(connection, service, policy, span)
        return ServiceNews(status, changes, tuple(deployments), observed or None)

    async def _actions(self, services: Sequence[Service]) -> Sequence[Action]:
        actions = Actions(self._database)
        found: list[Action] = []
        for service in services:
            found += await actions.of_service(service.name, ANYBODY)
        return found


async def _deployments(connection: AsyncConnection, service: Service, span: Span) -> Sequence[Deployment]:
    found = await deployment_records.read(connection, [service.name], span.start, span.end)
    return [each for each, _ in found if each.is_production]


async def _incidents(
    connection: AsyncConnection, services: Sequence[Service], span: Span
) -> Sequence[Incident]:
    """Return incidents of the services that everybody may see: those of the span, and those open."""
    found: dict[int, Incident] = {}
    for service in services:
        since = await incident_records.read_many(connection, service=service.name, since=span.start)
        still = await incident_records.read_many(connection, service=service.name, unresolved=True)
        found |= {each.id: each for each in (*since, *still) if may_see(each, ANYBODY)}
    return list(found.values())


async def _reviews(connection: AsyncConnection, services: Sequence[Service]) -> Sequence[FreezeReview]:
    """Return the reviews of the services' freezes that both teams were asked for and have not agreed on."""
    names = {service.name for service in services}
    lasting = await review_records.read_all_lasting(connection)
    return [each for each in lasting if each.service in names and each.is_open and not each.is_agreed]


async def _lingering(
    connection: AsyncConnection, flags: Collection[str], now: datetime
) -> Sequence[LingeringFlag]:
    """Return the flags that nobody has changed for long, and that are off or on for everybody.

    One that was never changed since the bot knows it is not among them: it waits for its release.
    """
    if not flags:
        return []
    found = []
    seen = await connection.execute(select(flag_sightings).where(is_one_of(flag_sightings.c.flag, flags)))
    for row in seen:
        state = state_from_json(row.state)
        if state.shape is not Shape.SIMPLE or state.exposure not in {0.0, _EVERYBODY}:
            continue
        changed = select(func.max(audit.c.at)).where(
            audit.c.subject == subject(state.flag, state.environment), audit.c.action.in_(CHANGES)
        )
        since = (await connection.execute(changed)).scalar_one_or_none()
        if since is not None and now - since >= LINGERING_AFTER:
            is_on = state.exposure == _EVERYBODY
            found.append(LingeringFlag(state.flag, state.environment, is_on, since))
    return sorted(found, key=lambda each: (each.since, each.flag, each.environment))


def _scope(channel: str, services: Sequence[Service]) -> VelocityScope:
    kind = ScopeKind.SERVICE if len(services) == 1 else ScopeKind.ALL
    return VelocityScope(kind, services[0].name if len(services) == 1 else channel, tuple(services))


def _by_need(news: ServiceNews) -> tuple[float, str]:
    worst = news.status.worst
    left = float(worst.remaining) if worst is not None and worst.remaining is not None else 2.0
    return (left, news.status.service.name)
