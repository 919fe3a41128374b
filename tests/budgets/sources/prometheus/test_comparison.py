"""The numbers of Sloth and Pyrra, and the own one beside them, on one real Prometheus with Sloth's rules."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import SourceRefusedError
from bot.budgets.sources.comparison import OtherTool
from bot.budgets.sources.prometheus.comparison import tool_query
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import (
    IS_ONE,
    Condition,
    CounterSli,
    CounterSlicesSli,
    EventsSli,
    GaugeSli,
    LatencySli,
    NativeHistogramSli,
    Operator,
    RatioSli,
    Sli,
)
from bot.catalog.window import RollingWindow, Span
from bot.store.database import Database
from tests.support.clock import DAY, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.paths import ROOT
from tests.support.servers import Prometheus, find_program, running_prometheus
from tests.support.stores import create_tables
from tests.support.values import slo

COUNT = "http_request_duration_seconds_count"
TOTAL, BAD = f'{COUNT}{{job="myservice"}}', f'{COUNT}{{job="myservice",code=~"(5..|429)"}}'
SLI = CounterSli("prometheus", TOTAL, bad=BAD)
RATIO = RatioSli("prometheus", f"sum(rate({BAD}[5m])) / sum(rate({TOTAL}[5m]))")
UP = GaugeSli("prometheus", 'up{job="myservice"}')
WINDOW = Span(NOW - 30 * DAY, NOW)
RECORDED = "slo:sli_error:ratio_rate5m"
MEAN = f"sum_over_time({RECORDED}[30d]) / ignoring (sloth_window) count_over_time({RECORDED}[30d])"
GENERATED = ROOT.parent / "shared" / "formats" / "sloth-rules" / "getting-started.yml"


def samples() -> Iterator[str]:
    """Write a month of scrapes each minute: days and nights, and bursts of errors in the quiet hours."""
    chance = random.Random(5)  # noqa: S311 - made-up traffic keeps no secrets
    first = int(WINDOW.start.timestamp()) - 7_200
    times = range(first, int(WINDOW.end.timestamp()) + 61, 60)
    nights = [at for at in times if math.sin(at / 86_400 * 2 * math.pi) < -0.5]
    bursts = chance.sample(nights, 40)
    counters = {"200": 1_000, "500": 10, "429": 10}
    lines: dict[str, list[str]] = {code: [] for code in counters}
    up = []
    for at in times:
        requests = 60 * (30 + 25 * math.sin(at / 86_400 * 2 * math.pi))
        failing = 0.2 if any(start <= at < start + 1_800 for start in bursts) else 0.0005
        for code, share in (("200", 1 - failing), ("500", failing * 0.8), ("429", failing * 0.2)):
            counters[code] += round(requests * share)
            lines[code].append(f'{COUNT}{{job="myservice",code="{code}"}} {counters[code]} {at}\n')
        up.append(f'up{{job="myservice"}} {0 if failing > 0.1 else 1} {at}\n')
    yield "# TYPE http_request_duration_seconds summary\n"
    for series in lines.values():
        yield from series
    yield "# TYPE up gauge\n"
    yield from up
    yield "# EOF\n"


@asynccontextmanager
async def recorded(folder: Path, rules: list[dict[str, Any]]) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that has recorded rules for a month."""
    async with running_prometheus(folder, openmetrics="".join(samples())) as prometheus:
        file = folder / "rules.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "sloth", "rules": rules}]}))
        command = [
            *(find_program("promtool"), "tsdb", "create-blocks-from", "--max-block-duration=162h"),
            *("rules", f"--url={prometheus.url}"),
            *(f"--start={WINDOW.start.timestamp():.0f}", f"--end={WINDOW.end.timestamp():.0f}"),
            *("--eval-interval=60s", f"--output-dir={folder / 'prometheus' / 'data'}", str(file)),
        ]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        assert await process.wait() == 0
        await prometheus.stop()
        await prometheus.start()
        yield prometheus


@asynccontextmanager
async def asking(prometheus: Prometheus) -> AsyncIterator[PrometheusSource]:
    async with aiohttp.ClientSession() as session:
        yield PrometheusSource(prometheus.url, session, timeout=timedelta(seconds=120))


async def own_number(source: PrometheusSource, folder: Path, sli: Sli) -> float:
    """Return the share of bad events that the ledger counts."""
    async with Database(f"sqlite+aiosqlite:///{folder}/governor.db") as database:
        await create_tables(database)
        ledger = Ledger(database)
        objective = slo("availability", sli=sli, window=RollingWindow(WINDOW.length))
        collector = Collector(ledger, {"prometheus": source}, retry_wait=timedelta())
        await collector.collect([objective], NOW, MINUTE)
        events = (await assessed(ledger, objective, NOW)).events
        assert events is not None
        return events.bad / events.total


