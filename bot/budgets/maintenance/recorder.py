"""Records each occurrence of a maintenance window as an adjustment, once it has begun.

A window is a series of due tasks: one for its next occurrence, which plans the one after it. So an occurrence
that began while the bot was down is recorded when it is back. A task names the window as it was when it was
planned: a window that was edited or removed since then is not recorded any more, and begins anew with its
next occurrence. What was recorded stays.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.budgets.adjustment_preview import AdjustmentPreview
from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, CountsAs
from bot.budgets.adjustments.figures import BudgetChange
from bot.budgets.adjustments.registry import AdjustmentRegistry
from bot.budgets.maintenance.recurrence import next_start
from bot.catalog.catalog import Catalog, Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.maintenance import MaintenanceWindow
from bot.catalog.window import Span
from bot.store.database import Database
from bot.tasks import records
from bot.tasks.handler import EndsSilently, TaskAttempt, TryLaterError
from bot.tasks.task import DueTask, PlannedTask, RetryRule

log = structlog.get_logger(__name__)

KIND: Final = "maintenance"
BY_POLICY: Final = "governor"
"""Who asks for the adjustment that a policy plans."""
LOOK_BACK: Final = timedelta(days=31)
"""For how long an occurrence is recorded that ended while the bot was down."""

_PROMPTLY = timedelta(minutes=2)
# While policies are rolled out to replicas, one of them may not know the window yet.
_PATIENCE = timedelta(minutes=4)
_LOOK_AGAIN = timedelta(minutes=1)


class MaintenanceRecorder(EndsSilently):
    """The handler of the tasks of maintenance windows."""

    kind = KIND
    rule = RetryRule()

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        registry: AdjustmentRegistry,
        preview: AdjustmentPreview,
    ) -> None:
        self._database = database
        self._current = current
        self._registry = registry
        self._preview = preview

    async def plan(self, catalog: Catalog, now: datetime) -> None:
        """Plan the next occurrence of each window of a catalog that has just come into force."""
        wanted = {
            task.key: task
            for service in catalog.services.values()
            for window in service.maintenance
            if (task := _task(service, window, now)) is not None
        }
        if not wanted:
            return
        async with self._database.reading() as connection:
            planned = {task.key for task in await records.read_pending(connection, KIND)}
        if new := [task for key, task in wanted.items() if key not in planned]:
            async with self._database.transaction() as connection:
                for task in new:
                    await records.plan(self._database, connection, task, now)

    async def run(self, attempt: TaskAttempt) -> None:
        """Record the occurrence and plan the next one of its window."""
        now, start = attempt.now, attempt.task.due_at
        found = self._find(attempt.task)
        if found is None:
            if now < start + _PATIENCE:
                raise TryLaterError(_LOOK_AGAIN, "the policies do not name this window")
            return
        service, window = found
        occurrence = _adjustment(service, window, start, now)
        is_late = now > start + _PROMPTLY
        changes: list[BudgetChange] = []
        if is_late and _is_recorded(occurrence, now):
            changes = await self._preview.adding(service, occurrence, now)
        async with attempt.completing() as connection:
            if _is_recorded(occurrence, now):
                await self._registry.record_maintenance(
                    connection, service, occurrence, changes, window=window.name, now=now
                )
            earliest = now - LOOK_BACK - window.duration
            following = _task(service, window, max(start + timedelta(seconds=1), earliest))
            if following is not None:
                await attempt.plan(connection, following)

    def _find(self, task: DueTask) -> tuple[Service, MaintenanceWindow] | None:
        """Return the window that a task is of, as long as the policies name it as it was planned."""
        service = self._current.catalog.services.get(task.payload["service"])
        for window in service.maintenance if service is not None else ():
            if service is not None and window.name == task.payload["window"]:
                return (service, window) if _fingerprint(window) == task.payload["as"] else None
        return None


def _is_recorded(occurrence: Adjustment, now: datetime) -> bool:
    return occurrence.span.end > now - LOOK_BACK


def _adjustment(service: Service, window: MaintenanceWindow, start: datetime, now: datetime) -> Adjustment:
    return Adjustment(
        id=0,
        service=service.name,
        slo=window.slo,
        kind=AdjustmentKind.MAINTENANCE,
        counts_as=CountsAs(window.counts),
        span=Span(start, start + window.duration),
        reason=window.reason,
        asked_by=BY_POLICY,
        asked_at=now,
    )


def _task(service: Service, window: MaintenanceWindow, at: datetime) -> PlannedTask | None:
    """Return the task of a window's next occurrence at that time or later; None if it does not come again."""
    start = next_start(window, at)
    if start is None:
        return None
    known_as = _fingerprint(window)
    key = f"{service.name}/{window.name}/{known_as}/{start:%Y-%m-%dT%H:%MZ}"
    return PlannedTask(KIND, key, start, {"service": service.name, "window": window.name, "as": known_as})


def _fingerprint(window: MaintenanceWindow) -> str:
    """Return what changes when the window's times or what they mean do; another reason changes nothing."""
    text = repr((window.start, window.time_zone, window.duration, window.rule, window.slo, window.counts))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
