"""What verdicts rest on, kept in memory: holds, exemptions, budgets.

The gate is asked by every pipeline, far more often than anything changes. Holds and exemptions of all
services are read together, once after each commit that may have changed them; budgets are those of the newest
evaluation, unless events were counted since.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import select

from bot.budgets.budget import Budget, MeasuredBudgets
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import LaunchRequirement, UnmetRequirement
from bot.freezes.gate.begun import BegunChange, read_begun
from bot.freezes.hold import Hold, HoldKind, current_holds
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.records import read_exemptions, read_holds
from bot.freezes.verdict import Exemption, UnreadyLaunch
from bot.pacing import Pacer
from bot.store.tables.core import standings

_MOST_AGE_S = 2.0
"""Signals of other replicas may be lost: what is kept is never older."""
_REREAD_AFTER_S = 1.0
"""From this age on one question reads it anew; those beside it are answered from what is kept."""
_OPENING_KEPT_S = 15.0
_MOST_REPEATS = 3

Row = TypeVar("Row", Hold, Exemption, BegunChange)


Assess = Callable[[Sequence[Service], datetime], Awaitable[Sequence[Sequence[Budget]]]]
"""Returns the budgets of each service from what is counted already."""

Newest = Callable[[str], MeasuredBudgets | None]
"""Returns the budgets of a service's newest evaluation; None where another replica evaluates it."""

ReadUnready = Callable[[Collection[Service]], Awaitable[Mapping[str, UnreadyLaunch]]]
"""Returns what keeps services from their first production deployment, by their names."""

ReadOpening = Callable[[Service, Sequence[Budget], datetime], Awaitable[datetime | None]]
"""Returns when the hold that the budget has on a service is expected to end."""


@dataclass(frozen=True, slots=True)
class GateState:
    """What a verdict on a change to one service rests on, besides its policies.

    `budgets_at` is when the budgets were computed. A service that `is_known` was judged at least once, or
    has nothing to measure.
    """

    holds: tuple[Hold, ...]
    exemptions: tuple[Exemption, ...]
    missing: tuple[UnmetRequirement, ...]
    launch: UnreadyLaunch | None
    budgets: Sequence[Budget]
    budgets_at: datetime
    budget_opens_at: datetime | None
    begun: tuple[BegunChange, ...] = ()
    is_known: bool = True


@dataclass(slots=True)
class _Kept:
    """What was read of all services in one go, and of single ones since."""

    read_s: float
    judged: frozenset[str]
    holds: Mapping[str, Sequence[Hold]]
    exemptions: Mapping[str, Sequence[Exemption]]
    begun: Mapping[str, Sequence[BegunChange]]
    missing: dict[str, tuple[UnmetRequirement, ...]] = field(default_factory=dict)
    unready: dict[str, UnreadyLaunch | None] = field(default_factory=dict)
    openings: dict[str, tuple[float, datetime | None]] = field(default_factory=dict)


