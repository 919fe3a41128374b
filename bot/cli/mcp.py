"""`governor mcp`: the tools for agents over stdio, as a thin client of a running bot's API."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from bot.cli.api_client import (
    ApiClient,
    ClientError,
    RequestRefusedError,
    api_client,
    api_token,
    base_url,
)
from bot.cli.console import Url, fail, run_async
from bot.http.mcp.api import ApiRefusedError, refusal_text
from bot.settings import read_settings


def mcp(url: Url = None) -> None:
    """Serve the tools for agents over stdio.

    A client of the bot at GOVERNOR_URL, with the rights of GOVERNOR_API_TOKEN.
    """
    if find_spec("mcp") is None:
        fail("MCP is not installed: install Governor's extra `mcp`, see docs/install.md")
    settings = read_settings()
    token = api_token(settings)
    if token is None:
        fail("set GOVERNOR_API_TOKEN to a token: governor token create NAME --actor agent --allow …")
    run_async(_serve(base_url(settings, url), token))


async def _serve(url: str, token: str) -> None:
    from mcp.server.stdio import stdio_server  # noqa: PLC0415 - the other commands start without the SDK

    from bot.http.mcp.server import build_server  # noqa: PLC0415

    async with api_client(url, token) as client, stdio_server() as (received, sent):
        api = RemoteApi(client)
        server = build_server(lambda _: api)
        await server.run(received, sent, server.create_initialization_options())


class RemoteApi:
    """The API of a running bot, over the network."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def get(self, path: str, **params: str | None) -> dict[str, Any]:
        """Return the JSON object at `/api/v1/{path}`; raises `ApiRefusedError`."""
        try:
            return await self._client.get(path, **params)
        except ClientError as error:
            raise _refused(error) from error

    async def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a JSON object to `/api/v1/{path}` and return the answer; raises `ApiRefusedError`."""
        try:
            return await self._client.post(path, body)
        except ClientError as error:
            raise _refused(error) from error


def _refused(error: ClientError) -> ApiRefusedError:
    if isinstance(error, RequestRefusedError):
        return ApiRefusedError(error.status, refusal_text(str(error), error.problem))
    return ApiRefusedError(0, str(error))
