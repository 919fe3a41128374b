"""Sends requests to the systems that wake people, and says of a failure whether to try again.

PagingError    the vendor did not take it; `retryable` if it may later, `after` if it says when
"""

import json
from datetime import timedelta

import aiohttp

from bot.bounded_body import BodyTooLargeError, quotable, read_body
from bot.catalog.paging import VENDOR_NAMES, PagingDestination
from bot.teams.paging.vendors import VendorRequest

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_MOST_BYTES = 64 * 1024
_LONGEST_WAIT = timedelta(minutes=5)
_LATER = frozenset({408, 425, 429})


class PagingError(Exception):
    """A vendor did not take what it was told; the text is fit for people and has no secret."""

    def __init__(self, text: str, *, retryable: bool, after: timedelta | None = None) -> None:
        super().__init__(text)
        self.retryable = retryable
        self.after = after


class PagingClient:
    """Sends requests through one session, each within ten seconds."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, destination: PagingDestination, request: VendorRequest) -> None:
        """Send a request; raises `PagingError`. It may have arrived all the same."""
        await self._call("POST", destination, request)

    async def get(self, destination: PagingDestination, request: VendorRequest) -> None:
        """Ask for something that changes nothing; raises `PagingError`."""
        await self._call("GET", destination, request)

    async def _call(self, method: str, destination: PagingDestination, request: VendorRequest) -> None:
        name = VENDOR_NAMES[destination.vendor]
        headers = {"Content-Type": "application/json", **request.headers}
        if destination.basic_auth is not None:
            headers["Authorization"] = aiohttp.encode_basic_auth(*destination.basic_auth)
        try:
            async with self._session.request(
                method,
                request.url,
                data=None if request.body is None else json.dumps(request.body).encode(),
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as response:
                text = (await read_body(response, _MOST_BYTES)).decode(errors="replace")
                if response.status >= 300:
                    raise _error(name, response, text)
        except (aiohttp.ClientError, BodyTooLargeError, TimeoutError, OSError) as error:
            raise PagingError(f"{name} does not answer ({type(error).__name__})", retryable=True) from error


def _error(name: str, response: aiohttp.ClientResponse, text: str) -> PagingError:
    is_later = response.status in _LATER or response.status >= 500
    said = f": {quotable(text)}" if text.strip() else ""
    return PagingError(
        f"{name} answers {response.status}{said}",
        retryable=is_later,
        after=_retry_after(response) if is_later else None,
    )


def _retry_after(response: aiohttp.ClientResponse) -> timedelta | None:
    text = response.headers.get("Retry-After", "").strip()
    if not (text.isascii() and text.isdigit()):
        return None
    return min(timedelta(seconds=int(text[:6])), _LONGEST_WAIT)
