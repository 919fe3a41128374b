"""A database that takes nothing any more: nothing is accepted or told, and everybody is told why."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from tests.stories.test_events import told
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, RunningBot, start_bot

EVENT = {"service": "checkout", "slo": "orders", "good": 0, "bad": 5}


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    # Rendering tracebacks in colour would hold up every answer.
    with structlog.testing.capture_logs():
        async with start_bot(tmp_path) as running_bot:
            yield running_bot


async def ask(
    bot: RunningBot, method: str, path: str, **options: Any
) -> tuple[int, dict[str, Any], str | None]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{bot.url}{path}", **options) as response,
    ):
        return response.status, await response.json(content_type=None), response.headers.get("Retry-After")


async def test_with_its_file_deleted_nothing_is_accepted_and_readiness_says_why(
    running_bot: RunningBot, tmp_path: Path
) -> None:
    file = tmp_path / "governor.db"
    kept = file.rename(tmp_path / "aside.db")
    status, body, retry_after = await ask(running_bot, "POST", "/api/v1/events", json=EVENT)
    assert (status, retry_after) == (503, "5")
    assert "governor.db was deleted or replaced" in body["detail"]
    status, body, _ = await ask(running_bot, "GET", "/readyz")
    assert (status, body["status"]) == (503, "not ready")
    assert "deleted or replaced" in body["checks"]["database"]["problem"]

    slack, sam = running_bot.slack, running_bot.slack.person("sam")
    await sam.says("/freeze checkout because it burns", "#general")
    await slack.until(lambda: slack.ephemerals("#general", "sam"))
    said = slack.ephemerals("#general", "sam")[0]
    assert "Not done: the file governor.db was deleted" in f"{said.text} {said.blocks}"
    assert told(slack, "#checkout", "hold_placed") == 0
    assert not file.exists()

    kept.rename(file)
    await sam.says("/freeze checkout because it burns", "#general")
    await slack.until(lambda: told(slack, "#checkout", "hold_placed") == 1)
    ready = await eventually(lambda: ask(running_bot, "GET", "/readyz"), lambda answer: answer[0] == 200)
    assert ready[1]["checks"]["database"] == {"ok": True}


async def test_a_damaged_log_is_said_after_the_start(running_bot: RunningBot, tmp_path: Path) -> None:
    assert (await ask(running_bot, "POST", "/api/v1/events", json=EVENT))[0] == 202
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("governor.db", "governor.db-wal", "governor.db-shm"):
        shutil.copy2(tmp_path / name, killed / name)
    log = killed / "governor.db-wal"
    log.write_bytes(log.read_bytes()[:-5_000])
    async with start_bot(killed) as again:
        status, body, _ = await ask(again, "GET", "/readyz")
        assert (status, body["status"]) == (200, "degraded")
        assert "governor.db-wal is damaged" in body["checks"]["database_log"]["problem"]
    assert len(list(killed.glob("governor.db-wal.damaged-*"))) == 1
