"""`governor token` and `governor audit`: what they print and how they end."""

import asyncio
import csv
import io
import json
import os
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.store.audit_chain import append, read_rows
from bot.store.database import Database
from bot.store.migrate import upgrade
from tests.support.paths import ROOT
from tests.support.shell_blocks import shell_blocks


def governor(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on a database in the folder."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
        "LOG_LEVEL": "warning",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/governor.db",
    }
    command = [sys.executable, "-m", "bot", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=folder, check=False)


@pytest.fixture(autouse=True)
def _migrated(tmp_path: Path) -> None:
    asyncio.run(upgrade(f"sqlite+aiosqlite:///{tmp_path}/governor.db"))


def tamper(folder: Path, statement: str) -> None:
    async def work() -> None:
        async with (
            Database(f"sqlite+aiosqlite:///{folder}/governor.db") as database,
            database.transaction() as connection,
        ):
            await connection.execute(text(statement))

    asyncio.run(work())


def test_a_token_is_made_shown_once_listed_and_revoked(tmp_path: Path) -> None:
    made = governor(tmp_path, "token", "create", "ci", "--allow", "gate:read,events:write")
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    assert token.startswith("gov_")
    listed = governor(tmp_path, "token", "list")
    assert "events:write, gate:read" in listed.stdout
    assert "never" in listed.stdout
    assert token not in listed.stdout
    (shown,) = json.loads(governor(tmp_path, "token", "list", "--json").stdout)
    assert (shown["name"], shown["rights"], shown["used_at"]) == ("ci", ["events:write", "gate:read"], None)
    again = governor(tmp_path, "token", "create", "ci", "--allow", "all")
    assert (again.returncode, "choose another" in again.stderr) == (2, True)
    assert governor(tmp_path, "token", "revoke", "ci").returncode == 0
    assert governor(tmp_path, "token", "revoke", "ci").returncode == 2
    assert "revoked" in governor(tmp_path, "token", "list").stdout


def test_an_agents_token_is_made_as_its_page_says_and_has_no_right_of_others(tmp_path: Path) -> None:
    (block,) = shell_blocks(ROOT / "docs" / "agents.md")
    program, *words = shlex.split(block.text.replace("\\\n", ""))
    made = governor(tmp_path, *words)
    assert (program, made.returncode) == ("governor", 0), made.stderr
    (shown,) = json.loads(governor(tmp_path, "token", "list", "--json").stdout)
    assert (shown["name"], shown["actor"], "exemptions:write" in shown["rights"]) == ("coder", "agent", True)
    assert "agent; deployments:write" in governor(tmp_path, "token", "list").stdout
    refused = governor(tmp_path, "token", "create", "x", "--actor", "agent", "--allow", "events:write")
    assert (refused.returncode, "cannot have events:write" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    "words", [("CI", "--allow", "all"), ("api", "--allow", "all"), ("ci", "--allow", "fly:high"), ("ci",)]
)
def test_a_token_that_makes_no_sense_is_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    refused = governor(tmp_path, "token", "create", *words)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_the_log_is_exported_and_verified_where_it_lies(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        assert governor(tmp_path, "token", "create", name, "--allow", "all").returncode == 0
    lines = governor(tmp_path, "audit", "export", "--since", "1h").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["subject"] for row in rows] == ["one", "two", "three"]
    assert all(len(row["hash"]) == 64 for row in rows)
    table = list(csv.DictReader(io.StringIO(governor(tmp_path, "audit", "export", "--format", "csv").stdout)))
    assert [row["hash"] for row in table] == [row["hash"] for row in rows]

    whole = governor(tmp_path, "audit", "verify", "--json")
    assert whole.returncode == 0
    head = json.loads(whole.stdout)["head"]
    assert head == f"3:{rows[-1]['hash']}"
    assert governor(tmp_path, "audit", "verify", "--head", head).returncode == 0
    assert governor(tmp_path, "audit", "verify", "--head", "nonsense").returncode == 2

    tamper(tmp_path, "UPDATE audit SET subject = 'two and a half' WHERE id = 2")
    bad = governor(tmp_path, "audit", "verify")
    assert bad.returncode == 1
    assert "row 2 was tampered with" in bad.stderr
    assert json.loads(governor(tmp_path, "audit", "verify", "--json").stdout)["row"] == 2


