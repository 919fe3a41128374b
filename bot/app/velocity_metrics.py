"""The gauges of the delivery measures of each service, over the last 30 days."""

from collections.abc import Collection
from datetime import timedelta

from prometheus_client import Gauge

from bot.metrics import Metrics
from bot.velocity.measures import DeliveryMeasures

_QUANTILES = ("0.5", "0.9")


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
        lead_time, recovery = measures.lead_time.times, measures.recovery.times
        for quantile, length in zip(_QUANTILES, (lead_time.p50, lead_time.p90), strict=True):
            _set(metrics.lead_time, _seconds(length), service, quantile)
        for quantile, length in zip(_QUANTILES, (recovery.p50, recovery.p90), strict=True):
            _set(metrics.recovery_time, _seconds(length), service, quantile)

    def follow(self, services: Collection[str]) -> None:
        """Remove the gauges of services that are no longer in the policies."""
        for service in self._services - set(services):
            self._services.discard(service)
            for gauge in (
                self._metrics.deployments,
                self._metrics.change_fail_rate,
                self._metrics.rework_rate,
                self._metrics.lead_time,
                self._metrics.recovery_time,
            ):
                gauge.remove_by_labels({"service": service})


def _set(gauge: Gauge, value: float | None, *labels: str) -> None:
    if value is None:
        names = ("service", "quantile")[: len(labels)]
        gauge.remove_by_labels(dict(zip(names, labels, strict=True)))
    else:
        gauge.labels(*labels).set(value)


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
