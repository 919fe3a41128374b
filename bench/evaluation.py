"""How long one evaluation of many SLOs takes on a real Prometheus, against slo-generator on the same data."""

import asyncio
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
import yaml

from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.budget import Budget
from bot.budgets.evaluator import Assessed, Evaluator
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import Bucket
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.catalog import Catalog, Service, Workspace
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import ErrorBudgetPolicy
from bot.catalog.slo import CounterSli, Slo
from bot.catalog.teams import Teams
from bot.catalog.window import RollingWindow, Span
from bot.freezes.budget_judge import BudgetJudge
from bot.policy.loader import load
from bot.serving import relax_garbage_collection
from bot.store.database import Database
from bot.store.migrate import migrate
from tests.support.servers import running_prometheus

SLOS_A_SERVICE = 10
PEER_SAMPLES = (20, 100)
_DAYS = 30
_SAMPLE_S, _DENSE_S = 300, 30
AHEAD = timedelta(hours=1)
"""Samples of this long are written in advance where the program runs in real time, as if they kept coming."""
_DENSE_FOR_S = 3 * 3_600
"""The last three hours have a sample every 30 s, what lies before one every five minutes."""
_BLOCK_S = 162 * 3_600
_TICKS = 7
_ROUNDS = 9
_EVERY = timedelta(seconds=60)
_WINDOWS = {"1h": 3_600, "6h": 21_600, "3d": 259_200, "30d": 2_592_000}
_VENV = Path(".cache/slo-generator")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Seconds for a tick, and for the same SLOs by slo-generator; the largest difference in remaining.

    `imported_s` is a tick of the same SLOs as Sloth's documents have them.
    """

    ours_s: float
    imported_s: float
    peer_s: float
    difference: float
    filling_s: float


class StandingClock:
    """A clock that is moved by hand."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        """Return the time that was set."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Wait for real."""
        await asyncio.sleep(seconds)


