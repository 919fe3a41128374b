"""The model of `notify`: who is mentioned when something happens, and when nobody is."""

import re
from collections.abc import Iterator
from datetime import time
from functools import partial
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from bot.catalog.notify import APPROVERS, DEVELOPMENT, NOBODY, RELIABILITY, TEAMS
from bot.policy.documents.fields import GROUP, PERSON, TimeZone
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.faults import IT, InvalidValueError, did_you_mean

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[str, ...] = get_args(Day)
_WORDS = (TEAMS, DEVELOPMENT, RELIABILITY, NOBODY)
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str | dict) else value


def _recipient(text: str, words: tuple[str, ...]) -> str:
    if text not in words and not re.fullmatch(f"{GROUP}|{PERSON}", text):
        allowed = f"{', '.join(words)}, a user group such as @sre, or a person's id such as U012AB3CD"
        raise InvalidValueError(f"{IT} is nobody who can be mentioned{did_you_mean(text, words)}", allowed)
    return text


def _nobody(recipients: tuple[str, ...]) -> tuple[str, ...]:
    if NOBODY not in recipients:
        return recipients
    if len(recipients) > 1:
        raise InvalidValueError("`nobody` stands beside others", "`nobody` alone, or whom to mention")
    return ()


def _schema(words: tuple[str, ...]) -> dict[str, object]:
    one = {"type": "string", "pattern": rf"^(?:{'|'.join(words)}|{GROUP}|{PERSON}|.*[$%]\{{.+)$"}
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _time_of_day(value: object) -> time:
    if not isinstance(value, str) or not re.fullmatch(_CLOCK, value):
        raise InvalidValueError(f"{IT} is not a time of the day", 'hours and minutes in quotes, "22:00"')
    return time.fromisoformat(value)


Recipients = Annotated[
    tuple[Annotated[str, AfterValidator(partial(_recipient, words=_WORDS))], ...],
    BeforeValidator(_one_or_many),
    AfterValidator(_nobody),
    WithJsonSchema(_schema(_WORDS)),
]
_APPROVAL_WORDS = (APPROVERS, *_WORDS)
Approvers = Annotated[
    tuple[Annotated[str, AfterValidator(partial(_recipient, words=_APPROVAL_WORDS))], ...],
    BeforeValidator(_one_or_many),
    AfterValidator(_nobody),
    WithJsonSchema(_schema(_APPROVAL_WORDS)),
]
TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{_CLOCK}|.*[$%]\\{{.+)$", "examples": ["22:00"]}),
]


class QuietHoursSpec(Model):
    """Hours in which nobody is mentioned, but for a `page` alert."""

    from_: TimeOfDay = Field(alias="from")
    """When they begin, `"22:00"`."""
    to: TimeOfDay
    """When they end, `"07:00"`; on the next day where it is not later than `from`."""
    days: tuple[Day, ...] = DAYS  # type: ignore[assignment]
    """The days on which they begin, `mon` to `sun`; every day if left out."""
    time_zone: TimeZone | None = None
    """IANA time zone of the times; that of the service if left out."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is a day."""
        if not self.days:
            yield BrokenRule(("days",), "there is no day", ", ".join(DAYS))


class NotifySpec(Model):
    """Who is mentioned in a service's channel: `teams`, `development`, `reliability`, groups or people."""

    page: Recipients | None = None
    """Burn alerts of severity `page`; `teams` if left out."""
    freeze: Recipients | None = None
    """A freeze: by the budget, or a person's where there was none; `teams` if left out."""
    open: Recipients | None = None
    """The service may ship again; `nobody` if left out."""
    warning: Recipients | None = None
    """The budget fell to a level of `warnAt`; `nobody` if left out."""
    ticket: Recipients | None = None
    """Burn alerts of severity `ticket`; `nobody` if left out."""
    approval: Approvers | None = None
    """A change of a flag, an exemption or an adjustment that waits for a second person; `approvers`, who
    are those that may approve it, if left out."""
    quiet_hours: Annotated[tuple[QuietHoursSpec, ...], BeforeValidator(_one_or_many)] | None = None
    """Hours in which messages mention nobody, but for `page` alerts; one or a list. None if left out."""
