"""What the bot costs while nothing happens: memory, the time of a warm start, and idle CPU."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench.ack import shop
from bot.sandbox.server import SandboxServer
from bot.slack.manifest import manifest
from tests.running import running_governor

_WATCHED_S = 60.0


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
    (policies / "all.yaml").write_text(shop(slos))
    async with SandboxServer(manifest=manifest("https://bench.example")) as slack:
        running = running_governor(policies=policies, slack=slack, folder=folder, LOG_LEVEL="error")
        async with running as bot:
            await bot.terminate()
            began = time.perf_counter()
            await bot.start()
            warm_start_s = time.perf_counter() - began
            await asyncio.sleep(20)
            before = _cpu_s(bot.pid)
            await asyncio.sleep(_WATCHED_S)
            return Footprint(_resident_mb(bot.pid), warm_start_s, (_cpu_s(bot.pid) - before) / _WATCHED_S)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
