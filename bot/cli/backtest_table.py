"""Tables of backtests for the terminal, in 80 columns. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from bot.backtests.backtest import Backtest, BacktestSum, HeldDeployment, PastFreeze, ServiceBacktest
from bot.backtests.picture import LEGEND, days_a_sign, strip
from bot.cli.tables import Below, whole
from bot.formatting import budget_text, counted, duration_text

_NAME_WIDTH, _RUN_WIDTH = 20, 10
_HEADINGS = ("frozen", "times", "flaps", "warned", "alerts", "held")
_WIDTHS = (14, 7, 7, 8, 8, 6)
_WIDTH = 80
_DASH = "–"


def backtests(runs: Sequence[Backtest]) -> RenderableType:
    """Draw backtests over the same span side by side: sums, a picture, every freeze and what it held."""
    span = runs[0].span
    lines: list[RenderableType] = [
        whole(
            Text(
                f"Replayed {_time(span.start)} to {_time(span.end)}, {duration_text(span.length, plain=True)}"
            )
        )
    ]
    for name in sorted({tested.service.name for run in runs for tested in run.services}):
        lines += _service(name, runs)
    if any(run.services for run in runs):
        days = days_a_sign(span)
        lines += [Text(""), whole(Text(f"One sign is {counted(days, 'day')}: {LEGEND}", style="dim"))]
    reasons: dict[str, set[str]] = {}
    for out in (out for run in runs for out in run.left_out):
        reasons.setdefault(out.reason, set()).add(f"{out.service}/{out.slo}")
    for reason, slos in reasons.items():
        lines += [Text(""), Text("Not replayed:", style="yellow"), Below(f"{', '.join(sorted(slos))}")]
        lines.append(Below(f"{reason[0].upper()}{reason[1:]}."))
    lines += [Text("")] if any(run.notes for run in runs) else []
    for note in dict.fromkeys(note for run in runs for note in run.notes):
        lines.append(Below(note, indent=""))
    return Group(*lines)


def _service(name: str, runs: Sequence[Backtest]) -> Iterator[RenderableType]:
    tested = {run.name: found for run in runs for found in run.services if found.service.name == name}
    yield Text("")
    heading = Text(name, style="bold")
    heading.pad_right(_NAME_WIDTH + _RUN_WIDTH - len(heading))
    yield whole(heading.append_text(_cells([Text(word) for word in _HEADINGS])))
    slos = dict.fromkeys(slo for found in tested.values() for slo in found.since)
    for slo in slos:
        label = slo
        for run, found in tested.items():
            if slo in found.since:
                yield _row(label, run, found.of(slo))
                label = ""
    for run, found in tested.items():
        yield whole(Text(f"  {run:{_RUN_WIDTH}}{strip(found, runs[0].span)}"))
    for run, found in tested.items():
        yield from _freezes(run, found)


def _row(slo: str, run: str, total: BacktestSum) -> Text:
    frozen = duration_text(total.frozen_for, plain=True) if total.freezes else _DASH
    counts = (total.freezes, total.flaps, total.warnings, total.alerts, total.held)
    line = Text(f"  {slo:{_NAME_WIDTH - 2}}{run:{_RUN_WIDTH}}")
    return whole(line.append_text(_cells([Text(frozen), *(Text(str(count)) for count in counts)])))


def _cells(cells: Sequence[Text]) -> Text:
    line = Text("")
    for cell, width in zip(cells, _WIDTHS, strict=True):
        line.append(" " * max(1, width - len(cell))).append_text(cell)
    return line


def _freezes(run: str, tested: ServiceBacktest) -> Iterator[RenderableType]:
    below = " " * (_RUN_WIDTH + 2)
    for freeze in tested.freezes:
        line, why = f"  {run:{_RUN_WIDTH}}{_freeze(tested, freeze)}", _cause(freeze)
        if len(line) + len(why) < _WIDTH:
            yield whole(Text(f"{line} {why}"))
        else:
            yield whole(Text(line))
            yield Below(why, indent=below)
        span = freeze.span(tested.span.end)
        for held in tested.met:
            if span.start <= held.deployment.started_at < span.end:
                yield Below(_held(held), indent=below)


def _held(held: HeldDeployment) -> str:
    outcome = f"would pass, exempt as {held.exemption}" if held.exemption else "would be held"
    return f"{held.deployment.subject}, {_time(held.deployment.started_at)}: {outcome}"


def _freeze(tested: ServiceBacktest, freeze: PastFreeze) -> str:
    length = duration_text(freeze.span(tested.span.end).length, plain=True)
    lasting = " until now" if freeze.end is None else ""
    again = ", again within a day" if freeze.is_flap else ""
    would = "would be frozen" if freeze.observed else "frozen"
    return f"{_time(freeze.start)}  {would} {length}{lasting}{again}"


def _cause(freeze: PastFreeze) -> str:
    left = "" if freeze.left is None else f", {budget_text(freeze.left, plain=True)} left"
    return f"by {freeze.slo}{left}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}"
