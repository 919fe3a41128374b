"""Forged, stale, replayed, oversized and malformed requests: none is acted on, none breaks the bot."""

import asyncio
import hashlib
import hmac
import io
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import aiohttp
import pytest
import structlog
from yarl import URL

from bot.http.openapi import served_operations
from bot.http.request_body import MOST_BYTES
from bot.sandbox.fake_slack.workspace import TEAM_ID
from tests.support.running_bot import TOKEN, RunningBot, start_bot

T = TypeVar("T")
REQUESTS = 10_000
AT_ONCE = 16
OVERSIZED_EVERY = 400
# With a valid token or signature these would change something.
EVENT = {"service": "checkout", "slo": "orders", "good": 0, "bad": 1_000}
INCIDENT = {"title": "Down", "severity": "sev1", "services": ["checkout"], "key": "forged"}
KINDS = ("forged", "stale", "malformed", "misdirected", "oversized")
PUBLIC = ("/healthz", "/readyz", "/metrics", "/api/openapi.json", "ofrep/", "/slack/install", "/llms.txt")
PAGES = ("/incidents/", "/services/")
"""The beginnings of pages that say the same to everybody."""
ANALYSES = "/gates/rollouts/"
"""The beginning of the gate that refuses with a verdict, since an error would abort the rollout."""


@dataclass(frozen=True)
class Request:
    """One request; `refused` says whether it must be refused."""

    kind: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    refused: bool = True


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    # Rendering thousands of log lines in colour would take longer than the requests.
    with structlog.testing.capture_logs():
        async with start_bot(tmp_path) as running_bot:
            yield running_bot


def signed(body: bytes, secret: str, at: float) -> dict[str, str]:
    base = b"v0:%d:%s" % (int(at), body)
    signature = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": str(int(at)),
        "X-Slack-Signature": f"v0={signature}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def command(text: str, trigger: str = "13345224609.738474920.8088930838d88f008e0") -> bytes:
    fields = {
        "token": "x",
        "team_id": TEAM_ID,
        "channel_id": "C0GENERAL",
        "channel_name": "general",
        "user_id": "U0SAM",
        "command": "/freeze",
        "text": text,
        "api_app_id": "A0GOVERNOR",
        "response_url": "http://127.0.0.1:9/",
        "trigger_id": trigger,
    }
    return urlencode(fields).encode()


