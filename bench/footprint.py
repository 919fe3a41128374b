"""What the bot costs while nothing happens: memory, the time of a warm start, and idle CPU."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.ack import shop
from bench.process import memory_mb
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.source import Bucket
from bot.catalog.slo import Slo
from bot.catalog.window import Span
from bot.policy.loader import load
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from bot.store.database import Database
from bot.store.migrate import migrate
from tests.support.running import running_governor

_WATCHED_S = 60.0
_DAYS = 90
_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Footprint:
    """Resident megabytes, seconds until ready with a filled database, and the share of a core while idle."""

    resident_mb: float
    warm_start_s: float
    idle_cpu: float


async def measure(folder: Path, slos: int) -> Footprint:
    """Start the bot twice with so many SLOs, and watch it for a minute of doing nothing."""
    policies = folder / "footprint"
    policies.mkdir()
    (policies / "all.yaml").write_text(shop(slos, f"{_DAYS}d"))
    await _remember(folder, load(policies).slos)
    async with FakeSlackServer(manifest=manifest("https://bench.example")) as slack:
        running = running_governor(policies=policies, slack=slack, folder=folder, LOG_LEVEL="error")
        async with running as bot:
            await bot.terminate()
            began = time.perf_counter()
            await bot.start()
            warm_start_s = time.perf_counter() - began
            await asyncio.sleep(20)
            before = _cpu_s(bot.pid)
            await asyncio.sleep(_WATCHED_S)
            return Footprint(
                memory_mb(bot.pid, "VmRSS"), warm_start_s, (_cpu_s(bot.pid) - before) / _WATCHED_S
            )


async def _remember(folder: Path, slos: Sequence[Slo]) -> None:
    """Fill the database with what the windows hold, hour by hour."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    span, hour = Span(now - timedelta(days=_DAYS), now), timedelta(hours=1)
    buckets = [Bucket(span.start + number * hour, hour, 1, 1_000) for number in range(_DAYS * 24)]
    async with Database(f"sqlite+aiosqlite:///{folder}/governor.db") as database:
        await migrate(database)
        ledger = Ledger(database)
        for at in range(0, len(slos), _AT_ONCE):
            await ledger.write([(slo, buckets) for slo in slos[at : at + _AT_ONCE]], span, hour, now)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
