"""`governor velocity`: prints how fast a service or a team ships, and what that costs."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.text import Text

from bot.cli.console import Json, Url, broken_at_words, fail, out, print_json
from bot.durations import DurationError, parse_duration
from bot.formatting import budget_text, counted, duration_text, percent_text

_WIDTH = 78
_INDENT = "    "


def velocity(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="SERVICE|TEAM", help="A service, or a team such as @checkout-devs; all if left out."
        ),
    ] = None,
    since: Annotated[str, typer.Option(metavar="TIME", help="How far back to look, such as 30d.")] = "90d",
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Show the five delivery measures, and what freezes cost.

    What deployments cost the error budgets stands below them.

    Example: `governor velocity checkout --since 30d`.
    """
    from bot.cli.api_client import get_from_bot  # noqa: PLC0415

    try:
        length = parse_duration(since)
    except DurationError:
        fail(f"`--since {since}` is not a length of time: write one such as 30d")
    if not timedelta() < length <= timedelta(days=366):
        fail(f"`--since {since}` is not within a year: write 30d, at most 366d")
    start = (datetime.now(UTC) - length).isoformat()
    asked = {} if name is None else {"team" if name.startswith("@") else "service": name}
    body = get_from_bot(url, "velocity", since=start, **asked)
    if as_json:
        print_json(body)
    else:
        out.print(Text("\n".join(velocity_lines(body)), no_wrap=True, overflow="ignore"))


def velocity_lines(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the answer: each measure with its n and definition, then the costs."""
    measures = body["measures"]
    name = body["service"] or body["team"] or "all services"
    yield f"{name}, {_day(body['since'])} to {_day(body['until'])}"
    if body["service"] is None:
        yield from _wrapped(f"{counted(len(body['services']), 'service')}: {', '.join(body['services'])}")
    yield ""
    lead_time, merged = measures["lead_time"], measures["lead_time_from_merge"]
    yield f"Lead time for changes      {_times(lead_time)}{_left_out(lead_time)}"
    yield from _below(lead_time["definition"])
    yield f"  from the default branch  {_times(merged)}{_left_out(merged)}"
    frequency = measures["deployment_frequency"]
    yield f"Deployment frequency       {frequency['per_week']:.1f} a week, n {frequency['n']}"
    yield from _below(frequency["definition"])
    recovery = measures["failed_deployment_recovery_time"]
    late = f", {recovery['unrecovered']} not recovered yet" if recovery["unrecovered"] else ""
    yield f"Failed deployment recovery {_times(recovery)}{late}"
    yield from _below(recovery["definition"])
    yield f"Change fail rate           {_share(measures['change_fail_rate'])}"
    yield from _below(measures["change_fail_rate"]["definition"])
    if body["suspected"]["count"]:
        yield f"{_INDENT}Suspected besides, not counted: {body['suspected']['count']}"
    yield f"Deployment rework rate     {_share(measures['rework_rate'])}"
    yield from _below(measures["rework_rate"]["definition"])
    if body["without_changes"]:
        told = counted(body["without_changes"], "deployment")
        yield f"Of {told} nobody told the changes."
    yield ""
    yield from _freezes(body["costs"]["freezes"])
    for budget in body["costs"]["budgets"]:
        yield ""
        yield from _budget(budget)


def _freezes(cost: Mapping[str, Any]) -> Iterator[str]:
    yield "What freezes cost the pace"
    often = counted(cost["freezes"], "time")
    yield f"  Frozen            {_length(cost['frozen_s'])}, {often}" if cost["freezes"] else "  Never frozen"
    yield f"  Changes held      {_times(cost['held'])}"
    decided = f"{cost['exemptions_granted']} granted, {cost['exemptions_declined']} declined"
    answered = f"; answered in {_times(cost['answered'])}" if cost["answered"]["n"] else ""
    yield f"  Exemptions asked  {cost['exemptions_asked']}, {decided}{answered}"
    yield f"  Exemptions        {cost['exemptions']}, {cost['exemptions_used']} used"
    yield f"  Went past         {cost['bypassed']}, passed by their kind {cost['passed_by_kind']}"


def _budget(cost: Mapping[str, Any]) -> Iterator[str]:
    yield f"What deployments cost {cost['service']}/{cost['slo']}"
    left = "not known" if cost["remaining"] is None else budget_text(cost["remaining"], plain=True)
    yield f"  Budget left       {left}"
    if cost["n"]:
        p50, p90 = (_fraction(cost[key]) for key in ("p50", "p90"))
        yield f"  Each deployment   median {p50}, p90 {p90}, n {cost['n']}"
    for kind in (*cost["by_size"], *cost["by_kind"]):
        label = f"{kind['kind']} ×{kind['n']}"
        yield f"    {label:26} {_fraction(kind['spent'])} in all, {_fraction(kind['each'])} on average"
    for maker in cost["by_maker"].values():
        label = f"made by {maker['kind']} ×{maker['n']}"
        yield f"    {label:26} {_fraction(maker['spent'])} in all"
    if cost["carries"] is not None:
        more = "1000 or more" if cost["carries"] >= 1000 else str(cost["carries"])
        yield f"  At this pace it carries {more} more deployments like the last {cost['like_last']}."
    elif cost["like_last"]:
        yield f"  The last {counted(cost['like_last'], 'deployment')} spent none of it."


def _times(found: Mapping[str, Any]) -> str:
    if not found["n"]:
        return "none"
    return f"median {_length(found['p50'])}, p90 {_length(found['p90'])}, n {found['n']}"


def _left_out(found: Mapping[str, Any]) -> str:
    parts = [f"{found[key]} {key}" for key in ("dropped", "unknown") if found[key]]
    return f" ({', '.join(parts)})" if parts else ""


def _share(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return "nothing was deployed"
    interval = f"{_fraction(found['low'])} to {_fraction(found['high'])}"
    return f"{_fraction(found['value'])}, 95% interval {interval}: {found['count']} of {found['n']}"


def _fraction(value: float) -> str:
    return percent_text(value, digits=1, plain=True)


def _length(seconds: float) -> str:
    return duration_text(timedelta(seconds=seconds), plain=True)


def _day(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _below(text: str) -> list[str]:
    return [f"{_INDENT}{line}" for line in broken_at_words(text, _WIDTH - len(_INDENT))]


def _wrapped(text: str) -> list[str]:
    return broken_at_words(text, _WIDTH, "  ")
