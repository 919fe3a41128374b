"""What the environment may say, and the clear error where it says something else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.settings import SettingsError, read_settings
from tests.support.paths import ROOT
from tests.support.servers import running_postgresql


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite:///x.db"),
        ("sqlite+aiosqlite:////abs/x.db", "sqlite+aiosqlite:////abs/x.db"),
        ("postgres://u:p%40x@h:5432/db", "postgresql+asyncpg://u:p%40x@h:5432/db"),
        ("postgresql://u@h/db", "postgresql+asyncpg://u@h/db"),
        ("postgresql+asyncpg://u@h/db?ssl=require", "postgresql+asyncpg://u@h/db?ssl=require"),
        (
            "postgres://u@h/db?sslmode=require&channel_binding=require",
            "postgresql+asyncpg://u@h/db?ssl=require",
        ),
    ],
)
def test_addresses_of_databases_as_people_have_them(
    monkeypatch: pytest.MonkeyPatch, typed: str, address: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", typed)
    assert read_settings().database_url == address


@pytest.mark.parametrize(
    "typed", ["mysql://h/db", "governor.db", "postgresql+psycopg://h/db", "postgresql://"]
)
def test_other_databases_are_refused_with_what_to_write(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setenv("DATABASE_URL", typed)
    with pytest.raises(SettingsError, match="DATABASE_URL: write sqlite:///FILE or postgresql://USER"):
        read_settings()


@pytest.mark.parametrize(
    ("variable", "token", "kind"),
    [
        ("SLACK_BOT_TOKEN", "xapp-1-A", "an app-level token"),
        ("SLACK_BOT_TOKEN", "xoxp-1", "a user token"),
        ("SLACK_APP_TOKEN", "xoxb-1", "a bot token"),
    ],
)
def test_tokens_in_the_wrong_place_are_named_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, token: str, kind: str
) -> None:
    monkeypatch.setenv(variable, token)
    with pytest.raises(SettingsError, match=f"{variable}: this is {kind}; the one that begins with") as error:
        read_settings()
    assert token not in str(error.value)


@pytest.mark.parametrize(
    "words", [["manifest"], ["manifest", "--url", "http://x.example"], ["manifest", "--url", "x"]]
)
def test_a_manifest_needs_an_address_that_slack_takes(words: list[str]) -> None:
    ended = run(words, {})
    assert ended.returncode == 2
    assert "Write --url with the address" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_the_address_that_a_platform_sets_simply_works() -> None:
    async with running_postgresql() as postgresql:
        address = (await postgresql.new_database()).replace("postgresql+asyncpg", "postgres")
        ended = run(["migrate"], {"DATABASE_URL": f"{address}?sslmode=prefer"})
        assert (ended.returncode, ended.stdout) == (0, "the database is up to date\n"), ended.stderr


def test_a_database_that_is_away_is_one_line(tmp_path: Path) -> None:
    ended = run(["migrate"], {"DATABASE_URL": f"sqlite:///{tmp_path}/missing/x.db"})
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def run(words: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LOG_LEVEL": "warning"} | environ
    command = [sys.executable, "-m", "bot", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)