def history(slos: int, end: datetime, days: float = _DAYS) -> Iterator[str]:
    """Write days of two counters for each SLO, as OpenMetrics: a text for each block of Prometheus'."""
    last = int(end.timestamp())
    first = (last - int(days * 86_400) - 7_200) // _SAMPLE_S * _SAMPLE_S
    dense = last - _DENSE_FOR_S
    times = [*range(first, dense, _SAMPLE_S), *range(dense, last + 1, _DENSE_S)]
    for block in range(first // _BLOCK_S, last // _BLOCK_S + 1):
        within = [at for at in times if at // _BLOCK_S == block]
        yield "".join(["# TYPE http_requests counter\n", *_samples(slos, within, first), "# EOF\n"])


def _samples(slos: int, times: Sequence[int], first: int) -> Iterator[str]:
    for number in range(slos):
        labels = f'service="service-{number // SLOS_A_SERVICE}",operation="{number % SLOS_A_SERVICE}"'
        for code, each_s in (("200", 10), ("500", 0.01 * (number % 5))):
            series = f'http_requests_total{{{labels},code="{code}"}}'
            for at in times:
                yield f"{series} {int((at - first) * each_s)} {at}\n"


def services(slos: int, window: timedelta = timedelta(days=_DAYS)) -> list[Service]:
    """Return services with ten SLOs each."""
    return [
        Service(
            name=f"service-{number}",
            description="",
            channel=f"#service-{number}",
            teams=Teams(),
            error_budget_policy=ErrorBudgetPolicy("standard"),
            slos=tuple(_slo(number, operation, window) for operation in range(SLOS_A_SERVICE)),
            policies={},
        )
        for number in range(slos // SLOS_A_SERVICE)
    ]


def _slo(service: int, operation: int, window: timedelta) -> Slo:
    labels = f'service="service-{service}",operation="{operation}"'
    sli = CounterSli(
        "prometheus",
        total=f"http_requests_total{{{labels}}}",
        bad=f'http_requests_total{{{labels},code="500"}}',
    )
    return Slo(f"service-{service}", f"operation-{operation}", Decimal("0.99"), RollingWindow(window), sli)


def workspace_document() -> dict[str, object]:
    """Return a workspace that imports the documents of other tools beside it."""
    return {
        "apiVersion": "governor/v1",
        "kind": "Workspace",
        "metadata": {"name": "acme"},
        "spec": {
            "channels": {"announcements": "#releases"},
            "sources": {"prometheus": {"url": "http://127.0.0.1:9090"}},
            "imports": [{"folder": ".", "defaults": [{"channel": "#releases"}]}],
        },
    }


def imported(folder: Path, slos: int) -> Catalog:
    """Return the catalog of a policies folder in which the same SLOs are documents of Sloth."""
    policies = folder / "imported"
    policies.mkdir()
    (policies / "workspace.yaml").write_text(yaml.safe_dump(workspace_document()))
    for service in services(slos):
        document = sloth_document(service, SLOS_A_SERVICE)
        (policies / f"{service.name}.yaml").write_text(yaml.safe_dump(document))
    return load(policies)


def sloth_document(service: Service, most: int) -> dict[str, object]:
    """Return a service's first SLOs as a document of Sloth."""
    slos = []
    for slo in service.slos[:most]:
        assert isinstance(slo.sli, CounterSli)
        error, total = (f"sum(rate({each}[{{{{.window}}}}]))" for each in (slo.sli.bad, slo.sli.total))
        slos.append(
            {
                "name": slo.name,
                "objective": 99,
                "sli": {"events": {"error_query": error, "total_query": total}},
                "alerting": {"page_alert": {"disable": True}, "ticket_alert": {"disable": True}},
            }
        )
    return {"version": "prometheus/v1", "service": service.name, "slos": slos}


async def measure(folder: Path, slos: int) -> Evaluated:
    """Fill the ledger, time a tick of ours, and the peer on a sample of the SLOs."""
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    async with (
        running_prometheus(folder, openmetrics=history(slos, end)) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        clock = StandingClock(end - (_TICKS + 1) * _EVERY)
        source = PrometheusSource(prometheus.url, session)
        catalog = Catalog(
            Workspace("acme", "#releases", evaluate_every=_EVERY),
            {service.name: service for service in services(slos)},
            "",
        )
        async with (
            _evaluating(folder / "evaluation.db", catalog, source, clock) as evaluate,
            _evaluating(folder / "imported.db", imported(folder, slos), source, clock) as evaluate_imported,
        ):
            filling_s = await _timed(evaluate())
            await evaluate_imported()
            # As in a bot that has begun to run.
            relax_garbage_collection()
            ticks, imported_ticks = [], []
            for _ in range(_TICKS):
                clock.time += _EVERY
                # In turns, so that a machine that is slow for a while is slow for both.
                ticks.append(await _timed(evaluate()))
                imported_ticks.append(await _timed(evaluate_imported()))
            budgets = {budget.slo.key: budget for budget in await evaluate()}
        at = clock.time
        runs = [
            (count, *await asyncio.to_thread(slo_generator, folder, prometheus.url, slos, count, at))
            for count in PEER_SAMPLES
        ]
        (few, few_s, _), (many, many_s, reports) = runs
        peer_s = (many_s - few_s) / (many - few) * slos
        difference = max(abs(float(budgets[key].remaining or 0) - left) for key, left in reports.items())
        ours_s, imported_s = statistics.median(ticks), statistics.median(imported_ticks)
        return Evaluated(ours_s, imported_s, peer_s, difference, filling_s)


@asynccontextmanager
async def _evaluating(
    file: Path, catalog: Catalog, source: PrometheusSource, clock: StandingClock
) -> AsyncIterator[Callable[[], Awaitable[list[Budget]]]]:
    """Yield what evaluates all SLOs of a catalog, decisions included, and returns the budgets."""
    async with Database(f"sqlite+aiosqlite:///{file}") as database:
        await migrate(database)
        ledger = Ledger(database)
        await ledger.register(catalog.slos)
        judge = BudgetJudge(database, lambda _context: ())

        async def assessed(found: Assessed, now: datetime) -> None:
            await judge.judge_all(found, now)

        collector = Collector(ledger, {"prometheus": source})
        evaluator = Evaluator(collector, ledger, CurrentCatalog(catalog), clock, assessed)

        async def evaluate() -> list[Budget]:
            await evaluator.evaluate(list(catalog.services.values()))
            return [budget for all_ in evaluator.latest.values() for budget in all_]

        yield evaluate


def slo_generator(
    folder: Path, url: str, slos: int, count: int, at: datetime
) -> tuple[float, dict[str, float]]:
    """Return the peer's seconds for about so many of the SLOs, and what it finds remaining."""
    home = folder / f"slo-generator-{count}"
    home.mkdir()
    sample = range(0, slos, max(1, slos // count))[:count]
    steps = [
        {"name": name, "burn_rate_threshold": 1, "alert": False, "window": seconds, "message_alert": "",
         "message_ok": ""}
        for name, seconds in _WINDOWS.items()
    ]  # fmt: skip
    config = {
        "backends": {"prometheus": {"url": url}},
        "exporters": {},
        "error_budget_policies": {"default": {"steps": steps}},
    }
    (home / "config.yaml").write_text(yaml.safe_dump(config))
    for number in sample:
        (home / f"slo-{number}.yaml").write_text(yaml.safe_dump(_peer_slo(number)))
    command = [
        str(peer()),
        "compute",
        "-f",
        str(home),
        "-c",
        str(home / "config.yaml"),
        "-t",
        str(at.timestamp()),
    ]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=home, timeout=900)
    took = time.perf_counter() - began
    return took, _remaining(done.stdout + done.stderr)


def _peer_slo(number: int) -> dict[str, object]:
    service, operation = divmod(number, SLOS_A_SERVICE)
    labels = f'service="service-{service}",operation="{operation}"'
    metric = f"http_requests_total{{{labels}"
    return {
        "apiVersion": "sre.google.com/v2",
        "kind": "ServiceLevelObjective",
        "metadata": {
            "name": f"service-{service}-{operation}",
            "labels": {"service_name": service, "feature_name": "requests", "slo_name": operation},
        },
        "spec": {
            "description": "requests that succeed",
            "backend": "prometheus",
            "method": "good_bad_ratio",
            "exporters": [],
            "goal": 0.99,
            "error_budget_policy": "default",
            "service_level_indicator": {
                "filter_good": f'{metric},code="200"}}[window]',
                "filter_bad": f'{metric},code="500"}}[window]',
            },
        },
    }


_REPORT = re.compile(r"service-(\d+)-(\d+) +\| 30d .*Good: (\d+) +\| Bad: (\d+)")


def _remaining(output: str) -> dict[str, float]:
    """Read the peer's reports: the remaining share of each SLO's budget over 30 days."""
    found = {}
    for service, operation, good, bad in _REPORT.findall(output):
        share = int(bad) / (int(good) + int(bad))
        found[f"service-{service}/operation-{operation}"] = 1 - share / 0.01
    return found


def peer() -> Path:
    """Install slo-generator into a virtual environment of its own, once; return its program."""
    program = _VENV.absolute() / "bin" / "slo-generator"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
        pip = str(_VENV / "bin" / "pip")
        subprocess.run([pip, "install", "-q", "setuptools<80", "slo-generator[prometheus]"], check=True)
    return program


@dataclass(frozen=True, slots=True)
class Windows:
    """Seconds for the budgets of all SLOs over 90 and over 7 days, by days.

    `hourly_s` are those of the first evaluation in an hour, `first_s` those of the first after a start, which
    remembers no sums; `later_s` of all others.
    """

    later_s: dict[int, float]
    hourly_s: dict[int, float]
    first_s: dict[int, float]


async def windows(folder: Path, slos: int = 100) -> Windows:
    """Time the budgets over windows of 90 and of 7 days, on 95 days of history, while hours pass."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=_ROUNDS)
    taken: dict[str, dict[int, list[float]]] = {
        kind: {90: [], 7: []} for kind in ("later", "hourly", "first")
    }
    asked = {
        days: [AssessmentRequest(slo) for s in services(slos, timedelta(days=days)) for slo in s.slos]
        for days in (90, 7)
    }
    async with Database(f"sqlite+aiosqlite:///{folder}/windows.db") as database:
        await migrate(database)
        written = Ledger(database)
        for service in services(slos):
            await written.change_resolution(service.slos, 60, hour)
        await _write(written, slos, Span(hour - timedelta(days=95), hour), timedelta(hours=1))
        ledgers = {days: await _registered(database, asked[days]) for days in asked}
        for days, requests in asked.items():
            await assess_all(ledgers[days], requests, hour, _EVERY)
        # In turns, so that a machine that is slow for a while is slow for both.
        for _ in range(_ROUNDS):
            await _write(written, slos, Span(hour, hour + timedelta(hours=1)), timedelta(minutes=1))
            hour += timedelta(hours=1)
            for days, requests in asked.items():
                begun, running = await _registered(database, requests), ledgers[days]
                for kind, ledger in (("first", begun), ("hourly", running), ("later", running)):
                    taken[kind][days].append(await _timed(assess_all(ledger, requests, hour, _EVERY)))
    medians = {
        kind: {days: statistics.median(all_) for days, all_ in by_days.items()}
        for kind, by_days in taken.items()
    }
    return Windows(medians["later"], medians["hourly"], medians["first"])


async def _registered(database: Database, requests: Sequence[AssessmentRequest]) -> Ledger:
    ledger = Ledger(database)
    await ledger.register([request.slo for request in requests])
    return ledger


async def _write(ledger: Ledger, slos: int, span: Span, width: timedelta) -> None:
    starts = [span.start + number * width for number in range(span.length // width)]
    buckets = [Bucket(at, width, 1, 1_000) for at in starts]
    for service in services(slos):
        await ledger.write([(slo, buckets) for slo in service.slos], span, width, span.end)


async def _timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began
