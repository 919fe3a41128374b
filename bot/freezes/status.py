"""How the services stand, and whether a change may ship now. Reads only; every interface asks it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from bot.budgets.assessment import CURRENT_WITHIN
from bot.budgets.budget import Budget, worst
from bot.budgets.forecaster import Forecaster
from bot.budgets.rolling import RollingHistory
from bot.budgets.statistics.forecast import BudgetForecast
from bot.budgets.statistics.scoring import WorkspaceScore
from bot.catalog.catalog import Catalog, Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import PRODUCTION, UnmetRequirement
from bot.catalog.slo import Slo
from bot.clock import Clock
from bot.freezes.exemptions.kind_proofs import KindProofs
from bot.freezes.gate.begun import FindGuardFailure, nothing_found
from bot.freezes.gate.state import GateState, GateStates, Newest, ReadUnready
from bot.freezes.hold import Hold, HoldKind
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.opening import Opening, opening_of
from bot.freezes.spare import Spare, spare_of
from bot.freezes.verdict import Change, GuardFailure, UnreadyLaunch, Verdict, judge
from bot.pacing import Pacer
from bot.store.addresses import local
from bot.suggestions import did_you_mean, suggest

_FRESH_S = 2.0


class NotMeasuredYetError(Exception):
    """A service was never judged, since the bot or the service is new: nobody can say whether it may ship."""

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} has not been measured yet: ask again in a few seconds")
        self.service = service


class UnknownServiceError(LookupError):
    """No service has that name; `near` are the names most like it, best first."""

    def __init__(self, name: str, near: Sequence[str]) -> None:
        super().__init__(f"there is no service {name}{did_you_mean(near[:1])}")
        self.name = name
        self.near = tuple(near)


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service with its budgets, in the order of its SLOs, and the holds in force, oldest first."""

    service: Service
    budgets: tuple[Budget, ...]
    holds: tuple[Hold, ...]
    as_of: datetime
    missing: tuple[UnmetRequirement, ...] = ()
    """What keeps the budget hold on it, besides the budget."""
    forecasts: Mapping[str, BudgetForecast] = field(default_factory=dict)
    """What will become of its budgets, by the name of the SLO, where that can be said."""
    observed: tuple[Hold, ...] = ()
    """What would hold it if its policy were enforced, oldest first."""
    launch: UnreadyLaunch | None = None
    """What keeps it from its first production deployment, besides holds."""

    @property
    def would_be_frozen(self) -> bool:
        """Whether only a policy that observes keeps the service from being frozen."""
        return bool(self.observed) and not self.holds

    @property
    def may_launch(self) -> bool:
        """Whether nothing but holds keeps it from production."""
        return self.launch is None or not self.launch.is_enforced

    @property
    def is_frozen(self) -> bool:
        """Whether the service has at least one hold."""
        return bool(self.holds)

    @property
    def spare(self) -> Spare | None:
        """That its budgets are hardly touched; None where they are not, or nothing can be said."""
        return spare_of(self.service, self.budgets, self.forecasts, is_frozen=self.is_frozen)

    @property
    def worst(self) -> Budget | None:
        """The budget with the least remaining; None where no figure is known."""
        return worst(self.budgets)


class BudgetReader(Protocol):
    """The port to the evaluator: budgets as they are measured."""

    async def assess(self, services: Sequence[Service], now: datetime) -> Sequence[Sequence[Budget]]:
        """Return the budgets of each service from what is counted already."""
        ...

    async def rolling(self, budget: Budget, now: datetime, most: int) -> RollingHistory:
        """Return what was left of the budget at past moments, at most `most` besides the present one."""
        ...

    async def recovers_at(self, slo: Slo, target: Decimal, now: datetime) -> datetime | None:
        """Return when the fraction `target` of the budget will be left again; None if that is unknown."""
        ...


async def all_ready(_services: Collection[Service]) -> Mapping[str, UnreadyLaunch]:
    """Return that nothing keeps any service from it."""
    return {}


