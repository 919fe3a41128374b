"""The command line's client of the HTTP API of a running bot.

ClientError
├── UnreachableError      no bot answers at the address
└── RequestRefusedError   it answered with an error status, or with no JSON object
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from bot.cli.console import fail, run_async
from bot.settings import Settings, read_settings

if TYPE_CHECKING:
    import aiohttp

_TIMEOUT_S = 20.0


class ClientError(Exception):
    """The request could not be answered. The message says what to do."""


class UnreachableError(ClientError):
    """No bot answers at the address."""


class RequestRefusedError(ClientError):
    """The bot answered with an error; `status` is the HTTP status, `problem` its problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or f"the bot answered with status {status}"))
        self.status = status
        self.problem = problem


class ApiClient:
    """A client of one running bot. `url` is its base address, such as `http://127.0.0.1:3000`."""

    def __init__(self, session: "aiohttp.ClientSession", url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def get(self, path: str, **params: str | None) -> dict[str, Any]:
        """Return the JSON object at `/api/v1/{path}`; raises `ClientError`."""
        query = {name: value for name, value in params.items() if value is not None}
        return await self._ask("GET", path, params=query)

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a JSON object to `/api/v1/{path}` and return the answer; raises `ClientError`."""
        return await self._ask("POST", path, json=body)

    async def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        import aiohttp  # noqa: PLC0415 - as below

        try:
            async with self._session.request(method, f"{self._url}/api/v1/{path}", **request) as response:
                body = await response.json(content_type=None)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(
                f"no bot answers at {self._url}: is it running? ({_cause(error)})"
            ) from error
        except ValueError as error:
            raise UnreachableError(f"what answers at {self._url} is not the bot") from error
        if status >= 400 or not isinstance(body, dict):
            problem = body if isinstance(body, dict) else {}
            raise RequestRefusedError(status, self._about_token(problem) if status == 401 else problem)
        return body

    def _about_token(self, problem: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is wrong with the token, and that it comes from the environment."""
        told = "is the one that was sent" if "Authorization" in self._session.headers else "is not set here"
        return {**problem, "detail": f"{problem.get('detail') or 'no access'} (GOVERNOR_API_TOKEN {told})"}


@asynccontextmanager
async def api_client(url: str, token: str | None, within_s: float = _TIMEOUT_S) -> AsyncIterator[ApiClient]:
    """Open a client with its own connection pool and time-out."""
    import aiohttp  # noqa: PLC0415 - a quarter of the start, which most commands do without

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=within_s, sock_connect=5)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield ApiClient(session, url)


def get_from_bot(url: str | None, path: str, **params: str | None) -> dict[str, Any]:
    """Return the JSON object at `/api/v1/{path}` of the bot at `url`; end the command if that fails."""
    return get_within(_TIMEOUT_S, url, path, params)


def get_within(
    within_s: float, url: str | None, path: str, params: Mapping[str, str | None]
) -> dict[str, Any]:
    """Return what `get_from_bot` does, for an answer that may take longer."""
    settings = read_settings()

    async def get() -> dict[str, Any]:
        async with api_client(base_url(settings, url), api_token(settings), within_s) as client:
            return await client.get(path, **params)

    try:
        return run_async(get())
    except ClientError as error:
        fail(str(error))


def base_url(settings: Settings, url: str | None) -> str:
    """Return the bot's base address: `url`, or HOST and PORT of the environment; fail where it is none."""
    if not url:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"http://{host}:{settings.port}"
    is_address = False
    with suppress(ValueError):
        parts = urlsplit(url)
        is_web = parts.scheme in {"http", "https"} and " " not in url
        is_address = is_web and bool(parts.hostname) and parts.port != 0
    if not is_address:
        fail(f"`{url}` is not an address: write --url or GOVERNOR_URL such as http://127.0.0.1:3000")
    return url


def api_token(settings: Settings) -> str | None:
    """Return GOVERNOR_API_TOKEN of the environment; fail where no header can carry it."""
    token = settings.governor_api_token.get_secret_value() if settings.governor_api_token else None
    if token is not None and not (token.isascii() and token.isprintable()):
        fail("GOVERNOR_API_TOKEN has spaces, line ends or letters that no token has: copy it again")
    return token


def path_of(*names: str) -> str:
    """Return a path below `/api/v1/` of names that people typed; fail for an empty one.

    None of them can lead elsewhere.
    """
    if not all(names):
        fail("a name is empty: name a service of the policies")
    return "/".join(quote(name, safe="") for name in names)


def _cause(error: BaseException) -> str:
    import ssl  # noqa: PLC0415 - only where something is wrong

    if isinstance(error, TimeoutError):
        return "time-out"
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    if isinstance(cause, ssl.SSLError):
        # Its `errno` is OpenSSL's, whose 1 is not that of the system.
        why = getattr(cause, "verify_message", None) or (cause.reason or "failed").replace("_", " ").lower()
        return f"TLS: {why}"
    number = getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number).lower()
    return getattr(cause, "strerror", None) or str(cause) or type(error).__name__