@pytest.mark.timeout(300)
async def test_the_three_numbers_of_one_month(tmp_path: Path) -> None:
    rules = [{"record": RECORDED, "expr": RATIO.query, "labels": {"sloth_window": "5m"}}]
    async with recorded(tmp_path, rules) as prometheus, asking(prometheus) as source:
        by_sloth = await prometheus.value(MEAN, NOW)
        increase = f"sum(increase({BAD}[30d])) / sum(increase({TOTAL}[30d]))"
        by_pyrra = await prometheus.value(increase, NOW)
        sloth, ratio, pyrra = [
            await source.figure_of(tool, sli, WINDOW)
            for tool, sli in ((OtherTool.SLOTH, SLI), (OtherTool.SLOTH, RATIO), (OtherTool.PYRRA, SLI))
        ]
        assert sloth.error_rate == pytest.approx(by_sloth, rel=0.001)
        assert ratio.error_rate == pytest.approx(by_sloth, rel=0.001)
        assert pyrra.error_rate == pytest.approx(by_pyrra, rel=0.001)
        assert await own_number(source, tmp_path, SLI) == pytest.approx(by_pyrra, rel=0.001)
        # Quiet hours weigh as much as busy ones for one of them only.
        assert abs(by_sloth / by_pyrra - 1) > 0.01
        gauge = await source.figure_of(OtherTool.PYRRA, UP, WINDOW)
        mean = await prometheus.value('1 - avg_over_time(up{job="myservice"}[30d])', NOW)
        assert gauge.error_rate == pytest.approx(mean, rel=0.001)


@pytest.mark.timeout(300)
@pytest.mark.skipif(not GENERATED.exists(), reason="the rules that Sloth generated are not here")
async def test_the_rules_that_sloth_generated_say_the_same(tmp_path: Path) -> None:
    rules = [rule for group in yaml.safe_load(GENERATED.read_text())["groups"] for rule in group["rules"]]
    (five_minutes,) = (rule for rule in rules if rule.get("record") == RECORDED)
    (month,) = (rule for rule in rules if rule.get("record") == "slo:sli_error:ratio_rate30d")
    async with recorded(tmp_path, [five_minutes]) as prometheus, asking(prometheus) as source:
        figure = await source.figure_of(OtherTool.SLOTH, SLI, WINDOW)
        assert figure.error_rate == pytest.approx(await prometheus.value(month["expr"], NOW), rel=0.001)


async def test_without_numbers_a_tool_shows_none(tmp_path: Path) -> None:
    end = datetime.now(UTC).replace(second=0, microsecond=0) - 10 * MINUTE
    first = int(end.timestamp()) - 3_600
    quiet = "".join(
        f'{COUNT}{{job="myservice",code="500"}} 7 {at}\n' for at in range(first, first + 3_600, 60)
    )
    text = f"# TYPE http_request_duration_seconds summary\n{quiet}# EOF\n"
    async with running_prometheus(tmp_path, openmetrics=text) as prometheus, asking(prometheus) as source:
        hour = Span(end - timedelta(hours=1), end)
        sloth = await source.figure_of(OtherTool.SLOTH, SLI, hour)
        assert (sloth.error_rate, sloth.is_undefined) == (None, True)
        other = CounterSli("prometheus", "nobody", bad="nothing")
        figure = await source.figure_of(OtherTool.PYRRA, other, hour)
        assert (figure.error_rate, figure.is_undefined) == (None, False)


@pytest.mark.parametrize(
    ("tool", "sli", "query"),
    [
        (
            OtherTool.SLOTH,
            CounterSli("p", "a + b", good="c"),
            (
                "avg_over_time((((sum(rate(a[5m])) + sum(rate(b[5m]))) - (sum(rate(c[5m])))) / "
                "(sum(rate(a[5m])) + sum(rate(b[5m]))))[60s:1m])"
            ),
        ),
        (OtherTool.SLOTH, RatioSli("p", "q[$window]"), "avg_over_time((q[5m])[60s:1m])"),
        (
            OtherTool.PYRRA,
            CounterSli("p", "a", bad="b + c"),
            (
                "((sum(increase(b[60s])) or vector(0)) + (sum(increase(c[60s])) or vector(0))) / "
                "(sum(increase(a[60s])))"
            ),
        ),
        (
            OtherTool.PYRRA,
            CounterSli("p", "increase(a[$window])", bad="increase(b[$window])"),
            "((sum(increase(b[60s])) or vector(0))) / (sum(increase(a[60s])))",
        ),
    ],
)
def test_the_queries_are_those_of_the_tools(tool: OtherTool, sli: Sli, query: str) -> None:
    assert tool_query(tool, sli, 60) == query


@pytest.mark.parametrize(
    ("tool", "sli"),
    [
        (OtherTool.SLOTH, UP),
        (OtherTool.SLOTH, CounterSlicesSli(SLI, MINUTE, IS_ONE)),
        (OtherTool.PYRRA, RATIO),
        (OtherTool.PYRRA, GaugeSli("p", "temperature", Condition(Operator.BELOW, Decimal(40)))),
        (OtherTool.SLOTH, EventsSli()),
        (OtherTool.PYRRA, EventsSli()),
    ],
)
def test_what_a_tool_does_not_have_is_refused(tool: OtherTool, sli: Sli) -> None:
    with pytest.raises(SourceRefusedError):
        tool_query(tool, sli, 60)


def test_histograms_are_shares_of_their_slow_events() -> None:
    threshold = timedelta(milliseconds=300)
    classic = tool_query(OtherTool.PYRRA, LatencySli("p", "seconds", 'job="a"', threshold), 60)
    total = '(sum(increase(seconds_count{job="a"}[60s])))'
    assert classic.startswith(f"({total} - ((sum(increase(seconds_bucket{{")
    assert classic.endswith(f" / {total}")
    native = tool_query(OtherTool.SLOTH, NativeHistogramSli("p", "seconds", 'job="a"', threshold), 60)
    assert native.count("histogram_fraction(-Inf, 0.3,") == 1
    assert native.endswith('/ (sum(histogram_count(sum(increase(seconds{job="a"}[5m]))))))[60s:1m])')
