"""`docs/metrics.md` describes every metric, and Prometheus' linter finds no fault in what a bot shows."""

import ast
import asyncio
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from bot.metrics import Metrics
from tests.support.paths import DOCS, ROOT
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, RunningBot, start_bot
from tests.support.servers import find_program

_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|([^|]+)\|", re.MULTILINE)
_KINDS = {"ComputedGauge", "Counter", "Enum", "Gauge", "Histogram", "Info", "Quantiles", "Summary"}
_TYPE = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """The type of a metric and its labels."""

    type: str
    labels: frozenset[str]


def documented() -> dict[str, Shown]:
    """Return what the page says."""
    rows = _ROW.findall((DOCS / "metrics.md").read_text())
    assert len({name for name, *_ in rows}) == len(rows), "a metric is described twice"
    return {name: Shown(kind, frozenset(re.findall(r"\w+", labels))) for name, kind, labels, _ in rows}


def registered(metrics: Metrics) -> dict[str, Shown]:
    """Return every metric of a registry, those without a sample too."""
    found = {}
    for metric in metrics.registry.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        collector = metrics.registry._names_to_collectors.get(name)
        labels = getattr(collector, "_labelnames", ())
        sampled = {label for sample in metric.samples for label in sample.labels} - {"le"}
        found[name] = Shown(metric.type, frozenset(labels) | sampled)
    return found


def declared() -> set[str]:
    """Return every name of a metric that stands in the code, whether it is registered or not."""
    names = set()
    for file in sorted((ROOT / "bot").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.func, ast.Name):
                continue
            first = node.args[0]
            if node.func.id in _KINDS and isinstance(first, ast.Constant) and isinstance(first.value, str):
                is_counter = node.func.id == "Counter" and not first.value.endswith("_total")
                names.add(f"{first.value}_total" if is_counter else first.value)
    return names


async def read_metrics(bot: RunningBot) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{bot.url}/metrics") as response:
        return await response.text()


async def use(bot: RunningBot) -> None:
    """Push events and ask the gate, so that most metrics have a sample."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    event = {"service": "checkout", "slo": "orders", "good": 99, "bad": 0}
    async with aiohttp.ClientSession(f"{bot.url}/api/v1/", headers=headers) as session:
        async with session.post("events", json=event) as response:
            assert response.status == 202

        async def gate() -> int:
            async with session.get("gate/checkout") as response:
                return response.status

        await eventually(gate, lambda status: status == 200)
    metrics = bot.governor.metrics
    metrics.lead_time.set("checkout", {"0.5": 60.0, "0.9": 120.0})
    metrics.recovery_time.set("checkout", {"0.5": 60.0, "0.9": 120.0})
    await eventually(lambda: read_metrics(bot), lambda text: "governor_due_tasks{" in text)


async def test_the_page_describes_every_metric_and_no_other(tmp_path: Path) -> None:
    async with start_bot(tmp_path) as bot:
        await use(bot)
        found = registered(bot.governor.metrics)
        text = await read_metrics(bot)
    page = documented()
    assert {name: (each, found.get(name)) for name, each in page.items() if found.get(name) != each} == {}
    assert found.keys() - page.keys() == set(), "not in docs/metrics.md"
    assert declared() - page.keys() == set(), "not in docs/metrics.md"
    # What is shown over HTTP is what is registered.
    assert {name for name, _ in _TYPE.findall(text) if not name.endswith("_created")} == set(page)
    assert await asyncio.to_thread(complaints, text) == ""


def complaints(text: str) -> str:
    """Return what Prometheus' linter says of metrics."""
    command = [find_program("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout + done.stderr


async def test_a_loop_that_fails_is_counted_wherever_its_error_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise KeyError("a fault of the program")

    async with start_bot(tmp_path) as bot:
        parts = bot.governor.parts
        # Each is shown before it first fails, or Prometheus would not see that it did.
        await eventually(lambda: counted(bot), lambda found: set(found.values()) == {0})
        monkeypatch.setattr(parts.flags._guard_runner, "tick", fail)
        monkeypatch.setattr(parts.incidents.step_runner, "tick", fail)
        for name in ("drop_old_events", "drop_lost_gauges"):
            monkeypatch.setattr(parts.budgets, name, fail)
        monkeypatch.setattr(bot.governor, "_drop_past_windows", fail)
        await bot.governor._drop_old_rows()
        parts.incidents.step_runner.notify()
        await eventually(lambda: counted(bot), lambda found: all(found.values()))
        # One round, however much of it failed.
        assert (await counted(bot))["drop_old_rows"] == 1


async def counted(bot: RunningBot) -> dict[str, float | None]:
    """Return how often these loops failed."""
    registry, name = bot.governor.metrics.registry, "governor_loop_failures_total"
    loops = ("tick", "drop_old_rows", "flags", "incidents")
    return {loop: registry.get_sample_value(name, {"loop": loop}) for loop in loops}
