"""The model of a Rotation: who serves together, for which services, from when and how long."""

import re
from collections.abc import Iterator
from datetime import time, timedelta
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from bot.durations import CANONICAL_FORM
from bot.policy.documents.envelope import Envelope
from bot.policy.documents.fields import Team, TimeZone
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.planning_fields import Day, Services
from bot.policy.documents.quantities import duration_between
from bot.policy.faults import IT, InvalidValueError

_DAY = timedelta(days=1)
_CLOCKS = 'a quoted time of day from "00:00" to "23:59"'


def _whole_days(value: object) -> timedelta:
    length = duration_between(value, "1d", "26w")
    if length % _DAY:
        raise InvalidValueError(f"{IT} is not a number of whole days", "1d to 26w, such as 2w")
    return length


def _clock(value: object) -> time:
    if not isinstance(value, str) or not re.fullmatch(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise InvalidValueError(f"{IT} is not a time of day", _CLOCKS)
    return time.fromisoformat(value)


Period = Annotated[
    timedelta,
    PlainValidator(_whole_days),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{CANONICAL_FORM})$", "examples": ["2w"]}),
]
Clock = Annotated[
    time,
    PlainValidator(_clock),
    WithJsonSchema({"type": "string", "pattern": "^(?:[01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["10:00"]}),
]


class RotationSpec(Model):
    """Who serves together, for which services, from when and how long."""

    services: Services
    """Names of the services that a pair serves, one or a list, all of one Slack workspace."""
    development: Team = ()
    """From whom the developer comes: `@group`, a person's id, or a list of people; the first service's
    development team if left out."""
    reliability: Team = ()
    """From whom the SRE comes, written alike; the first service's reliability team if left out."""
    every: Period = timedelta(weeks=2)
    """How long a pair serves, in whole days: 1d to 26w."""
    starts_on: Day
    """The day on which the first period begins, in quotes, such as `"2026-11-30"`; best a working day."""
    at: Clock = Field(default=time(10), json_schema_extra={"default": "10:00"})
    """The time of day at which one pair hands over to the next, in quotes."""
    time_zone: TimeZone | None = None
    """IANA time zone of that time, such as `Europe/London`; that of the first service if left out."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that no service is named twice."""
        for index, service in enumerate(self.services):
            if service in self.services[:index]:
                yield BrokenRule(("services", index), f"{IT} is in this list twice", "each once")


class RotationDocument(Envelope):
    """Pairs a developer with an SRE for a period, in turn."""

    kind: Literal["Rotation"]
    """What the document describes."""
    spec: RotationSpec
    """The rotation."""
