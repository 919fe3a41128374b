"""`governor audit archive` killed at any moment: no row is lost, and the next run ends what was begun."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.store import audit
from bot.store.audit_archives.archive_file import rows_of
from bot.store.audit_chain import ChainVerified, verify_chain, verify_with_archives
from bot.store.database import Database
from tests.cli.test_tokens_and_audit import governor
from tests.store.test_audit_archive import ids
from tests.support.paths import ROOT
from tests.support.stores import create_tables

ROWS = 4_000
KILLS = 12


def url(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/governor.db"


async def written(folder: Path) -> None:
    """Write rows of two years ago, chained as they always are."""
    start = datetime.now(UTC) - timedelta(days=730)
    async with Database(url(folder)) as database:
        await create_tables(database)
        async with database.transaction() as connection:
            for number in range(ROWS):
                entry = audit.AuditEntry("U1", "hold.placed", f"s{number}", "why", None, None, {"n": number})
                await audit.record(connection, entry, start + timedelta(minutes=number))


def killed(folder: Path, after_s: float) -> bool:
    """Archive, and kill the process after some time; return whether it had ended before."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LOG_LEVEL": "warning",
        "DATABASE_URL": url(folder),
    }
    command = [sys.executable, "-m", "bot", "audit", "archive", "--before", "400d", "--to", "a.jsonl"]
    with subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            process.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return False
        assert process.returncode == 0
    return True


async def whole(folder: Path) -> None:
    """Check that every row is in the database, or else in the file, in one chain."""
    archive = folder / "a.jsonl"
    async with Database(url(folder)) as database, database.reading() as connection:
        try:
            if archive.exists():
                verified = await verify_with_archives(database, rows_of([archive]))
            else:
                verified = await verify_chain(connection)
        except ValueError:
            # Killed before its rows were marked as archived: the database has all of them.
            verified = await verify_chain(connection)
        assert isinstance(verified, ChainVerified), verified
        assert (verified.after, verified.rows >= ROWS) == (0, True)


def test_no_kill_loses_a_row(tmp_path: Path) -> None:
    asyncio.run(written(tmp_path))
    chance = random.Random(18)  # noqa: S311 - moments to be killed at keep no secrets
    ended = False
    for _ in range(KILLS):
        ended = killed(tmp_path, chance.uniform(0.3, 2.0)) or ended
        asyncio.run(whole(tmp_path))
    last = governor(tmp_path, "audit", "archive", "--before", "400d", "--to", "a.jsonl")
    assert last.returncode == 0, last.stderr
    asyncio.run(whole(tmp_path))

    async def left() -> int:
        async with Database(url(tmp_path)) as database:
            return len(await ids(database))

    # What remains says that the others were archived.
    assert asyncio.run(left()) == 1
    verified = governor(tmp_path, "audit", "verify", "--archive", "a.jsonl")
    assert verified.returncode == 0, verified.stdout + verified.stderr
