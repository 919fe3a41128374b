"""The gauges of services and SLOs, set after each evaluation."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from bot.budgets.budget import SHOWN_BURN_WINDOWS, Budget, SloState
from bot.catalog.catalog import Catalog, Service
from bot.formatting import duration_code
from bot.freezes.hold import Hold
from bot.metrics import Metrics


class BudgetGauges:
    """Sets the gauges of the services and SLOs of the policies, and removes those of the others."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._services: set[str] = set()
        self._slos: set[tuple[str, str]] = set()
        self._held: set[tuple[str, str]] = set()

    def show(self, service: Service, budgets: Sequence[Budget], *, frozen: bool, now: datetime) -> None:
        """Set the gauges of one service after an evaluation."""
        self._services.add(service.name)
        self._metrics.frozen.labels(service.name).set(1 if frozen else 0)
        for budget in budgets:
            key = (service.name, budget.slo.name)
            self._slos.add(key)
            if budget.remaining is not None:
                self._metrics.remaining.labels(*key).set(float(budget.remaining))
            elif budget.state is SloState.TOO_LITTLE_TRAFFIC:
                # What it showed before is no longer so, and what it is now nobody knows.
                self._metrics.remaining.remove_by_labels(_labels(key))
            if budget.as_of is not None:
                self._metrics.evaluation_lag.labels(*key).set(max(0.0, (now - budget.as_of).total_seconds()))
            self._metrics.objective.labels(*key).set(float(budget.slo.objective))
            for window in SHOWN_BURN_WINDOWS:
                burn, labels = budget.burn.get(window), (*key, duration_code(window))
                if burn is not None and budget.is_known:
                    self._metrics.burn_rate.labels(*labels).set(float(burn))
                else:
                    self._metrics.burn_rate.remove_by_labels(_labels(key) | {"window": labels[-1]})
            for state in SloState:
                self._metrics.slo_state.labels(*key, state).set(1 if state is budget.state else 0)

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
        for name in self._services.difference(services):
            self._services.discard(name)
            self._metrics.frozen.remove(name)
        for kept in [key for key in self._held if key[0] not in self._services]:
            self._held.discard(kept)
            self._metrics.holds.remove(*kept)
        self._remove({key for key in self._slos if key[0] not in self._services})

    def follow(self, catalog: Catalog) -> None:
        """Remove the gauges of services and SLOs that are no longer in the policies."""
        self.retain(catalog.services)
        self._remove(self._slos - {(slo.service, slo.name) for slo in catalog.slos})

    def _remove(self, slos: Collection[tuple[str, str]]) -> None:
        metrics = self._metrics
        for key in slos:
            self._slos.discard(key)
            for gauge in (
                metrics.remaining,
                metrics.evaluation_lag,
                metrics.burn_rate,
                metrics.objective,
                metrics.slo_state,
            ):
                gauge.remove_by_labels(_labels(key))


def _labels(key: tuple[str, str]) -> dict[str, str]:
    return {"service": key[0], "slo": key[1]}
