"""Datadog as a source, and the metric queries or the SLO that an SLI reads there."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from bot.catalog.slo import CounterSli
from bot.catalog.source_slis import DatadogSloSli
from bot.catalog.sources import DatadogSettings
from bot.policy.documents.fields import Delay, Secret, Timeout, Url
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.quantities import parse_duration
from bot.policy.documents.sources.counters import counter_faults
from bot.policy.faults import IT, InvalidValueError

_EXAMPLE = "sum:trace.http.request.hits{service:checkout}.as_count()"
_FORM = f"a metric query of counts, such as {_EXAMPLE}"


def _query(text: str) -> str:
    if ".as_count()" not in text or "{" not in text:
        raise InvalidValueError(f"{IT} does not count events", _FORM)
    if ".rollup(" in text:
        raise InvalidValueError("a bucket's width is not chosen here: leave `.rollup(…)` out", _FORM)
    if text.count("{") != text.count("}") or text.count("(") != text.count(")"):
        raise InvalidValueError(f"a bracket in {IT} is not closed", _FORM)
    return text.strip()


def _site(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", text):
        raise InvalidValueError(
            f"{IT} is not a Datadog site", "such as datadoghq.com, datadoghq.eu or us5.datadoghq.com"
        )
    return text


def _slo_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text):
        raise InvalidValueError(f"{IT} is not the id of an SLO", "as its address in Datadog has it")
    return text


MetricQuery = Annotated[
    str, AfterValidator(_query), WithJsonSchema({"type": "string", "examples": [_EXAMPLE]})
]


class DatadogSourceSpec(Model):
    """Datadog."""

    type: Literal["datadog"]
    """`datadog`."""
    site: Annotated[str, AfterValidator(_site), WithJsonSchema({"type": "string"})] = "datadoghq.com"
    """The Datadog site of your account, as its address in the browser has it."""
    url: Url | None = None
    """Address of the API where it is another than `https://api.SITE`, such as a proxy's."""
    api_key: Secret = Field(repr=False)
    """An API key; best `${NAME}` from the environment."""
    application_key: Secret = Field(repr=False)
    """An application key with the scopes `timeseries_query` and `slos_read`; best `${NAME}`."""
    timeout: Timeout = parse_duration("30s")
    """How long one request may take, 100ms to 5m."""
    delay: Delay = parse_duration("2m")
    """How late events come at most, 0s to 6h: younger ones are not asked for yet."""

    def settings(self) -> DatadogSettings:
        """Return it as a plain value."""
        url = self.url or f"https://api.{self.site}"
        return DatadogSettings(url, self.api_key, self.application_key, self.timeout, self.delay)


class DatadogSliSpec(Model):
    """Two metric queries, or an SLO of Datadog that counts events."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["total", "bad"]}, {"required": ["total", "good"]}, {"required": ["slo"]}]
        }
    )

    total: MetricQuery | None = None
    """All events: a metric query with `.as_count()`."""
    bad: MetricQuery | None = None
    """The events that failed, written like `total`. Instead of `good`."""
    good: MetricQuery | None = None
    """The events that succeeded, written like `total`. Instead of `bad`."""
    slo: Annotated[str, AfterValidator(_slo_id), WithJsonSchema({"type": "string"})] | None = None
    """Id of a metric-based SLO of Datadog, whose good and total events are taken. Instead of `total`."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that the keys make exactly one of the two forms."""
        present = [key for key in ("total", "bad", "good") if getattr(self, key) is not None]
        if self.slo is not None and present:
            yield BrokenRule((present[0],), f"`{present[0]}` does not go with `slo`", "{slo} alone")
        elif self.slo is None and self.total is None:
            yield BrokenRule((), "`total` is missing", "{total, bad}, {total, good} or {slo}")
        elif self.slo is None:
            yield from counter_faults(present)

    def sli(self, source: str) -> CounterSli | DatadogSloSli:
        """Return it as a plain value."""
        if self.slo is not None:
            return DatadogSloSli(source, self.slo)
        return CounterSli(source, self.total or "", self.bad, self.good)
