"""The model of `webhooks`: where signed events go, and which."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from bot.catalog.webhooks import ANY, EVENT_TYPES
from bot.policy.documents.envelope import LabelName, LabelValue
from bot.policy.documents.model import Model
from bot.policy.documents.planning_fields import Services
from bot.policy.faults import IT, InvalidValueError, did_you_mean

PREFIX = "whsec_"
LONGEST_NAME = 40
_KEY_BYTES = range(24, 65)
_GROUPS = tuple(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in EVENT_TYPES))
_SECRET_FORM = f"{PREFIX} and 24 to 64 random bytes in base64, such as of `openssl rand -base64 32`"


def _secret(text: str) -> str:
    for each in text.split(","):
        encoded = each.strip().removeprefix(PREFIX)
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidValueError("this is not a webhook's secret", _SECRET_FORM) from None
        if not each.strip().startswith(PREFIX) or len(key) not in _KEY_BYTES:
            raise InvalidValueError("this is not a webhook's secret", _SECRET_FORM)
    return text


def _address(text: str) -> str:
    allowed = "http:// or https:// and a host, such as https://events.example.com/governor"
    try:
        url = urlsplit(text)
        is_valid_port = url.port is None or url.port > 0
    except ValueError:
        raise InvalidValueError("this is not a URL", allowed) from None
    if url.scheme not in {"http", "https"} or not url.hostname or not is_valid_port:
        raise InvalidValueError("this is not an HTTP URL", allowed)
    if re.search(r"\s", text) or url.fragment or url.username is not None:
        raise InvalidValueError("this is not a webhook's address", f"{allowed}, without blanks or a user")
    return text


def _event(text: str) -> str:
    if text != ANY and text not in EVENT_TYPES and text not in _GROUPS:
        known = (*EVENT_TYPES, *_GROUPS)
        raise InvalidValueError(
            f"there is no event {IT}{did_you_mean(text, known)}", "*, hold.*, hold.placed"
        )
    return text


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


_EVENT_SCHEMA = {"type": "string", "examples": ["hold.*", "service.frozen"]}
WebhookAddress = Annotated[
    str,
    AfterValidator(_address),
    WithJsonSchema({"type": "string", "examples": ["https://events.example.com/governor"]}),
]
WebhookSecret = Annotated[
    str,
    AfterValidator(_secret),
    WithJsonSchema({"type": "string", "examples": ["${GOVERNOR_WEBHOOK_SECRET}"]}),
]
EventNames = Annotated[
    tuple[Annotated[str, AfterValidator(_event)], ...],
    BeforeValidator(_one_or_more),
    Field(min_length=1),
    WithJsonSchema({"anyOf": [_EVENT_SCHEMA, {"type": "array", "items": _EVENT_SCHEMA, "minItems": 1}]}),
]


class WebhookSpec(Model):
    """Where events go, signed as Standard Webhooks says. Without `services` and `labels`: those of all."""

    url: WebhookAddress = Field(repr=False)
    """Where each event is posted, `http://` or `https://`; redirects are not followed."""
    secret: WebhookSecret = Field(repr=False)
    """Signs the events: `whsec_…`, best `${NAME}` from the environment; several, separated by commas, while
    you change it."""
    events: EventNames
    """Types of events, one or a list: `hold.placed`, `hold.*`, or `*` for all."""
    services: Services | None = None
    """Only events about these services, one or a list."""
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict)
    """Only events about services that have all these labels; with `services`, those too."""


def secrets_in(text: str) -> tuple[str, ...]:
    """Return the secrets of a value that may hold several, separated by commas."""
    return tuple(each.strip() for each in text.split(","))


def too_long(names: Mapping[str, WebhookSpec]) -> list[str]:
    """Return the names of endpoints that are too long for the records."""
    return [name for name in names if len(name) > LONGEST_NAME]
