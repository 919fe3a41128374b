"""Asks GitHub's REST API, within its rate limits.

GitHubError
├── GitHubRateLimitError    it asks to wait; `after` says how long
├── GitHubRefusedError      it will not answer this: there is no such thing, or the token may not read it
└── GitHubUnavailableError  it did not answer, or not as documented; another time it may

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from bot.bounded_body import BodyTooLargeError, parse_json, quotable, read_body
from bot.clock import Clock

NO_TOKEN: Final = "GITHUB_TOKEN is not set"  # noqa: S105 - the words that tell it

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
_SECONDARY_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=2)
_RATE_LIMITED = (403, 429)
_PASSING = (401, 408, 425, 500, 502, 503, 504)


class GitHubError(Exception):
    """GitHub gave no answer that can be used. The message says why, to people."""


class GitHubRateLimitError(GitHubError):
    """No request is allowed before `after` has passed."""

    def __init__(self, after: timedelta) -> None:
        super().__init__(f"GitHub's rate limit is used up for {after.total_seconds():.0f} s")
        self.after = after


class GitHubRefusedError(GitHubError):
    """GitHub does not answer this; asking again does not help. `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GitHubUnavailableError(GitHubError):
    """GitHub cannot be reached, does not know the token, or answers what is not documented."""


@dataclass(frozen=True, slots=True)
class GitHubPage:
    """One page of an answer; `following` is the address of the next, None after the last.

    `etag` tells this state of it from others, where GitHub says so.
    """

    body: Any
    following: str | None
    etag: str | None = None


class GitHubClient:
    """A client for one address, such as `https://api.github.com` or `https://HOST/api/v3`.

    Without a token nothing is asked: the limit of those without one is soon used up. While a rate limit
    lasts nothing is asked either, as GitHub demands: it bans those who go on.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None, clock: Clock) -> None:
        self._session = session
        self._base = URL(url.rstrip("/"))
        self._token = token
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "User-Agent": "governor",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        self._clock = clock
        self._limited_until: datetime | None = None

    async def first(self, path: str, **query: str) -> GitHubPage:
        """Return the first page at an escaped path such as `repos/acme/checkout/deployments`."""
        address = URL(f"{self._base}/{path.lstrip('/')}", encoded=True).update_query(query)
        return await self._get(address)

    async def changed(self, path: str, etag: str | None) -> GitHubPage | None:
        """Return what is at an escaped path, or None if it is as it was when GitHub gave that `etag`.

        What has not changed does not count against the rate limit.
        """
        return await self._ask(URL(f"{self._base}/{path.lstrip('/')}", encoded=True), etag)

    async def following(self, address: str) -> GitHubPage:
        """Return the page at an address that an earlier page named; the token goes to no other server."""
        url = URL(address)
        if url.origin() != self._base.origin():
            raise GitHubUnavailableError(f"GitHub's next page is at another server, {url.host}")
        return await self._get(url)

    async def _get(self, url: URL) -> GitHubPage:
        page = await self._ask(url, None)
        if page is None:
            raise GitHubUnavailableError("GitHub answered 304 to what it was not asked")
        return page

    async def _ask(self, url: URL, etag: str | None) -> GitHubPage | None:
        if self._token is None:
            raise GitHubRefusedError(401, NO_TOKEN)
        now = self._clock.now()
        if self._limited_until is not None and now < self._limited_until:
            raise GitHubRateLimitError(self._limited_until - now)
        sent = self._headers | ({"If-None-Match": etag} if etag is not None else {})
        try:
            async with self._session.get(
                url, headers=sent, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                status, headers = response.status, response.headers
                raw = await read_body(response)
                links = response.links
        except (aiohttp.ClientError, TimeoutError, OSError, BodyTooLargeError) as failure:
            cause = str(failure) or type(failure).__name__
            raise GitHubUnavailableError(f"GitHub could not be asked: {quotable(cause)}") from failure
        self._check_limits(status, headers)
        if status == 304:
            return None
        try:
            body = parse_json(raw)
        except ValueError as failure:
            raise GitHubUnavailableError(f"GitHub answered {status} without JSON") from failure
        if status != 200:
            error = _refusal(status, body)
            if isinstance(error, GitHubRateLimitError):
                self._limited_until = self._clock.now() + error.after
            raise error
        following = links["next"].get("url") if "next" in links else None
        return GitHubPage(body, None if following is None else str(following), headers.get("ETag"))

    def _check_limits(self, status: int, headers: CIMultiDictProxy[str]) -> None:
        """Remember how long to wait if a limit is reached; raise if this very request was refused for it."""
        after = _wait(status, headers, self._clock.now())
        if after is None:
            return
        after = min(max(after, timedelta(seconds=1)), _LONGEST_WAIT)
        self._limited_until = self._clock.now() + after
        if status in _RATE_LIMITED:
            raise GitHubRateLimitError(after)


def _wait(status: int, headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long to wait before the next request; None if it may be sent at once."""
    with suppress(ValueError, OverflowError):
        if status in _RATE_LIMITED and "Retry-After" in headers:
            return timedelta(seconds=float(headers["Retry-After"]))
    if headers.get("X-RateLimit-Remaining") == "0":
        with suppress(KeyError, ValueError, OverflowError, OSError):
            # Both times are GitHub's own: whether our clock is right makes no difference.
            reset = datetime.fromtimestamp(int(headers["X-RateLimit-Reset"]), UTC)
            return reset - _date(headers, now)
    # A secondary limit may come without any header.
    return _SECONDARY_WAIT if status == 429 else None


def _date(headers: Mapping[str, str], now: datetime) -> datetime:
    with suppress(KeyError, ValueError):
        at = parsedate_to_datetime(headers["Date"])
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return now


def _refusal(status: int, body: Any) -> GitHubError:
    said = body.get("message") if isinstance(body, dict) else None
    words = f": {quotable(said)}" if isinstance(said, str) else ""
    if isinstance(said, str) and "rate limit" in said.casefold() and status in _RATE_LIMITED:
        return GitHubRateLimitError(_SECONDARY_WAIT)
    if status in _PASSING:
        return GitHubUnavailableError(f"GitHub answered {status}{words}")
    return GitHubRefusedError(status, f"GitHub answered {status}{words}")
