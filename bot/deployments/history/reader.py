"""Reads deployments as they are counted. Functions run in their caller's transaction.

Which outcomes make one deployment never depends on the times that are asked for, so that no other range shows
another past.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, func, literal, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.deployments.actor import Actor
from bot.deployments.change import CarriedChange, ChangesState
from bot.deployments.deployment import DeploymentState
from bot.deployments.history.past_deployment import PastDeployment, ReportedOutcome, in_one
from bot.store.tables.core import Instant
from bot.store.tables.deployments import deployment_changes, deployments
from bot.store.value_lists import is_one_of

_COLUMNS = deployments.c
_UNIT = case(
    (_COLUMNS.run.is_not(None), literal("run ") + _COLUMNS.run), else_=literal("id ") + _COLUMNS.deployment
).label("unit")
_FIRST_LOOK = 20
_ENDED_AT = func.max(_COLUMNS.finished_at)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A place in the list of all deployments, newest first: after this one."""

    ended_at: datetime
    service: str
    environment: str
    unit: str


async def read_history(
    connection: AsyncConnection,
    services: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[PastDeployment]:
    """Return the deployments that ended from `since` to `until`, both included, oldest first.

    `services` are all where it is None.
    """
    chosen: list[ColumnElement[bool]] = []
    if services is not None:
        chosen.append(is_one_of(_COLUMNS.service, services))
    if since is not None:
        chosen.append(_COLUMNS.finished_at >= since)
    if until is not None:
        chosen.append(_COLUMNS.finished_at <= until)
    return [
        each
        for each in await _read(connection, and_(true(), *chosen))
        if (since is None or since <= each.ended_at) and (until is None or each.ended_at <= until)
    ]


async def read_page(
    connection: AsyncConnection,
    *,
    service: str | None,
    since: datetime | None,
    until: datetime | None,
    after: HistoryPage | None,
    limit: int,
) -> tuple[Sequence[PastDeployment], HistoryPage | None]:
    """Return `limit` deployments, newest first, and the place where the next ones begin."""
    query = select(_COLUMNS.service, _COLUMNS.environment, _UNIT, _ENDED_AT.label("ended_at"))
    query = query.group_by(_COLUMNS.service, _COLUMNS.environment, _UNIT)
    if service is not None:
        query = query.where(_COLUMNS.service == service)
    if since is not None:
        query = query.having(since <= _ENDED_AT)
    if until is not None:
        query = query.having(until >= _ENDED_AT)
    if after is not None:
        beside = tuple_(_COLUMNS.service, _COLUMNS.environment, _UNIT) > tuple_(
            literal(after.service), literal(after.environment), literal(after.unit)
        )
        is_same: ColumnElement[bool] = literal(after.ended_at, Instant) == _ENDED_AT
        query = query.having((literal(after.ended_at, Instant) > _ENDED_AT) | (is_same & beside))
    query = query.order_by(_ENDED_AT.desc(), _COLUMNS.service, _COLUMNS.environment, _UNIT)
    rows = (await connection.execute(query.limit(limit + 1))).all()
    place = {(row.service, row.environment, row.unit): index for index, row in enumerate(rows[:limit])}
    chosen = and_(
        is_one_of(_COLUMNS.service, {row.service for row in rows}),
        is_one_of(_UNIT, {row.unit for row in rows[:limit]}),
    )
    found = [each for each in await _read(connection, chosen) if each.last.unit in place]
    last = rows[limit - 1] if len(rows) > limit else None
    return (
        sorted(found, key=lambda deployment: place[deployment.last.unit]),
        None if last is None else HistoryPage(last.ended_at, last.service, last.environment, last.unit),
    )


async def read_success_before(
    connection: AsyncConnection, deployment: PastDeployment
) -> PastDeployment | None:
    """Return the last success to the same environment that ended before a deployment did."""
    before = await _read_near(connection, deployment, is_before=True)
    return max(before, key=_place, default=None)


async def read_followers(connection: AsyncConnection, deployment: PastDeployment) -> Sequence[PastDeployment]:
    """Return the deployments to the same environment after one, up to the first success among them."""
    followers: list[PastDeployment] = []
    after = await _read_near(connection, deployment, is_before=False)
    for each in sorted(after, key=_place):
        followers.append(each)
        if each.state is DeploymentState.SUCCEEDED:
            break
    return followers


async def read_one(connection: AsyncConnection, service: str, id_: str) -> PastDeployment | None:
    """Return the deployment of a service that has this id, or a job of which has it."""
    found = await _read(connection, (_COLUMNS.service == service) & (_COLUMNS.deployment == id_))
    return next((each for each in reversed(found) if id_ in each.ids), None)


async def read_changes(connection: AsyncConnection, deployment: PastDeployment) -> Sequence[CarriedChange]:
    """Return the commits that a deployment carried, the one that was merged last first."""
    columns = deployment_changes.c
    query = select(deployment_changes).where(
        columns.service == deployment.service, is_one_of(columns.deployment, deployment.ids)
    )
    changes = {
        row.commit: CarriedChange(
            row.commit, row.title, row.change, row.authored_at, row.merged_at, row.reverts
        )
        for row in await connection.execute(query)
    }
    return sorted(changes.values(), key=_newest_first)


def _newest_first(change: CarriedChange) -> tuple[float, str]:
    at = change.merged_at or change.authored_at
    return (-at.timestamp() if at else 0.0), change.commit


def _place(deployment: PastDeployment) -> tuple[datetime, str]:
    return deployment.ended_at, deployment.id


async def _read_near(
    connection: AsyncConnection, deployment: PastDeployment, *, is_before: bool
) -> Sequence[PastDeployment]:
    """Return deployments to the same environment on one side of one, as many as it takes to have a success.

    Before it only successes are of interest, after it all of them.
    """
    at, own, most = deployment.ended_at, _place(deployment), _FIRST_LOOK
    order = _COLUMNS.finished_at.desc() if is_before else _COLUMNS.finished_at.asc()
    side = _COLUMNS.finished_at <= at if is_before else _COLUMNS.finished_at >= at
    here = (_COLUMNS.service == deployment.service) & (_COLUMNS.environment == deployment.environment) & side
    while True:
        newest = select(_COLUMNS.deployment).where(here).order_by(order).limit(most)
        rows = (await connection.scalars(newest)).all()
        chosen = (_COLUMNS.service == deployment.service) & is_one_of(_COLUMNS.deployment, rows)
        found = [
            each
            for each in await _read(connection, chosen)
            if each.environment == deployment.environment
            and each.last.unit != deployment.last.unit
            and (_place(each) < own if is_before else _place(each) > own)
        ]
        succeeded = [each for each in found if each.state is DeploymentState.SUCCEEDED]
        if succeeded or len(rows) < most:
            return succeeded if is_before else found
        most *= 10


async def _read(connection: AsyncConnection, chosen: ColumnElement[bool]) -> Sequence[PastDeployment]:
    """Return the deployments of which a chosen row is an outcome, oldest first."""
    runs = select(_COLUMNS.service, _COLUMNS.run).where(chosen, _COLUMNS.run.is_not(None))
    ids = select(_COLUMNS.service, _COLUMNS.deployment).where(chosen)
    query = select(deployments).where(
        tuple_(_COLUMNS.service, _COLUMNS.run).in_(runs)
        | tuple_(_COLUMNS.service, _COLUMNS.deployment).in_(ids)
    )
    return in_one([_outcome(row) for row in await connection.execute(query)])


def _outcome(row: Row[Any]) -> ReportedOutcome:
    return ReportedOutcome(
        service=row.service,
        id=row.deployment,
        state=DeploymentState(row.state),
        environment=row.environment,
        commit=row.commit,
        by=row.by,
        actor=Actor(row.actor),
        started_at=row.started_at,
        finished_at=row.finished_at,
        ref=row.ref,
        repository=row.repository,
        url=row.url,
        is_production=row.production,
        run=row.run,
        previous_commit=row.previous_commit,
        changes_state=ChangesState(row.changes_state),
        changes_note=row.changes_note,
        changes=row.changes,
        lines_changed=row.lines_changed,
        undoes=row.undoes,
        rework=row.rework,
    )
