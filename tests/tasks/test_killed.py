"""Processes that do tasks are killed at random moments: each task is done once all the same."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from datetime import UTC, datetime

from sqlalchemy import select

from bot.store.database import Database
from bot.store.tables.core import outbox
from bot.tasks import records
from tests.support.paths import ROOT
from tests.tasks.worker import KINDS, task

LENGTH = 60
KILLS = 6
SEED = int(os.environ.get("CHAOS_SEED", "20261129"))


async def start(url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.tasks.worker", url, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )


async def kill(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def told(database: Database) -> Counter[tuple[str, str]]:
    async with database.reading() as connection:
        rows = await connection.execute(select(outbox.c.event_type, outbox.c.text))
        return Counter((row.event_type, row.text) for row in rows)


async def test_each_task_is_done_once_through_kills(database: Database) -> None:
    rng = random.Random(SEED)  # noqa: S311
    now = datetime.now(UTC)
    async with database.transaction() as connection:
        for kind in KINDS:
            await records.plan(database, connection, task(kind, 1, LENGTH, now), now)
    # SQLite has one process; PostgreSQL two, whose leases move when one is killed.
    workers = [await start(database.url) for _ in range(1 if database.is_sqlite else 2)]
    wanted = 2 * LENGTH * len(KINDS)
    try:
        async with asyncio.timeout(120):
            kills = 0
            while (done := (await told(database)).total()) < wanted:
                if kills < KILLS and done >= wanted * (kills + 1) / (KILLS + 2):
                    kills += 1
                    await asyncio.sleep(rng.uniform(0, 0.03))
                    victim = rng.randrange(len(workers))
                    await kill(workers[victim])
                    workers[victim] = await start(database.url)
                await asyncio.sleep(0.02)
    finally:
        for worker in workers:
            await kill(worker)
    assert kills >= 1
    expected = [f"{n} {what}" for n in range(1, LENGTH + 1) for what in ("begins", "ends")]
    assert await told(database) == Counter((kind, text) for kind in KINDS for text in expected)
