"""Compressed bodies: refused unread where nobody sends any, else unpacked within a limit, after the token."""

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from bot.http.request_body import MOST_BYTES, MOST_UNSIGNED_BYTES
from tests.support.running_bot import GITHUB_SECRET, TOKEN, RunningBot, start_bot

EVENT = {"service": "checkout", "slo": "orders", "good": 1, "bad": 0}
UNSIGNED = ("/slack/events", "/webhooks/github", "/webhooks/alertmanager", "/ofrep/v1/evaluate/flags")


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with start_bot(tmp_path) as running_bot:
        yield running_bot


async def post(
    running_bot: RunningBot, path: str, body: bytes, **headers: str
) -> tuple[int, dict[str, object]]:
    authorized = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    async with (
        aiohttp.ClientSession(headers=authorized) as session,
        session.post(f"{running_bot.url}{path}", data=io.BytesIO(body)) as response,
    ):
        text = await response.text()
        return response.status, json.loads(text) if text.startswith("{") else {"text": text}


@pytest.mark.parametrize("path", UNSIGNED)
async def test_an_encoded_body_is_refused_before_any_of_it_is_read(
    running_bot: RunningBot, path: str
) -> None:
    url = URL(running_bot.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    headers = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4000000\r\n\r\n"
    writer.write(headers.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 415 ")
    writer.close()


async def test_the_api_takes_gzip_and_deflate(running_bot: RunningBot) -> None:
    body = json.dumps([EVENT] * 100).encode()
    for encoding, encoded in {"gzip": gzip.compress(body, mtime=0), "deflate": zlib.compress(body)}.items():
        status, answer = await post(running_bot, "/api/v1/events", encoded, Content_Encoding=encoding)
        assert (status, answer["accepted"]) == (202, 100)
    assert (await post(running_bot, "/api/v1/events", body, Content_Encoding="identity"))[0] == 202


async def test_the_limit_holds_for_what_comes_out(running_bot: RunningBot) -> None:
    bomb = gzip.compress(b" " * (MOST_BYTES + 1))
    assert len(bomb) < 10_000
    status, answer = await post(running_bot, "/api/v1/events", bomb, Content_Encoding="gzip")
    assert (status, "unpacked" in str(answer["detail"])) == (413, True)


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("deflate", b"\x05garbage", 400),
        ("gzip", b"garbage", 400),
        ("gzip", gzip.compress(b"[]", mtime=0)[:-4], 400),
        ("gzip", gzip.compress(b"[]", mtime=0) + b"more", 400),
        ("gzip", b"", 400),
        ("br", b"garbage", 415),
        ("gzip, gzip", gzip.compress(gzip.compress(b"[]", mtime=0), mtime=0), 415),
    ],
)
async def test_what_is_not_encoded_as_it_says_is_a_clear_error(
    running_bot: RunningBot, encoding: str, body: bytes, status: int
) -> None:
    answered, answer = await post(running_bot, "/api/v1/events", body, Content_Encoding=encoding)
    assert answered == answer["status"] == status


async def test_a_body_is_unpacked_only_for_those_who_may_send_it(running_bot: RunningBot) -> None:
    bomb = gzip.compress(b" " * (MOST_BYTES + 1))
    headers = {"Content_Encoding": "gzip", "Authorization": "Bearer wrong"}
    assert (await post(running_bot, "/api/v1/events", bomb, **headers))[0] == 401


async def test_what_nobody_has_signed_is_read_up_to_a_lower_limit(running_bot: RunningBot) -> None:
    large = b" " * (MOST_UNSIGNED_BYTES + 1)
    github = {"X_Hub_Signature_256": f"sha256={GITHUB_SECRET}"}
    assert (await post(running_bot, "/webhooks/github", large, **github))[0] == 413
    assert (await post(running_bot, "/slack/events", large))[0] == 413
    # The forms of Slack that are large are not parsed before their signature is checked.
    nested = b"payload=" + b"[" * 500_000
    assert (await post(running_bot, "/slack/events", nested, X_Slack_Request_Timestamp="now"))[0] == 401
    assert (await post(running_bot, "/ofrep/v1/evaluate/flags", large))[0] == 413
