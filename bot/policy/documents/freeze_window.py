"""The model of a FreezeWindow: when which services are held by the calendar."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from bot.budgets.maintenance.recurrence import EXAMPLE, never_comes, overlaps_itself
from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.freeze_window import FreezeWindow
from bot.formatting import duration_text
from bot.policy.documents.envelope import Envelope, LabelName, LabelValue
from bot.policy.documents.fields import FreezeTime, TimeZone
from bot.policy.documents.maintenance import LocalTime, Recurrence, WindowReason, local_time
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.planning_fields import Day, Services
from bot.policy.faults import IT

_MOST_EXCEPTIONS = 400


class FreezeWindowSpec(Model):
    """When which services are held. Without `services` and `labels` all of them are."""

    services: Services | None = None
    """Names of the services, one or a list."""
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict)
    """Labels that a service must have, all of them, such as `{team: shop}`; with `services`, those too."""
    start: LocalTime
    """When it begins first, as clocks in `timeZone` show it: `2026-11-27T00:00`. So do later ones."""
    time_zone: TimeZone = "UTC"
    """IANA time zone of `start`, in summer and winter."""
    duration: FreezeTime
    """How long it is, in whole minutes, 1m to 90d."""
    rrule: Recurrence | None = None
    """How it recurs (RFC 5545), such as `FREQ=WEEKLY;BYDAY=FR`; daily at most. It comes once if left out."""
    exceptions: Annotated[tuple[Day, ...], Field(max_length=_MOST_EXCEPTIONS)] = ()
    """Days in `timeZone`, in quotes, on which it does not begin."""
    reason: WindowReason
    """Why, for those who want to ship."""
    mode: Literal["enforce", "observe"] = "enforce"
    """`observe` records and shows it, and stops nothing."""

    def window(self, name: str, services: tuple[str, ...]) -> FreezeWindow:
        """Return it as a plain value for the services that it is about."""
        return FreezeWindow(
            name,
            local_time(self.start),
            self.time_zone,
            self.duration,
            self.reason,
            services,
            self.rrule,
            frozenset(self.exceptions),
            PolicyMode(self.mode),
        )

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that it comes at all, is over before it comes again, and names each exception once."""
        window = self.window("", ())
        if self.duration.total_seconds() % 60:
            yield BrokenRule(("duration",), "a window lasts whole minutes", "such as 90m")
        if never_comes(window):
            yield BrokenRule(("rrule",), "it never comes, counted from `start`", EXAMPLE)
        elif (again := overlaps_itself(window)) is not None:
            message = f"the window begins again after {duration_text(again)}, before it is over"
            yield BrokenRule(("duration",), message, f"at most {duration_text(again)}")
        seen: set[date] = set()
        for index, day in enumerate(self.exceptions):
            if day in seen:
                yield BrokenRule(("exceptions", index), f"{IT} is in this list twice", "each once")
            seen.add(day)


class FreezeWindowDocument(Envelope):
    """Holds services by the calendar: before a holiday, over a sale, on Friday afternoons."""

    kind: Literal["FreezeWindow"]
    """What the document describes."""
    spec: FreezeWindowSpec
    """The window."""
