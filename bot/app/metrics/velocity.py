"""The gauges of the delivery measures of each service, over the last 30 days."""

from collections.abc import Collection

from prometheus_client import Gauge

from bot.metrics import Metrics
from bot.velocity.measures import DeliveryMeasures
from bot.velocity.statistics import DurationQuantiles


class VelocityGauges:
    """Sets the gauges, and removes those of services without figures: no sample is better than a wrong 0."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._services: set[str] = set()

    def show(self, measures: DeliveryMeasures, service: str) -> None:
        """Set the gauges of one service."""
        metrics = self._metrics
        self._services.add(service)
        metrics.deployments.labels(service).set(measures.deployment_frequency.n)
        _set(metrics.change_fail_rate, measures.change_fail_rate.value, service)
        _set(metrics.rework_rate, measures.rework_rate.value, service)
        metrics.lead_time.set(service, _quantiles(measures.lead_time.times))
        metrics.recovery_time.set(service, _quantiles(measures.recovery.times))

    def follow(self, services: Collection[str]) -> None:
        """Remove the gauges of services that are no longer in the policies."""
        metrics = self._metrics
        for service in self._services - set(services):
            self._services.discard(service)
            for gauge in (metrics.deployments, metrics.change_fail_rate, metrics.rework_rate):
                gauge.remove_by_labels({"service": service})
            metrics.lead_time.remove(service)
            metrics.recovery_time.remove(service)


def _set(gauge: Gauge, value: float | None, service: str) -> None:
    if value is None:
        gauge.remove_by_labels({"service": service})
    else:
        gauge.labels(service).set(value)


def _quantiles(times: DurationQuantiles) -> dict[str, float]:
    lengths = {"0.5": times.p50, "0.9": times.p90}
    return {quantile: length.total_seconds() for quantile, length in lengths.items() if length is not None}
