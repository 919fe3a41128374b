"""Ten thousand malformed calls over MCP: none is answered 5xx, and none leaves the bot unable to answer."""

import asyncio
import collections
import json
import random
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from typing import Any

import aiohttp

from bot.http.mcp.tools import TOOLS
from tests.http.agents.callers import SERVICE, Callers
from tests.http.agents.clients import INITIALIZE, call, over_http, stdio_environ
from tests.support.running_bot import TOKEN

CALLS = 10_000
AT_ONCE = 16
LINES = 300
INTERNAL_ERROR = -32603
ODD: list[Any] = [
    None, True, -1, 0.5, 10**30, 1e308, "", " ", "\x00", "\x1b[2J", "\ud800", "é" * 500, "x" * 5_000, "../..",
    "%2e%2e", "#", "' OR 1=1 --", [], [[]], {}, {"a": {"b": []}}, ["checkout"] * 60, "2026-13-40T99:00:00Z",
    "9999-12-31T23:59:59-23:59", "governor://policy/..%2f", "checkout",
]  # fmt: skip
METHODS = [
    "initialize", "ping", "tools/list", "tools/call", "resources/list", "resources/read", "server/discover",
    "resources/templates/list", "prompts/list", "notifications/initialized", "notifications/cancelled",
    "logging/setLevel", "completion/complete", "subscriptions/listen", "resources/subscribe", "approve", "",
]  # fmt: skip
VERSIONS = ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28", "1999-01-01", "", "x" * 300]


class Malformer:
    """Malformed calls, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same calls each time

    def _odd(self) -> Any:
        return self._random.choice(ODD)

    def message(self) -> Any:
        """Return a message of JSON-RPC with something wrong in it."""
        kind = self._random.randrange(5)
        if kind == 0:
            return self._odd()
        if kind == 1:
            return [self._call() for _ in range(self._random.randrange(3))]
        if kind == 2:
            return {"jsonrpc": self._odd(), "id": self._odd(), "method": self._odd(), "params": self._odd()}
        if kind == 3:
            method = self._random.choice(METHODS)
            return {"jsonrpc": "2.0", "id": self._random.choice([1, "a", None]), "method": method} | (
                {"params": self._random.choice([self._odd(), {"uri": self._odd(), "_meta": self._odd()}])}
                if self._random.random() < 0.7
                else {}
            )
        return self._call()

    def _call(self) -> dict[str, Any]:
        name = self._random.choice([*TOOLS, "approve", self._odd()])
        tool = TOOLS.get(name) if isinstance(name, str) else None
        fields = list(tool.arguments.model_fields) if tool is not None else ["service"]
        arguments: Any = {field: self._odd() for field in fields if self._random.random() < 0.7}
        if self._random.random() < 0.5:
            arguments["service"] = SERVICE
        if self._random.random() < 0.2:
            arguments = self._random.choice([self._odd(), arguments | {"by": "U0SAM", "state": "granted"}])
        return {
            "jsonrpc": "2.0", "id": self._random.randrange(100), "method": "tools/call",
            "params": {"name": name, "arguments": arguments},
        }  # fmt: skip

    def body(self) -> bytes:
        """Return a body, most often JSON."""
        text = json.dumps(self.message()).encode()
        chance = self._random.random()
        if chance < 0.05:
            return text[: self._random.randrange(len(text))]
        if chance < 0.1:
            return self._random.choice([b"", b"\xff\xfe", b"[" * 5_000, b"NaN", b"{}" * 3, b"\x00"])
        return text

    def headers(self) -> dict[str, str]:
        """Return headers, often wrong ones."""
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self._random.random() < 0.3:
            headers["MCP-Protocol-Version"] = self._random.choice(VERSIONS)
        if self._random.random() < 0.1:
            headers["Mcp-Method"] = self._random.choice(["tools/call", "x", ""])
            headers["Mcp-Name"] = self._random.choice(["may_i_ship", "=?base64?!!?=", ""])
        odd = {
            "Content-Type": ["text/plain", "application/json; charset=utf-16", ""],
            "Accept": ["text/html", "*/*", "application/json", ""],
            "Mcp-Session-Id": ["x", "é"], "Last-Event-ID": ["7"], "Content-Encoding": ["gzip", "br"],
            "Origin": ["null", "https://evil.example"], "Host": ["evil.example"],
        }  # fmt: skip
        for name, values in odd.items():
            if self._random.random() < 0.03:
                headers[name] = self._random.choice(values)
        return headers


async def test_no_malformed_call_is_answered_5xx(callers: Callers) -> None:
    malformer = Malformer(17)
    statuses: collections.Counter[int] = collections.Counter()
    wrong: list[tuple[int, bytes, dict[str, str], str]] = []
    calls = iter([(malformer.body(), malformer.headers()) for _ in range(CALLS)])

    async def send(http: aiohttp.ClientSession, calls: Iterator[tuple[bytes, dict[str, str]]]) -> None:
        for body, headers in calls:
            async with http.post(f"{callers.bot.url}/mcp", data=body, headers=headers) as answer:
                text = await answer.text()
                statuses[answer.status] += 1
                if answer.status >= 500 or f'"code":{INTERNAL_ERROR}' in text:
                    wrong.append((answer.status, body, headers, text))

    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=timeout) as http:
        await asyncio.gather(*(send(http, calls) for _ in range(AT_ONCE)))
    assert wrong == []
    assert sum(statuses.values()) == CALLS
    assert {200, 400} <= set(statuses), statuses
    async with over_http(callers.bot.url, callers.agent) as session:
        assert (await call(session, "may_i_ship", service=SERVICE, change="PR-1"))["service"] == SERVICE


async def test_stdio_answers_after_malformed_calls(callers: Callers) -> None:
    malformer = Malformer(18)
    lines = [body for _ in range(LINES) if b"\n" not in (body := malformer.body())]
    last = {"name": "may_i_ship", "arguments": {"service": SERVICE, "change": "PR-1"}}
    asked = [
        INITIALIZE,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "last", "method": "tools/call", "params": last},
    ]
    first, initialized, final = (json.dumps(each).encode() for each in asked)
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "mcp", "--url", callers.bot.url,
        env=stdio_environ(callers.agent), stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=2**24,
    )  # fmt: skip
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(b"\n".join([first, initialized, *lines, final, b""]))
    async with asyncio.timeout(60):
        while line := await program.stdout.readline():
            answer = json.loads(line)
            assert answer.get("error", {}).get("code") != INTERNAL_ERROR, answer
            if answer.get("id") == "last":
                break
    assert answer["result"]["structuredContent"]["service"] == SERVICE
    program.stdin.close()
    async with asyncio.timeout(20):
        _, log = await program.communicate()
    assert b"Traceback" not in log
    assert program.returncode == 0
