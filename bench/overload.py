"""The program while evaluations cannot keep up: a thousand SLOs are filled and evaluated every second."""

import asyncio
import re
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.evaluation import AHEAD, SLOS_A_SERVICE, history
from bench.gate import CONNECTIONS, TOKEN, callers, steady
from bench.load import Timing
from bench.process import evaluation_of, filled, memory_mb, write_policies
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from tests.support.running import Bot, eventually, meanwhile, running_governor
from tests.support.servers import running_prometheus

_RATE = 200.0
_OVERLOADED_S, _KEEPING_UP_S = 1.0, 60.0
_LOAD_S = 10.0
_PATIENCE_S = 300.0
_RELOADED_S = 10.0
_BEHIND = re.compile(r"^governor_evaluation_behind_seconds (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Behind:
    """The most seconds that evaluations were said to be behind, by `/readyz` and by the metric."""

    ready_s: float = 0.0
    metric_s: float = 0.0

    async def watch(self, bot: Bot) -> None:
        """Ask again and again until cancelled."""
        while True:
            self.ready_s = max(self.ready_s, (await evaluation_of(bot))["behind_seconds"])
            found = _BEHIND.search(await bot.text("/metrics"))
            self.metric_s = max(self.metric_s, float(found[1]) if found else 0.0)
            await asyncio.sleep(1)


@dataclass(frozen=True, slots=True)
class Overload:
    """What was seen while it could not keep up; `relaxed` is the gate with an evaluation a minute."""

    first_s: float
    filling_s: float
    peak_mb: float
    resident_mb: float
    behind: Behind
    while_filling: Timing
    overloaded: Timing
    relaxed: Timing


async def measure(folder: Path, slos: int, days: float) -> Overload:
    """Fill and evaluate so many SLOs every second and ask the gate meanwhile; then evaluate every minute."""
    home = folder / "overload"
    policies = home / "policies"
    policies.mkdir(parents=True)
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    services = slos // SLOS_A_SERVICE
    async with (
        running_prometheus(home, openmetrics=history(slos, end + AHEAD, days)) as prometheus,
        FakeSlackServer(manifest=manifest("https://bench.example")) as slack,
    ):
        write_policies(policies, slos, prometheus.url, _OVERLOADED_S)
        running = running_governor(
            policies=policies, slack=slack, folder=home, LOG_LEVEL="error", GOVERNOR_API_TOKEN=TOKEN
        )
        began, behind = time.perf_counter(), Behind()
        async with running as bot, meanwhile(behind.watch(bot)):
            filling = asyncio.create_task(filled(bot, slos, began))
            await _all_judged(bot, slos)
            while_filling = await _asked(bot, services)
            first_s, filling_s = await filling
            overloaded = await _asked(bot, services)
            peak_mb, resident_mb = memory_mb(bot.pid, "VmHWM"), memory_mb(bot.pid, "VmRSS")
            most = replace(behind)
            write_policies(policies, slos, prometheus.url, _KEEPING_UP_S)
            await asyncio.sleep(_RELOADED_S)
            relaxed = await _asked(bot, services)
    return Overload(first_s, filling_s, peak_mb, resident_mb, most, while_filling, overloaded, relaxed)


async def _all_judged(bot: Bot, slos: int) -> None:
    """Wait until each SLO has a first budget, before which the gate has no answer."""
    await eventually(lambda: evaluation_of(bot), lambda found: found["evaluated_slos"] == slos, _PATIENCE_S)


async def _asked(bot: Bot, services: int) -> Timing:
    async with callers(int(bot.url.rpartition(":")[2]), CONNECTIONS, services) as opened:
        return await steady(opened, _LOAD_S, _RATE)