def test_a_cell_that_a_spreadsheet_would_run_is_written_as_text(tmp_path: Path) -> None:
    governor(tmp_path, "token", "create", "one", "--allow", "all")
    tamper(tmp_path, "UPDATE audit SET reason = '=cmd()'")
    assert "'=cmd()" in governor(tmp_path, "audit", "export", "--format", "csv").stdout


def test_only_migrate_makes_or_migrates_a_database(tmp_path: Path) -> None:
    file = tmp_path / "governor.db"
    for words in (
        ("audit", "verify"),
        ("audit", "export"),
        ("token", "list"),
        ("token", "create", "ci", "--allow", "all"),
    ):
        file.unlink(missing_ok=True)
        missing = governor(tmp_path, *words)
        assert (missing.returncode, file.exists()) == (2, False)
        assert missing.stderr == (
            f"governor: there is no database at {file}: let DATABASE_URL name the bot's, "
            "or make one there with `governor migrate`\n"
        )
    file.touch()
    empty = governor(tmp_path, "token", "create", "ci", "--allow", "all")
    assert (empty.returncode, len(empty.stderr.splitlines())) == (2, 1)
    assert "run `governor migrate`" in empty.stderr


def test_the_beginning_of_the_log_is_archived_and_verified_from_the_file(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        governor(tmp_path, "token", "create", name, "--allow", "all")
    nothing = governor(tmp_path, "audit", "archive", "--before", "90d", "--to", "a.jsonl.gz")
    assert (nothing.returncode, "nothing was archived" in nothing.stdout) == (0, True)
    # The database's own rows cannot be that old: their times and hashes are made anew.
    make_old(tmp_path)
    shown = governor(tmp_path, "audit", "archive", "--before", "400d", "--to", "a.jsonl.gz", "--json")
    assert shown.returncode == 0, shown.stderr
    moved = json.loads(shown.stdout)
    assert (moved["rows"], moved["file"], moved["is_new"]) == (3, "a.jsonl.gz", True)
    again = governor(tmp_path, "audit", "archive", "--before", "400d", "--to", "a.jsonl.gz")
    assert (again.returncode, "had been moved to a.jsonl.gz" in again.stdout) == (0, True)
    living = governor(tmp_path, "audit", "verify")
    assert living.returncode == 0
    assert "Rows up to 3 are archived" in living.stdout
    whole = governor(tmp_path, "audit", "verify", "--archive", "a.jsonl.gz", "--head", moved["head"])
    assert (whole.returncode, "4 rows are intact" in whole.stdout) == (0, True)
    rows = governor(tmp_path, "audit", "export").stdout.splitlines()
    assert [json.loads(row)["action"] for row in rows] == ["audit.archived"]
    (tmp_path / "a.jsonl.gz").write_bytes(b"x")
    bad = governor(tmp_path, "audit", "verify", "--archive", "a.jsonl.gz")
    assert (bad.returncode, len(bad.stderr.splitlines())) == (2, 1)


def make_old(folder: Path) -> None:
    async def work() -> None:
        async with (
            Database(f"sqlite+aiosqlite:///{folder}/governor.db") as database,
            database.transaction() as connection,
        ):
            rows = await read_rows(connection, 0)
            for table in ("audit", "audit_head"):
                await connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - two names of ours
            for row in rows:
                await append(connection, row.at - timedelta(days=500), row.values)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("89d", "the last 90 days stay"),
        ("0d", "the last 90 days stay"),
        ("2099-01-01", "the last 90 days stay"),
        ("yesterday", "neither a day"),
        ("", "neither a day"),
        ("0001-01-01T00:00+10:00", "neither a day"),
    ],
)
def test_an_archive_of_a_time_that_makes_no_sense_is_refused(tmp_path: Path, before: str, why: str) -> None:
    refused = governor(tmp_path, "audit", "archive", "--before", before, "--to", "a.jsonl")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr
    assert why in refused.stderr
    assert not (tmp_path / "a.jsonl").exists()
