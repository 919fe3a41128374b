"""Loki as a source, and the LogQL queries that an SLI asks of it."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from bot.catalog.slo import CounterSli
from bot.catalog.sources import LokiSettings
from bot.policy.documents.fields import Secret
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.promql_shapes import WINDOW, is_balanced
from bot.policy.documents.sources.access import HttpSourceSpec
from bot.policy.documents.sources.counters import counter_faults
from bot.policy.faults import IT, InvalidValueError

_EXAMPLE = 'sum(count_over_time({app="checkout"} |= "error" [$window]))'
_FORM = f"a LogQL metric query that counts the events in $window, such as {_EXAMPLE}"
_RANGE = re.compile(r"\[\s*\$window\s*\]")


def _logql(text: str) -> str:
    if not WINDOW.search(text):
        raise InvalidValueError(f"{IT} does not count the events in $window", _FORM)
    if not _RANGE.search(text) or "{" not in text:
        raise InvalidValueError(f"{IT} has no log stream with the range [$window]", _FORM)
    if not is_balanced(text):
        raise InvalidValueError(f"a bracket or a quote in {IT} is not closed", _FORM)
    return text


LogQuery = Annotated[
    str,
    AfterValidator(_logql),
    WithJsonSchema({"type": "string", "examples": [_EXAMPLE]}),
]


class LokiSourceSpec(HttpSourceSpec):
    """A Loki, or another system with its HTTP API."""

    type: Literal["loki"]
    """`loki`."""
    tenant: Secret | None = Field(default=None, repr=False)
    """The tenant, sent as `X-Scope-OrgID`; several are joined by a vertical bar."""

    def settings(self) -> LokiSettings:
        """Return it as a plain value."""
        access = self.access()
        if self.tenant is not None:
            access["headers"] = {**access["headers"], "X-Scope-OrgID": self.tenant}
        return LokiSettings(**access)


class LokiSliSpec(Model):
    """Two metric queries in LogQL: of all events, and of the bad or the good ones."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["total", "bad"]}, {"required": ["total", "good"]}]}
    )

    total: LogQuery
    """All events: a LogQL query that counts the log lines of `[$window]`."""
    bad: LogQuery | None = None
    """The events that failed, written like `total`. Instead of `good`."""
    good: LogQuery | None = None
    """The events that succeeded, written like `total`. Instead of `bad`."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is one of `bad` and `good`."""
        yield from counter_faults([key for key in ("bad", "good") if getattr(self, key) is not None])

    def sli(self, source: str) -> CounterSli:
        """Return it as a plain value."""
        return CounterSli(source, self.total, self.bad, self.good)
