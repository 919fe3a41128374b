"""Planning freeze windows by hand: a new one, another end for one, or none any more.

WindowPlanError
├── NoPlannedWindowError   no window that somebody planned has that name
├── PastWindowError        it is over, or would be, before it holds anything
├── EndlessWindowError     it would begin again before it is over
└── PlannedAlreadyError    the same request was carried out before (a repeated delivery)
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.maintenance.recurrence import overlaps_itself
from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.freeze_window import FreezeWindow
from bot.catalog.selection import ServiceSelection
from bot.formatting import duration_text
from bot.freezes.calendar.handler import FreezeWindows, Phase
from bot.freezes.calendar.occurrences import current_occurrence, next_occurrence
from bot.freezes.calendar.schedules import PlannedWindow, read_planned
from bot.store import audit, idempotency
from bot.store.audit import AuditEntry
from bot.store.database import Database
from bot.store.tables.freeze_schedules import freeze_schedules


class WindowPlanError(Exception):
    """A freeze window was not planned or changed. The message is fit for the person who asked."""


class NoPlannedWindowError(WindowPlanError):
    """No window that somebody planned has that name."""


class PastWindowError(WindowPlanError):
    """The window is over, or would be."""


class EndlessWindowError(WindowPlanError):
    """The window would begin again before it is over, and so hold without an end."""

    def __init__(self, after: timedelta) -> None:
        again = f"it begins again after {duration_text(after)}, before it would be over"
        super().__init__(f"{again}: make it shorter, or place a freeze beside it")


class PlannedAlreadyError(WindowPlanError):
    """The same request was carried out before; doing nothing was right."""


@dataclass(frozen=True, slots=True)
class NewWindow:
    """A window that somebody wants: its local start, its length and how it recurs."""

    selection: ServiceSelection
    start: datetime
    time_zone: str
    duration: timedelta
    rule: str | None
    reason: str


class FreezeSchedules:
    """Writes the windows that people plan; `windows` holds, tells and plans what follows."""

    def __init__(self, database: Database, current: CurrentCatalog, windows: FreezeWindows) -> None:
        self._database = database
        self._current = current
        self._windows = windows

    async def planned(self, catalog: Catalog) -> list[PlannedWindow]:
        """Return the windows that hold a service of the catalog, as somebody planned them."""
        async with self._database.reading() as connection:
            found = await read_planned(connection)
        team = catalog.workspace.elsewhere
        return [each for each in found if each.team == team]

    async def plan(
        self, new: NewWindow, *, team: str | None, by: str, request: str, now: datetime
    ) -> PlannedWindow:
        """Plan a window for services of a Slack workspace; raises `WindowPlanError`."""
        values = {
            "team": team,
            "services": list(new.selection.services),
            "labels": dict(new.selection.labels),
            "start": f"{new.start:%Y-%m-%dT%H:%M:%S}",
            "time_zone": new.time_zone,
            "minutes": round(new.duration.total_seconds() / 60),
            "rule": new.rule,
            "reason": new.reason,
            "by": by,
            "planned_at": now,
            "request": request,
        }
        async with self._database.transaction() as connection:
            inserted = await connection.execute(
                self._database.insert(freeze_schedules)
                .values(values)
                .on_conflict_do_nothing(index_elements=["request"])
                .returning(freeze_schedules.c.id)
            )
            id_ = inserted.scalar_one_or_none()
            if id_ is None:
                raise PlannedAlreadyError("it was planned by this request already")
            planned = PlannedWindow(
                id_, team, new.selection, new.start, new.time_zone, new.duration, new.rule, new.reason, by
            )
            _require_an_end(planned.window(self._current.catalog))
            entry = AuditEntry(
                by, "freeze_window.planned", planned.name, new.reason, after=planned.described()
            )
            await self._follow(connection, planned, entry, now, Phase.PLANNED)
        return planned

    async def end_at(
        self, name: str, until: datetime, *, team: str | None, by: str, request: str, now: datetime
    ) -> tuple[PlannedWindow, PlannedWindow]:
        """Move the end of a window, also while it is in force; return it as it was and as it is.

        Raises `WindowPlanError`.
        """
        async with self._database.transaction() as connection:
            await self._require_first(connection, request, now)
            before = await self._find(connection, name, team)
            window = before.window(self._current.catalog)
            occurrence = current_occurrence(window, now) or next_occurrence(window, now)
            if occurrence is None:
                raise PastWindowError(f"{name} is over")
            if until <= max(occurrence.start, now):
                raise PastWindowError(f"{name} would be over before it holds anything: remove it instead")
            after = replace(before, duration=until - occurrence.start)
            _require_an_end(after.window(self._current.catalog))
            minutes = round(after.duration.total_seconds() / 60)
            changed = freeze_schedules.c.id == before.id
            await connection.execute(update(freeze_schedules).where(changed).values(minutes=minutes))
            entry = AuditEntry(
                by, "freeze_window.changed", name, before.reason,
                before=before.described(), after=after.described(),
            )  # fmt: skip
            await self._follow(connection, after, entry, now, Phase.CHANGED)
        return before, after

    async def remove(
        self, name: str, *, team: str | None, by: str, reason: str, request: str, now: datetime
    ) -> PlannedWindow:
        """Remove a window; what it holds now is open again. Raises `WindowPlanError`."""
        async with self._database.transaction() as connection:
            await self._require_first(connection, request, now)
            planned = await self._find(connection, name, team)
            removed = freeze_schedules.c.id == planned.id
            await connection.execute(update(freeze_schedules).where(removed).values(removed_at=now))
            entry = AuditEntry(by, "freeze_window.removed", name, reason, before=planned.described())
            await self._follow(connection, planned, entry, now, Phase.REMOVED)
        return planned

    async def _find(self, connection: AsyncConnection, name: str, team: str | None) -> PlannedWindow:
        for each in await read_planned(connection):
            if each.name == name and each.team == team:
                return each
        raise NoPlannedWindowError(f"there is no planned freeze window {name}")

    async def _require_first(self, connection: AsyncConnection, request: str, now: datetime) -> None:
        if not await idempotency.is_first(self._database, connection, f"freeze window {request}", now):
            raise PlannedAlreadyError("this request was carried out already")

    async def _follow(
        self,
        connection: AsyncConnection,
        planned: PlannedWindow,
        entry: AuditEntry,
        now: datetime,
        phase: Phase,
    ) -> None:
        await audit.record(connection, entry, now)
        window = planned.window(self._current.catalog)
        await self._windows.changed(connection, window, now, phase=phase, by=entry.actor)


def _require_an_end(window: FreezeWindow) -> None:
    """Raise `EndlessWindowError` for a window that begins again before it is over."""
    again = overlaps_itself(window)
    if again is not None:
        raise EndlessWindowError(again)


def local_start(at: datetime, time_zone: str) -> datetime:
    """Return a moment as the clocks of a zone show it, without a zone of its own."""
    return at.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)
