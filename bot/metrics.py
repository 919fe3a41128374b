"""The bot's own Prometheus metrics, its SLIs included; each is set by the package that knows the value."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The metrics of one running bot, in a registry of its own: two bots in one test do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self.evaluation_lag = Gauge(
            "governor_evaluation_lag_seconds",
            "Age of the newest counted event time, by SLO.",
            ("service", "slo"),
            registry=self.registry,
        )
        self.remaining = Gauge(
            "governor_error_budget_remaining_ratio",
            "Fraction of the error budget that is left; negative when overspent.",
            ("service", "slo"),
            registry=self.registry,
        )
        self.slo_state = Gauge(
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
        self.deployments = Gauge(
            "governor_deployments",
            "Deployments to production in the last 30 days; all jobs of one pipeline run are one.",
            ("service",),
            registry=self.registry,
        )
        self.lead_time = Gauge(
            "governor_lead_time_seconds",
            "Time from writing a change to production, of the last 30 days' deployments.",
            ("service", "quantile"),
            registry=self.registry,
        )
        self.recovery_time = Gauge(
            "governor_failed_deployment_recovery_seconds",
            "Time from the end of a failed deployment to recovery, of the last 30 days' deployments.",
            ("service", "quantile"),
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
        self.turn_seconds = Counter(
            "governor_database_turn_seconds_total",
            "Time that transactions waited for their turn, and had it: all replicas share one.",
            ("what",),
            registry=self.registry,
        )
        self.tasks = Gauge("governor_tasks", "Tasks under way, the loops among them.", registry=self.registry)
        self.running_jobs = Gauge(
            "governor_jobs_running", "Commands being worked on.", registry=self.registry
        )

    def count_turn(self, waited_s: float, held_s: float) -> None:
        """Count how long a transaction waited for its turn and had it."""
        self.turn_seconds.labels("waited").inc(waited_s)
        self.turn_seconds.labels("held").inc(held_s)