class GateStates:
    """Keeps what verdicts rest on. `invalidate` is called after a commit that may have changed it.

    `read_opening` tells when a budget's hold is expected to end, `stale_after` at which age the newest
    evaluation is too old to answer with. Without `newest` nothing is kept.
    """

    def __init__(
        self,
        hold_registry: HoldRegistry,
        assess: Assess,
        *,
        read_unready: ReadUnready,
        read_opening: ReadOpening,
        stale_after: Callable[[], timedelta],
        newest: Newest | None = None,
    ) -> None:
        self._hold_registry = hold_registry
        self._assess = assess
        self._newest = newest
        self._read_unready = read_unready
        self._read_opening = read_opening
        self._stale_after = stale_after
        self._most_age_s = 0.0 if newest is None else _MOST_AGE_S
        self._kept: _Kept | None = None
        self._changes = 0
        self._reading = asyncio.Lock()
        self._events_at: datetime | None = None
        self._assessed: dict[str, MeasuredBudgets] = {}

    def invalidate(self) -> None:
        """Read holds, exemptions and requirements anew at the next question."""
        self._kept = None
        self._changes += 1

    def note_events(self, now: datetime) -> None:
        """Compute budgets anew at the next question: events were counted."""
        self._events_at = now

    def forget(self) -> None:
        """Drop everything: the policies changed."""
        self.invalidate()
        self._assessed.clear()

    async def of(self, service: Service, now: datetime) -> GateState:
        """Return what a verdict on a change to the service rests on now."""
        kept = await self._current(now)
        name = service.name
        measured = await self._measured(service, now)
        holds = tuple(kept.holds.get(name, ()))
        opens_at = None
        if any(hold.kind is HoldKind.BUDGET and not hold.observed for hold in holds):
            opens_at = await self._opening(kept, service, measured.budgets, now)
            if name not in kept.missing:
                kept.missing[name] = (await self._hold_registry.missing([service], holds)).get(name, ())
        asks_for_readiness = service.error_budget_policy.launch_requires is LaunchRequirement.READINESS
        if asks_for_readiness and name not in kept.unready:
            kept.unready[name] = (await self._read_unready([service])).get(name)
        return GateState(
            holds,
            tuple(kept.exemptions.get(name, ())),
            kept.missing.get(name, ()),
            kept.unready.get(name),
            measured.budgets,
            measured.at,
            opens_at,
            tuple(kept.begun.get(name, ())),
            self._newest is None or not service.slos or name in kept.judged,
        )

    async def budgets(self, services: Sequence[Service], now: datetime) -> list[Sequence[Budget]]:
        """Return the newest budgets of each service, computed now where they are old."""
        fresh: dict[str, Sequence[Budget]] = {}
        pace = Pacer()
        for service in services:
            await pace()
            newest = self._fresh(service, now)
            if newest is not None:
                fresh[service.name] = newest.budgets
        others = [service for service in services if service.name not in fresh]
        assessed = zip(others, await self._assess(others, now), strict=True)
        fresh |= {service.name: budgets for service, budgets in assessed}
        return [fresh[service.name] for service in services]

    async def _current(self, now: datetime) -> _Kept:
        most_s = self._most_age_s if self._reading.locked() else _REREAD_AFTER_S
        kept = self._young(most_s)
        if kept is not None:
            return kept
        async with self._reading:
            kept = self._young(_REREAD_AFTER_S)
            if kept is not None:
                return kept
            changes = self._changes
            kept = await self._read(now)
            for _ in range(_MOST_REPEATS):
                if changes == self._changes:
                    self._kept = kept
                    break
                # Something was committed while it was read.
                changes = self._changes
                kept = await self._read(now)
            return kept

    def _young(self, most_s: float) -> _Kept | None:
        """Return what is kept, if it was read within so many seconds."""
        kept = self._kept
        if kept is None or time.monotonic() - kept.read_s >= min(most_s, self._most_age_s):
            return None
        return kept

    async def _read(self, now: datetime) -> _Kept:
        read_s = time.monotonic()
        async with self._hold_registry.reading() as connection:
            holds = current_holds(await read_holds(connection), now)
            exemptions = await read_exemptions(connection, None, now)
            begun = await read_begun(connection, now)
            judged = frozenset((await connection.execute(select(standings.c.service))).scalars())
        return _Kept(read_s, judged, _by_service(holds), _by_service(exemptions), _by_service(begun))

    async def _measured(self, service: Service, now: datetime) -> MeasuredBudgets:
        """Return the newest budgets, computed now if events were counted since the last evaluation."""
        if self._newest is None:
            return MeasuredBudgets(tuple((await self._assess([service], now))[0]), now)
        newest = self._fresh(service, now)
        if newest is not None:
            return newest
        (budgets,) = await self._assess([service], now)
        measured = self._assessed[service.name] = MeasuredBudgets(tuple(budgets), now)
        return measured

    def _fresh(self, service: Service, now: datetime) -> MeasuredBudgets | None:
        """Return the newest budgets of a service; None where they are old or there are none."""
        evaluated = None if self._newest is None else self._newest(service.name)
        found = [each for each in (evaluated, self._assessed.get(service.name)) if each is not None]
        newest = max(found, key=lambda each: each.at, default=None)
        return newest if newest is not None and self._is_fresh(service, newest, now) else None

    def _is_fresh(self, service: Service, measured: MeasuredBudgets, now: datetime) -> bool:
        if not measured.is_of(service.slos):
            return False
        if self._events_at is not None and measured.at <= self._events_at:
            return False
        return abs(now - measured.at) <= self._stale_after()

    async def _opening(
        self, kept: _Kept, service: Service, budgets: Sequence[Budget], now: datetime
    ) -> datetime | None:
        found = kept.openings.get(service.name)
        if found is None or time.monotonic() - found[0] > _OPENING_KEPT_S:
            found = (time.monotonic(), await self._read_opening(service, budgets, now))
            kept.openings[service.name] = found
        return found[1]


def _by_service(rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.service, []).append(row)
    return found