class StatusReader:
    """Reads how services stand now, and judges changes to them."""

    def __init__(
        self,
        current: CurrentCatalog,
        budgets: BudgetReader,
        hold_registry: HoldRegistry,
        clock: Clock,
        forecaster: Forecaster | None = None,
        *,
        read_unready: ReadUnready = all_ready,
        newest: Newest | None = None,
        kind_proofs: KindProofs | None = None,
        find_guard_failure: FindGuardFailure = nothing_found,
    ) -> None:
        self.current = current
        self.gate_states = GateStates(
            hold_registry,
            budgets.assess,
            read_unready=read_unready,
            read_opening=self._budget_opens_at,
            # A newer evaluation is under way where they cannot keep up: to compute budgets here too slows it.
            stale_after=lambda: max(2 * self.catalog.workspace.evaluate_every, CURRENT_WITHIN),
            newest=newest,
        )
        self._read_unready = read_unready
        self.kind_proofs = kind_proofs or KindProofs()
        self.find_guard_failure = find_guard_failure
        self._forecaster = forecaster
        self._budgets = budgets
        self._hold_registry = hold_registry
        self._clock = clock
        self._lock = asyncio.Lock()
        self._read_at = 0.0
        self._statuses: Sequence[ServiceStatus] | None = None

    @property
    def catalog(self) -> Catalog:
        """The policies in force."""
        return self.current.catalog

    def find(self, name: str) -> Service:
        """Return the service of that name or `#channel`, in any case; raises `UnknownServiceError`."""
        services = self.catalog.services
        channel = name.strip().casefold()
        key = channel.removeprefix("#")
        if key in services:
            return services[key]
        if channel != key:
            own = [service for service in services.values() if local(service.channel).casefold() == channel]
            if len(own) == 1:
                return own[0]
            if own:
                raise UnknownServiceError(name, [service.name for service in own[:3]])
        raise UnknownServiceError(name, suggest(key, services, most=3))

    async def service(self, name: str) -> ServiceStatus:
        """Return how one service stands; raises `UnknownServiceError`."""
        service = self.find(name)
        now = self._clock.now()
        holds = await self._hold_registry.current(now, service.name)
        missing = await self._hold_registry.missing([service], holds)
        (budgets,) = await self._budgets.assess([service], now)
        forecasts = self._newest_forecasts(service, now)
        status = _status(service, budgets, holds, now, missing=missing, forecasts=forecasts)
        return replace(status, launch=(await self._read_unready([service])).get(service.name))

    async def services(self) -> Sequence[ServiceStatus]:
        """Return how all services stand, the one with the least budget left first.

        The result is kept for two seconds, unless a hold was placed or lifted since: a hundred people who ask
        at once cost no more than one.
        """
        async with self._lock:
            if self._statuses is None or time.monotonic() - self._read_at > _FRESH_S:
                self._statuses, self._read_at = await self._read_all(), time.monotonic()
            return self._statuses

    def seen_from(self, team: str | None) -> "StatusReader":
        """Return a reader of what a further Slack workspace may see; of the main one for None."""
        current = self.current.seen_from(team)
        reader = _WorkspaceStatusReader(
            current,
            self._budgets,
            self._hold_registry,
            self._clock,
            self._forecaster,
            read_unready=self._read_unready,
        )
        reader.all_services = self
        reader.gate_states = self.gate_states
        reader.kind_proofs = self.kind_proofs
        reader.find_guard_failure = self.find_guard_failure
        return reader

    def invalidate(self) -> None:
        """Drop the kept results: something changed."""
        self._statuses = None
        self.gate_states.invalidate()

    def note_events(self) -> None:
        """Compute budgets anew at the next question: events were counted."""
        self._statuses = None
        self.gate_states.note_events(self._clock.now())

    async def _read_all(self) -> Sequence[ServiceStatus]:
        now = self._clock.now()
        services = list(self.catalog.services.values())
        holds = await self._hold_registry.current(now)
        missing = await self._hold_registry.missing(services, holds)
        assessed = await self._budgets.assess(services, now)
        unready = await self._read_unready(services)
        by_service: dict[str, list[Hold]] = defaultdict(list)
        for hold in holds:
            by_service[hold.service].append(hold)
        statuses, pace = [], Pacer()
        for service, budgets in zip(services, assessed, strict=True):
            await pace()
            forecasts = self._newest_forecasts(service, now)
            own = by_service.get(service.name, ())
            status = _status(service, budgets, own, now, missing=missing, forecasts=forecasts)
            statuses.append(replace(status, launch=unready.get(service.name)))
        await pace()
        return sorted(statuses, key=_by_need)

    async def verdict(self, name: str, change: Change, *, is_deployment: bool = True) -> Verdict:
        """Return whether the change may ship to the service now.

        One that is no deployment, such as a flag's, needs no launch checklist.

        Raises `UnknownServiceError`, and for a deployment `NotMeasuredYetError`.
        """
        service, now = self.find(name), self._clock.now()
        state = await self.gate_states.of(service, now)
        if change.environment is not None:
            change = replace(change, environment=environment_of(self.catalog, change.environment))
        proof, unproven = await self.kind_proofs.verify(service.name, change)
        verdict = judge(
            service.name,
            change,
            holds=state.holds,
            exemptions=state.exemptions,
            exempt_kinds=exempt_kinds(service),
            budgets=state.budgets,
            now=now,
            missing=state.missing,
            observed=state.holds,
            barred=barred_environments(service),
            launch=state.launch if is_deployment else None,
            budget_opens_at=state.budget_opens_at,
            measured_at=_measured_at(state) if service.slos else None,
            proof=proof,
            unproven=unproven,
            guard=await self._guard_failure(service, change, state, now),
        )
        if is_deployment and verdict.allow and not state.is_known:
            raise NotMeasuredYetError(service.name)
        return verdict

    async def _guard_failure(
        self, service: Service, change: Change, state: GateState, now: datetime
    ) -> GuardFailure | None:
        """Return what the guard found against a change that has begun to ship and is still watched."""
        watch = service.error_budget_policy.guard.watch_for
        watched = [begun for begun in state.begun if begun.is_of(change) and now < begun.began_at + watch]
        return await self.find_guard_failure(service, watched[-1]) if watched else None

    async def _budget_opens_at(
        self, service: Service, budgets: Sequence[Budget], now: datetime
    ) -> datetime | None:
        """Return when the hold that the budget has on a service is expected to end."""
        return (await self._opening(service, budgets, now)).expected_at

    async def opening(self, name: str) -> Opening | None:
        """Return what it takes to end the hold that the budget has on a service; None without such a hold."""
        status = await self.service(name)
        if not any(hold.kind is HoldKind.BUDGET for hold in status.holds):
            return None
        return await self._opening(status.service, status.budgets, status.as_of)

    async def _opening(self, service: Service, budgets: Sequence[Budget], now: datetime) -> Opening:
        judged = [(budget, service.policy_for(budget.slo)) for budget in budgets]
        recoveries = {budget.slo.name: await self.recovers_at(budget) for budget in budgets}
        since = await self._hold_registry.recovered_since(service.name)
        return opening_of(judged, recoveries, since, now)

    async def rolling(self, budget: Budget, most: int) -> RollingHistory:
        """Return the budget as it stood at past moments, at most `most` besides the present one."""
        return await self._budgets.rolling(budget, self._clock.now(), most)

    async def forecasts(
        self, budgets: Sequence[Budget], *, with_fan: bool = False
    ) -> Mapping[str, BudgetForecast]:
        """Return what will become of a service's budgets, made now, by the name of the SLO."""
        if self._forecaster is None:
            return {}
        found = await self._forecaster.forecast_all(budgets, with_fan=with_fan)
        return {budget.slo.name: each for budget, each in zip(budgets, found, strict=True) if each}

    def forecast_score(self) -> WorkspaceScore | None:
        """Return how good the workspace's past forecasts were; None before the first has come due."""
        return (
            None
            if self._forecaster is None
            else self._forecaster.scores.get(self.current.workspace.elsewhere)
        )

    def _newest_forecasts(self, service: Service, now: datetime) -> Mapping[str, BudgetForecast]:
        """Return the forecasts of the last pass."""
        if self._forecaster is None:
            return {}
        found = {slo.name: self._forecaster.newest(slo, now) for slo in service.slos}
        return {name: each for name, each in found.items() if each}

    async def recovers_at(self, budget: Budget) -> datetime | None:
        """Return when enough of a budget will be left to lift a hold, at the burn rate of the last hour.

        None where that much is left already, or where it does not come within one window.
        """
        service = self.catalog.services.get(budget.slo.service)
        if service is None or budget.remaining is None:
            return None
        target = service.policy_for(budget.slo).unfreeze_at
        if budget.remaining >= target:
            return None
        return await self._budgets.recovers_at(budget.slo, target, self._clock.now())


