"""The model of `digest`: when a channel hears of its services regularly."""

from collections.abc import Iterator
from datetime import time

from pydantic import Field

from bot.policy.documents.fields import Switch
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.notify import DAYS, Day, TimeOfDay

_WORKING_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri")


class WeeklyDigestSpec(Model):
    """The digest of a week."""

    enabled: Switch = True
    """`false` switches it off."""
    day: Day = "mon"
    """The day on which it comes, `mon` to `sun`."""
    at: TimeOfDay = Field(default=time(9), json_schema_extra={"default": "09:00"})
    """When, by the clock of `timeZone`, in quotes."""


class StandUpSpec(Model):
    """The line for the daily stand-up."""

    enabled: Switch = True
    """`false` switches it off."""
    at: TimeOfDay = Field(default=time(9), json_schema_extra={"default": "09:00"})
    """When, by the clock of `timeZone`, in quotes."""
    days: tuple[Day, ...] = _WORKING_DAYS
    """The days on which it comes, `mon` to `sun`."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is a day."""
        if not self.days:
            yield BrokenRule(("days",), "there is no day", ", ".join(DAYS))


class DigestSpec(Model):
    """What a channel hears of its services regularly; services that share a channel share its digests."""

    weekly: WeeklyDigestSpec | None = None
    """The digest of the week: on Mondays at 09:00 unless it is moved or switched off."""
    stand_up: StandUpSpec | None = None
    """A line each working day, for the stand-up; none if left out."""
