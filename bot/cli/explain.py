"""`governor explain`: prints how a budget's figures are worked out, with every digit."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

from bot.budgets.sources.comparison import OtherTool
from bot.cli.console import Json, Url, broken_at_words, out, print_json, service_and_slo

_INDENT = "  "
_WIDTH = 78
_WITHIN_S = 20.0
_COMPARED_S = 80.0
"""The bot gives the source a minute for another tool's number."""


def explain(
    slo: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE[/SLO]", help="An SLO of the policies; without SLO the one with the least left."
        ),
    ],
    tool: Annotated[
        OtherTool | None,
        typer.Option("--as", help="Show beside it the number that this tool would show, and why it differs."),
    ] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Show how the figures of a budget are worked out.

    Window, counts, formulas and queries.

    Example: `governor explain checkout/availability --as sloth`.
    """
    from bot.cli.api_client import get_within, path_of  # noqa: PLC0415

    service, name = service_and_slo(slo, "names no SLO: write SERVICE/SLO, such as checkout/availability")
    within_s = _WITHIN_S if tool is None else _COMPARED_S
    body = get_within(within_s, url, path_of("services", service, "explanation"), {"slo": name, "as": tool})
    if as_json:
        print_json(body)
    else:
        out.print(Text("\n".join(explanation_lines(body)), no_wrap=True, overflow="ignore"))


def explanation_lines(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of an explanation; figures and queries stand unbroken, to be copied."""
    zone, window = ZoneInfo(body["window"]["time_zone"]), body["window"]
    yield f"{body['service']}/{body['slo']}"
    yield ""
    yield f"Objective  {body['objective']} of the {body['unit']} must be good"
    yield f"Window     {window['length']}"
    if window["start"]:
        yield f"  from     {_time(window['start'], zone)}"
        yield f"  to       {_time(window['end'], zone)}"
    yield ""
    yield from _counted(body)
    for figure in body["calculations"]:
        yield f"{figure['name']} = {figure['formula']}"
        yield f"{_INDENT}{figure['numbers']} {'=' if figure['exact'] else '≈'} {figure['result']}"
        yield f"{_INDENT}{figure['primer']}"
    yield ""
    yield from _wrapped(f"State      {body['state'].replace('_', ' ')}. {body['decision']}")
    yield from _wrapped(f"Rule       {body['rule']}")
    yield from _wrapped(f"Source     {body['origin']}")
    ledger = body["ledger"]
    if ledger["counted_from"]:
        yield f"Ledger     from {_time(ledger['counted_from'], zone)}"
        yield f"           to   {_time(ledger['counted_to'], zone)}"
    if ledger["read_at"]:
        yield f"           read {_time(ledger['read_at'], zone)}"
    if ledger.get("delay_s"):
        yield f"           up to {ledger['delay_s']} s late by the source's `delay`"
    if ledger.get("late"):
        yield from _wrapped(f"           {ledger['late']}")
    if ledger["problem"]:
        yield from _wrapped(f"           the last read failed: {ledger['problem']}")
    if body["source"]:
        yield from _answer(body["source"], zone)
    if body["comparison"]:
        yield from _comparison(body["comparison"])


def _comparison(comparison: Mapping[str, Any]) -> Iterator[str]:
    """Yield the number that another tool would show, beside the own one."""
    title = comparison["tool"].capitalize()
    yield ""
    yield f"As {title} works it out"
    rows = (("Governor", "own_error_rate", "own_remaining"), (title, "error_rate", "remaining"))
    for name, error_rate, remaining in rows:
        bad, left = (_share(comparison[key]) for key in (error_rate, remaining))
        yield f"{_INDENT}{name:10} bad {bad}, remaining {left}"
    if comparison["problem"]:
        yield from _indented(f"No number: {comparison['problem']}")
    for reason in comparison["reasons"]:
        yield from _indented(reason)
    if comparison["query"]:
        yield f"{_INDENT}query"
        yield f"{_INDENT * 2}{comparison['query']}"


def _share(fraction: float | None) -> str:
    return "unknown" if fraction is None else f"{fraction:.6%}".replace("-", "−")


def _indented(text: str) -> Iterator[str]:
    return (f"{_INDENT}{line}" for line in broken_at_words(text, _WIDTH - len(_INDENT)))


def _counted(body: Mapping[str, Any]) -> Iterator[str]:
    counted = body["counted"]
    if counted is None:
        yield "Nothing has been counted yet."
        return
    if body["adjustments"]:
        recorded = ", ".join(f"{name} {body['recorded'][name]}" for name in ("good", "bad", "total"))
        yield from _wrapped(f"Counted    {recorded} {body['unit']}")
        for each in body["adjustments"]:
            yield from _adjustment(each)
        yield "After adjustments:"
    for name in ("good", "bad", "total"):
        yield f"{name.capitalize():10} {counted[name]} {body['unit']}"
    yield ""


def _adjustment(adjustment: Mapping[str, Any]) -> Iterator[str]:
    """Yield what one adjustment changes, and whose it is."""
    start, end = (_time(adjustment[key], ZoneInfo("UTC")) for key in ("start", "end"))
    asker = adjustment["asked_by"]
    approved = f", approved by {adjustment['approved_by']}" if adjustment["approved_by"] else ""
    yield f"{_INDENT}{adjustment['id']}. bad {adjustment['bad']:.12g}, total {adjustment['total']:.12g}"
    yield f"{_INDENT * 2}{adjustment['kind']}, {adjustment['counts_as']}: {start} to {end}"
    whose = "planned in the policy" if adjustment["kind"] == "maintenance" else f"asked by {asker}"
    text = f"{whose}{approved}: {adjustment['reason']}"
    yield from (f"{_INDENT * 2}{line}" for line in _wrapped(text))


def _answer(source: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    yield ""
    yield f"Asked {source['name']} {_time(source['asked_at'], zone)}, answered after {source['took_s']:g} s"
    yield f"{_INDENT}from {_time(source['start'], zone)}"
    yield f"{_INDENT}to   {_time(source['end'], zone)}"
    if source["problem"]:
        yield from _wrapped(f"{_INDENT}{source['problem']}")
    if source["counted"]:
        yield f"{_INDENT}" + ", ".join(f"{name} {count}" for name, count in source["counted"].items())
    if source["series"] is not None:
        age = source["newest_sample_age_s"]
        late = "" if age is None else f", the newest sample {age:g} s old"
        yield f"{_INDENT}{source['series']} series{late}"
    if source.get("births"):
        yield from _wrapped(f"{_INDENT}{source['births']['text']}")
    for query in source["queries"]:
        others = {name: value for name, value in query["parameters"].items() if name != "query"}
        yield f"{_INDENT}{query['endpoint']} " + " ".join(f"{name}={value}" for name, value in others.items())
        yield f"{_INDENT * 2}{query['parameters'].get('query', '')}"


def _wrapped(line: str) -> list[str]:
    """Return a line in parts that fit a terminal, the further ones indented."""
    return broken_at_words(line, _WIDTH, " " * 11)


def _time(text: str, zone: ZoneInfo) -> str:
    at = datetime.fromisoformat(text).astimezone(zone)
    name = "UTC" if at.tzinfo == UTC else zone.key
    return f"{at:%Y-%m-%d %H:%M:%S} {name}"
