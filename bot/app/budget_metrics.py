"""The gauges of services and SLOs, set after each evaluation."""

from collections.abc import Collection, Sequence
from datetime import datetime

from bot.budgets.budget import Budget, SloState
from bot.catalog.catalog import Catalog, Service
from bot.metrics import Metrics


class BudgetGauges:
    """Sets the gauges of the services and SLOs of the policies, and removes those of the others."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._services: set[str] = set()
        self._slos: set[tuple[str, str]] = set()

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
            for state in SloState:
                self._metrics.slo_state.labels(*key, state).set(1 if state is budget.state else 0)

    def show_frozen(self, services: Collection[str], frozen: Collection[str]) -> None:
        """Set whether the services are frozen, where that changed between two evaluations."""
        for name in self._services.intersection(services):
            self._metrics.frozen.labels(name).set(1 if name in frozen else 0)

    def follow(self, catalog: Catalog) -> None:
        """Remove the gauges of services and SLOs that are no longer in the policies."""
        for name in self._services - set(catalog.services):
            self._metrics.frozen.remove(name)
            self._services.discard(name)
        for key in self._slos - {(slo.service, slo.name) for slo in catalog.slos}:
            self._slos.discard(key)
            self._metrics.remaining.remove_by_labels(_labels(key))
            self._metrics.evaluation_lag.remove_by_labels(_labels(key))
            self._metrics.slo_state.remove_by_labels(_labels(key))


def _labels(key: tuple[str, str]) -> dict[str, str]:
    return {"service": key[0], "slo": key[1]}
