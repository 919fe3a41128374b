"""The bot's own Prometheus metrics, its SLIs included; each is set by the package that knows the value.

`docs/metrics.md` describes every one of them; a test compares both ways.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_EVALUATION_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Quantiles(Collector):
    """A summary whose quantiles are worked out elsewhere, by service."""

    _type = "summary"
    _labelnames = ("service", "quantile")

    def __init__(self, name: str, documentation: str, *, registry: CollectorRegistry) -> None:
        self._name = name
        self._documentation = documentation
        self._values: dict[str, Mapping[str, float]] = {}
        registry.register(self)

    def set(self, service: str, values: Mapping[str, float]) -> None:
        """Set a service's values by quantile; without any it has no sample."""
        self._values[service] = dict(values)

    def remove(self, service: str) -> None:
        """Remove a service's samples."""
        self._values.pop(service, None)

    def collect(self) -> Iterable[Metric]:
        """Return the samples."""
        metric = Metric(self._name, self._documentation, self._type)
        for service, values in list(self._values.items()):
            for quantile, value in values.items():
                metric.add_sample(self._name, {"service": service, "quantile": quantile}, value)
        return [metric]


Samples = Iterable[tuple[tuple[str, ...], float]]
"""Values with their labels."""


def _no_samples() -> Samples:
    return ()


