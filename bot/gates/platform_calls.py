"""Calls of the platforms that answer with HTTP statuses alike, and what each status means for a wait."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import aiohttp

from bot.bounded_body import BodyTooLargeError, parse_json, quotable, read_body
from bot.gates.waits.answerer import (
    PlatformGoneError,
    PlatformLimitError,
    PlatformRefusedError,
    PlatformUnsureError,
)

_TIMEOUT: Final = aiohttp.ClientTimeout(total=20)
_MOST_BYTES: Final = 4 * 1024 * 1024
_LONGEST_WAIT_S: Final = 3_600
_USUAL_WAIT_S: Final = 60


async def call(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    json: Any = None,
) -> tuple[Any, Mapping[str, str]]:
    """Return the JSON of the answer (None for an empty one) and its headers; raises a `WaitError`.

    No redirect is followed: a token never goes to another host.
    """
    try:
        async with session.request(
            method, url, headers=dict(headers), json=json, timeout=_TIMEOUT, allow_redirects=False
        ) as response:
            body = await read_body(response, _MOST_BYTES)
            status, answered = response.status, response.headers.copy()
    except (aiohttp.ClientError, BodyTooLargeError, TimeoutError, OSError) as error:
        raise PlatformUnsureError(f"no answer ({type(error).__name__})") from error
    if status == 429:
        raise PlatformLimitError(_retry_after(answered.get("Retry-After", "")))
    if status >= 300:
        _refuse(status, quotable(body.decode(errors="replace")))
    try:
        return (parse_json(body) if body.strip() else None), answered
    except ValueError as error:
        raise PlatformUnsureError("the answer is not JSON") from error


def _refuse(status: int, said: str) -> None:
    text = f"it answers {status}: {said}" if said else f"it answers {status}"
    if status in {404, 410}:
        raise PlatformGoneError(text)
    if status >= 500 or status in {408, 425}:
        raise PlatformUnsureError(text)
    raise PlatformRefusedError(text)


def _retry_after(text: str) -> timedelta:
    text = text.strip()
    seconds = int(text[:9]) if text.isascii() and text.isdigit() else _USUAL_WAIT_S
    return timedelta(seconds=min(max(1, seconds), _LONGEST_WAIT_S))
