"""Keeps the holds of freeze windows as the policies in force want them: puts on, takes off, moves ends.

Everything is decided in one transaction in which nobody else decides, from what the store shows then. So it
may be asked at any time and by any replica, and a window that is edited while in force is followed at once.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog
from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.freeze_window import FreezeWindow
from bot.freezes.calendar.occurrences import current_occurrence
from bot.freezes.calendar.schedules import read_windows
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.hold_writer import HoldWriter, name_in_request
from bot.freezes.records import hold_of
from bot.freezes.transition import HoldLifted
from bot.store.tables.core import holds as hold_rows
from bot.store.value_lists import begins_with

_PREFIX = "freeze window "
_SPOILT_PREFIX = "freeze "
"""What holds begin with that lost the name of their window, too: `freeze enforced 7`."""
CHANGED = "the freeze window was changed"
REMOVED = "the freeze window was removed, or is no longer for this service"
UNKNOWN = "its freeze window is not known any more"

Keep = Callable[[AsyncConnection, Catalog, datetime], Awaitable[None]]
"""Writes what follows from holds that were put on and taken off together."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A hold as the policies want it now."""

    window: str
    service: str
    until: datetime
    reason: str
    observed: bool


class CalendarHolds:
    """Writes the holds of freeze windows; `writer` tells of them, `then` writes what follows at the end."""

    def __init__(self, writer: HoldWriter, then: Keep) -> None:
        self._writer = writer
        self._then = then

    async def keep(
        self, connection: AsyncConnection, catalog: Catalog, now: datetime
    ) -> Mapping[str, FreezeWindow]:
        """Put on and take off what the windows in force want, in the caller's transaction.

        Return the windows by name: those of the policies, and those that people planned.
        """
        windows = await read_windows(connection, catalog)
        await self._keep(connection, catalog, windows, now)
        await self._then(connection, catalog, now)
        return windows

    async def _keep(
        self,
        connection: AsyncConnection,
        catalog: Catalog,
        windows: Mapping[str, FreezeWindow],
        now: datetime,
    ) -> None:
        wanted = {(each.window, each.service): each for each in _wanted(catalog, windows, now)}
        for row in await _placed(connection):
            hold, window = hold_of(row), name_in_request(row.request, _PREFIX)
            if hold.until is not None and hold.until <= now:
                # The task of its end takes it off, and tells of it.
                wanted.pop((window, hold.service), None)
                continue
            each = wanted.pop((window, hold.service), None)
            if each is not None and _is_as(hold, each):
                continue
            await self._end(connection, catalog, hold, _why_ended(window, each), now)
            if each is not None:
                wanted[window, hold.service] = each
        for each in wanted.values():
            await self._place(connection, catalog, each, now)

    async def _end(
        self, connection: AsyncConnection, catalog: Catalog, hold: Hold, why: str, now: datetime
    ) -> None:
        service = catalog.service_or_stand_in(hold.service)
        await self._writer.record_ends(connection, service, [HoldLifted(hold, GOVERNOR, why)], now)

    async def _place(
        self, connection: AsyncConnection, catalog: Catalog, wanted: _Wanted, now: datetime
    ) -> None:
        service = catalog.service_or_stand_in(wanted.service)
        hold = Hold(
            0,
            wanted.service,
            HoldKind.CALENDAR,
            wanted.reason,
            GOVERNOR,
            now,
            wanted.until,
            observed=wanted.observed,
        )
        await self._writer.place_own(connection, service, hold, f"{_PREFIX}{wanted.window}", now)


def _wanted(catalog: Catalog, windows: Mapping[str, FreezeWindow], now: datetime) -> Sequence[_Wanted]:
    found = []
    for window in windows.values():
        occurrence = current_occurrence(window, now)
        if occurrence is not None:
            found += [_hold_of(window, name, occurrence.end, catalog) for name in window.services]
    return found


def _hold_of(window: FreezeWindow, name: str, until: datetime, catalog: Catalog) -> _Wanted:
    observes = PolicyMode.OBSERVE in {window.mode, catalog.service_or_stand_in(name).mode}
    return _Wanted(window.name, name, until, window.reason, observes)


def _is_as(hold: Hold, wanted: _Wanted) -> bool:
    return (hold.until, hold.reason, hold.observed) == (wanted.until, wanted.reason, wanted.observed)


def _why_ended(window: str, wanted: _Wanted | None) -> str:
    if wanted is not None:
        return CHANGED
    return REMOVED if window else UNKNOWN


async def _placed(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
    in_force = (
        (hold_rows.c.kind == HoldKind.CALENDAR)
        & hold_rows.c.lifted_at.is_(None)
        & begins_with(hold_rows.c.request, _SPOILT_PREFIX)
    )
    return (await connection.execute(select(hold_rows).where(in_force).order_by(hold_rows.c.id))).all()
