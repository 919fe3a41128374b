"""A source's HTTP API: a request returns its answer or raises a `SourceError` that says why.

A server that asks for a pause gets it: until then nothing is sent, and every request fails at once.
"""

import asyncio
import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from yarl import URL

from bot.bounded_body import BodyTooLargeError, parse_json, quotable, read_body
from bot.budgets.source import (
    AnswerTooLargeError,
    InvalidAnswerError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)

_MOST_CONCURRENT = 4
"""How many of our requests one server has to answer at a time."""
_TRANSIENT = frozenset({408, 425, 500, 502, 503, 504})
_LONGEST_PAUSE_S = 3600.0
_USUAL_PAUSE_S = 60.0
_EARLIEST_TIME_S = 1_000_000_000
"""What a header says above this is a time and not a number of seconds to wait."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A response: its status, what of its headers says how long to wait, and its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def authorization(bearer_token: str | None, basic_auth: tuple[str, str] | None) -> Mapping[str, str]:
    """Return the header that logs in; none without credentials."""
    if bearer_token is not None:
        return {"Authorization": f"Bearer {bearer_token}"}
    if basic_auth is not None:
        return {"Authorization": f"Basic {base64.b64encode(':'.join(basic_auth).encode()).decode()}"}
    return {}


def error_text(body: bytes) -> str:
    """Return what a body says of an error: the usual keys of a JSON object, else the text itself."""
    try:
        answer = parse_json(body)
    except ValueError:
        return quotable(body.decode(errors="replace"))
    if isinstance(answer, dict):
        for key in ("error", "errors", "message", "Message", "detail", "title"):
            found = answer.get(key)
            if isinstance(found, dict):
                found = found.get("message")
            if isinstance(found, list):
                found = "; ".join(map(str, found))
            if isinstance(found, str) and found:
                return quotable(found)
    return quotable(body.decode(errors="replace"))


class HttpApi:
    """The API of one server. `headers` go with every request, none of which takes longer than `timeout`.

    `pause_headers` are those that say how many seconds to wait after too many requests, the first that is
    there counts.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        headers: Mapping[str, str],
        timeout: timedelta,
        pause_headers: Sequence[str] = ("Retry-After",),
        refusal: Callable[[HttpAnswer], SourceError | None] = lambda _: None,
    ) -> None:
        self._url = url.rstrip("/")
        self._session = session
        self._headers = headers
        self._timeout_s = timeout.total_seconds()
        self._pause_headers = pause_headers
        self._refusal = refusal
        self._slots = asyncio.Semaphore(_MOST_CONCURRENT)
        self._paused_until_s = 0.0

    async def json(self, method: str, path: str, **options: Any) -> Any:
        """Return the JSON that a request is answered with; raises `SourceError`."""
        answer = await self.send(method, path, **options)
        try:
            return parse_json(answer.body)
        except ValueError as error:
            raise InvalidAnswerError(f"{self._url} does not answer JSON") from error

    async def send(self, method: str, path: str, **options: Any) -> HttpAnswer:
        """Return the answer to a request if it is a success; raises `SourceError`."""
        try:
            async with self._slots:
                self._check_pause()
                answer = await self._request(method, path, options)
        except TimeoutError as error:
            message = f"{self._url} did not answer within {self._timeout_s:g} s"
            raise SourceUnavailableError(message) from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise SourceRefusedError(
                f"`{self._url}` is not an address: write one such as https://metrics.example.com"
            ) from error
        except BodyTooLargeError as error:
            raise AnswerTooLargeError(str(error)) from error
        except aiohttp.ClientError as error:
            raise SourceUnavailableError(f"{self._url} cannot be reached: {quotable(str(error))}") from error
        if not 200 <= answer.status < 300:
            raise self._refusal(answer) or self._error(answer)
        return answer

    async def _request(self, method: str, path: str, options: Mapping[str, Any]) -> HttpAnswer:
        own = options.get("headers", {})
        async with self._session.request(
            method,
            URL(f"{self._url}{path}"),
            **{**options, "headers": {**self._headers, **own}},
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            allow_redirects=False,
        ) as response:
            return HttpAnswer(response.status, response.headers, await read_body(response))

    def _error(self, answer: HttpAnswer) -> SourceError:
        said = error_text(answer.body)
        reason = f": {said}" if said else ""
        if answer.status == 429:
            return self.pause(answer, reason)
        if answer.status in _TRANSIENT or answer.status >= 500:
            return SourceUnavailableError(f"{self._url} answered {answer.status}{reason}")
        if answer.status in (401, 403):
            return SourceRefusedError(f"{self._url} refuses the credentials ({answer.status}){reason}")
        if 300 <= answer.status < 400:
            # Another server must not get the credentials.
            target = quotable(answer.headers.get("Location", ""))
            return SourceRefusedError(f"{self._url} redirects to {target}, which is not followed")
        return SourceRefusedError(f"{self._url} answered {answer.status}{reason}")

    def pause(self, answer: HttpAnswer, reason: str = "") -> SourceUnavailableError:
        """Send nothing for as long as an answer says, a minute if it does not; return the error."""
        found = (answer.headers.get(name) for name in self._pause_headers)
        wait_s = next((_seconds(text) for text in found if text is not None), None)
        wait_s = min(_LONGEST_PAUSE_S, _USUAL_PAUSE_S if wait_s is None else wait_s)
        self._paused_until_s = max(self._paused_until_s, time.monotonic() + wait_s)
        return SourceUnavailableError(f"{self._url} takes no more requests for {wait_s:.0f} s{reason}")

    def _check_pause(self) -> None:
        left_s = self._paused_until_s - time.monotonic()
        if left_s > 0:
            raise SourceUnavailableError(f"{self._url} takes no more requests for {left_s:.0f} s")


def _seconds(text: str) -> float | None:
    """Return how many seconds a header says: a number of them, a time in seconds, or an HTTP date."""
    now_s = datetime.now(UTC).timestamp()
    try:
        number = float(text)
    except ValueError:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        return max(0.0, until.replace(tzinfo=until.tzinfo or UTC).timestamp() - now_s)
    if not 0 <= number < float("inf"):
        return None
    return max(0.0, number - now_s) if number > _EARLIEST_TIME_S else number
