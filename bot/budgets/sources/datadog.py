"""Datadog: metric queries by bucket, and the history of its own SLOs.

https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-data-across-multiple-products
https://docs.datadoghq.com/api/latest/service-level-objectives/#get-an-slos-history
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import aiohttp

from bot.bounded_body import quotable
from bot.budgets.source import InvalidAnswerError, SourceRefusedError
from bot.budgets.sources.counts import Counts, events, second, starts
from bot.budgets.sources.http_api import HttpApi
from bot.budgets.sources.one_by_one import OneByOneSource, Reading
from bot.budgets.sources.sent_queries import record_sent
from bot.budgets.sources.silence import read_unless_silent
from bot.catalog.slo import CounterSli, Sli
from bot.catalog.source_slis import DatadogSloSli
from bot.catalog.sources import DatadogSettings
from bot.catalog.window import Span

_MOST_POINTS = 1_000
"""Datadog returns at most 1,500 points of a series, and makes buckets wider where there would be more."""
_COUNT = ".as_count()"
_MALFORMED = "the answer is not in the form of Datadog's API"


class DatadogSource(OneByOneSource):
    """One account of Datadog."""

    def __init__(self, settings: DatadogSettings, session: aiohttp.ClientSession) -> None:
        self.delay = settings.delay
        self._api = HttpApi(
            settings.url,
            session,
            headers={"DD-API-KEY": settings.api_key, "DD-APPLICATION-KEY": settings.application_key},
            timeout=settings.timeout,
            pause_headers=("X-RateLimit-Reset", "Retry-After"),
        )

    async def check(self) -> None:
        """Ask whether the API key is valid; raises `SourceError`."""
        answer = await self._api.json("GET", "/api/v1/validate")
        if not isinstance(answer, dict) or answer.get("valid") is not True:
            raise SourceRefusedError("Datadog says that the API key is not valid")

    async def _read(self, sli: Sli, span: Span, step: timedelta) -> Reading:
        async def read(part: Span) -> Reading:
            match sli:
                case CounterSli():
                    return await self._read_metrics(sli, part, step)
                case DatadogSloSli():
                    return await self._read_slo(sli, part, step)
                case _:
                    raise SourceRefusedError("Datadog is asked by {total, bad}, {total, good} or {slo}")

        return await read_unless_silent(read, span, step, "Datadog had no value for the last hour")

    async def _read_metrics(self, sli: CounterSli, span: Span, step: timedelta) -> Reading:
        buckets = starts(span, step)
        other = sli.bad if sli.bad is not None else sli.good
        total, part = await asyncio.gather(self._count(sli.total, buckets), self._count(other or "", buckets))
        return events(total, good=part, step=step) if sli.bad is None else events(total, bad=part, step=step)

    async def _count(self, query: str, buckets: range) -> Counts:
        """Return how many events a query counts in each bucket; series of a query by tags are added up."""
        counts: dict[int, float] = {}
        text = query.replace(_COUNT, f"{_COUNT}.rollup(sum, {buckets.step})")
        for first in range(0, len(buckets), _MOST_POINTS):
            part = buckets[first : first + _MOST_POINTS]
            # The last second of the last bucket: one more would begin the next.
            parameters = {"query": text, "from": str(part[0]), "to": str(part[-1] + buckets.step - 1)}
            record_sent("/api/v1/query", parameters)
            answer = await self._api.json("GET", "/api/v1/query", params=parameters)
            for at_ms, number in _points(answer, buckets.step):
                start = int(at_ms // 1000)
                if start in part:
                    counts[start] = counts.get(start, 0.0) + number
        return counts

    async def _read_slo(self, sli: DatadogSloSli, span: Span, step: timedelta) -> Reading:
        path = f"/api/v1/slo/{sli.slo}/history"
        parameters = {"from_ts": str(second(span.start)), "to_ts": str(second(span.end))}
        record_sent(path, parameters)
        answer = await self._api.json("GET", path, params=parameters)
        total, good = _history(answer, span, int(step.total_seconds()))
        return events(total, good=good, step=step)


def _points(answer: Any, width: int) -> list[tuple[float, float]]:
    """Return the points of all series of an answer: times in milliseconds, and numbers."""
    try:
        if answer["status"] != "ok":
            why = quotable(str(answer.get("error") or answer.get("errors") or answer["status"]))
            raise SourceRefusedError(f"Datadog refuses the query: {why}")
        points: list[tuple[float, float]] = []
        for series in answer["series"]:
            interval = series.get("interval")
            if interval is not None and interval > width:
                raise InvalidAnswerError(f"Datadog counts by {interval} s here, and {width} s were asked for")
            points += [(float(at), float(number)) for at, number in series["pointlist"] if number is not None]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidAnswerError(_MALFORMED) from error
    return points


def _history(answer: Any, span: Span, width: int) -> tuple[Counts, Counts]:
    """Return all events and the good ones of an SLO's history, by bucket."""
    try:
        data = answer["data"]
        if data is None or answer.get("errors"):
            raise SourceRefusedError(f"Datadog has no history of the SLO: {_errors(answer)}")
        series = data.get("series")
        if series is None:
            raise SourceRefusedError("the SLO of Datadog counts no events: only metric-based ones do")
        found = tuple(
            _by_bucket(series["times"], series[name]["values"], span, width)
            for name in ("denominator", "numerator")
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidAnswerError(_MALFORMED) from error
    return found[0], found[1]


def _by_bucket(times: Sequence[float], values: Sequence[float | None], span: Span, width: int) -> Counts:
    first, end = second(span.start), second(span.end)
    counts: dict[int, float] = {}
    for at_ms, value in zip(times, values, strict=True):
        start = int(float(at_ms) // 1000) // width * width
        if value is not None and first <= start < end:
            counts[start] = counts.get(start, 0.0) + float(value)
    return counts


def _errors(answer: Mapping[str, Any]) -> str:
    found = answer.get("errors") or answer.get("error") or []
    first = found[0] if isinstance(found, list) and found else found
    return quotable(str(first.get("error_message", first) if isinstance(first, dict) else first))