class ComputedGauge(Collector):
    """A gauge of many labels: its samples are computed when it is read, and take no memory meanwhile."""

    _type = "gauge"

    def __init__(
        self, name: str, documentation: str, labels: tuple[str, ...], *, registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labelnames = labels
        self.compute: Callable[[], Samples] = _no_samples
        """Returns the samples; it is called by a thread other than the event loop's."""
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Return the metric without samples: the registry asks for its name."""
        return [Metric(self._name, self._documentation, self._type)]

    def collect(self) -> Iterable[Metric]:
        """Return the samples."""
        metric = Metric(self._name, self._documentation, self._type)
        for labels, value in self.compute():
            metric.add_sample(self._name, dict(zip(self._labelnames, labels, strict=True)), value)
        return [metric]


class Metrics:
    """The metrics of one running bot, in a registry of its own: two bots in one test do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Gauge(
            "governor_build_info", "1, with the version that runs.", ("version",), registry=self.registry
        )
        build.labels(version("governor")).set(1)
        self._declare_loops()
        self._declare_slack()
        self._declare_database()
        self._declare_budgets()
        self._declare_delivery_measures()

    def _declare_loops(self) -> None:
        self.evaluation_interval = Gauge(
            "governor_evaluation_interval_seconds",
            "How often budgets are to be evaluated: evaluateEvery of the Workspace.",
            registry=self.registry,
        )
        self.last_evaluation = Gauge(
            "governor_evaluation_last_tick_timestamp_seconds",
            "When the loop last began to evaluate, since the epoch.",
            registry=self.registry,
        )
        self.evaluation_seconds = Histogram(
            "governor_evaluation_duration_seconds",
            "Time that one evaluation took: reading from sources, assessing and deciding.",
            buckets=_EVALUATION_SECONDS,
            registry=self.registry,
        )
        self.evaluation_behind = Gauge(
            "governor_evaluation_behind_seconds",
            "How much older than the evaluation interval the oldest evaluation of a service is.",
            registry=self.registry,
        )
        self.event_loop_lag = Histogram(
            "governor_event_loop_lag_seconds",
            "How much later than asked for the event loop went on, measured four times a second.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.loop_failures = Counter(
            "governor_loop_failures_total",
            "Rounds of a background loop that failed and are tried again.",
            ("loop",),
            registry=self.registry,
        )
        self.tasks = Gauge("governor_tasks", "Tasks under way, the loops among them.", registry=self.registry)
        self.running_jobs = Gauge(
            "governor_jobs_running", "Commands being worked on.", registry=self.registry
        )
        self.replicas = Gauge(
            "governor_replicas", "Replicas that this one knows to be running.", registry=self.registry
        )
        self.due_tasks = Gauge(
            "governor_due_tasks", "Tasks whose time has come.", ("kind",), registry=self.registry
        )
        self.due_task_age = Gauge(
            "governor_due_task_age_seconds",
            "How long the oldest task of a kind has been due.",
            ("kind",),
            registry=self.registry,
        )
        self.task_attempts = Counter(
            "governor_task_attempts_total",
            "Attempts at due tasks, by what came of them.",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self.policy_faults = Gauge(
            "governor_policy_faults",
            "Faults in the policy folder; the last good set stays in force while there are any.",
            registry=self.registry,
        )
        self.policies_loaded = Counter(
            "governor_policy_reloads_total",
            "Changes of the policy folder by outcome.",
            ("outcome",),
            registry=self.registry,
        )

    def _declare_slack(self) -> None:
        self.ack_seconds = Histogram(
            "governor_slack_ack_seconds",
            "Time from a request of Slack's to the answer.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3),
            registry=self.registry,
        )
        self.requests = Counter(
            "governor_slack_requests_total",
            "Requests of Slack's by the status that answered them.",
            ("status",),
            registry=self.registry,
        )
        self.slack_calls = Counter(
            "governor_slack_calls_total",
            "Calls of Slack's Web API, by method and outcome.",
            ("method", "outcome"),
            registry=self.registry,
        )
        self.slack_call_seconds = Histogram(
            "governor_slack_call_duration_seconds",
            "Time that calls of Slack's Web API took.",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def _declare_database(self) -> None:
        self.database_writable = Gauge(
            "governor_database_writable",
            "1 while the database can be written, 0 while it cannot.",
            registry=self.registry,
        )
        self.database_write_seconds = Histogram(
            "governor_database_write_duration_seconds",
            "Time of the transaction that tries every five seconds whether the database can be written.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.turn_seconds = Counter(
            "governor_database_turn_seconds_total",
            "Time that transactions waited for their turn, and had it: all replicas share one.",
            ("what",),
            registry=self.registry,
        )
        self.database_size = Gauge(
            "governor_database_size_bytes", "Size of the database.", registry=self.registry
        )

    def _declare_budgets(self) -> None:
        self.evaluation_lag = ComputedGauge(
            "governor_evaluation_lag_seconds",
            "Age of the newest counted event time, by SLO.",
            ("service", "slo"),
            registry=self.registry,
        )
        self.remaining = ComputedGauge(
            "governor_error_budget_remaining_ratio",
            "Fraction of the error budget that is left; negative when overspent.",
            ("service", "slo"),
            registry=self.registry,
        )
        self.burn_rate = ComputedGauge(
            "governor_burn_rate",
            "How many times faster than evenly the error budget was spent in the last hours or days.",
            ("service", "slo", "window"),
            registry=self.registry,
        )
        self.objective = ComputedGauge(
            "governor_slo_objective_ratio", "The objective.", ("service", "slo"), registry=self.registry
        )
        self.slo_state = ComputedGauge(
            "governor_slo_state",
            "1 for the state that the SLO is in.",
            ("service", "slo", "state"),
            registry=self.registry,
        )
        self.frozen = Gauge(
            "governor_service_frozen",
            "1 while at least one hold lies on the service.",
            ("service",),
            registry=self.registry,
        )
        self.holds = Gauge(
            "governor_holds",
            "Holds in force, by kind.",
            ("service", "kind"),
            registry=self.registry,
        )
        self.gate_seconds = Histogram(
            "governor_gate_duration_seconds",
            "Time from a question to the gate to its answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.gate_answers = Counter(
            "governor_gate_answers_total",
            "Answers of the gate over HTTP, by verdict.",
            ("verdict",),
            registry=self.registry,
        )

    def _declare_delivery_measures(self) -> None:
        self.deployments = Gauge(
            "governor_deployments",
            "Deployments to production in the last 30 days; all jobs of one pipeline run are one.",
            ("service",),
            registry=self.registry,
        )
        self.lead_time = Quantiles(
            "governor_lead_time_seconds",
            "Time from writing a change to production, of the last 30 days' deployments.",
            registry=self.registry,
        )
        self.recovery_time = Quantiles(
            "governor_failed_deployment_recovery_seconds",
            "Time from the end of a failed deployment to recovery, of the last 30 days' deployments.",
            registry=self.registry,
        )
        self.change_fail_rate = Gauge(
            "governor_change_fail_ratio",
            "Share of the last 30 days' deployments that failed.",
            ("service",),
            registry=self.registry,
        )
        self.rework_rate = Gauge(
            "governor_rework_ratio",
            "Share of the last 30 days' deployments that were unplanned work after a failure.",
            ("service",),
            registry=self.registry,
        )

    def count_turn(self, waited_s: float, held_s: float) -> None:
        """Count how long a transaction waited for its turn and had it."""
        self.turn_seconds.labels("waited").inc(waited_s)
        self.turn_seconds.labels("held").inc(held_s)
