"""Turns a service's risky flags off while its budget is exhausted, and restores just those afterwards."""

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
from bot.flags.records import reverts
from bot.flags.records.reverts import RevertKind
from bot.flags.safeguards.reverter import Reverter
from bot.freezes.hold import GOVERNOR, HoldKind
from bot.freezes.hold_registry import HoldRegistry
from bot.store.database import Database
from bot.store.item_failures import ItemFailures

log = structlog.get_logger(__name__)


class ExhaustionSafeguard:
    """Looks after the flags that a policy's `lowerWhenExhausted` names, in the default environment."""

    def __init__(
        self,
        flag_changes: ChangeExecutor,
        reverter: Reverter,
        hold_registry: HoldRegistry,
        *,
        database: Database,
        clock: Clock,
        latest: LatestBudgets,
    ) -> None:
        self._flag_changes = flag_changes
        self._reverter = reverter
        self._hold_registry = hold_registry
        self._database = database
        self._clock = clock
        self._latest = latest
        self._failures = ItemFailures("risky_flags_failed")

    async def tick(self, evaluated: Collection[str]) -> None:
        """Look after every service that was just `evaluated`."""
        if not evaluated:
            return
        async with self._database.reading() as connection:
            lowered = await reverts.open_reverts(connection, RevertKind.LOWERED)
        frozen = {hold.service for hold in await self._hold_registry.holds(self._clock.now())}
        # The many services that are open and have nothing lowered cost no further reads.
        for name in frozen.union(pending.service or "" for pending in lowered).intersection(evaluated):
            service, budgets = self._flag_changes.catalog.services.get(name), self._latest(name)
            with self._failures.isolate(name) as is_due:
                if is_due and service is not None and budgets is not None:
                    await self._look_after(service, budgets)

    async def _look_after(self, service: Service, budgets: Collection[Budget]) -> None:
        holds = await self._hold_registry.holds(self._clock.now(), service.name)
        budget_hold = next((hold for hold in holds if hold.kind is HoldKind.BUDGET), None)
        if budget_hold is not None:
            for flag, budget in _risky_flags(service, budgets):
                await self._lower(service, flag, budget, budget_hold.id)
        elif not holds:
            await self._restore(service)

    async def _lower(self, service: Service, flag: str, budget: Budget, hold: int) -> None:
        environment = find_environment(self._flag_changes.catalog, None).name
        request = ChangeRequest(
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
                await self._flag_changes.execute(request)
        except FlagChangeError as error:
            log.debug("flag_not_lowered_again", flag=flag, error=str(error))
        except FlagError as error:
            log.warning("flag_not_lowered", flag=flag, error=str(error))

    async def _restore(self, service: Service) -> None:
        now = self._clock.now()
        async with self._database.reading() as connection:
            lowered = await reverts.open_reverts(connection, RevertKind.LOWERED, service.name)
        for pending in lowered:
            if not pending.is_postponed(now):
                why = f"{service.name} is open again"
                await self._reverter.revert(pending, ChangeCause.RECOVERED, why)


def _risky_flags(service: Service, budgets: Collection[Budget]) -> list[tuple[str, Budget]]:
    """Return the flags to turn off, each with the exhausted budget that is the reason."""
    risky: dict[str, Budget] = {}
    for budget in budgets:
        policy = service.policy_for(budget.slo)
        is_spent = budget.remaining is not None and budget.remaining <= policy.freeze_at
        if budget.state is SloState.OK and is_spent:
            for flag in policy.lower_when_exhausted:
                if flag in service.flags:
                    risky.setdefault(flag, budget)
    return list(risky.items())
