"""The model of `maintenance` in a Service document: times that are planned and do not count."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

from bot.budgets.adjustments.adjustment import MOST_OF_WINDOW
from bot.budgets.maintenance.recurrence import (
    EXAMPLE,
    RecurrenceError,
    check_rule,
    largest_share,
    never_comes,
    overlaps_itself,
)
from bot.catalog.maintenance import MaintenanceWindow
from bot.formatting import duration_text, percent_text
from bot.policy.documents.fields import MaintenanceTime, Slug, TimeZone
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.faults import IT, InvalidValueError, did_you_mean

_START = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}"
_A_START = "a local date and time to the minute, such as 2027-01-03T02:30"
_YEARS = range(2000, 2101)
_MOST_WINDOWS = 20
_LONGEST_REASON = 300


def local_time(text: str) -> datetime:
    """Return the time that a text says, without a zone; raises `InvalidValueError`."""
    if re.fullmatch(rf"{_START}.+", text):
        raise InvalidValueError(f"{IT} says more than the minute; the zone is that of `timeZone`", _A_START)
    if not re.fullmatch(_START, text):
        raise InvalidValueError(f"{IT} is not a date and time", _A_START)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValueError(f"{IT} is not a day of the calendar with a time of day", _A_START) from None
    if at.year not in _YEARS:
        raise InvalidValueError(f"{IT} is too far away", f"{_YEARS[0]} to {_YEARS[-1]}")
    return at


def _start(text: str) -> str:
    local_time(text)
    return text


def _recurrence(text: str) -> str:
    try:
        return check_rule(text)
    except RecurrenceError as error:
        raise InvalidValueError(error.message, error.allowed) from error


def _reason(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_REASON or not text.isprintable():
        raise InvalidValueError(f"{IT} is not a reason", f"a line of 1 to {_LONGEST_REASON} characters")
    return text.strip()


LocalTime = Annotated[
    str,
    AfterValidator(_start),
    WithJsonSchema({"type": "string", "pattern": f"^{_START}$", "examples": ["2027-01-03T02:30"]}),
]
Recurrence = Annotated[
    str,
    AfterValidator(_recurrence),
    WithJsonSchema({"type": "string", "examples": ["FREQ=WEEKLY;BYDAY=SU", "FREQ=MONTHLY;BYDAY=-1SU"]}),
]
WindowReason = Annotated[
    str,
    AfterValidator(_reason),
    WithJsonSchema({"type": "string", "examples": ["The database is upgraded."]}),
]


class MaintenanceSpec(Model):
    """A time that is planned and does not count: whatever happens in it, the budget stays as it is."""

    name: Slug
    """Name of the window, unique in its service."""
    start: LocalTime
    """When it begins first, as clocks in `timeZone` show it: `2027-01-03T02:30`. So do later ones."""
    time_zone: TimeZone = "UTC"
    """IANA time zone of `start`, in summer and winter."""
    duration: MaintenanceTime
    """How long it is, in whole minutes, 1m to 7d."""
    rrule: Recurrence | None = None
    """How it recurs (RFC 5545), such as `FREQ=WEEKLY;BYDAY=SU`; daily at most. It comes once if left out."""
    slo: Slug | None = None
    """Name of the SLO that it is about; all of the service's if left out."""
    counts: Literal["dropped", "good"] = "dropped"
    """`dropped`: events in it leave the bad ones and the total. `good`: bad ones count as good."""
    reason: WindowReason
    """What is done in it, for those who read the budget."""

    def window(self) -> MaintenanceWindow:
        """Return it as a plain value."""
        return MaintenanceWindow(
            self.name,
            local_time(self.start),
            self.time_zone,
            self.duration,
            self.counts,
            self.reason,
            self.rrule,
            self.slo,
        )

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that it comes at all, and is over before it comes again."""
        window = self.window()
        if self.duration.total_seconds() % 60:
            yield BrokenRule(("duration",), "a window is counted in whole minutes", "such as 90m")
        if never_comes(window):
            yield BrokenRule(("rrule",), "it never comes, counted from `start`", EXAMPLE)
        elif (again := overlaps_itself(window)) is not None:
            message = f"the window begins again after {duration_text(again)}, before it is over"
            yield BrokenRule(("duration",), message, f"at most {duration_text(again)}")


def broken_windows(windows: Sequence[MaintenanceSpec], slos: Sequence[str]) -> Iterator[BrokenRule]:
    """Yield what does not hold between the windows of a service and its SLOs."""
    if len(windows) > _MOST_WINDOWS:
        yield BrokenRule(("maintenance",), "a service has too many windows", f"at most {_MOST_WINDOWS}")
        return
    for index, each in enumerate(windows):
        if each.slo is not None and each.slo not in slos:
            message = f"{IT} is not among the service's `slos`{did_you_mean(each.slo, slos)}"
            yield BrokenRule(("maintenance", index, "slo"), message, ", ".join(slos) or "none is named")
    if windows and not slos:
        yield BrokenRule(("maintenance",), "the service has no SLO, so nothing counts anyway")
    for slo in slos:
        share = largest_share([each.window() for each in windows if each.slo in {None, slo}])
        if share > MOST_OF_WINDOW:
            text = percent_text(max(round(share, 3), MOST_OF_WINDOW + 0.001))
            message = f"maintenance takes {text} of four weeks of {slo}"
            yield BrokenRule(("maintenance",), message, f"at most {percent_text(MOST_OF_WINDOW)}")
            return
