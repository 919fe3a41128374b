"""Reading requests: JSON bodies of bounded size, validated by models; times in bodies and queries."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, TypeVar

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ValidationError

from bot.http.problems import ProblemError
from bot.http.server.encodings import unpacked

MOST_BYTES = 4 * 1024 * 1024
MOST_UNSIGNED_BYTES = 1024 * 1024
"""The limit where a body is read before it is known who sent it."""

FLAG_SCHEMA = {"type": "string", "enum": ["0", "1"]}
"""The schema of a query's flag; `true`, `yes`, `false` and `no` are taken too."""

_TRUE = frozenset({"1", "true", "yes"})
_FALSE = frozenset({"0", "false", "no", ""})

Body = TypeVar("Body", bound=BaseModel)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _in_utc(at: datetime) -> datetime:
    # Outside these years, adding a day to a time may overflow.
    if not 1970 <= at.year < 9999:
        raise ValueError("must lie between the years 1970 and 9998")
    return at.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time with an offset, converted to UTC."""


def _text_only(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError("must be an RFC 3339 time with an offset, such as 2026-11-23T09:00:00Z")
    return value


TextInstant = Annotated[Instant, BeforeValidator(_text_only)]
"""An instant written as text: a number could mean seconds or milliseconds."""


async def read_json(request: web.Request) -> Any:
    """Return the body. Raises `ProblemError`: 400 if it is not JSON, 413 if it is too large, 415."""
    body = await read_bytes(request)
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "the body is not JSON") from error


def read_body(model: type[Body], raw: Any) -> Body:
    """Return the body as an instance of the model. Raises `ProblemError` 422 that names each fault."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        faults = [
            {"field": ".".join(map(str, detail["loc"])), "message": detail["msg"]}
            for detail in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ProblemError(422, f"{count}; nothing was changed", errors=faults) from error


def read_since(request: web.Request) -> datetime | None:
    """Return the query's `since` in UTC, None if it is left out. Raises `ProblemError` 400."""
    return read_instant(request, "since")


def read_instant(request: web.Request, name: str) -> datetime | None:
    """Return a time of the query in UTC, None if it is left out. Raises `ProblemError` 400."""
    raw = request.query.get(name, "").strip()
    if not raw:
        return None
    try:
        # An unescaped plus sign arrives as a space.
        at = datetime.fromisoformat(raw.replace(" ", "+") if "T" in raw else raw)
        return _in_utc(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise ProblemError(400, f"`{name}` is an RFC 3339 time, such as 2026-11-23T09:00:00Z") from error


def read_flag(request: web.Request, name: str) -> bool:
    """Return whether the query sets a flag, false if it is left out. Raises `ProblemError` 400."""
    value = request.query.get(name, "").strip().casefold()
    if value not in _TRUE | _FALSE:
        raise ProblemError(400, f"`{name}` is 1 or 0")
    return value in _TRUE


async def read_bytes(request: web.Request) -> bytes:
    """Return the body, unpacked; aiohttp caches it. Raises `ProblemError`: 413 if too large, 400, 415."""
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise ProblemError(413, f"the body may have at most {request.client_max_size} bytes") from error
    return unpacked(request, body)
