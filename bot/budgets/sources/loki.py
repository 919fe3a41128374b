"""Loki: log lines are counted by LogQL metric queries, whose answers have the form of Prometheus'.

https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time

A log stream that nothing is written to and one that has gone look the same, so events are taken to be missing
where no line was counted for an hour.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import aiohttp

from bot.bounded_body import quotable
from bot.budgets.source import InvalidAnswerError, NoSeriesError, SourceRefusedError
from bot.budgets.sources.counts import Counts, events, starts
from bot.budgets.sources.http_api import HttpApi, authorization
from bot.budgets.sources.one_by_one import OneByOneSource, Reading
from bot.budgets.sources.sent_queries import record_sent
from bot.catalog.slo import CounterSli, Sli
from bot.catalog.sources import LokiSettings
from bot.catalog.window import Span

WINDOW = "$window"
"""The placeholder for the width of a bucket."""

_MOST_POINTS = 10_000
"""Loki evaluates a query at 11,000 times at most."""
_LONGEST_S = 86_400
"""How much time one request covers: the logs of all of it are read."""
_QUIET_S = 3_600
_MALFORMED = "the answer is not in the form of Loki's HTTP API"


class LokiSource(OneByOneSource):
    """One Loki, or one tenant of it."""

    def __init__(self, settings: LokiSettings, session: aiohttp.ClientSession) -> None:
        self.delay = settings.delay
        login = authorization(settings.bearer_token, settings.basic_auth)
        self._api = HttpApi(
            settings.url, session, headers={**settings.headers, **login}, timeout=settings.timeout
        )

    async def check(self) -> None:
        """List the labels of the last minutes; raises `SourceError`."""
        answer = await self._api.json("GET", "/loki/api/v1/labels", params={"since": "5m"})
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise InvalidAnswerError(_MALFORMED)

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:
        """Return the values that a label of log streams has; see the port."""
        parameters = {"start": f"{span.start.timestamp():.0f}", "end": f"{span.end.timestamp():.0f}"}
        if match is not None:
            parameters["query"] = match
        answer = await self._api.json("GET", f"/loki/api/v1/label/{label}/values", params=parameters)
        # Where there are none, there is no `data`.
        values = answer.get("data") or [] if isinstance(answer, dict) else None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InvalidAnswerError(_MALFORMED)
        return values

    async def _read(self, sli: Sli, span: Span, step: timedelta) -> Reading:
        if not isinstance(sli, CounterSli):
            raise SourceRefusedError("Loki counts log lines only: {total, bad} or {total, good}")
        buckets = starts(span, step)
        other = sli.bad if sli.bad is not None else sli.good
        total, part = await asyncio.gather(self._count(sli.total, buckets), self._count(other or "", buckets))
        columns = (
            events(total, good=part, step=step) if sli.bad is None else events(total, bad=part, step=step)
        )
        quiet_from = buckets.stop - _QUIET_S
        if not any(start + buckets.step > quiet_from for start in total) and not await self._is_counted(
            sli.total, buckets.stop
        ):
            raise NoSeriesError(f"no log line was counted for an hour: {sli.total}", columns)
        return columns

    async def _count(self, query: str, buckets: range) -> Counts:
        """Return how many events a query counts in each bucket."""
        counts: dict[int, float] = {}
        width, text = buckets.step, query.replace(WINDOW, f"{buckets.step}s")
        at_once = max(1, min(_MOST_POINTS, _LONGEST_S // width))
        for first in range(0, len(buckets), at_once):
            part = buckets[first : first + at_once]
            form = {
                "query": text,
                "start": str(part[0] + width),
                "end": str(part[-1] + width),
                "step": f"{width}s",
            }
            record_sent("query_range", form)
            answer = await self._api.json("POST", "/loki/api/v1/query_range", data=form)
            for at, number in _samples(answer, "matrix", text):
                if at - width in part:
                    counts[at - width] = counts.get(at - width, 0.0) + number
        return counts

    async def _is_counted(self, query: str, end: int) -> bool:
        """Return whether a query counts something in the last hour before a time."""
        form = {"query": query.replace(WINDOW, f"{_QUIET_S}s"), "time": str(end)}
        record_sent("query", form)
        answer = await self._api.json("POST", "/loki/api/v1/query", data=form)
        return bool(_samples(answer, "vector", query))


def _samples(answer: Any, kind: str, query: str) -> list[tuple[int, float]]:
    """Return the samples of all series of an answer: times in whole seconds, and numbers."""
    try:
        data = answer["data"]
        if answer["status"] != "success" or not isinstance(data["result"], list):
            raise InvalidAnswerError(_MALFORMED)
        if data["resultType"] == "streams":
            raise SourceRefusedError(f"this returns log lines and counts nothing: {quotable(query)}")
        if data["resultType"] != kind:
            raise InvalidAnswerError(f"the query returns a {quotable(str(data['resultType']))}")
        pairs = [
            pair
            for series in data["result"]
            for pair in (series["values"] if kind == "matrix" else [series["value"]])
        ]
        return [(round(float(at)), float(number)) for at, number in pairs]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidAnswerError(_MALFORMED) from error
