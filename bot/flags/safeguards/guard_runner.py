"""Runs the guard: watches every increase in a protected environment, and reverts it if it hurts.

The watches are kept in the store, so that a restart changes nothing. Ramps watch their own steps.
"""

from collections.abc import Collection
from datetime import datetime
from typing import assert_never

import structlog

from bot.catalog.catalog import Service
from bot.flags.backend import MAY_COME_BACK, FlagError
from bot.flags.change_readings import ChangeReadings
from bot.flags.change_request import ChangeCause
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.guard import (
    ChangedElsewhere,
    RollBack,
    StillWatching,
    Unmeasurable,
    WatchPassed,
    WatchUndecided,
    judge_watch,
)
from bot.flags.ownership import owners
from bot.flags.records import reverts
from bot.flags.records.reverts import PendingRevert, RevertKind
from bot.flags.safeguards.reverter import Reverter
from bot.store.database import Database
from bot.store.item_failures import ItemFailures

log = structlog.get_logger(__name__)


class GuardRunner:
    """Judges the watched increases after each evaluation of the flag's services."""

    def __init__(
        self, flag_changes: ChangeExecutor, reverter: Reverter, database: Database, readings: ChangeReadings
    ) -> None:
        self._flag_changes = flag_changes
        self._reverter = reverter
        self._database = database
        self._readings = readings
        self._failures = ItemFailures("watch_failed")

    async def tick(self, evaluated: Collection[str], now: datetime) -> None:
        """Judge the increases of every service that was just `evaluated`."""
        if not evaluated:
            return
        async with self._database.reading() as connection:
            watches = await reverts.open_reverts(connection, RevertKind.WATCH)
        for watch in watches:
            services = owners(self._flag_changes.catalog, watch.state.flag)
            is_evaluated = any(service.name in evaluated for service in services)
            if not is_evaluated or watch.is_postponed(now):
                continue
            with self._failures.isolate(watch.id) as is_due:
                if is_due:
                    await self._judge_or_log(watch, services, now)

    async def _judge_or_log(self, watch: PendingRevert, services: Collection[Service], now: datetime) -> None:
        try:
            await self._judge(watch, services, now)
        except FlagError as error:
            log.warning("watch_not_judged", flag=watch.state.flag, error=str(error))
            is_over = watch.until is not None and watch.until <= now
            if is_over and isinstance(error, MAY_COME_BACK):
                # Nothing is left to guard once its time is over and the flag is not there.
                await self._reverter.end(watch, "gone")

    async def _judge(self, watch: PendingRevert, services: Collection[Service], now: datetime) -> None:
        burns = await self._readings.since(list(services), watch.since, watch.state.flag)
        if burns is None:
            return
        flag, environment = watch.state.flag, watch.state.environment
        state = await self._flag_changes.backend.read(flag, environment)
        if state.version != watch.version and await self._flag_changes.is_being_changed(flag, environment):
            # By Governor itself: what it records then ends the watch.
            return
        match judge_watch(watch.guard_watch, state, burns, now):
            case RollBack(evidence, _):
                await self._reverter.revert(watch, ChangeCause.GUARD, evidence.words)
            case ChangedElsewhere(None):
                await self._reverter.end(watch, "touched")
            case ChangedElsewhere(evidence) if evidence is not None:
                why = "somebody has changed it since"
                await self._reverter.give_up(watch, ChangeCause.GUARD, evidence.words, why)
            case WatchPassed():
                await self._reverter.end(watch, "passed")
            case WatchUndecided(undecided):
                await self._reverter.end_undecided(watch, undecided.words)
            case StillWatching() | Unmeasurable() | ChangedElsewhere():
                pass
            case other:
                assert_never(other)
