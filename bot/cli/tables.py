"""Tables for the terminal: budgets, verdicts, audit rows, tokens, findings. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.diagnostics.findings import Finding, FindingState
from bot.formatting import percent_text

_DASH = "–"
_STYLES = {FindingState.OK: "green", FindingState.FAULT: "bold red", FindingState.SKIPPED: "yellow"}


def budgets(services: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw services with their budgets, a row an SLO."""
    table = Table(box=None, pad_edge=False)
    for heading in ("service", "state", "slo", "left", "minutes", "burn 1h", "6h", "3d", "runs out"):
        table.add_column(
            heading, justify="right" if heading in {"left", "minutes", "burn 1h", "6h", "3d"} else "left"
        )
    for service in services:
        frozen = service["state"] == "frozen"
        for slo in service["slos"]:
            table.add_row(
                service["service"],
                Text("frozen", style="cyan") if frozen else "open",
                slo["name"],
                _remaining(slo),
                _number(slo["remaining_minutes"]),
                *(_number(slo["burn"][window]) for window in ("1h", "6h", "3d")),
                slo["exhausts_at"] or _DASH,
            )
    return table


def verdict(answer: Mapping[str, Any]) -> RenderableType:
    """Draw a gate's verdict: yes or no, then the reasons."""
    yes = Text.assemble(("yes", "bold green"), f": {answer['service']} is open to this change")
    no = Text.assemble(("no", "bold red"), f": {answer['service']} does not take this change now")
    return Group(yes if answer["allow"] else no, *(Text(f"  {reason}") for reason in answer["reasons"]))


def audit(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw rows of the audit log."""
    if not rows:
        return Text("nothing was changed")
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "at", "actor", "action", "subject", "reason"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*(Text(str(row[key])) for key in ("id", "at", "actor", "action", "subject", "reason")))
    return table


def tokens(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Draw API tokens: what each may do, and when it was last used."""
    if not rows:
        return Text("there is no token")
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "begins", "allows", "a minute", "created", "last used", "state"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            Text(row["name"]),
            Text(f"gov_{row['key']}_…"),
            Text(", ".join(row["rights"])),
            str(row["per_minute"]),
            row["created_at"],
            row["used_at"] or "never",
            Text("revoked", style="red") if row["revoked_at"] else "in force",
        )
    return table


def findings(rows: Sequence[Finding]) -> RenderableType:
    """Draw the findings of the doctor, with a fix for each fault."""
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "of", "is", "detail", "fix"):
        table.add_column(heading, overflow="fold")
    for finding in rows:
        table.add_row(
            finding.check,
            Text(finding.subject),
            Text(finding.state, style=_STYLES[finding.state]),
            Text(finding.detail),
            Text(finding.fix),
        )
    return table


def _remaining(slo: Mapping[str, Any]) -> Text:
    if slo["remaining"] is None or slo["state"] not in {"ok", "no_traffic"}:
        return Text(slo["state"].replace("_", " "), style="yellow")
    remaining = slo["remaining"]
    style = "red" if remaining <= 0 else "yellow" if remaining < 0.25 else "green"
    return Text(percent_text(remaining, digits=1, plain=True), style=style)


def _number(value: float | None) -> str:
    return _DASH if value is None else f"{value:.1f}"
