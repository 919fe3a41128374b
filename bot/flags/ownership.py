"""What the policies say of a flag: its services, their channels and guard, and its environment. Pure."""

from collections.abc import Callable, Mapping, Sequence

from bot.budgets.budget import Budget, SloState
from bot.catalog.catalog import Catalog, FlagEnvironment, Service
from bot.flags.backend import EnvironmentNotFoundError
from bot.flags.guard import BurnReading, Guard

LatestBudgets = Callable[[str], Sequence[Budget] | None]
"""Returns a service's budgets as of the last evaluation; None before the first."""


def owners(catalog: Catalog, flag: str) -> Sequence[Service]:
    """Return the services that the flag belongs to; none for a flag that no service names."""
    return [service for service in catalog.services.values() if flag in service.flags]


def channels(catalog: Catalog, services: Sequence[Service]) -> Sequence[str]:
    """Return where a flag's changes are announced: its services' channels, else the announcements channel."""
    return list(dict.fromkeys(service.channel for service in services)) or [catalog.workspace.announcements]


def find_environment(catalog: Catalog, name: str | None) -> FlagEnvironment:
    """Return the environment of that name, the default one for None; raises `EnvironmentNotFoundError`."""
    environments = catalog.workspace.flags.environments
    for environment in environments:
        if environment.default if name is None else environment.name == name.casefold():
            return environment
    raise EnvironmentNotFoundError(name or "default", [environment.name for environment in environments])


def is_protected(catalog: Catalog, name: str) -> bool:
    """Return whether increases of exposure there need a second person."""
    environments = catalog.workspace.flags.environments
    return any(environment.protected for environment in environments if environment.name == name)


def guard_of(services: Sequence[Service]) -> Guard:
    """Return the guard that the services' policies set: the strictest where there are several.

    Its burn rate and those of `readings` are the binary fractions nearest to decimals: they compare alike.
    """
    guards = [service.error_budget_policy.guard for service in services]
    return Guard(float(min(guard.burn for guard in guards)), max(guard.watch_for for guard in guards))


def readings(services: Sequence[Service], latest: LatestBudgets) -> Sequence[BurnReading] | None:
    """Return how fast each SLO of the services burns now; None before a service's first evaluation."""
    burns: list[BurnReading] = []
    for service in services:
        budgets = latest(service.name)
        if budgets is None:
            return None
        burns += [_reading(service, budget, reading_name(service, budget, services)) for budget in budgets]
    return burns


def baseline(burns: Sequence[BurnReading] | None) -> Mapping[str, float]:
    """Return the burn rates that are known, by SLO."""
    return {reading.slo: reading.burn for reading in burns or () if reading.burn is not None}


def reading_name(service: Service, budget: Budget, services: Sequence[Service]) -> str:
    """Return an SLO as evidence names it: with its service where there are several."""
    return f"{service.name} {budget.slo.name}" if len(services) > 1 else budget.slo.name


def is_measured(budget: Budget) -> bool:
    """Return whether the burn rate is known. Without traffic nothing failed: it is known to be 0."""
    return budget.state in {SloState.OK, SloState.NO_TRAFFIC, SloState.TOO_LITTLE_TRAFFIC}


def _reading(service: Service, budget: Budget, name: str) -> BurnReading:
    over = service.policy_for(budget.slo).guard.over
    burn = float(budget.burn.get(over) or 0) if is_measured(budget) else None
    return BurnReading(name, burn, over)
