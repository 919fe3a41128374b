"""Actions as rows, and the operations that people carry out on them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.error_budget_policy import UnfreezeRequirement, UnmetRequirement
from bot.incidents.action import Action, ActionIssue, not_owned
from bot.incidents.incident import COUNTED, IncidentError
from bot.incidents.planned_tasks import plan_for_action
from bot.incidents.records.hidden import read_hidden
from bot.incidents.visibility import ANYBODY, OPERATOR, Viewer
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.incidents import actions, incidents
from bot.store.value_lists import is_one_of


class UnknownActionError(IncidentError):
    """There is no action of that number."""

    def __init__(self, id_: int) -> None:
        super().__init__(f"there is no action {id_}")


@dataclass(frozen=True, slots=True)
class NewAction:
    """An action to be added. `request` is its idempotency key: repeated, it adds nothing."""

    text: str
    service: str | None = None
    incident_id: int | None = None
    owner: str | None = None
    due: date | None = None
    is_p0: bool = False
    request: str | None = None


class Actions:
    """Adds, changes and lists actions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, new: NewAction, *, by: str, now: datetime) -> Action:
        """Add an action, or return the one that this request has added."""
        values = {
            "text": new.text,
            "service": new.service,
            "incident_id": new.incident_id,
            "owner": new.owner,
            "due": new.due,
            "is_p0": new.is_p0,
            "request": new.request,
            "created_by": by,
            "created_at": now,
        }
        async with self._database.transaction() as connection:
            inserted = self._database.insert(actions).values(values)
            inserted = inserted.on_conflict_do_nothing(index_elements=["request"])
            id_ = (await connection.execute(inserted.returning(actions.c.id))).scalar_one_or_none()
            if id_ is None:
                query = select(actions).where(actions.c.request == new.request)
                return _action((await connection.execute(query)).one())
            action = await _read_one(connection, id_)
            await audit_action(connection, "action.added", action, by, now)
            await bump_version(connection, action.incident_id, now)
            await plan_for_action(self._database, connection, action, now)
        return action

    async def change(
        self, id_: int, *, by: str, now: datetime, owner: str | None = None, due: date | None = None
    ) -> Action:
        """Set the owner or the due date of an action; None leaves it. Raises `UnknownActionError`."""
        changes = (("owner", owner), ("due", due))
        values: dict[str, Any] = {name: value for name, value in changes if value is not None}
        if values:
            # A new owner is reminded, and any owner of a new date.
            values["reminded_at"] = None
        return await self._update(id_, "action.changed", values, by, now)

    async def done(self, id_: int, *, by: str, now: datetime) -> Action:
        """Mark an action as done, if it is not yet; raises `UnknownActionError`."""
        return await self._update(id_, "action.done", {"done_at": now}, by, now, is_open=True)

    async def find(self, id_: int, viewer: Viewer) -> Action:
        """Return one action; raises `UnknownActionError`, also for one that the viewer may not see."""
        async with self._database.reading() as connection:
            action = await _read_one(connection, id_)
            if (await read_hidden(connection, viewer)).hides(action):
                raise UnknownActionError(id_)
        return action

    async def of_service(
        self, service: str | None, viewer: Viewer, *, is_open: bool = True
    ) -> Sequence[Action]:
        """Return the actions of a service or of all that a viewer may see; with `is_open` those not done."""
        async with self._database.reading() as connection:
            stored = await read(connection, service=service)
            hidden = await read_hidden(connection, viewer)
        return [
            action
            for action in stored
            if not hidden.hides(action) and (not is_open or action.done_at is None)
        ]

    async def not_owned(self, service: str) -> Sequence[Action]:
        """Return the P0 actions because of which `unfreezeRequires: actionsOwned` is not met."""
        return not_owned(await self.of_service(service, OPERATOR), service)

    async def _update(
        self, id_: int, action: str, values: dict[str, Any], by: str, now: datetime, *, is_open: bool = False
    ) -> Action:
        """Update an action, with `is_open` only if it is not done; return it as it is then."""
        async with self._database.transaction() as connection:
            before = await _read_one(connection, id_)
            if values and not (is_open and before.done_at):
                await connection.execute(update(actions).where(actions.c.id == id_).values(values))
            after = await _read_one(connection, id_)
            if after != before:
                await audit_action(connection, action, after, by, now)
                await bump_version(connection, after.incident_id, now)
                await plan_for_action(self._database, connection, after, now)
        return after


