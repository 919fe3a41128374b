"""JSON over HTTP for backends: one session given from outside, our own timeouts, the port's errors.

The error depends on whether something may have been written: a read without an answer raises
`BackendUnavailableError`, a write `BackendOutcomeUnknownError`. A refusal raises `VendorRefusedError`, which
the adapter translates.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import aiohttp
import structlog

from bot.bounded_body import BodyTooLargeError, parse_json, quotable, read_body
from bot.flags.backend import (
    BackendOutcomeUnknownError,
    BackendRateLimitedError,
    BackendUnavailableError,
    EnvironmentNotFoundError,
    FlagNotFoundError,
    ForbiddenError,
)
from bot.flags.flag import FlagState

log = structlog.get_logger(__name__)

_RETRY_AFTER = timedelta(seconds=10)
_LONGEST_RETRY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONCURRENT_READS = 8
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_REMAINING = ("X-Ratelimit-Global-Remaining", "X-Ratelimit-Route-Remaining")
_OF_ANOTHER_FORM = (AttributeError, LookupError, TypeError, ValueError)
_NO_REFUSALS = (
    BackendRateLimitedError,
    BackendUnavailableError,
    EnvironmentNotFoundError,
    FlagNotFoundError,
)
_Parameters = ParamSpec("_Parameters")
_Returned = TypeVar("_Returned")
_Method = Callable[_Parameters, Coroutine[Any, Any, _Returned]]


class VendorRefusedError(Exception):
    """A response of 400 or more that only the adapter can explain. `body` is JSON, or text."""

    def __init__(self, status: int, body: Any, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


@dataclass(slots=True)
class JsonApi:
    """One vendor's API. `name` is used in messages; `timeout` is for a whole call, in seconds."""

    session: aiohttp.ClientSession
    name: str
    url: str
    headers: Mapping[str, str]
    timeout: float = 10.0
    # Until when the vendor takes no more requests, from a header that says that none remain.
    _blocked_until: datetime = _LONG_AGO

    async def get(self, path: str, **params: str) -> Any:
        """Read; raises `VendorRefusedError`, or a `FlagError` that needs no explanation."""
        return await self._call("GET", path, None, params, {}, writes=False)

    async def ask(
        self, method: str, path: str, body: Any, *, headers: Mapping[str, str] | None = None, **params: str
    ) -> Any:
        """Send something that writes nothing, such as a dry run."""
        return await self._call(method, path, body, params, headers or {}, writes=False)

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        **params: str,
    ) -> Any:
        """Write; raises `BackendOutcomeUnknownError` if it is unknown whether it arrived."""
        return await self._call(method, path, body, params, headers or {}, writes=True)

    async def _call(
        self,
        method: str,
        path: str,
        body: Any,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        writes: bool,
    ) -> Any:
        blocked_for = self._blocked_until - datetime.now(UTC)
        if blocked_for > timedelta(0):
            raise BackendRateLimitedError(
                f"{self.name} takes no more requests for {_seconds(blocked_for)} s", blocked_for
            )
        # With `json=` a caller could not choose the content type.
        content_type = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self.session.request(
                method,
                f"{self.url}{path}",
                params=params,
                data=None if body is None else json.dumps(body).encode(),
                headers={**self.headers, **content_type, **headers},
                timeout=aiohttp.ClientTimeout(total=self.timeout),
                allow_redirects=False,
            ) as response:
                content = await read_body(response)
                if any(response.headers.get(name, "").strip() == "0" for name in _REMAINING):
                    self._blocked_until = datetime.now(UTC) + _retry_after(response.headers)
                return self._judge(response, content, writes=writes)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise BackendUnavailableError(f"{self.name} cannot be reached") from error
        except BodyTooLargeError as error:
            raise self._no_answer(f"answered too much: {error}", writes=writes) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._no_answer("did not answer", writes=writes) from error

    def _judge(self, response: aiohttp.ClientResponse, content: bytes, *, writes: bool) -> Any:
        body = _decoded(content)
        if response.status < 300:
            if isinstance(body, str) and body:
                raise self._no_answer("answered with something that is not JSON", writes=writes)
            return body
        message = _message(body)
        if response.status in {301, 302, 303, 307, 308}:
            raise BackendUnavailableError(f"{self.name} redirects elsewhere: check the url in the settings")
        if response.status == 401:
            raise ForbiddenError(f"{self.name} does not accept the token")
        if response.status == 429:
            after = _retry_after(response.headers)
            raise BackendRateLimitedError(
                f"{self.name} takes no more requests for {_seconds(after)} s", after
            )
        if response.status in {502, 503, 504}:
            raise self._no_answer(f"answers {response.status}", writes=writes)
        raise VendorRefusedError(response.status, body, message)

    def _no_answer(self, what: str, *, writes: bool) -> BackendUnavailableError | BackendOutcomeUnknownError:
        if writes:
            return BackendOutcomeUnknownError(f"{self.name} {what}; whether the change arrived is not known")
        return BackendUnavailableError(f"{self.name} {what}")