class Attacker:
    """Makes hostile requests from a seed; knows everything but the secrets."""

    def __init__(self, seed: int, routes: list[tuple[str, str]], secret: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same requests each time
        self._routes = routes
        self._secret = secret
        self._kinds: list[Callable[[str, str], Request]] = [
            self.forged,
            self.stale,
            self.malformed,
            self.misdirected,
        ]

    def request(self, number: int) -> Request:
        method, path = self._routes[number % len(self._routes)]
        if number % OVERSIZED_EVERY < len(self._routes) and number // OVERSIZED_EVERY % 5 == 0:
            return self.oversized(method, self._with_values(path))
        kind = self._kinds[self._random.randrange(len(self._kinds))]
        return kind(method, self._with_values(path))

    def forged(self, method: str, path: str) -> Request:
        """A body that would change something, with an invalid token or signature."""
        if path == "/slack/oauth_redirect":
            state = self._word()
            query = self._pick(
                [f"code=1.2&state={state}", f"state={state}", "error=access_denied", "code=1&state="]
            )
            cookie = {"Cookie": f"slack-app-oauth-state={state}"}
            return Request("forged", method, f"{path}?{query}", cookie)
        if path == "/slack/events":
            body = command("checkout forged")
            headers = signed(body, self._word(), time.time())
        else:
            body = json.dumps(EVENT if path.endswith("events") else INCIDENT).encode()
            headers = {
                "Authorization": self._pick([f"Bearer {self._word()}", "Bearer ", f"Basic {TOKEN}", ""])
            }
        return Request("forged", method, path, headers, body, not is_public(path))

    def stale(self, method: str, path: str) -> Request:
        """A valid signature with a timestamp out of range; tokens in the bot's own format."""
        if path == "/slack/events":
            body = command("checkout stale")
            offset_s = self._pick([-330, -3_600, 330, 10**6])
            return Request("stale", method, path, signed(body, self._secret, time.time() + offset_s), body)
        token = f"gov_{self._random.randbytes(4).hex()}_{self._word()}"
        return Request(
            "stale", method, path, {"Authorization": f"Bearer {token}"}, b"{}", not is_public(path)
        )

    def malformed(self, method: str, path: str) -> Request:
        """A valid token or signature with an invalid body."""
        body = self._garbage()
        headers = {
            "Content-Type": self._pick(["application/json", "text/plain", "multipart/form-data", "é/ü"])
        }
        if path == "/slack/events":
            return Request(
                "malformed", method, path, signed(body, self._secret, time.time()), body, refused=False
            )
        headers["Authorization"] = f"Bearer {TOKEN}"
        return Request("malformed", method, path, headers, body, refused=False)

    def misdirected(self, method: str, path: str) -> Request:
        """Another method, or an unknown path or query."""
        tail = self._pick(
            ["/..%2f..", "%00", "?since=%ff&cursor=9e9", "/'--", "?strict=maybe", "?" + "a=b&" * 99]
        )
        other = self._pick([method, "DELETE", "PUT", "OPTIONS", "PROPFIND"])
        return Request(
            "misdirected", other, path + tail, {"Authorization": f"Bearer {self._word()}"}, b"", refused=False
        )

    def oversized(self, method: str, path: str) -> Request:
        """A body over the size limit."""
        body = b"[" + b" " * MOST_BYTES + b"]"
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        return Request("oversized", method, path, headers, body, method != "GET" and not is_public(path))

    def _with_values(self, path: str) -> str:
        for name, values in {
            "{service}": ["checkout", "nothing", "%F0%9F%92%A5"],
            "{id}": ["1", "0", "9" * 15, "x"],
            "{key}": ["flag", "..", "%20"],
            "{environment}": ["production", "x"],
            "{rotation}": ["shop", "..", "x"],
            "{token}": ["gov_forged_token", "..", "x"],
        }.items():
            path = path.replace(name, self._pick(values))
        return path

    def _garbage(self) -> bytes:
        kinds = [
            b"",
            b"{",
            b"null",
            b"[" * 5_000,
            b'{"a":' * 2_000,
            b"payload=%7B%22type%22%3A1%7D",
            b"payload=[]",
            b"command=%2Ffreeze",
            b'{"type":"event_callback","event":[]}',
            b'{"service":"checkout","slo":"orders","good":NaN,"bad":1e999}',
            b'[{"service":"checkout","slo":"orders","good":-1,"bad":"1"}]',
            b'{"title":"","severity":"sev9","services":{},"key":1}',
            b"\xff\xfe\x00" * 10,
            self._random.randbytes(self._random.randrange(200)),
        ]
        return self._pick(kinds)

    def _word(self) -> str:
        return self._random.randbytes(16).hex()

    def _pick(self, values: Sequence[T]) -> T:
        return values[self._random.randrange(len(values))]


def is_public(path: str) -> bool:
    return path.startswith(PAGES) or any(public in path for public in PUBLIC)


async def send(session: aiohttp.ClientSession, url: str, request: Request) -> tuple[int, bool]:
    """Return the status of the answer, and whether it refuses the request."""
    try:
        async with session.request(
            request.method,
            URL(url + request.path, encoded=True),
            headers=request.headers,
            data=io.BytesIO(request.body) if request.body else None,
        ) as response:
            answer = await response.read()
    except aiohttp.ClientConnectionError:
        # The bot closed the connection before it read the whole body.
        assert request.kind == "oversized"
        return 413, True
    if response.status < 400 and request.path.startswith(ANALYSES):
        return response.status, json.loads(answer)["verdict"] == "unknown"
    return response.status, response.status >= 400


async def test_ten_thousand_hostile_requests_change_nothing_and_break_nothing(
    running_bot: RunningBot,
) -> None:
    routes = [(method, path) for method, path, _ in served_operations(running_bot.governor.server.app)]
    attacker = Attacker(7, routes, running_bot.slack.signing_secret)
    requests = ((routes[number % len(routes)], attacker.request(number)) for number in range(REQUESTS))
    before = await running_bot.rows()
    seen: Counter[tuple[str, int]] = Counter()
    wrong: list[tuple[Request, int]] = []
    reached: set[tuple[str, str, str]] = set()

    async def attack(session: aiohttp.ClientSession) -> None:
        for route, request in requests:
            status, is_refused = await send(session, running_bot.url, request)
            seen[request.kind, status] += 1
            reached.add((request.kind, *route))
            assert "{" not in request.path, f"no values for the variables of {route[1]}"
            # A loaded machine may be late with its own work, which is what `/readyz` is there to say.
            is_late = request.path.startswith("/readyz") and status == 503
            if (status >= 500 and not is_late) or (request.refused and not is_refused):
                wrong.append((request, status))

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        await asyncio.gather(*(attack(session) for _ in range(AT_ONCE)))
    assert [(request.kind, request.method, request.path, status) for request, status in wrong[:5]] == []
    assert sum(seen.values()) == REQUESTS
    # Every kind of request reached every route.
    assert reached == {(kind, *route) for kind in KINDS for route in routes}
    await running_bot.governor.parts.slack.app.drain(10)
    assert await running_bot.rows() == before


async def test_a_replayed_command_is_carried_out_once(running_bot: RunningBot) -> None:
    body = command("checkout replayed")
    headers = signed(body, running_bot.slack.signing_secret, time.time())
    replay = Request("replayed", "POST", "/slack/events", headers, body)
    async with aiohttp.ClientSession() as session:
        answers = [await send(session, running_bot.url, replay) for _ in range(200)]
    await running_bot.governor.parts.slack.app.drain(10)
    assert set(answers) == {(200, False)}
    rows = await running_bot.rows()
    assert (rows["holds"], rows["audit"]) == (1, 1)
