"""The command line's side of the HTTP API: asks a running bot.

ClientError
├── UnreachableError     no bot answers at the address
└── RequestRefusedError  it answered, but not with what was asked for
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bot.cli.console import fail, finish
from bot.settings import Settings, read_settings

_TIMEOUT_S = 20.0


class ClientError(Exception):
    """The bot could not be asked. The message says what to do."""


class UnreachableError(ClientError):
    """Nobody answers there."""


class RequestRefusedError(ClientError):
    """The bot said no; `status` is the HTTP status, `problem` its problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or f"the bot answered with status {status}"))
        self.status = status
        self.problem = problem


class ApiClient:
    """Asks one running bot. `url` is its base address, such as `http://127.0.0.1:3000`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def get(self, path: str, **params: str | None) -> dict[str, Any]:
        """Return the JSON object at `/api/v1/{path}`; raises `ClientError`."""
        query = {name: value for name, value in params.items() if value is not None}
        try:
            async with self._session.get(f"{self._url}/api/v1/{path}", params=query) as answer:
                body = await answer.json(content_type=None)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(
                f"no bot answers at {self._url}: is it running? ({_cause(error)})"
            ) from error
        except ValueError as error:
            raise UnreachableError(f"what answers at {self._url} is not the bot") from error
        if status >= 400 or not isinstance(body, dict):
            raise RequestRefusedError(status, body if isinstance(body, dict) else {})
        return body


@asynccontextmanager
async def api_client(url: str, token: str | None) -> AsyncIterator[ApiClient]:
    """Return a client with its own connection pool and time-out."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S, sock_connect=5)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield ApiClient(session, url)


def _cause(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "time-out"
    return str(error) or type(error).__name__


def ask_bot(url: str | None, path: str, **params: str | None) -> dict[str, Any]:
    """Return the JSON object at `/api/v1/{path}` of the bot at `url`; ends the command where it cannot."""
    settings = read_settings()

    async def ask() -> dict[str, Any]:
        async with api_client(base_of(settings, url), token_of(settings)) as client:
            return await client.get(path, **params)

    try:
        return finish(ask())
    except ClientError as error:
        fail(str(error))


def base_of(settings: Settings, url: str | None) -> str:
    """Return where the bot listens."""
    return url or f"http://{settings.host}:{settings.port}"


def token_of(settings: Settings) -> str | None:
    """Return the API token of the environment."""
    token = settings.governor_api_token
    return token.get_secret_value() if token else None