async def read_each(names: Sequence[str], read: Callable[[str], Awaitable[FlagState]]) -> Sequence[FlagState]:
    """Read many flags, some at a time; those that were deleted meanwhile are left out."""
    semaphore = asyncio.Semaphore(_CONCURRENT_READS)

    async def read_one(name: str) -> FlagState | None:
        async with semaphore:
            try:
                return await read(name)
            except FlagNotFoundError:
                return None

    try:
        async with asyncio.TaskGroup() as tasks:
            reading = [tasks.create_task(read_one(name)) for name in names]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [state for task in reading if (state := task.result()) is not None]


def require_name(flag: str, found: str) -> None:
    """Raise `FlagNotFoundError` where the flag that was `found` has another name than was asked for.

    Freezes, guards and approvals go by the name, and a path may name one flag in several ways.
    """
    if flag != found:
        raise FlagNotFoundError(flag, [found])


def understood(name: str) -> Callable[[_Method[_Parameters, _Returned]], _Method[_Parameters, _Returned]]:
    """Decorate a method that reads the JSON of the system `name`.

    It raises `BackendUnavailableError` where the JSON has another form than expected.
    """

    def decorate(method: _Method[_Parameters, _Returned]) -> _Method[_Parameters, _Returned]:
        @wraps(method)
        async def wrapper(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Returned:
            try:
                return await method(*args, **kwargs)
            except _OF_ANOTHER_FORM as error:
                log.warning("flag_system_not_understood", system=name, error=repr(error))
                raise BackendUnavailableError(f"{name} answered otherwise than expected") from error

        return wrapper

    return decorate


@contextmanager
def unknown_once(written: Sized) -> Iterator[None]:
    """Within, whatever is not a refusal leaves the outcome unknown once something was `written`."""
    try:
        yield
    except (*_NO_REFUSALS, *_OF_ANOTHER_FORM) as error:
        if not written:
            raise
        why = str(error) if isinstance(error, _NO_REFUSALS) else "its answer was not understood"
        raise BackendOutcomeUnknownError(f"{why}; at least a part of the change was written") from error


def outcome_of_fault(
    api: JsonApi, refused: VendorRefusedError, *, writes: bool
) -> BackendUnavailableError | BackendOutcomeUnknownError:
    """Return the port's error for a vendor's 5xx: a write that failed in the middle may have happened."""
    if writes:
        return BackendOutcomeUnknownError(
            f"{api.name} failed ({refused.status}: {refused}); whether the change arrived is not known"
        )
    return BackendUnavailableError(f"{api.name} failed ({refused.status}: {refused})")


def _seconds(pause: timedelta) -> int:
    return max(1, round(pause.total_seconds()))


def _decoded(content: bytes) -> Any:
    text = content.decode(errors="replace")
    try:
        return parse_json(text) if text.strip() else None
    except ValueError:
        return text


def _message(body: Any) -> str:
    """Return the vendor's message from an error's body."""
    if isinstance(body, Mapping):
        for name in ("message", "detail", "error"):
            if isinstance(body.get(name), str):
                return quotable(body[name])
    return "" if body is None else quotable(str(body))


def _retry_after(headers: Mapping[str, str]) -> timedelta:
    """Return how long to wait: `Retry-After` in seconds or as a date, or LaunchDarkly's reset in epoch ms."""
    now = datetime.now(UTC)
    raw = headers.get("Retry-After", "").strip()
    if _is_number(raw):
        return min(timedelta(seconds=int(raw)), _LONGEST_RETRY)
    if raw:
        try:
            return min(max(timedelta(0), parsedate_to_datetime(raw) - now), _LONGEST_RETRY)
        except (TypeError, ValueError):
            return _RETRY_AFTER
    reset = headers.get("X-Ratelimit-Reset", "").strip()
    if _is_number(reset):
        left = timedelta(milliseconds=int(reset)) - (now - _EPOCH)
        return min(max(timedelta(0), left), _LONGEST_RETRY)
    return _RETRY_AFTER


def _is_number(text: str) -> bool:
    """Return whether it is a whole number that a time can hold."""
    return text.isascii() and text.isdigit() and len(text) <= 15
