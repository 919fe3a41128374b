"""Runs the guard: watches every increase in a protected environment, and takes it back if it hurts.

What is watched is kept in the store, so that a restart changes nothing. Ramps watch their own steps.
"""

from collections.abc import Collection
from datetime import datetime
from typing import assert_never

import structlog

from bot.catalog.catalog import Service
from bot.flags.backend import FlagError
from bot.flags.change_request import Cause
from bot.flags.changes.executor import Toggles
from bot.flags.guard import Blind, OutOfHand, Passed, RollBack, StillWatching, judge_watch
from bot.flags.ownership import Latest, owners, readings
from bot.flags.records import reverts as promises
from bot.flags.records.reverts import Promise, PromiseKind
from bot.flags.safeguards.reverter import BringBack
from bot.store.database import Database

log = structlog.get_logger(__name__)


class Canary:
    """Watches increases: after each evaluation the burn rate of the flag's services is judged."""

    def __init__(self, toggles: Toggles, bring_back: BringBack, database: Database, latest: Latest) -> None:
        self._toggles = toggles
        self._bring_back = bring_back
        self._database = database
        self._latest = latest

    async def tick(self, evaluated: Collection[str], now: datetime) -> None:
        """Judge the increases of every service that was just `evaluated`."""
        if not evaluated:
            return
        async with self._database.reading() as connection:
            watches = await promises.open_promises(connection, PromiseKind.WATCH)
        for promise in watches:
            services = owners(self._toggles.catalog, promise.state.flag)
            if not any(one.name in evaluated for one in services) or promise.waits(now):
                continue
            try:
                await self._judge(promise, services, now)
            except FlagError as error:
                log.warning("watch_blind", flag=promise.state.flag, error=str(error))

    async def _judge(self, promise: Promise, services: Collection[Service], now: datetime) -> None:
        burns = readings(list(services), self._latest)
        if burns is None:
            return
        state = await self._toggles.backend.read(promise.state.flag, promise.state.environment)
        match judge_watch(promise.watch, state, burns, now):
            case RollBack(evidence, _):
                await self._bring_back(promise, Cause.GUARD, evidence.words)
            case OutOfHand(None):
                await self._bring_back.end(promise, "touched")
            case OutOfHand(evidence) if evidence is not None:
                why = "somebody has changed it since"
                await self._bring_back.leave(promise, Cause.GUARD, evidence.words, why)
            case Passed():
                await self._bring_back.end(promise, "passed")
            case StillWatching() | Blind() | OutOfHand():
                pass
            case other:
                assert_never(other)
