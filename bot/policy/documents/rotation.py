"""The model of a Rotation: who serves together, for which services, from when and how long."""

import re
from collections.abc import Iterator
from datetime import date, time, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from bot.durations import CANONICAL_FORM
from bot.policy.documents.envelope import Envelope
from bot.policy.documents.fields import SLUG, Slug, Team, TimeZone
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.quantities import duration_between
from bot.policy.faults import IT, InvalidValueError

_DAY = timedelta(days=1)
_DATES = 'a quoted date such as "2026-11-30"'
_CLOCKS = 'a quoted time of day from "00:00" to "23:59"'


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _whole_days(value: object) -> timedelta:
    length = duration_between(value, "1d", "26w")
    if length % _DAY:
        raise InvalidValueError(f"{IT} is not a number of whole days", "1d to 26w, such as 2w")
    return length


def _date(value: object) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise InvalidValueError(f"{IT} is not a date", _DATES)
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise InvalidValueError(f"there is no such day as {IT}", _DATES) from None
    if not date(2000, 1, 1) <= day < date(2200, 1, 1):
        raise InvalidValueError(f"{IT} is out of range", "a date from 2000 to 2199")
    return day


def _clock(value: object) -> time:
    if not isinstance(value, str) or not re.fullmatch(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise InvalidValueError(f"{IT} is not a time of day", _CLOCKS)
    return time.fromisoformat(value)


_ONE = {"type": "string", "pattern": f"^(?:{SLUG})$"}
Services = Annotated[
    tuple[Slug, ...],
    BeforeValidator(_one_or_more),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]}),
]
Period = Annotated[
    timedelta,
    PlainValidator(_whole_days),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{CANONICAL_FORM})$", "examples": ["2w"]}),
]
Day = Annotated[
    date,
    PlainValidator(_date),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-30"]}),
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
