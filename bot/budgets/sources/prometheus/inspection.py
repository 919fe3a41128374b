"""What a server says of one SLI when somebody asks: the queries as sent, series, and the newest sample."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from bot.budgets.source import Answer, Inspection, SourceError
from bot.budgets.sources.prometheus import promql
from bot.budgets.sources.prometheus.api import PrometheusApi
from bot.budgets.sources.prometheus.events import instant
from bot.budgets.sources.sent_queries import sent_queries
from bot.catalog.slo import Sli
from bot.catalog.window import Span

ReadTogether = Callable[[list[Sli], Span, timedelta], Awaitable[list[Answer]]]
"""Reads SLIs as the evaluation does."""


async def inspect(
    api: PrometheusApi, read: ReadTogether, sli: Sli, selectors: Sequence[str], *, span: Span, step: timedelta
) -> Inspection:
    """Read one SLI as the evaluation does, and ask for its series besides; errors are the answer.

    `selectors` are those of all its events, none where a query counts them.
    """
    answer: Answer
    series: int | None = None
    newest: datetime | None = None
    with sent_queries() as queries:
        try:
            (answer,) = await read([sli], span, step)
            for selector in selectors:
                count, sample = await _series(api, selector, span.end, step)
                series = count + (series or 0)
                newest = min(newest, sample) if newest and sample else newest or sample
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
    count, sample = await asyncio.gather(api.value(present, time), api.value(newest, time))
    return int(count or 0), None if sample is None else instant(int(sample))
