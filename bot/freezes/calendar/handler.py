"""Does what is due with freeze windows: notices a day and an hour ahead, and the beginning.

Each window has one task at a time, for the next of these. It names the window as it was when it was planned:
one that was edited or removed since does nothing, and its new times have a task of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.freeze_window import FreezeWindow
from bot.catalog.window import Span
from bot.freezes.calendar.holds import CalendarHolds
from bot.freezes.calendar.occurrences import current_occurrence, fingerprint, next_occurrence
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue
from bot.tasks import records
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import PlannedTask, RetryRule

KIND: Final = "freeze window"
_A_MOMENT = timedelta(seconds=1)
_TOO_LATE = timedelta(minutes=10)
"""A notice that comes later than this says something that is no longer so."""


class Phase(StrEnum):
    """What is due with an occurrence, or what somebody did with a window."""

    DAY_AHEAD = "a day ahead"
    HOUR_AHEAD = "an hour ahead"
    BEGIN = "begin"
    PLANNED = "planned"
    CHANGED = "changed"
    REMOVED = "removed"


_AHEAD = {Phase.DAY_AHEAD: timedelta(days=1), Phase.HOUR_AHEAD: timedelta(hours=1), Phase.BEGIN: timedelta()}


@dataclass(frozen=True, slots=True)
class WindowNotice:
    """What is told before a window begins, or when a person, `by`, planned, changed or removed it."""

    window: FreezeWindow
    occurrence: Span
    phase: Phase
    by: str | None = None


Announce = Callable[[WindowNotice], Sequence[OutboxMessage]]
"""Returns the messages of a notice; pure, because it runs within the transaction."""


class FreezeWindows(EndsSilently):
    """The handler of the tasks of freeze windows."""

    kind = KIND
    rule = RetryRule(longest_wait=timedelta(minutes=1))

    def __init__(
        self, database: Database, current: CurrentCatalog, holds: CalendarHolds, announce: Announce
    ) -> None:
        self._database = database
        self._current = current
        self._holds = holds
        self._announce = announce

    async def follow(self, catalog: Catalog, now: datetime) -> None:
        """Follow a catalog that has just come into force: hold what its windows want, and plan the rest."""
        async with self._database.transaction() as connection:
            windows = await self._holds.keep(connection, catalog, now)
            for window in windows.values():
                await self._plan(connection, window, now)

    async def changed(
        self,
        connection: AsyncConnection,
        window: FreezeWindow,
        now: datetime,
        *,
        phase: Phase,
        by: str,
    ) -> None:
        """Follow and tell what a person did with a window, in the caller's transaction."""
        await self._holds.keep(connection, self._current.catalog, now)
        if phase is not Phase.REMOVED:
            await self._plan(connection, window, now)
        occurrence = current_occurrence(window, now) or next_occurrence(window, now)
        if occurrence is not None:
            await enqueue(connection, self._announce(WindowNotice(window, occurrence, phase, by)), now)

    async def run(self, attempt: TaskAttempt) -> None:
        """Tell of the occurrence, or have it begin; then plan what is due next with the window."""
        catalog, now = self._current.catalog, attempt.now
        async with attempt.completing() as connection:
            windows = await self._holds.keep(connection, catalog, now)
            window = windows.get(str(attempt.payload["window"]))
            if window is None or fingerprint(window) != attempt.payload["as"]:
                return
            phase = Phase(attempt.payload["phase"])
            start = attempt.task.due_at + _AHEAD[phase]
            if phase is not Phase.BEGIN and now < attempt.task.due_at + _TOO_LATE:
                notice = WindowNotice(window, Span(start, start + window.duration), phase)
                await enqueue(connection, self._announce(notice), now)
            if (following := _next_task(window, attempt.task.due_at + _A_MOMENT, now)) is not None:
                await attempt.plan(connection, following)

    async def _plan(self, connection: AsyncConnection, window: FreezeWindow, now: datetime) -> None:
        if (task := _next_task(window, now, now)) is not None:
            await records.plan(self._database, connection, task, now)


def _next_task(window: FreezeWindow, after: datetime, now: datetime) -> PlannedTask | None:
    """Return what is due next with a window at a time or later, leaving out what is over."""
    at = max(after, now - _TOO_LATE)
    due: list[tuple[datetime, Phase]] = []
    for phase, ahead in _AHEAD.items():
        occurrence = next_occurrence(window, at + ahead)
        if occurrence is not None:
            due.append((occurrence.start - ahead, phase))
    if not due:
        return None
    due_at, phase = min(due, key=lambda each: each[0])
    known_as = fingerprint(window)
    key = f"{window.name}/{known_as}/{phase}/{due_at:%Y-%m-%dT%H:%MZ}"
    return PlannedTask(KIND, key, due_at, {"window": window.name, "as": known_as, "phase": str(phase)})
