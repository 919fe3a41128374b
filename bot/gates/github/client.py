"""Asks GitHub's REST API as an App: signs in, narrows its tokens, and says what a failure means.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

import aiohttp
from gidgethub import HTTPException, RateLimitExceeded, sansio

from bot.bounded_body import BodyTooLargeError, quotable, read_body
from bot.clock import Clock
from bot.gates.waits.answerer import (
    PlatformGoneError,
    PlatformLimitError,
    PlatformRefusedError,
    PlatformUnsureError,
)

_TIMEOUT: Final = aiohttp.ClientTimeout(total=20, sock_connect=5)
_RENEW_BEFORE: Final = timedelta(minutes=5)
_LONGEST_WAIT: Final = timedelta(hours=2)
_SECONDARY_WAIT: Final = timedelta(minutes=1)
_AGENT: Final = "governor"
_VERSION: Final = "2022-11-28"
_MOST_ANSWER: Final = 4 * 1024 * 1024
_PERMISSION: Final = "permissions requested are not granted"


class Purpose(Enum):
    """What a token is for: it has these permissions and no others."""

    DEPLOYMENTS = (("actions", "read"), ("deployments", "write"))
    CHECKS = (("checks", "write"),)
    MERGE_GROUPS = (("contents", "read"), ("pull_requests", "read"))
    TEAMS = (("members", "read"), ("pull_requests", "read"))
    SETTINGS = (("actions", "read"), ("metadata", "read"))


@dataclass(frozen=True, slots=True)
class RepositoryAccess:
    """A repository that an installation of the App may use, by its ids and its name `owner/name`."""

    installation: int
    id: int
    full_name: str


@dataclass(frozen=True, slots=True)
class _InstallationToken:
    text: str
    expires_at: datetime


class GitHubApp:
    """The App at one address, such as `https://api.github.com` or `https://HOST/api/v3`.

    Every call raises `PlatformLimitError`, `PlatformGoneError` for 404 and 410, `PlatformRefusedError` for
    what GitHub does not take, and `PlatformUnsureError` where it gave no answer that can be read.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, app_id: str, private_key: str, clock: Clock
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._app_id = app_id
        self._private_key = private_key
        self._clock = clock
        self._tokens: dict[tuple[int, int | str, Purpose], _InstallationToken] = {}

    async def call(
        self,
        access: RepositoryAccess,
        purpose: Purpose,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return what GitHub answers; `path` is relative to the repository, or begins with `/`."""
        address = path if path.startswith("/") else f"/repos/{access.full_name}/{path}"
        key = (access.installation, access.id or access.full_name, purpose)
        for is_last in (False, True):
            headers = {"authorization": f"token {await self._token(access, purpose)}"}
            try:
                answer, _ = await self._send(method, address, headers, body)
            except _UnauthorizedError as error:
                # The token was taken back before its time.
                self._tokens.pop(key, None)
                if is_last:
                    raise PlatformRefusedError(str(error)) from error
            else:
                return answer
        raise AssertionError

    async def call_as_app(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return what GitHub answers to the App itself."""
        answer, _ = await self._ask_as_app(method, path, body)
        return answer

    async def page_as_app(self, path: str) -> tuple[Any, str | None]:
        """Return a page of a list of the App itself, and the path of the next one; None after the last."""
        answer, following = await self._ask_as_app("GET", path)
        is_here = following is not None and following.startswith(f"{self._url}/")
        return answer, following.removeprefix(self._url) if following and is_here else None

    async def _ask_as_app(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[Any, str | None]:
        # Loaded where an App is set up: with the cryptography behind it, it takes as much memory as pydantic.
        import jwt  # noqa: PLC0415
        from gidgethub import apps  # noqa: PLC0415

        try:
            token = apps.get_jwt(app_id=self._app_id, private_key=self._private_key, expiration=9 * 60)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise PlatformRefusedError("GITHUB_APP_PRIVATE_KEY is not a private key") from error
        try:
            return await self._send(method, path, {"authorization": f"Bearer {token}"}, body)
        except _UnauthorizedError as error:
            raise PlatformRefusedError(f"{error}: see GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY") from error

    async def find_access(self, full_name: str) -> RepositoryAccess:
        """Return how the App may use a repository; raises `PlatformGoneError` where it is not installed."""
        installation = await self.call_as_app("GET", f"/repos/{full_name}/installation")
        try:
            number = int(installation["id"])
        except (KeyError, TypeError, ValueError) as error:
            raise PlatformUnsureError("GitHub answered without an installation") from error
        return RepositoryAccess(number, 0, full_name)

    async def _token(self, access: RepositoryAccess, purpose: Purpose) -> str:
        key = (access.installation, access.id or access.full_name, purpose)
        now = self._clock.now()
        kept = self._tokens.get(key)
        if kept is not None and now < kept.expires_at - _RENEW_BEFORE:
            return kept.text
        which = (
            {"repository_ids": [access.id]}
            if access.id
            else {"repositories": [access.full_name.partition("/")[2]]}
        )
        body = which | {"permissions": dict(purpose.value)}
        answer = await self.call_as_app(
            "POST", f"/app/installations/{access.installation}/access_tokens", body
        )
        try:
            expires_at = datetime.fromisoformat(answer["expires_at"])
            token = _InstallationToken(
                str(answer["token"]), expires_at if expires_at.tzinfo else expires_at.replace(tzinfo=UTC)
            )
        except (KeyError, TypeError, ValueError) as error:
            raise PlatformUnsureError("GitHub answered without a token") from error
        self._tokens[key] = token
        return token.text

    async def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> tuple[Any, str | None]:
        """Return what GitHub answers, and the address of the next page."""
        sent = sansio.create_headers(_AGENT) | {"x-github-api-version": _VERSION} | dict(headers)
        try:
            async with self._session.request(
                method, f"{self._url}{path}", headers=sent, json=body, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                status, received = response.status, {k.lower(): v for k, v in response.headers.items()}
                raw = await read_body(response, _MOST_ANSWER)
        except (aiohttp.ClientError, TimeoutError, OSError, BodyTooLargeError) as failure:
            cause = str(failure) or type(failure).__name__
            raise PlatformUnsureError(f"GitHub could not be asked: {quotable(cause)}") from failure
        return _read(status, received, raw, self._clock.now())


class _UnauthorizedError(Exception):
    """GitHub does not know the token."""


def _read(status: int, headers: Mapping[str, str], raw: bytes, now: datetime) -> tuple[Any, str | None]:
    """Return what an answer says, and the address of the next page; raises what `GitHubApp` raises."""
    try:
        data, _, following = sansio.decipher_response(status, headers, raw)
    except RateLimitExceeded as failure:
        raise PlatformLimitError(_bounded(_wait(headers, now))) from failure
    except HTTPException as failure:
        raise _failure(status, headers, str(failure), now) from failure
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as failure:
        # Nonsense instead of JSON: whoever answered was perhaps a proxy.
        raise PlatformUnsureError(f"GitHub answered {status} with what cannot be read") from failure
    if status != 204 and not isinstance(data, dict | list):
        # A page of a proxy says nothing of what GitHub did.
        raise PlatformUnsureError(f"GitHub answered {status} without JSON")
    return data, following


def _failure(status: int, headers: Mapping[str, str], said: str, now: datetime) -> Exception:
    message = f"GitHub answered {status}: {quotable(said)}"
    is_limit = status == 429 or "retry-after" in headers or "rate limit" in said.casefold()
    if status in (403, 429) and is_limit:
        return PlatformLimitError(_bounded(_wait(headers, now)))
    if status == 401:
        return _UnauthorizedError(message)
    if status in (404, 410):
        return PlatformGoneError(message)
    if status == 422 and _PERMISSION not in said.casefold():
        # It may have been decided meanwhile: that is looked up.
        return PlatformUnsureError(message)
    if status in (408, 409, 425) or status >= 500:
        return PlatformUnsureError(message)
    return PlatformRefusedError(message)


def _wait(headers: Mapping[str, str], now: datetime) -> timedelta:
    """Return how long GitHub asks to wait; a minute where it does not say."""
    with suppress(KeyError, ValueError, OverflowError):
        return timedelta(seconds=float(headers["retry-after"]))
    if headers.get("x-ratelimit-remaining") == "0":
        with suppress(KeyError, ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(int(headers["x-ratelimit-reset"]), UTC) - now
    return _SECONDARY_WAIT


def _bounded(after: timedelta) -> timedelta:
    return min(max(after, timedelta(seconds=1)), _LONGEST_WAIT)