async def read(
    connection: AsyncConnection, *, incident_id: int | None = None, service: str | None = None
) -> Sequence[Action]:
    """Return actions in the order they were added: of an incident, of a service, or all."""
    query = select(actions).order_by(actions.c.id)
    if incident_id is not None:
        query = query.where(actions.c.incident_id == incident_id)
    if service is not None:
        query = query.where(actions.c.service == service)
    return actions_of(await connection.execute(query))


async def read_numbered(connection: AsyncConnection, ids: Collection[int]) -> Mapping[int, Action]:
    """Return the actions of these numbers."""
    found = await connection.execute(select(actions).where(is_one_of(actions.c.id, ids)))
    return {action.id: action for action in actions_of(found)}


def actions_of(rows: Iterable[Row[Any]]) -> Sequence[Action]:
    """Return the actions in rows of their table."""
    return [_action(row) for row in rows]


async def unmet_requirements(connection: AsyncConnection, service: str) -> Sequence[UnmetRequirement]:
    """Return the service's actions that keep its budget hold from being lifted, and what they lack.

    The text of an action of a private incident is left out; those of a false alarm keep nothing from it.
    """
    blocking = not_owned(await read(connection, service=service), service)
    among = {action.incident_id for action in blocking}
    uncounted = select(incidents.c.id).where(incidents.c.id.in_(among), incidents.c.status.not_in(COUNTED))
    left_out = set(await connection.scalars(uncounted))
    hidden = await read_hidden(connection, ANYBODY)
    return [
        UnmetRequirement(
            UnfreezeRequirement.ACTIONS_OWNED,
            action.id,
            None if hidden.hides(action) else action.text,
            action.missing,
        )
        for action in blocking
        if action.incident_id not in left_out
    ]


async def claim_overdue(connection: AsyncConnection, id_: int, today: date, now: datetime) -> Action | None:
    """Return an open action that is due today or before, and mark its owner as reminded.

    None if there is none, or its owner was reminded before.
    """
    claimed = update(actions).where(
        actions.c.id == id_,
        actions.c.done_at.is_(None),
        actions.c.owner.is_not(None),
        actions.c.due <= today,
        actions.c.reminded_at.is_(None),
    )
    is_claimed = (await connection.execute(claimed.values(reminded_at=now))).rowcount == 1
    return await _read_one(connection, id_) if is_claimed else None


async def _read_one(connection: AsyncConnection, id_: int) -> Action:
    row = (await connection.execute(select(actions).where(actions.c.id == id_))).one_or_none()
    if row is None:
        raise UnknownActionError(id_)
    return _action(row)


async def bump_version(connection: AsyncConnection, incident_id: int | None, now: datetime) -> None:
    """Mark the incident as changed, so that its card and document are updated."""
    if incident_id is not None:
        await connection.execute(
            update(incidents)
            .where(incidents.c.id == incident_id)
            .values(version=incidents.c.version + 1, updated_at=now)
        )


async def audit_action(
    connection: AsyncConnection, event: str, action: Action, by: str, now: datetime
) -> None:
    """Write an audit row about an action; of a private incident's it does not say the text."""
    after = {
        "owner": action.owner,
        "due": action.due.isoformat() if action.due else None,
        "p0": action.is_p0,
        "done": action.done_at is not None,
    }
    is_hidden = (await read_hidden(connection, ANYBODY)).hides(action)
    reason = "of a private incident" if is_hidden else action.text
    entry = audit.AuditEntry(by, event, f"action {action.id}", reason, action.service, None, after)
    await audit.record(connection, entry, now)


def _action(row: Row[Any]) -> Action:
    issue = ActionIssue(row.issue_name, row.issue_url) if row.issue_url else None
    return Action(
        row.id, row.text, row.service, row.incident_id, row.owner, row.due, row.is_p0, row.done_at, issue
    )
