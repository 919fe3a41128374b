"""Fields of documents that plan something for services in a time: which services, from which day."""

import re
from datetime import date
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from bot.policy.documents.fields import SLUG, Slug
from bot.policy.faults import IT, InvalidValueError

_DATES = 'a quoted date such as "2026-11-30"'


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


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


_ONE = {"type": "string", "pattern": f"^(?:{SLUG})$"}
Services = Annotated[
    tuple[Slug, ...],
    BeforeValidator(_one_or_more),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]}),
]
Day = Annotated[
    date,
    PlainValidator(_date),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-30"]}),
]
