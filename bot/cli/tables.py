"""Tables for the terminal: budgets, verdicts, audit rows, tokens, findings. Pure.

They fit 80 columns: what is long stands below its row instead of beside it. Lines break at words; an address
or a time is never broken, even where it is longer than the line.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from bot.diagnostics.findings import Finding, FindingState
from bot.formatting import budget_text

_DASH = "–"
_INDENT = " " * 8
_LEAST_WIDTH = 30
_NAME_WIDTH = 23
_WIDTHS = (8, 8, 8, 6, 6)
_HEADINGS = [Text(heading) for heading in ("left", "minutes", "burn 1h", "6h", "3d", "runs out")]
_STYLES = {FindingState.OK: "green", FindingState.FAULT: "bold red", FindingState.SKIPPED: "yellow"}


def budgets(services: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw services with their budgets, a row an SLO."""
    lines: list[RenderableType] = [_line(Text(""), _HEADINGS)]
    for service in services:
        is_frozen = service["state"] == "frozen"
        state = Text("frozen", style="cyan") if is_frozen else Text("open")
        if service.get("observed_holds") and not is_frozen:
            state = Text("open, would be frozen", style="cyan")
        lines.append(whole(Text.assemble((service["service"], "bold"), "  ", state)))
        for slo in service["slos"]:
            burns = [Text(_number(slo["burn"][window])) for window in ("1h", "6h", "3d")]
            cells = [_remaining(slo), Text(_number(slo["remaining_minutes"])), *burns]
            end = Text(_time(slo["exhausts_at"]) if slo["exhausts_at"] else _DASH)
            name = Text(f"  {slo['name']}")
            if len(name) > _NAME_WIDTH:
                lines.append(whole(name))
                name = Text("")
            lines.append(_line(name, [*cells, end]))
    return Group(*lines)


def _line(name: Text, cells: Sequence[Text]) -> Text:
    """Return a name and the cells of its row; the last of them, a time, stands on the left."""
    line = whole(name.copy())
    line.pad_right(_NAME_WIDTH - len(name))
    for cell, width in zip(cells[:-1], _WIDTHS, strict=True):
        line.append(" " * (width - len(cell))).append_text(cell)
    return line.append("  ").append_text(cells[-1])


def whole(text: Text) -> Text:
    """Return a text whose line is not broken."""
    text.no_wrap, text.overflow = True, "ignore"
    return text


def verdict(answer: Mapping[str, Any]) -> RenderableType:
    """Draw a gate's verdict: yes or no, then the reasons."""
    yes = Text.assemble(("yes", "bold green"), f": {answer['service']} is open to this change")
    refused = "is to be taken back" if answer["verdict"] == "back" else "is not accepted now"
    no = Text.assemble(("no", "bold red"), f": this change to {answer['service']} {refused}")
    reasons = (Below(reason, "  ") for reason in answer["reasons"])
    return Group(yes if answer["allow"] else no, *reasons)


def audit(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw rows of the audit log."""
    if not rows:
        return Text("nothing was changed")
    lines: list[RenderableType] = []
    for row in rows:
        headline = Text(f"{row['id']}  {_time(row['at'])}  ", overflow="ignore")
        headline.append(f"{row['actor']} {row['action']} ")
        headline.append(str(row["subject"]), style="bold")
        lines += [headline, Below(str(row["reason"]))] if row["reason"] else [headline]
    return Group(*lines)


def tokens(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw API tokens: what each may do, and when it was last used."""
    if not rows:
        return Text("there is no token")
    lines: list[RenderableType] = []
    for row in rows:
        state = Text("revoked", style="red") if row["revoked_at"] else Text("active")
        lines.append(whole(Text.assemble((row["name"], "bold"), f"  gov_{row['key']}_…  ", state)))
        used = f"last used {_time(row['used_at'])}" if row["used_at"] else "never used"
        rights = ", ".join(row["rights"])
        facts = f"{row['actor']}; {rights}; {row['per_minute']} a minute"
        lines.append(Below(f"{facts}; made {_time(row['created_at'])}, {used}"))
    return Group(*lines)


def findings(rows: Sequence[Finding]) -> RenderableType:
    """Draw the findings of the doctor, with a fix for each fault."""
    lines: list[RenderableType] = []
    for finding in rows:
        headline = Text(f"{finding.state:8}", style=_STYLES[finding.state], overflow="ignore")
        headline.append(f"{finding.check:13} ", style="default")
        headline.append(finding.subject, style="default bold")
        lines.append(headline)
        lines += [Below(finding.detail)] if finding.detail else []
        lines += [Below(f"To do: {finding.fix}")] if finding.fix else []
    return Group(*lines)


@dataclass(frozen=True, slots=True)
class Below:
    """Text that belongs to the line above it."""

    text: str
    indent: str = _INDENT

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it indented, in lines that break at words only."""
        width = max(options.max_width - len(self.indent), _LEAST_WIDTH)
        for line in textwrap.wrap(self.text, width, break_long_words=False, break_on_hyphens=False):
            yield Text(self.indent + line, no_wrap=True, overflow="ignore")


def _time(text: str) -> str:
    """Return the time of an ISO text in UTC, to the minute."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _remaining(slo: Mapping[str, Any]) -> Text:
    if slo["remaining"] is None or slo["state"] not in {"ok", "no_traffic", "too_little_traffic"}:
        return Text(slo["state"].replace("_", " "), style="yellow")
    remaining = slo["remaining"]
    style = "red" if remaining <= 0 else "yellow" if remaining < 0.25 else "green"
    return Text(budget_text(remaining, plain=True), style=style)


def _number(value: float | None) -> str:
    return _DASH if value is None else f"{value:.1f}"
