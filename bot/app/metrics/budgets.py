"""The gauges of services and SLOs, set after each evaluation."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.budgets.budget import SHOWN_BURN_WINDOWS, Budget, SloState
from bot.catalog.catalog import Catalog, Service
from bot.formatting import duration_code
from bot.freezes.hold import Hold
from bot.metrics import Metrics, Samples

_BURN_WINDOWS = {window: duration_code(window) for window in SHOWN_BURN_WINDOWS}


@dataclass(frozen=True, slots=True)
class _ShownBudget:
    """A budget as of an evaluation; `remaining` may be that of an earlier one."""

    budget: Budget
    remaining: float | None
    lag_s: float | None


class BudgetGauges:
    """Sets the gauges of the services and SLOs of the policies, and removes those of the others."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._services: set[str] = set()
        self._slos: dict[tuple[str, str], _ShownBudget] = {}
        self._held: set[tuple[str, str]] = set()
        metrics.remaining.compute = self._remaining
        metrics.evaluation_lag.compute = self._lags
        metrics.objective.compute = self._objectives
        metrics.burn_rate.compute = self._burn_rates
        metrics.slo_state.compute = self._states

    def show(self, service: Service, budgets: Sequence[Budget], *, frozen: bool, now: datetime) -> None:
        """Set the gauges of one service after an evaluation."""
        self._services.add(service.name)
        self._metrics.frozen.labels(service.name).set(1 if frozen else 0)
        for budget in budgets:
            key = (service.name, budget.slo.name)
            before = self._slos.get(key)
            remaining = None if before is None else before.remaining
            if budget.remaining is not None:
                remaining = float(budget.remaining)
            elif budget.state is SloState.TOO_LITTLE_TRAFFIC:
                # What it showed before is no longer so, and what it is now nobody knows.
                remaining = None
            lag_s = None if before is None else before.lag_s
            if budget.as_of is not None:
                lag_s = max(0.0, (now - budget.as_of).total_seconds())
            self._slos[key] = _ShownBudget(budget, remaining, lag_s)

    def show_frozen(self, services: Collection[str], frozen: Collection[str]) -> None:
        """Set whether the services are frozen, where that changed between two evaluations."""
        for name in self._services.intersection(services):
            self._metrics.frozen.labels(name).set(1 if name in frozen else 0)

    def show_holds(self, holds: Iterable[Hold]) -> None:
        """Set how many holds lie on each of the services, by kind."""
        counted = Counter((hold.service, str(hold.kind)) for hold in holds if hold.service in self._services)
        for key in self._held - counted.keys():
            self._metrics.holds.remove(*key)
        for key, number in counted.items():
            self._metrics.holds.labels(*key).set(number)
        self._held = set(counted)

    def retain(self, services: Collection[str]) -> None:
        """Remove the gauges of all other services: another replica evaluates them, or nobody does."""
        lost = self._services.difference(services)
        if not lost:
            return
        self._services -= lost
        for name in lost:
            self._metrics.frozen.remove(name)
        for kept in [key for key in self._held if key[0] not in self._services]:
            self._held.discard(kept)
            self._metrics.holds.remove(*kept)
        self._slos = {key: shown for key, shown in self._slos.items() if key[0] in self._services}

    def follow(self, catalog: Catalog) -> None:
        """Remove the gauges of services and SLOs that are no longer in the policies."""
        self.retain(catalog.services)
        slos = {(slo.service, slo.name) for slo in catalog.slos}
        self._slos = {key: shown for key, shown in self._slos.items() if key in slos}

    def _shown(self) -> Iterator[tuple[tuple[str, str], _ShownBudget]]:
        # A copy: it is read by another thread while evaluations go on.
        return iter(list(self._slos.items()))

    def _remaining(self) -> Samples:
        return ((key, shown.remaining) for key, shown in self._shown() if shown.remaining is not None)

    def _lags(self) -> Samples:
        return ((key, shown.lag_s) for key, shown in self._shown() if shown.lag_s is not None)

    def _objectives(self) -> Samples:
        return ((key, float(shown.budget.slo.objective)) for key, shown in self._shown())

    def _burn_rates(self) -> Samples:
        for key, shown in self._shown():
            for window, code in _BURN_WINDOWS.items():
                burn = shown.budget.burn.get(window)
                if burn is not None and shown.budget.is_known:
                    yield (*key, code), float(burn)

    def _states(self) -> Samples:
        for key, shown in self._shown():
            for state in SloState:
                yield (*key, state), 1.0 if state is shown.budget.state else 0.0
