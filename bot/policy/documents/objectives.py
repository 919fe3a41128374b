"""Models of SLOs in policy documents: objectives, windows, SLIs."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, ValidationInfo, model_validator

from bot.catalog.window import CalendarUnit, CalendarWindow
from bot.policy.documents.fields import LocalStart, Objective, SloWindow, Slug, TimeZone
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.sources.prometheus_sli import PrometheusSliSpec
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

    calendar: Literal["week", "month", "quarter", "year"]
    """Which period: `week` (from Monday), `month`, `quarter` or `year`."""
    time_zone: TimeZone = "UTC"
    """IANA time zone whose midnight begins the period."""
    start: LocalStart | None = None
    """A local time at which a period begins, such as `2020-01-21T12:30`; others follow it, and precede it."""

    def window(self) -> CalendarWindow:
        """Return the window as a plain value."""
        return CalendarWindow(CalendarUnit(self.calendar), self.time_zone, self.start)


def _window_form(value: object) -> str:
    return "(calendar)" if isinstance(value, dict | CalendarWindowSpec) else "(rolling)"


AnyWindow = Annotated[
    Annotated[CalendarWindowSpec, Tag("(calendar)")] | Annotated[SloWindow, Tag("(rolling)")],
    Discriminator(_window_form),
]


class NoSettings(Model):
    """An empty mapping, written `{}`."""


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
    """Rolling time (30s to 400d), or `{calendar: …}` for a calendar period: week, month, quarter or year."""
    sli: SliSpec
    """How it is measured. Exactly one key: `events`, `downtime`, or a source's name."""
    error_budget_policy: Slug | None = None
    """Name of the ErrorBudgetPolicy that judges this SLO, where it is not the service's."""
