"""What SLIs ask of sources of other types than Prometheus, as plain values. Pure; no clock, no I/O."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SqlSli:
    """A query that returns the events by time: `bucket`, `total`, and `bad` or `good`."""

    source: str
    sql: str

    @property
    def description(self) -> str:
        """What is counted, in words."""
        return f"rows of {self.source}: {' '.join(self.sql.split())}"


@dataclass(frozen=True, slots=True)
class DatadogSloSli:
    """The good and total events of a metric-based SLO of Datadog."""

    source: str
    slo: str

    @property
    def description(self) -> str:
        """What is counted, in words."""
        return f"the SLO {self.slo} of {self.source}"


@dataclass(frozen=True, slots=True)
class CloudWatchMetric:
    """A metric of CloudWatch with one statistic, by the id that expressions have for it."""

    id: str
    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    stat: str = "Sum"


@dataclass(frozen=True, slots=True)
class CloudWatchSli:
    """Metrics, and expressions of their ids that count all events and either the bad or the good ones."""

    source: str
    metrics: tuple[CloudWatchMetric, ...]
    total: str
    bad: str | None = None
    good: str | None = None

    @property
    def description(self) -> str:
        """What is counted, in words."""
        part = f"bad: {self.bad}" if self.bad is not None else f"good: {self.good}"
        metrics = ", ".join(f"{each.id}: {each.namespace} {each.metric} {each.stat}" for each in self.metrics)
        return f"metrics of {self.source}; total: {self.total}; {part}; where {metrics}"


@dataclass(frozen=True, slots=True)
class JsonSli:
    """A request, sent by POST where it has a `body`, and JMESPath expressions that find the counts.

    `buckets` finds a list in the answer, `time`, `total` and either `bad` or `good` what each entry holds.
    """

    source: str
    path: str
    body: str | None
    buckets: str
    time: str
    total: str
    bad: str | None = None
    good: str | None = None

    @property
    def description(self) -> str:
        """What is counted, in words."""
        part = f"bad: {self.bad}" if self.bad is not None else f"good: {self.good}"
        return f"{self.path} of {self.source}; buckets: {self.buckets}; total: {self.total}; {part}"


@dataclass(frozen=True, slots=True)
class PluginSli:
    """What is asked of a source of an installed package: what the policy says, as JSON."""

    source: str
    text: str

    @property
    def description(self) -> str:
        """What is counted, in words."""
        return f"events of {self.source}: {self.text}"


OtherSli = SqlSli | DatadogSloSli | CloudWatchSli | JsonSli | PluginSli
"""What is asked of a source of another type than Prometheus, in a form of its own."""
