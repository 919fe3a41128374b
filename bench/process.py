"""The program as people run it, with SLOs of a real Prometheus: filling, memory, a warm start, stalls."""

import asyncio
import math
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.evaluation import AHEAD, SLOS_A_SERVICE, history
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from tests.support.running import Bot, running_governor
from tests.support.servers import running_prometheus

TICKS = 5
_EVERY_S = 60.0
_FILES = 20
_LAG = re.compile(r'^governor_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)
_TICK = re.compile(r"^governor_evaluation_duration_seconds_(sum|count) (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one start and some evaluations showed.

    `first_s` is until every SLO has a budget of the newest data, `filling_s` until every window is whole.
    `stall_s` is the longest that the event loop was late, as a limit of the histogram's buckets.
    """

    first_s: float
    filling_s: float
    peak_mb: float
    resident_mb: float
    tick_s: float
    stall_s: float
    warm_start_s: float


async def measure(folder: Path, slos: int, days: float, ticks: int = TICKS) -> Figures:
    """Start the program with so many SLOs of 30 days, fill it from so many days of data, and let it run."""
    home = folder / f"process-{slos}"
    policies = home / "policies"
    policies.mkdir(parents=True)
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    async with (
        running_prometheus(home, openmetrics=history(slos, end + AHEAD, days)) as prometheus,
        FakeSlackServer(manifest=manifest("https://bench.example")) as slack,
    ):
        write_policies(policies, slos, prometheus.url, _EVERY_S)
        running = running_governor(policies=policies, slack=slack, folder=home, LOG_LEVEL="error")
        began = time.perf_counter()
        async with running as bot:
            first_s, filling_s = await filled(bot, slos, began)
            await asyncio.sleep(_EVERY_S - time.time() % _EVERY_S + 0.9 * _EVERY_S)
            before = await bot.text("/metrics")
            await asyncio.sleep(ticks * _EVERY_S)
            after = await bot.text("/metrics")
            peak_mb, resident_mb = memory_mb(bot.pid, "VmHWM"), memory_mb(bot.pid, "VmRSS")
            await bot.terminate()
            began = time.perf_counter()
            await bot.start()
            warm_start_s = time.perf_counter() - began
    return Figures(
        first_s,
        filling_s,
        peak_mb,
        resident_mb,
        _tick_s(before, after),
        _stall_s(before, after),
        warm_start_s,
    )


def write_policies(folder: Path, slos: int, prometheus: str, every_s: float) -> None:
    """Write the policies of services with ten SLOs each into some files."""
    workspace = f"""apiVersion: governor/v1
kind: Workspace
metadata: {{name: acme}}
spec:
  channels: {{announcements: "#releases"}}
  evaluateEvery: {every_s:g}s
  sources: {{prometheus: {{url: "{prometheus}"}}}}
"""
    documents = [_document(number) for number in range(slos // SLOS_A_SERVICE)]
    (folder / "workspace.yaml").write_text(workspace)
    for number in range(_FILES):
        (folder / f"services-{number}.yaml").write_text("---\n".join(documents[number::_FILES]))


def _document(number: int) -> str:
    lines = [
        "apiVersion: governor/v1",
        "kind: Service",
        f"metadata: {{name: service-{number}}}",
        "spec:",
        '  channel: "#checkout"',
        "  slos:",
    ]
    for operation in range(SLOS_A_SERVICE):
        selector = f'service="service-{number}",operation="{operation}"'
        lines += [
            f"    - name: operation-{operation}",
            "      objective: 99",
            "      window: 30d",
            "      sli:",
            "        prometheus:",
            f"          total: 'http_requests_total{{{selector}}}'",
            f"          bad: 'http_requests_total{{{selector},code=\"500\"}}'",
        ]
    return "\n".join(lines) + "\n"


async def filled(bot: Bot, slos: int, began: float) -> tuple[float, float]:
    """Wait for the first budgets and for whole windows; return the seconds since the start of both."""
    first_s = math.nan
    while True:
        evaluation = await evaluation_of(bot)
        if evaluation["evaluated_slos"] == slos:
            now_s = time.perf_counter() - began
            first_s = now_s if math.isnan(first_s) else first_s
            if not evaluation["unmeasured_slos"]:
                return first_s, now_s
        await asyncio.sleep(0.2)


async def evaluation_of(bot: Bot) -> Any:
    """Return what `/readyz` says about the evaluation."""
    return (await bot.get("/readyz"))["checks"]["evaluation"]


def _tick_s(before: str, after: str) -> float:
    """Return the mean of the evaluations between two readings of the metrics."""
    (sum_before, count_before), (sum_after, count_after) = (
        [float(value) for _, value in sorted(_TICK.findall(text), reverse=True)] for text in (before, after)
    )
    return (sum_after - sum_before) / (count_after - count_before)


def _stall_s(before: str, after: str) -> float:
    """Return the limit of the last bucket into which the event loop's lag fell between two readings."""
    counts_before, counts_after = (
        {float(limit): float(count) for limit, count in _LAG.findall(text)} for text in (before, after)
    )
    seen = {limit: counts_after[limit] - counts_before.get(limit, 0.0) for limit in sorted(counts_after)}
    return min(limit for limit, count in seen.items() if count == max(seen.values()))


def memory_mb(pid: int, field: str) -> float:
    """Return `VmRSS`, what a process has in memory, or `VmHWM`, the most that it had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024 / 1e6
