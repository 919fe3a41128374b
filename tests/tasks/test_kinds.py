"""Every kind of task of the running bot is documented, with when it is given up."""

import re
from pathlib import Path

import pytest

from bot.app.governor import Governor
from bot.formatting import duration_code
from bot.settings import Settings
from tests.support.paths import DOCS


def documented() -> dict[str, str]:
    section = (
        (DOCS / "operating.md")
        .read_text(encoding="utf-8")
        .partition("## What is due")[2]
        .partition("\n## ")[0]
    )
    rows = [line.strip("| ").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {kind: row[2].strip() for row in rows for kind in re.findall(r"`([^`]+)`", row[0])}


async def test_each_kind_of_task_is_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/governor.db",
        "PORT": "0",
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": "0123456789abcdef",
        "SLACK_API_URL": "http://127.0.0.1:9/",
    }.items():
        monkeypatch.setenv(name, value)
    async with Governor(Settings()) as governor:
        handlers = governor.parts.tasks.handlers
    told = documented()
    assert set(told) == set(handlers)
    for kind, handler in handlers.items():
        after = handler.rule.give_up_after
        if after is not None:
            assert told[kind] == f"{duration_code(after).replace('d', ' d')} after it was due"
