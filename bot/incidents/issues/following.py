"""Links actions to issues, and lets actions follow what becomes of them.

An action is done once its issue is closed, and to be done again once the issue is reopened. Only a change of
the issue's state counts: an event that repeats it, or that says something else of the issue, changes nothing,
so that what people did to an action since stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.action import Action
from bot.incidents.issues.tracked import TrackedIssue, Tracker
from bot.incidents.records.actions import UnknownActionError, actions_of, audit_action, bump_version
from bot.store.database import Database
from bot.store.tables.incidents import actions

_COLUMNS = actions.c


@dataclass(frozen=True, slots=True)
class LinkedIssue:
    """An issue that actions follow; `action` is the number of the first of them."""

    key: str
    name: str
    action: int


class IssueLinks:
    """Links actions to issues and follows these."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def link(self, action_id: int, issue: TrackedIssue, *, by: str, now: datetime) -> Action:
        """Link an action to an issue, in place of any other; raises `UnknownActionError`."""
        values = {
            "issue_tracker": issue.tracker.value,
            "issue_key": issue.key,
            "issue_name": issue.name,
            "issue_url": issue.url,
            "issue_closed": None,
        }
        return await self._write(action_id, values, "action.linked", by, now)

    async def unlink(self, action_id: int, *, by: str, now: datetime) -> Action:
        """Let an action follow no issue any more; raises `UnknownActionError`."""
        names = ("issue_tracker", "issue_key", "issue_name", "issue_url", "issue_closed")
        return await self._write(action_id, dict.fromkeys(names), "action.unlinked", by, now)

    async def follow(self, tracker: Tracker, key: str, *, is_closed: bool, now: datetime) -> None:
        """Let the actions of an issue follow its state; of one that nothing is linked to nothing follows."""
        same = (_COLUMNS.issue_tracker == tracker.value) & (_COLUMNS.issue_key == key.casefold())
        async with self._database.transaction() as connection:
            query = select(actions).where(same).order_by(_COLUMNS.id).with_for_update()
            for row in (await connection.execute(query)).all():
                if row.issue_closed is not is_closed:
                    await _follow(connection, row, tracker, now, is_closed=is_closed)

    async def linked(self, tracker: Tracker, *, since: datetime, most: int) -> Sequence[LinkedIssue]:
        """Return the issues of open actions, and of those that were done after `since`, the newest first."""
        first = func.min(_COLUMNS.id).label("action")
        query = select(_COLUMNS.issue_key, func.min(_COLUMNS.issue_name).label("name"), first)
        query = query.where(
            _COLUMNS.issue_tracker == tracker.value,
            or_(_COLUMNS.done_at.is_(None), _COLUMNS.done_at > since),
        )
        query = query.group_by(_COLUMNS.issue_key).order_by(first.desc()).limit(most)
        async with self._database.reading() as connection:
            rows = await connection.execute(query)
            return [LinkedIssue(row.issue_key, row.name, row.action) for row in rows]

    async def _write(
        self, action_id: int, values: dict[str, Any], event: str, by: str, now: datetime
    ) -> Action:
        async with self._database.transaction() as connection:
            before = await _read(connection, action_id)
            await connection.execute(update(actions).where(_COLUMNS.id == action_id).values(values))
            after = await _read(connection, action_id)
            if after != before:
                await audit_action(connection, event, after, by, now)
                await bump_version(connection, after.incident_id, now)
        return after


async def _follow(
    connection: AsyncConnection, row: Row[Any], tracker: Tracker, now: datetime, *, is_closed: bool
) -> None:
    values: dict[str, Any] = {"issue_closed": is_closed}
    is_finished = is_closed and row.done_at is None
    is_reopened = not is_closed and row.issue_closed and row.done_at is not None
    if is_finished:
        values["done_at"] = now
    elif is_reopened:
        values |= {"done_at": None, "reminded_at": None}
    await connection.execute(update(actions).where(_COLUMNS.id == row.id).values(values))
    if is_finished or is_reopened:
        event = "action.done" if is_finished else "action.reopened"
        after = await _read(connection, row.id)
        await audit_action(connection, event, after, tracker.value, now)
        await bump_version(connection, after.incident_id, now)


async def _read(connection: AsyncConnection, action_id: int) -> Action:
    found = actions_of(await connection.execute(select(actions).where(_COLUMNS.id == action_id)))
    if not found:
        raise UnknownActionError(action_id)
    return found[0]
