"""The audit log as a viewer may see it: what rows say about private incidents is left out at reading.

Rows are links of a chain and are never edited, and an incident may become private after they were written.
From then on no text of it is written any more, but earlier rows have some.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents import holds
from bot.incidents.records import actions as action_records
from bot.incidents.records.hidden import read_hidden
from bot.incidents.visibility import Viewer
from bot.store import audit
from bot.store.audit import AuditEntry, AuditRow
from bot.store.tables.incidents import actions

HIDDEN = "a private incident"
"""What a row says instead of what the viewer may not see."""


@dataclass(frozen=True)
class AuditMask:
    """What the viewer may not read: rows of these subjects, and the titles of private incidents in others.

    Titles that incidents had before are among them.
    """

    subjects: frozenset[str]
    titles: frozenset[str]

    def masked(self, row: AuditRow) -> AuditRow:
        """Return the row as the viewer may see it."""
        entry = row.entry
        if entry.subject in self.subjects:
            return replace(
                row,
                entry=replace(entry, reason=HIDDEN, before=_kept(entry.before), after=_kept(entry.after)),
            )
        if not self.titles:
            return row
        return replace(row, entry=self._without_titles(entry))

    def _without_titles(self, entry: AuditEntry) -> AuditEntry:
        """Leave out the titles that the reasons of holds had before their incidents became private."""
        return replace(
            entry,
            reason=self._text(entry.reason),
            before=None if entry.before is None else self._value(entry.before),
            after=None if entry.after is None else self._value(entry.after),
        )

    def _value(self, value: Any) -> Any:
        match value:
            case str():
                return self._text(value)
            case Mapping():
                return {key: self._value(part) for key, part in value.items()}
            case list() | tuple():
                return [self._value(part) for part in value]
            case _:
                return value

    def _text(self, text: str) -> str:
        return self._pattern.sub(holds.UNNAMED, text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        named = sorted((holds.name_of(title) for title in self.titles), key=len, reverse=True)
        return re.compile(rf"(?:{'|'.join(map(re.escape, named))})(?!\w)")


async def read_mask(connection: AsyncConnection, viewer: Viewer) -> AuditMask:
    """Return what a viewer may not read in the log."""
    hidden = await read_hidden(connection, viewer)
    subjects = {f"incident {id_}" for id_ in hidden.incidents}
    if hidden.incidents:
        query = select(actions).where(actions.c.incident_id.in_(hidden.incidents))
        found = action_records.actions_of(await connection.execute(query))
        subjects |= {f"action {action.id}" for action in found if hidden.hides(action)}
    titles = {title for incident in hidden.incidents.values() for title in holds.longest_first(incident)}
    return AuditMask(frozenset(subjects), frozenset(titles))


async def masked(connection: AsyncConnection, viewer: Viewer, rows: Iterable[AuditRow]) -> Sequence[AuditRow]:
    """Return rows of the log as the viewer may see them."""
    mask = await read_mask(connection, viewer)
    return [mask.masked(row) for row in rows]


async def read(connection: AsyncConnection, viewer: Viewer, **which: Any) -> Sequence[AuditRow]:
    """Return rows of the log as the viewer may see them; `which` as in `audit.read`."""
    return await masked(connection, viewer, await audit.read(connection, **which))


def _kept(state: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return of a state that it was or became private, and nothing else."""
    return {"private": state["private"]} if state is not None and "private" in state else None
