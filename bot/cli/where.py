"""`governor where`: prints what spent a service's error budgets, in rows that add up."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.text import Text

from bot.cli.console import Json, Url, broken_at_words, out, print_json, service_and_slo
from bot.deployments.deployment import short_commit
from bot.formatting import duration_text

_WIDTH = 78


def where(
    slo: Annotated[
        str, typer.Argument(metavar="SERVICE[/SLO]", help="A service of the policies, or one of its SLOs.")
    ],
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Show which incidents, deployments and flags spent the budgets.

    Example: `governor where checkout`.
    """
    from bot.cli.api_client import get_from_bot, path_of  # noqa: PLC0415

    refusal = "names no service and no SLO: write SERVICE or SERVICE/SLO, such as checkout"
    service, name = service_and_slo(slo, refusal)
    body = get_from_bot(url, path_of("services", service, "spending"), slo=name)
    if as_json:
        print_json(body)
    else:
        out.print(Text("\n".join(spending_lines(body)), no_wrap=True, overflow="ignore"))


def spending_lines(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the answer, a row a cause."""
    if not body["slos"]:
        yield f"{body['service']}: nothing is counted yet"
    for number, slo in enumerate(body["slos"]):
        if number:
            yield ""
        yield from _slo(body["service"], slo)


def _slo(service: str, slo: Mapping[str, Any]) -> Iterator[str]:
    yield f"{service}/{slo['name']}"
    noun = "bad events" if slo["unit"] == "events" else "seconds of full outage"
    spent = f"{slo['spent']} of {slo['budget']} {noun} in {slo['window']}"
    yield f"{_percent(slo['percent'])}  spent: {spent}"
    for row in slo["rows"]:
        first, *others = broken_at_words(_cause(row), _WIDTH - 10) or [""]
        yield f"{_percent(row['percent'])}  {first}"
        yield from (f"{'':10}{line}" for line in others)
    if slo["rows"]:
        within = duration_text(timedelta(seconds=slo["attributed_within_s"]), plain=True)
        yield f"A deployment or a raised flag has what was spent in the {within} after it."


def _percent(percent: float) -> str:
    return f"{percent:7,.1f}%"


def _cause(row: Mapping[str, Any]) -> str:
    if row["hidden"]:
        return "other incidents"
    if row["incident"] is not None:
        return f"incident {row['incident']}, from {_time(row['at'])}: {row['title']}"
    if row["deployment"] is not None:
        commit = short_commit(row["commit"])
        return f"after the deployment of {commit}, {_time(row['at'])} {row['url'] or ''}".rstrip()
    if row["flag"] is not None:
        return f"after flag {row['flag']} was raised in {row['environment']}, first {_time(row['at'])}"
    return "the rest"


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"
