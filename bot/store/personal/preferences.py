"""What each person wants to be told of, in each Slack workspace.

Functions run in their caller's transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.personal.notice import PersonalTopic
from bot.store.tables.people import personal_preferences

_COLUMNS = personal_preferences.c


@dataclass(frozen=True, slots=True)
class PersonalPreferences:
    """What a person wants to be told of; due actions until they say otherwise."""

    topics: frozenset[PersonalTopic] = frozenset({PersonalTopic.ACTIONS})

    def switched(self, topics: Collection[PersonalTopic], *, on: bool) -> "PersonalPreferences":
        """Return them with some topics on or off."""
        return replace(self, topics=self.topics | set(topics) if on else self.topics - set(topics))


DEFAULT_PREFERENCES: Final = PersonalPreferences()
"""What holds for whoever has said nothing."""


async def read(connection: AsyncConnection, workspace: str | None, person: str) -> PersonalPreferences:
    """Return what a person wants; `workspace` is None for the main one."""
    row = (await connection.execute(select(personal_preferences).where(_of(workspace, person)))).one_or_none()
    if row is None:
        return DEFAULT_PREFERENCES
    return PersonalPreferences(frozenset(topic for topic in PersonalTopic if getattr(row, topic.value)))


async def write(
    database: Database,
    connection: AsyncConnection,
    workspace: str | None,
    person: str,
    *,
    preferences: PersonalPreferences,
    now: datetime,
) -> None:
    """Store what a person wants from now on."""
    values = {topic.value: topic in preferences.topics for topic in PersonalTopic} | {"changed_at": now}
    key = {"workspace": workspace or "", "person": person}
    insertion = database.insert(personal_preferences).values(**key, **values)
    await connection.execute(insertion.on_conflict_do_update(index_elements=list(key), set_=values))


async def subscribers(connection: AsyncConnection, topic: PersonalTopic) -> Sequence[tuple[str | None, str]]:
    """Return who asked to be told of a topic: the Slack workspace, None for the main one, and the person."""
    query = select(_COLUMNS.workspace, _COLUMNS.person).where(_COLUMNS[topic.value])
    rows = await connection.execute(query.order_by(_COLUMNS.workspace, _COLUMNS.person))
    return [(row.workspace or None, row.person) for row in rows]


async def forget(connection: AsyncConnection, workspace: str | None, person: str | None = None) -> None:
    """Delete what a person wants, or everybody in a workspace."""
    of_workspace = _COLUMNS.workspace == (workspace or "")
    await connection.execute(
        delete(personal_preferences).where(of_workspace if person is None else _of(workspace, person))
    )


def _of(workspace: str | None, person: str) -> ColumnElement[bool]:
    return (_COLUMNS.workspace == (workspace or "")) & (_COLUMNS.person == person)
