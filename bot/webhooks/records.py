"""Endpoints and deliveries as rows. Functions run in their caller's transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.audit import AuditRow
from bot.store.database import Database
from bot.store.tables.core import audit
from bot.store.tables.webhooks import webhook_deliveries, webhook_endpoints
from bot.tasks import records as tasks
from bot.tasks.task import PlannedTask
from bot.webhooks.delivery import AttemptOutcome, EndpointState, WebhookDelivery, WebhookState
from bot.webhooks.message import event_id

RETURNS_WITHIN: Final = timedelta(hours=1)
"""How long an endpoint may be missing from the policies and still get what happened meanwhile."""
LONGEST_ANSWER: Final = 500
DISABLED: Final = "the endpoint was disabled"
LEFT: Final = "the endpoint left the policies"

_ENDPOINTS, _DELIVERIES = webhook_endpoints.c, webhook_deliveries.c


def kind_of(endpoint: str) -> str:
    """Return the kind of the tasks of an endpoint: each is delivered to by itself."""
    return f"webhook {endpoint}"


async def follow_endpoint(
    database: Database, connection: AsyncConnection, name: str, fingerprint: str, now: datetime
) -> None:
    """Record that an endpoint is in the policies: a new one gets what happens from now on.

    So does one that comes back late. One that was disabled is tried again once it was changed.
    """
    newest = await connection.scalar(select(func.max(audit.c.id))) or 0
    fresh = database.insert(webhook_endpoints).values(name=name, cursor=newest, fingerprint=fingerprint)
    if (await connection.execute(fresh.on_conflict_do_nothing())).rowcount == 1:
        return
    known = await read_endpoint(connection, name)
    values: dict[str, Any] = {}
    if known.removed_at is not None:
        values["removed_at"] = None
        if known.removed_at < now - RETURNS_WITHIN:
            values["cursor"] = newest
    if known.fingerprint != fingerprint:
        values |= {"fingerprint": fingerprint, "disabled_at": None, "problem": None}
        for task in await tasks.read_pending(connection, kind_of(name)):
            await tasks.move(connection, task.kind, task.key, now)
    if values:
        await connection.execute(update(webhook_endpoints).where(_ENDPOINTS.name == name).values(**values))


async def remove_missing(connection: AsyncConnection, names: Collection[str], now: datetime) -> None:
    """Record which endpoints have left the policies, and end what was to be delivered to them."""
    gone = select(_ENDPOINTS.name).where(_ENDPOINTS.removed_at.is_(None), _ENDPOINTS.name.not_in(names))
    for name in list(await connection.scalars(gone)):
        await connection.execute(
            update(webhook_endpoints).where(_ENDPOINTS.name == name).values(removed_at=now)
        )
        for task in await tasks.read_pending(connection, kind_of(name)):
            await tasks.cancel(connection, task.kind, task.key, now)
        pending = (_DELIVERIES.endpoint == name) & (_DELIVERIES.state == WebhookState.PENDING.value)
        await connection.execute(
            update(webhook_deliveries).where(pending).values(state=WebhookState.FAILED.value, error=LEFT)
        )


async def read_endpoints(connection: AsyncConnection) -> Mapping[str, EndpointState]:
    """Return the endpoints in the policies, by name."""
    rows = await connection.execute(select(webhook_endpoints).where(_ENDPOINTS.removed_at.is_(None)))
    return {row.name: _endpoint(row) for row in rows}


async def read_endpoint(connection: AsyncConnection, name: str) -> EndpointState:
    """Return an endpoint that was recorded."""
    found = await connection.execute(select(webhook_endpoints).where(_ENDPOINTS.name == name))
    return _endpoint(found.one())


async def move_cursor(connection: AsyncConnection, endpoint: EndpointState, to: int) -> bool:
    """Go on in the audit log; return whether nobody else has meanwhile."""
    unchanged = (_ENDPOINTS.name == endpoint.name) & (_ENDPOINTS.cursor == endpoint.cursor)
    return (
        await connection.execute(update(webhook_endpoints).where(unchanged).values(cursor=to))
    ).rowcount == 1


async def add(
    database: Database, connection: AsyncConnection, endpoint: EndpointState, row: AuditRow, now: datetime
) -> None:
    """Plan the delivery of an event; it fails at once where the endpoint is disabled."""
    is_disabled = endpoint.disabled_at is not None
    values = {
        "endpoint": endpoint.name,
        "audit_id": row.id,
        "event_id": event_id(row),
        "event": row.entry.action,
        "service": row.entry.service,
        "state": (WebhookState.FAILED if is_disabled else WebhookState.PENDING).value,
        "attempts": 0,
        "created_at": now,
        "error": DISABLED if is_disabled else None,
    }
    insertion = database.insert(webhook_deliveries).values(**values).on_conflict_do_nothing()
    id_ = (await connection.execute(insertion.returning(_DELIVERIES.id))).scalar_one_or_none()
    if id_ is not None and not is_disabled:
        task = PlannedTask(kind_of(endpoint.name), str(id_), now)
        # Not `plan`: SQLite may give the number of a delivery anew whose task is still known as done.
        await tasks.schedule(database, connection, task, now)


async def redeliver(
    database: Database, connection: AsyncConnection, delivery: WebhookDelivery, by: str, now: datetime
) -> None:
    """Deliver an event once more, from now on."""
    values = {"state": WebhookState.PENDING.value, "redelivered_by": by}
    await connection.execute(update(webhook_deliveries).where(_DELIVERIES.id == delivery.id).values(**values))
    task = PlannedTask(kind_of(delivery.endpoint), str(delivery.id), now)
    await tasks.schedule(database, connection, task, now)


async def note_attempt(
    connection: AsyncConnection,
    delivery: WebhookDelivery,
    outcome: AttemptOutcome,
    state: WebhookState,
    now: datetime,
) -> None:
    """Record what an attempt brought."""
    values: dict[str, Any] = {
        "state": state.value,
        "attempts": delivery.attempts + 1,
        "attempted_at": now,
        "status": outcome.status,
        "answer": outcome.answer[:LONGEST_ANSWER] or None,
        "error": outcome.error,
    }
    if state is WebhookState.DELIVERED:
        values["delivered_at"] = now
        healthy = {"delivered_at": now, "disabled_at": None, "problem": None}
        await connection.execute(
            update(webhook_endpoints).where(_ENDPOINTS.name == delivery.endpoint).values(**healthy)
        )
    await connection.execute(update(webhook_deliveries).where(_DELIVERIES.id == delivery.id).values(**values))


async def fail(connection: AsyncConnection, delivery: WebhookDelivery, error: str) -> None:
    """Record that a delivery is not tried any more."""
    values = {"state": WebhookState.FAILED.value, "error": error}
    await connection.execute(update(webhook_deliveries).where(_DELIVERIES.id == delivery.id).values(**values))


async def disable(connection: AsyncConnection, name: str, problem: str, now: datetime) -> bool:
    """Let an endpoint get no more events; return whether it still did."""
    enabled = (_ENDPOINTS.name == name) & _ENDPOINTS.disabled_at.is_(None)
    values = {"disabled_at": now, "problem": problem}
    return (await connection.execute(update(webhook_endpoints).where(enabled).values(**values))).rowcount == 1


async def read_delivery(connection: AsyncConnection, id_: int) -> WebhookDelivery | None:
    """Return a delivery."""
    row = (await connection.execute(select(webhook_deliveries).where(_DELIVERIES.id == id_))).one_or_none()
    return None if row is None else _delivery(row)


async def read_deliveries(
    connection: AsyncConnection,
    *,
    endpoint: str | None = None,
    state: WebhookState | None = None,
    event: str | None = None,
    before: int | None = None,
    limit: int,
) -> Sequence[WebhookDelivery]:
    """Return deliveries, the newest first, of those with a lower number than `before`."""
    query = select(webhook_deliveries).order_by(_DELIVERIES.id.desc()).limit(limit)
    for column, value in (
        (_DELIVERIES.endpoint, endpoint),
        (_DELIVERIES.state, state),
        (_DELIVERIES.event, event),
    ):
        if value is not None:
            query = query.where(column == str(value))
    if before is not None:
        query = query.where(_DELIVERIES.id < before)
    return [_delivery(row) for row in await connection.execute(query)]


async def count_pending(connection: AsyncConnection) -> Mapping[str, int]:
    """Return by endpoint how many deliveries wait."""
    waiting = _DELIVERIES.state == WebhookState.PENDING.value
    query = select(_DELIVERIES.endpoint, func.count().label("waiting")).where(waiting)
    rows = await connection.execute(query.group_by(_DELIVERIES.endpoint))
    return {row.endpoint: row.waiting for row in rows}


def _endpoint(row: Row[Any]) -> EndpointState:
    return EndpointState(
        row.name,
        row.cursor,
        row.fingerprint,
        row.removed_at,
        row.disabled_at,
        row.problem,
        row.delivered_at,
    )


def _delivery(row: Row[Any]) -> WebhookDelivery:
    values = row._asdict()
    return WebhookDelivery(**values | {"state": WebhookState(row.state)})
