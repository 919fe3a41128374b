"""What a server says of one SLI when somebody asks: the queries as sent, series, and the newest sample."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from bot.budgets.source import Answer, Inspection, InvalidAnswerError, SourceError
from bot.budgets.sources.prometheus import promql
from bot.budgets.sources.prometheus.api import MALFORMED, WINDOW, PrometheusApi
from bot.budgets.sources.prometheus.counters import Counters
from bot.budgets.sources.prometheus.events import instant
from bot.budgets.sources.sent_queries import sent_queries
from bot.catalog.slo import Sli
from bot.catalog.window import Span

ReadTogether = Callable[[list[Sli], Span, timedelta], Awaitable[list[Answer]]]
"""Reads SLIs as the evaluation does."""


async def inspect(
    api: PrometheusApi, read: ReadTogether, sli: Sli, counters: Counters, *, span: Span, step: timedelta
) -> Inspection:
    """Read one SLI as the evaluation does, and ask for its series besides; errors are the answer."""
    answer: Answer
    series, newest = None, None
    with sent_queries() as queries:
        try:
            (answer,) = await read([sli], span, step)
            if WINDOW not in counters["total"]:
                series, newest = await _series(api, counters["total"], span.end, step)
        except SourceError as error:
            answer = error
    return Inspection(tuple(queries), answer, series, newest)


async def _series(
    api: PrometheusApi, selector: str, at: datetime, step: timedelta
) -> tuple[int, datetime | None]:
    """Return how many series a selector has, and the time of their newest sample."""
    step_s, time = int(step.total_seconds()), f"{at.timestamp():.0f}"
    (present,) = promql.present(selector, step_s).values()
    (newest,) = promql.newest(selector, step_s).values()
    count, sample = await asyncio.gather(_value(api, present, time), _value(api, newest, time))
    return int(count or 0), None if sample is None else instant(int(sample))


async def _value(api: PrometheusApi, query: str, time: str) -> float | None:
    """Return the one value of a query; None where it has none."""
    for series in await api.query("query", {"query": query, "time": time}):
        try:
            return float(series["value"][1])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise InvalidAnswerError(MALFORMED) from error
    return None
