"""Models of SLOs in policy documents: objectives, windows, SLIs."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, ValidationInfo, model_validator

from bot.policy.documents.fields import (
    Histogram,
    Latency,
    Match,
    Objective,
    Query,
    SloWindow,
    Slug,
    TimeZone,
)
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.sources.sources import (
    PROMETHEUS,
    SOURCE_TYPES,
    OtherSliSpec,
    TypedSli,
    tag_of,
    tag_of_sli,
)

UNION_TAGS = frozenset({"(calendar)", "(rolling)"})
"""The steps in the location of pydantic's errors that only name the form of a window."""

BUILT_IN_SLIS = ("downtime", "events")
"""The keys of `sli` that are no sources; no source may have such a name."""


class CalendarWindowSpec(Model):
    """The current calendar period; the budget is whole again when the next one begins."""

    calendar: Literal["week", "month", "quarter"]
    """Which period: `week` (from Monday), `month` or `quarter`."""
    time_zone: TimeZone = "UTC"
    """IANA time zone whose midnight begins the period."""


def _window_form(value: object) -> str:
    return "(calendar)" if isinstance(value, dict | CalendarWindowSpec) else "(rolling)"


AnyWindow = Annotated[
    Annotated[CalendarWindowSpec, Tag("(calendar)")] | Annotated[SloWindow, Tag("(rolling)")],
    Discriminator(_window_form),
]


class NoSettings(Model):
    """An empty mapping, written `{}`."""


class PrometheusSliSpec(Model):
    """Counters (`total` with `bad` or `good`), or a latency `histogram` with a `threshold`."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["total", "bad"]},
                {"required": ["total", "good"]},
                {"required": ["histogram", "threshold"]},
            ]
        }
    )

    total: Query | None = None
    """All events: a series selector, or a full query that counts them in `$window`."""
    bad: Query | None = None
    """The events that failed, written like `total`. Instead of `good`."""
    good: Query | None = None
    """The events that succeeded, written like `total`. Instead of `bad`."""
    histogram: Histogram | None = None
    """Name of a histogram metric without `_bucket`. Instead of `total`."""
    match: Match | None = None
    """Label matchers that select the histogram's series, without braces."""
    threshold: Latency | None = None
    """Events of the histogram at or below this are good; best a bucket's bound. 1ms to 1d."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that the keys make exactly one of the two forms."""
        forms = "{total, bad}, {total, good} or {histogram, match, threshold}"
        counters = [key for key in ("total", "bad", "good") if getattr(self, key) is not None]
        latency = [key for key in ("histogram", "match", "threshold") if getattr(self, key) is not None]
        if counters and latency:
            yield BrokenRule((latency[0],), f"`{latency[0]}` does not go with `{counters[0]}`", forms)
        elif {"bad", "good"} <= set(counters):
            yield BrokenRule(("good",), "`good` and `bad` exclude each other", forms)
        elif counters and (self.total is None or len(counters) == 1):
            missing = "`total`" if self.total is None else "one of `bad` and `good`"
            yield BrokenRule((), f"{missing} is missing", forms)
        elif latency and (self.histogram is None or self.threshold is None):
            missing = "histogram" if self.histogram is None else "threshold"
            yield BrokenRule((), f"`{missing}` is missing", forms)
        elif not counters and not latency:
            yield BrokenRule((), "this names nothing to measure", forms)


SourceSliSpec = Annotated[
    Annotated[PrometheusSliSpec, Tag(PROMETHEUS)] | OtherSliSpec, Discriminator(tag_of_sli)
]
"""What is asked of a source, by the source's type."""


class SliSpec(Model):
    """How good and bad events are counted: exactly one key, a source's name or one of the two below."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"minProperties": 1, "maxProperties": 1})
    __pydantic_extra__: dict[str, SourceSliSpec] = Field(init=False)

    events: NoSettings | None = None
    """Good and bad events are pushed to `POST /api/v1/events`."""
    downtime: NoSettings | None = None
    """Time is what counts: the minutes of impact of recorded incidents are the bad part."""

    @model_validator(mode="before")
    @classmethod
    def _with_types(cls, value: Any, info: ValidationInfo) -> Any:
        """Mark what is asked of a source with the source's type, as far as it is known."""
        types = (info.context or {}).get(SOURCE_TYPES, {})
        if not isinstance(value, dict):
            return value
        return {
            key: TypedSli(asked, tag_of(types[key])) if key in types and isinstance(asked, dict) else asked
            for key, asked in value.items()
        }

    @property
    def source(self) -> tuple[str, PrometheusSliSpec | OtherSliSpec] | None:
        """The source's name with what is asked of it; None for the two forms without a source."""
        return next(iter(self.__pydantic_extra__.items()), None)

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is exactly one key."""
        keys = [*self.__pydantic_extra__, *(key for key in BUILT_IN_SLIS if getattr(self, key))]
        allowed = "exactly one of events, downtime, or the name of a source of the Workspace"
        if not keys:
            yield BrokenRule((), "this names nothing to measure", allowed)
        if len(keys) > 1:
            yield BrokenRule((keys[1],), "an SLO has one SLI; make two SLOs of it", allowed)


class SloSpec(Model):
    """A service level objective: the share of events that must be good, over a window."""

    name: Slug
    """Name of the SLO, unique in its service."""
    objective: Objective
    """The share of events that must be good, in percent, strictly between 0 and 100."""
    window: AnyWindow
    """Rolling time (30s to 400d), or `{calendar: …}` for a calendar period."""
    sli: SliSpec
    """How it is measured. Exactly one key: `events`, `downtime`, or a source's name."""
    error_budget_policy: Slug | None = None
    """Name of the ErrorBudgetPolicy that judges this SLO, where it is not the service's."""
