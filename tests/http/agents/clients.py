"""The official client of MCP, connected to a bot over either transport."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tests.support.paths import ROOT

INITIALIZE = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    },
}  # fmt: skip


@asynccontextmanager
async def over_http(url: str, token: str) -> AsyncIterator[ClientSession]:
    """Connect to `/mcp` of the bot at an address."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        streamable_http_client(f"{url}/mcp", http_client=http) as (received, sent, *_),
        ClientSession(received, sent) as session,
    ):
        await session.initialize()
        yield session


@asynccontextmanager
async def over_stdio(url: str, token: str) -> AsyncIterator[ClientSession]:
    """Run `governor mcp` against the bot at an address, and connect to it."""
    program = StdioServerParameters(
        command=sys.executable, args=["-m", "bot", "mcp", "--url", url], env=stdio_environ(token)
    )
    async with stdio_client(program) as (received, sent), ClientSession(received, sent) as session:
        await session.initialize()
        yield session


def stdio_environ(token: str) -> dict[str, str]:
    """Return the environment of `governor mcp` with a token."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GOVERNOR_API_TOKEN": token}


async def call(session: ClientSession, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return what a tool answers, which must be no error."""
    result = await session.call_tool(tool, arguments)
    assert not result.is_error, result
    structured: dict[str, Any] = result.structured_content
    return structured


async def refusal(session: ClientSession, tool: str, **arguments: Any) -> str:
    """Return why a tool refuses, in the words that the model reads."""
    result = await session.call_tool(tool, arguments)
    assert result.is_error, result
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text
