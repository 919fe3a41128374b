"""A deployment that does harm is told to go back, by what was really counted before and since."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.running import eventually
from tests.support.running_bot import TOKEN, RunningBot, start_bot

BEGAN = timedelta(minutes=20)


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with start_bot(tmp_path) as running_bot:
        yield running_bot


async def call(bot: RunningBot, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{bot.url}/api/v1/{path}", json=body) as response,
    ):
        return response.status, await response.json(content_type=None)


async def count(bot: RunningBot, at: datetime, good: int, bad: int) -> None:
    event = {"service": "checkout", "slo": "orders", "good": good, "bad": bad, "at": at.isoformat()}
    assert (await call(bot, "POST", "events", event))[0] == 202


async def deploy(bot: RunningBot, change: str, at: datetime) -> None:
    body = {
        "service": "checkout", "key": change, "state": "succeeded", "commit": "3f1c2ab", "change": change,
        "environment": "production", "started_at": at.isoformat(), "finished_at": at.isoformat(),
    }  # fmt: skip
    assert (await call(bot, "POST", "deployments", body))[0] == 201


@pytest.mark.parametrize(("bad", "expected"), [(300, "back"), (0, "go")])
async def test_what_was_counted_since_a_deployment_decides(
    running_bot: RunningBot, bad: int, expected: str
) -> None:
    now = datetime.now(UTC)
    # So much went well before that the budget of the window is not spent.
    await count(running_bot, now - timedelta(minutes=50), 1_000_000, 0)
    await deploy(running_bot, "PR-12", now - BEGAN)
    for minutes in range(1, 19):
        await count(running_bot, now - timedelta(minutes=minutes), 1_000 - bad, bad)

    async def verdict() -> str:
        _, body = await call(running_bot, "GET", "gate/checkout?change=PR-12")
        return str(body.get("verdict"))

    assert await eventually(verdict, lambda found: found == expected, within_s=20) == expected
    status, body = await call(running_bot, "GET", "gate/checkout?change=PR-12")
    assert (status, body["allow"]) == (200, expected == "go")
    if expected == "back":
        assert body["reasons"][0].startswith("PR-12 does harm: orders burns at")
        assert body["retry_after"] is None
        # Another change is not blamed.
        assert (await call(running_bot, "GET", "gate/checkout?change=PR-13"))[1]["verdict"] == "go"
