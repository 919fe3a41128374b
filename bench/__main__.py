"""Run every benchmark and keep the table in docs/performance.md."""

import argparse
import asyncio
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bench import (
    ack,
    cluster,
    evaluation,
    footprint,
    gate,
    overload,
    process,
    reading,
    replicas,
    telling,
    year,
)
from bench.load import Timing
from bot.sandbox.fake_slack.slack_facts import CALLS_A_MINUTE

TABLE = Path("docs/performance.md")
HEAD = """# Performance

`make bench` measures Governor beside a peer in the same run; what counts is the ratio. The last run:

"""
NOTES = """
- The ack's peer is a bare slack-bolt app that only acknowledges (`bench/bare_bolt.py`); Governor also
  answers each command.
- The gate runs on one core and is asked about all services, one SLO each, over 32 kept connections, while all
  budgets are evaluated every five seconds.
- The evaluation's peer is slo-generator on the same Prometheus, with burn rates over the same four windows.
  Each SLO has two series with a sample every five minutes for 30 days, and one every 30 s in the last three
  hours. The peer is timed on two samples of the SLOs; the difference, which leaves its start out, is scaled
  up. Governor's tick is the median of seven: questions, transactions, sums and decisions for all SLOs.
- The rows of the process are of the program itself, with SLOs of a real Prometheus, ten a service, evaluated
  every minute. Its event loop's lag is measured four times a second, and shown as the limit of its bucket.
  Ten thousand SLOs have half a day of data. Samples go on for an hour after the start.
- Evaluations every second cannot keep up while a thousand SLOs are filled: the gate is asked 200 times a
  second meanwhile, then with an evaluation a second, and in the end, for comparison, with one a minute.
- Thousands of policy files are read as a reload does, beside an event loop that looks every five milliseconds
  how late it is.
- About once an hour Python looks for garbage among all objects, which takes 0.3 s with ten thousand SLOs, a
  tenth of that with one thousand: no row shows it.
- The handler that only verifies is a bare aiohttp server that looks at Slack's signature
  (`bench/bare_aiohttp.py`).
- The footprint is that of SLOs with pushed events and hourly counts of 90 days, one SLO a service.
- The two windows are compared as almost every evaluation finds them, which remembers the sums of whole
  hours and days; as the first of an hour does, which sums hours anew; and as the first after a start, which
  remembers none.
- The fan-out's peer is Slack itself: a message a second and channel, and in the stand-in 300 a minute in all
  (Slack says "several hundred"). The second line holds it against what no rate forbids: 300 at once, and
  the rest at once when the minute is over. Governor leaves an eighth of each minute to other messages.
- A hold is placed on one replica, and another announces it in Slack and shows it in its metrics: timed from
  before the hold is placed, twenty times, with polling put off by a minute.
- The holds are placed by `/freeze` on one of three processes, each timed from before the command until the
  post of whichever replica arrives in Slack.
- Transactions that decide take turns, on all replicas together. The turn is busy while one of them has it, as
  the replicas themselves count (`governor_database_turn_seconds_total`); every minute all SLOs are evaluated,
  and 2% of the services overspend their budgets.
- The year is simulated on SQLite for a hundred services, since all of it grows with their number, with five
  deployments a week, a freeze a month and an incident a year each; retention runs after each month. The whole
  table is in docs/operating.md: `python -m bench.year --services 1000`.
- The same SLOs are also read from documents of Sloth and evaluated in turn with the own ones.
- "Remaining" is the largest difference between the two in any SLO's remaining budget.
"""

FANNED_OUT = 500
_SHORT_DAYS = 0.5
"""So much data ten thousand SLOs have in Prometheus: the number of answers counts, not their length."""
SIMULATED = 100
"""So many services' year is simulated, and what it takes is scaled up."""
TURNS = 2_000, 10_000
"""Services and SLOs of the replicas whose turns are added up."""

