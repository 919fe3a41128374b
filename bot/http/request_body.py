"""Reading requests: bodies as JSON in UTF-8, of bounded size, without numbers that are none; times."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime

from bot.http.problems import ProblemError

MOST_BYTES = 4 * 1024 * 1024


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _in_utc(at: datetime) -> datetime:
    # Beyond these years the days around a time may not exist.
    if not 1970 <= at.year < 9999:
        raise ValueError("must lie between the years 1970 and 9998")
    return at.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time with an offset, read into UTC."""


async def read_json(request: web.Request) -> Any:
    """Read the body; raises `ProblemError` 400 where it is not JSON, 413 where it is too large."""
    body = await read_bytes(request)
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "the body is not JSON") from error


def read_since(request: web.Request) -> datetime | None:
    """Return the query's `since`, None where it is left out. Raises `ProblemError` 400."""
    raw = request.query.get("since", "").strip()
    if not raw:
        return None
    try:
        # A plus sign that was not escaped arrives as a space.
        since = datetime.fromisoformat(raw.replace(" ", "+") if "T" in raw else raw)
        return since.astimezone(UTC) if since.tzinfo else since.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ProblemError(400, "`since` is an RFC 3339 time, such as 2026-11-23T09:00:00Z") from error


async def read_bytes(request: web.Request) -> bytes:
    """Read the body as it came; raises `ProblemError` 413 where it is too large. Reading again is free."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise ProblemError(413, f"the body may have at most {MOST_BYTES} bytes") from error
