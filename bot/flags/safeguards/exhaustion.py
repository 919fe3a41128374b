"""Lowers a service's risky flags while its budget is exhausted, and brings just those back after."""

from collections.abc import Collection

import structlog

from bot.budgets.budget import Budget, SloState
from bot.catalog.catalog import Service
from bot.clock import Clock
from bot.flags.backend import FlagError
from bot.flags.change import Kill
from bot.flags.change_request import ChangeCause, ChangeRequest, FlagChangeError
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.ownership import LatestBudgets, find_environment
from bot.flags.records import reverts as promises
from bot.flags.records.reverts import RevertKind
from bot.flags.safeguards.reverter import Reverter
from bot.freezes.hold import GOVERNOR, HoldKind
from bot.freezes.hold_registry import HoldRegistry
from bot.store.database import Database

log = structlog.get_logger(__name__)


class ExhaustionSafeguard:
    """Looks after the flags that a policy's `lowerWhenExhausted` names, in the default environment."""

    def __init__(
        self,
        flag_changes: ChangeExecutor,
        bring_back: Reverter,
        hold_registry: HoldRegistry,
        *,
        database: Database,
        clock: Clock,
        latest: LatestBudgets,
    ) -> None:
        self._flag_changes = flag_changes
        self._bring_back = bring_back
        self._hold_registry = hold_registry
        self._database = database
        self._clock = clock
        self._latest = latest

    async def tick(self, evaluated: Collection[str]) -> None:
        """Look after every service that was just `evaluated`."""
        if not evaluated:
            return
        async with self._database.reading() as connection:
            lowered = await promises.open_reverts(connection, RevertKind.LOWERED)
        frozen = {hold.service for hold in await self._hold_registry.holds(self._clock.now())}
        # Of the many services that are open and have nothing lowered, nothing more is asked.
        for name in frozen.union(promise.service or "" for promise in lowered).intersection(evaluated):
            service, budgets = self._flag_changes.catalog.services.get(name), self._latest(name)
            if service is not None and budgets is not None:
                await self._look_after(service, budgets)

    async def _look_after(self, service: Service, budgets: Collection[Budget]) -> None:
        holds = await self._hold_registry.holds(self._clock.now(), service.name)
        own = next((hold for hold in holds if hold.kind is HoldKind.BUDGET), None)
        if own is not None:
            for flag, budget in _risky(service, budgets):
                await self._lower(service, flag, budget, own.id)
        elif not holds:
            await self._restore(service)

    async def _lower(self, service: Service, flag: str, budget: Budget, hold: int) -> None:
        environment = find_environment(self._flag_changes.catalog, None).name
        order = ChangeRequest(
            flag,
            environment,
            Kill(),
            GOVERNOR,
            f"the {budget.slo.name} budget of {service.name} is exhausted",
            f"hold:{hold}:{flag}",
            cause=ChangeCause.EXHAUSTED,
            service=service.name,
        )
        try:
            if not (await self._flag_changes.backend.read(flag, environment)).is_off:
                await self._flag_changes.order(order)
        except FlagChangeError as error:
            log.debug("flag_not_lowered_again", flag=flag, error=str(error))
        except FlagError as error:
            log.warning("flag_not_lowered", flag=flag, error=str(error))

    async def _restore(self, service: Service) -> None:
        now = self._clock.now()
        async with self._database.reading() as connection:
            lowered = await promises.open_reverts(connection, RevertKind.LOWERED, service.name)
        for promise in lowered:
            if not promise.waits(now):
                why = f"{service.name} is open again"
                await self._bring_back(promise, ChangeCause.RECOVERED, why)


def _risky(service: Service, budgets: Collection[Budget]) -> list[tuple[str, Budget]]:
    """Return the flags to lower, with the exhausted budget that each is lowered for."""
    found: dict[str, Budget] = {}
    for budget in budgets:
        policy = service.policy_for(budget.slo)
        is_spent = budget.remaining is not None and budget.remaining <= policy.freeze_at
        if budget.state is SloState.OK and is_spent:
            for flag in policy.lower_when_exhausted:
                if flag in service.flags:
                    found.setdefault(flag, budget)
    return list(found.items())