Row = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a part measures with: an empty folder, the length of each load, how many SLOs."""

    folder: Path
    seconds: float
    slos: int


async def run(seconds: float, slos: int, only: Collection[str] = ()) -> list[Row]:
    """Return a row for each figure: what, ours, the peer's, the ratio, the target; print each meanwhile.

    With `only`, the parts of these names are measured.
    """
    rows: list[Row] = []
    for part, measured in _PARTS.items():
        if only and part not in only:
            continue
        with tempfile.TemporaryDirectory() as name:
            found = await measured(Setup(Path(name), seconds, slos))
        for row in found:
            print(" | ".join(row), file=sys.stderr, flush=True)
        rows += found
    return rows


async def _ack(setup: Setup) -> list[Row]:
    return _acks(await ack.measure(setup.folder, seconds=setup.seconds), "200/s, 100 services")


async def _ack_every_second(setup: Setup) -> list[Row]:
    results = await ack.measure(setup.folder, every="1s", seconds=setup.seconds)
    return _acks(results, "200/s, 100 services every second")


def _acks(results: dict[str, tuple[Timing, Timing]], what: str) -> list[Row]:
    (us, them), (us_full, them_full) = results["steady"], results["saturated"]
    return [
        _row(f"ack p50, {what}", us.p50_ms, them.p50_ms, "ms", "≤ 0.25"),
        _row(f"ack p99, {what}", us.p99_ms, them.p99_ms, "ms", "≤ 0.50"),
        _row("the same, saturated: throughput", us_full.per_second, them_full.per_second, "/s", "≥ 0.9"),
        ("ack errors", str(us.errors + us_full.errors), str(them.errors + them_full.errors), "", "0"),
    ]


async def _ack_at_rest(setup: Setup) -> list[Row]:
    results = await ack.measure(setup.folder, peer="bench.bare_aiohttp", seconds=setup.seconds)
    us, them = results["steady"]
    return [
        _row("ack p50 against a handler that only verifies", us.p50_ms, them.p50_ms, "ms", "≤ 2"),
        _row("the same, p99", us.p99_ms, them.p99_ms, "ms", "≤ 2"),
    ]


async def _process(setup: Setup) -> list[Row]:
    return _processes(setup.slos, await process.measure(setup.folder, setup.slos, 30))


async def _large_process(setup: Setup) -> list[Row]:
    slos = 10 * setup.slos
    return _processes(slos, await process.measure(setup.folder, slos, _SHORT_DAYS))


def _processes(slos: int, found: process.Figures) -> list[Row]:
    is_many = slos > 1_000
    return [
        (f"process with {slos} SLOs: first budgets", f"{found.first_s:.1f} s", "", "", ""),
        ("the same: all windows filled", f"{found.filling_s:.1f} s", "", "", "" if is_many else "≤ 20 s"),
        ("peak resident", f"{found.peak_mb:.0f} MB", "", "", "≤ 600 MB" if is_many else "≤ 150 MB"),
        (f"resident after {process.TICKS} ticks", f"{found.resident_mb:.0f} MB", "", "", ""),
        ("tick", f"{found.tick_s:.2f} s", "", "", "≤ 4 s" if is_many else ""),
        ("longest stall of the event loop, at most", f"{1_000 * found.stall_s:.0f} ms", "", "", "≤ 50 ms"),
        ("warm start", f"{found.warm_start_s:.2f} s", "", "", "≤ 5 s" if is_many else ""),
    ]


async def _reading(setup: Setup) -> list[Row]:
    rows = []
    for name, one in (await reading.measure(setup.folder)).items():
        what = f"{reading.FILES} policy files ({name})"
        rows += [
            (f"{what}: read in", f"{one.took_s:.1f} s", "", "", ""),
            ("longest stall of the event loop", f"{1_000 * one.stall_s:.0f} ms", "", "", "≤ 50 ms"),
        ]
    return rows


async def _overload(setup: Setup) -> list[Row]:
    found = await overload.measure(setup.folder, setup.slos, 30)
    beside, errors = found.relaxed, found.relaxed.errors
    rows = [
        (f"{setup.slos} SLOs every second: first budgets", f"{found.first_s:.1f} s", "", "", ""),
        ("the same: all windows filled", f"{found.filling_s:.1f} s", "", "", ""),
        ("peak resident", f"{found.peak_mb:.0f} MB", "", "", "bounded"),
        ("resident", f"{found.resident_mb:.0f} MB", "", "", ""),
        ("most behind, by /readyz", f"{found.behind.ready_s:.0f} s", "", "", "told"),
        ("most behind, by the metric", f"{found.behind.metric_s:.0f} s", "", "", "told"),
    ]
    for what, load in (("filling", found.while_filling), ("every second", found.overloaded)):
        rows += [
            _row(f"gate p50, {what} beside once a minute", load.p50_ms, beside.p50_ms, "ms", ""),
            _row("the same, p99", load.p99_ms, beside.p99_ms, "ms", ""),
        ]
        errors += load.errors
    return [*rows, ("gate errors", str(errors), "", "", "0")]


async def _gate(setup: Setup) -> list[Row]:
    found = await gate.measure(setup.folder, setup.slos, seconds=setup.seconds)
    what = f"gate on one core, {setup.slos} SLOs"
    loads = (found.alone, found.steady, found.saturated)
    return [
        (f"{what}, one caller: p50", f"{found.alone.p50_ms:.2f} ms", "", "", ""),
        (f"{what}, {gate.RATE:g}/s: p50", f"{found.steady.p50_ms:.2f} ms", "", "", ""),
        (f"{what}, {gate.RATE:g}/s: p99", f"{found.steady.p99_ms:.2f} ms", "", "", "≤ 20 ms"),
        (f"{what}, saturated", f"{found.saturated.per_second:.0f}/s", "", "", "≥ 1000/s"),
        ("gate errors", str(sum(load.errors for load in loads)), "", "", "0"),
    ]


async def _windows(setup: Setup) -> list[Row]:
    found = await evaluation.windows(setup.folder, setup.slos)
    what = f"budgets of {setup.slos} SLOs, 90 days beside 7"
    rows = ((what, found.later_s), ("the same once an hour", found.hourly_s))
    ratios = [_row(name, 1_000 * taken[90], 1_000 * taken[7], "ms", "≤ 1.2") for name, taken in rows]
    return [
        *ratios,
        _row("the same after a start", 1_000 * found.first_s[90], 1_000 * found.first_s[7], "ms", ""),
    ]


async def _evaluation(setup: Setup) -> list[Row]:
    found = await evaluation.measure(setup.folder, setup.slos)
    return [
        _row(f"tick of {setup.slos} SLOs, 30 days", found.ours_s, found.peer_s, "s", "≤ 0.01"),
        _row("the same as documents of Sloth, beside the own", found.imported_s, found.ours_s, "s", "≤ 1.1"),
        ("remaining, largest difference", f"{found.difference:.6f}", "", "", "≤ 0.001"),
        (f"first filling of {setup.slos} SLOs", f"{found.filling_s:.1f} s", "", "", ""),
    ]


async def _footprint(setup: Setup) -> list[Row]:
    found = await footprint.measure(setup.folder, setup.slos)
    return [
        (f"resident, {setup.slos} SLOs, 90 days", f"{found.resident_mb:.0f} MB", "", "", "< 150 MB"),
        (f"warm start, {setup.slos} SLOs", f"{found.warm_start_s:.2f} s", "", "", "< 3 s"),
        (f"idle CPU, {setup.slos} SLOs", f"{found.idle_cpu:.1%} of a core", "", "", "< 2%"),
    ]


async def _fan_out(setup: Setup) -> list[Row]:
    found = await telling.fan_out(setup.folder, FANNED_OUT)
    what = f"{FANNED_OUT} freezes in as many channels"
    rate = 60 * FANNED_OUT / found.told_s
    slowest = max(found.slowest_s, key=lambda one: found.slowest_s[one])
    return [
        _row(f"{what}, told", rate, CALLS_A_MINUTE[0], "/min", "≥ 0.95"),
        (
            "the same, beside two bursts",
            f"{found.told_s:.1f} s",
            f"{found.permitted_s:.0f} s",
            f"{found.permitted_s / found.told_s:.2f}",
            "≥ 0.95",
        ),
        ("the same in #releases", f"{found.announced_s:.1f} s, {found.announced} messages", "", "", ""),
        (f"slowest meanwhile: {slowest}", f"{found.slowest_s[slowest]:.2f} s", "", "", "≤ 2 s"),
        ("429 meanwhile", str(found.throttled), "", "", "0"),
    ]


async def _crossing(setup: Setup) -> list[Row]:
    worst_s, most_s = await telling.crossing(setup.folder), telling.EVERY_S + 1
    return [("crossing to announcement, worst", f"{worst_s:.2f} s", "", "", f"≤ {most_s:g} s")]


async def _reaction(setup: Setup) -> list[Row]:
    found = await replicas.react(setup.folder)
    return [
        ("hold on one replica, announced by another", f"{1_000 * found.median_s:.0f} ms", "", "", "≤ 100 ms"),
        ("the same, the slowest reaction", f"{1_000 * found.worst_s:.0f} ms", "", "", ""),
    ]


async def _announced(setup: Setup) -> list[Row]:
    found = await cluster.announce(setup.folder)
    what = f"{cluster.HOLDS} holds on one of {cluster.REPLICAS} replicas, announced by any"
    return [
        (f"{what}: p50", f"{found.p50_s:.2f} s", "", "", ""),
        (f"{what}: p99", f"{found.p99_s:.2f} s", "", "", "≤ 1.5 s"),
        ("the same, never announced", str(found.lost), "", "", "0"),
    ]


async def _year(setup: Setup) -> list[Row]:
    found = await year.measure(setup.folder, min(setup.slos, SIMULATED))
    megabytes = found.file / 1e6 * setup.slos / found.services
    return [
        (f"a year of {setup.slos} SLOs, one a service: database", f"{megabytes:.0f} MB", "", "", "≤ 1500 MB"),
        ("the same, a transaction of retention: p99", f"{found.deletion_p99_ms:.0f} ms", "", "", "≤ 50 ms"),
    ]


async def _turns(setup: Setup) -> list[Row]:
    found = await cluster.turns(setup.folder, *TURNS)
    services, slos = TURNS
    what = f"{cluster.REPLICAS} replicas, {slos} SLOs, {services} services: the transactions' turn"
    return [
        (f"{what}, busy", f"{found.busy:.1%}", "", "", "< 30%"),
        (f"the same, {found.frozen} freezes, waited in all", f"{found.waited_s:.1f} s", "", "", ""),
    ]


def _row(what: str, ours: float, theirs: float, unit: str, target: str) -> Row:
    return what, f"{ours:.2f} {unit}", f"{theirs:.2f} {unit}", f"{ours / theirs:.2g}", target


_PARTS: dict[str, Callable[[Setup], Awaitable[list[Row]]]] = {
    "ack": _ack,
    "ack-every-second": _ack_every_second,
    "ack-at-rest": _ack_at_rest,
    "gate": _gate,
    "windows": _windows,
    "evaluation": _evaluation,
    "process": _process,
    "large-process": _large_process,
    "reading": _reading,
    "overload": _overload,
    "footprint": _footprint,
    "fan-out": _fan_out,
    "crossing": _crossing,
    "reaction": _reaction,
    "announced": _announced,
    "turns": _turns,
    "year": _year,
}


def main() -> None:
    """Measure, print, and write the table down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=ack.SECONDS, help="length of each load")
    parser.add_argument("--slos", type=int, default=1_000, help="how many SLOs are evaluated")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=_PARTS,
        default=[],
        metavar="PART",
        help=f"some of {', '.join(_PARTS)}",
    )
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rows = asyncio.run(run(chosen.seconds, chosen.slos, chosen.only))
    lines = ["| figure | Governor | peer | ratio | target |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    table = "\n".join(lines)
    print(table)
    if chosen.only:
        return
    where = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}"
    cores = f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}"
    TABLE.write_text(f"{HEAD}{table}\n{NOTES}\nMeasured on {where}, {cores}.\n")


if __name__ == "__main__":
    main()
