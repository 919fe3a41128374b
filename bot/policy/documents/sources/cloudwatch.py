"""Amazon CloudWatch as a source, and the metrics that an SLI counts there."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from bot.catalog.source_slis import CloudWatchMetric, CloudWatchSli
from bot.catalog.sources import CloudWatchSettings
from bot.policy.documents.fields import Delay, Secret, Timeout, Url
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.quantities import parse_duration
from bot.policy.documents.sources.counters import counter_faults
from bot.policy.faults import IT, InvalidValueError, did_you_mean, quoted

_STATISTIC = (
    r"Sum|SampleCount|Average|Minimum|Maximum|(?:p|tm|tc|ts|wm)\d{1,2}(?:\.\d+)?|(?:PR|TC|TM|TS|WM)\(.*\)"
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_ID = re.compile(r"(?<![\w.])[a-z]\w*")


def _region(text: str) -> str:
    if not re.fullmatch(r"[a-z]{2,}(-[a-z0-9]+)+", text):
        raise InvalidValueError(f"{IT} is not a region", "such as eu-central-1")
    return text


def _metric_id(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-zA-Z0-9_]{0,200}", text):
        raise InvalidValueError(
            f"{IT} is not a metric's id", "a lower-case letter, then letters, digits and _"
        )
    return text


def _statistic(text: str) -> str:
    if not re.fullmatch(_STATISTIC, text):
        raise InvalidValueError(f"{IT} is not a statistic", "Sum, SampleCount, p99, PR(:0.3) and others")
    return text


class CloudWatchSourceSpec(Model):
    """Amazon CloudWatch in one region."""

    type: Literal["cloudwatch"]
    """`cloudwatch`."""
    region: Annotated[str, AfterValidator(_region), WithJsonSchema({"type": "string"})]
    """The AWS region, such as `eu-central-1`."""
    url: Url | None = None
    """Address of the API where it is another than the region's own, such as a VPC endpoint's."""
    access_key_id: Secret | None = Field(default=None, repr=False)
    """An access key; without it the environment has the credentials, such as the role of a pod or host."""
    secret_access_key: Secret | None = Field(default=None, repr=False)
    """The access key's secret; best `${NAME}` from the environment."""
    session_token: Secret | None = Field(default=None, repr=False)
    """The token of a temporary access key."""
    timeout: Timeout = parse_duration("30s")
    """How long one request may take, 100ms to 5m."""
    delay: Delay = parse_duration("3m")
    """How late events come at most, 0s to 6h: younger ones are not asked for yet."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that an access key is whole."""
        if (self.access_key_id is None) != (self.secret_access_key is None):
            missing = "accessKeyId" if self.access_key_id is None else "secretAccessKey"
            yield BrokenRule((), f"`{missing}` is missing", "both, or none of the two")

    def settings(self) -> CloudWatchSettings:
        """Return it as a plain value."""
        return CloudWatchSettings(
            self.region,
            self.url,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            session_token=self.session_token,
            timeout=self.timeout,
            delay=self.delay,
        )


class CloudWatchMetricSpec(Model):
    """A metric of CloudWatch with one statistic."""

    namespace: Annotated[str, Field(min_length=1, max_length=255)]
    """The metric's namespace, such as `AWS/ApplicationELB`."""
    metric: Annotated[str, Field(min_length=1, max_length=255)]
    """The metric's name, such as `RequestCount`."""
    dimensions: Annotated[dict[str, str], Field(max_length=30)] = Field(default_factory=dict)
    """All of the metric's dimensions, by name."""
    stat: Annotated[str, AfterValidator(_statistic), WithJsonSchema({"type": "string"})] = "Sum"
    """The statistic that counts events: `Sum`, `SampleCount`, or of a latency `TC(:0.3)`."""


class CloudWatchSliSpec(Model):
    """Metrics by an id, and what of them counts all events and the bad or the good ones."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["total", "bad"]}, {"required": ["total", "good"]}]}
    )

    metrics: Annotated[
        dict[
            Annotated[str, AfterValidator(_metric_id), WithJsonSchema({"type": "string"})],
            CloudWatchMetricSpec,
        ],
        Field(min_length=1, max_length=100),
    ]
    """The metrics, each by an id of your choice."""
    total: str
    """All events: a metric's id, or an expression of CloudWatch's metric math."""
    bad: str | None = None
    """The events that failed, written like `total`. Instead of `good`."""
    good: str | None = None
    """The events that succeeded, written like `total`. Instead of `bad`."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is one of `bad` and `good`, and that their metrics are named."""
        present = [key for key in ("bad", "good") if getattr(self, key) is not None]
        yield from counter_faults(present)
        for key in ("total", *present):
            for name in _ID.findall(_QUOTED.sub("", getattr(self, key))):
                if name not in self.metrics:
                    message = f"there is no metric {quoted(name)}{did_you_mean(name, self.metrics)}"
                    yield BrokenRule((key,), message, ", ".join(self.metrics))

    def sli(self, source: str) -> CloudWatchSli:
        """Return it as a plain value."""
        metrics = tuple(
            CloudWatchMetric(
                name, each.namespace, each.metric, tuple(sorted(each.dimensions.items())), each.stat
            )
            for name, each in sorted(self.metrics.items())
        )
        return CloudWatchSli(source, metrics, self.total, bad=self.bad, good=self.good)