class _WorkspaceStatusReader(StatusReader):
    """The statuses of another reader that one Slack workspace may see."""

    all_services: StatusReader
    _of_all: tuple[Sequence[ServiceStatus], Catalog] | None = None

    async def services(self) -> Sequence[ServiceStatus]:
        """Return how the services stand that the workspace may see: the same list while nothing changed."""
        statuses, catalog = await self.all_services.services(), self.catalog
        of_all = self._of_all
        if self._statuses is None or of_all is None or of_all[0] is not statuses or of_all[1] is not catalog:
            self._statuses = [status for status in statuses if status.service.name in catalog.services]
            self._of_all = statuses, catalog
        return self._statuses

    def invalidate(self) -> None:
        """Drop the kept result."""
        self.all_services.invalidate()


def _measured_at(state: GateState) -> datetime:
    """Return of when the figures are that a verdict rests on: the oldest of what was counted and computed."""
    return min([state.budgets_at, *(budget.as_of for budget in state.budgets if budget.as_of is not None)])


def environment_of(catalog: Catalog, name: str) -> str:
    """Return an environment as freezes bar it: `production` for each that counts as that, in lower case."""
    environment = name.strip().casefold()
    return PRODUCTION if catalog.workspace.flags.is_production(environment) else environment


def barred_environments(service: Service) -> dict[str | None, Sequence[str]]:
    """Return the environments that holds bar, by the SLO that they are for; None: by the service's policy."""
    own: dict[str | None, Sequence[str]] = {None: service.error_budget_policy.freezes}
    return own | {slo.name: service.policy_for(slo).freezes for slo in service.slos}


def exempt_kinds(service: Service) -> dict[str | None, Sequence[str]]:
    """Return the kinds of change that pass the holds of each SLO's policy; None: of the service's own."""
    own: dict[str | None, Sequence[str]] = {None: service.error_budget_policy.exemptions}
    return own | {slo.name: service.policy_for(slo).exemptions for slo in service.slos}


def _status(
    service: Service,
    budgets: Sequence[Budget],
    current: Sequence[Hold],
    now: datetime,
    *,
    missing: Mapping[str, tuple[UnmetRequirement, ...]],
    forecasts: Mapping[str, BudgetForecast],
) -> ServiceStatus:
    own = [hold for hold in current if hold.service == service.name]
    is_kept = any(hold.kind is HoldKind.BUDGET and not hold.observed for hold in own)
    return ServiceStatus(
        service,
        tuple(budgets),
        tuple(hold for hold in own if not hold.observed),
        now,
        missing.get(service.name, ()) if is_kept else (),
        forecasts,
        tuple(hold for hold in own if hold.observed),
    )


def _by_need(status: ServiceStatus) -> tuple[Decimal, str]:
    budget = status.worst
    remaining = budget.remaining if budget is not None and budget.remaining is not None else Decimal(2)
    return (remaining, status.service.name)
