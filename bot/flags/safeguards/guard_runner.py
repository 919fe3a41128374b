"""Runs the guard: watches every increase in a protected environment, and takes it back if it hurts.

What is watched is kept in the store, so that a restart changes nothing. Ramps watch their own steps.
"""

from collections.abc import Collection
from datetime import datetime
from typing import assert_never

import structlog

from bot.catalog.catalog import Service
from bot.flags.backend import FlagError
from bot.flags.change_request import ChangeCause
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.guard import ChangedElsewhere, RollBack, StillWatching, Unmeasurable, WatchPassed, judge_watch
from bot.flags.ownership import LatestBudgets, owners, readings
from bot.flags.records import reverts as promises
from bot.flags.records.reverts import PendingRevert, RevertKind
from bot.flags.safeguards.reverter import Reverter
from bot.store.database import Database

log = structlog.get_logger(__name__)


class GuardRunner:
    """Watches increases: after each evaluation the burn rate of the flag's services is judged."""

    def __init__(
        self, flag_changes: ChangeExecutor, bring_back: Reverter, database: Database, latest: LatestBudgets
    ) -> None:
        self._flag_changes = flag_changes
        self._bring_back = bring_back
        self._database = database
        self._latest = latest

    async def tick(self, evaluated: Collection[str], now: datetime) -> None:
        """Judge the increases of every service that was just `evaluated`."""
        if not evaluated:
            return
        async with self._database.reading() as connection:
            watches = await promises.open_reverts(connection, RevertKind.WATCH)
        for promise in watches:
            services = owners(self._flag_changes.catalog, promise.state.flag)
            if not any(one.name in evaluated for one in services) or promise.waits(now):
                continue
            try:
                await self._judge(promise, services, now)
            except FlagError as error:
                log.warning("watch_blind", flag=promise.state.flag, error=str(error))

    async def _judge(self, promise: PendingRevert, services: Collection[Service], now: datetime) -> None:
        burns = readings(list(services), self._latest)
        if burns is None:
            return
        state = await self._flag_changes.backend.read(promise.state.flag, promise.state.environment)
        match judge_watch(promise.watch, state, burns, now):
            case RollBack(evidence, _):
                await self._bring_back(promise, ChangeCause.GUARD, evidence.words)
            case ChangedElsewhere(None):
                await self._bring_back.end(promise, "touched")
            case ChangedElsewhere(evidence) if evidence is not None:
                why = "somebody has changed it since"
                await self._bring_back.leave(promise, ChangeCause.GUARD, evidence.words, why)
            case WatchPassed():
                await self._bring_back.end(promise, "passed")
            case StillWatching() | Unmeasurable() | ChangedElsewhere():
                pass
            case other:
                assert_never(other)
