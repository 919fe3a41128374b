"""The Prometheus source, also for Thanos, Mimir and VictoriaMetrics. Its requests are in `api.py`."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import aiohttp

from bot.budgets.source import (
    Answer,
    Bucket,
    Inspection,
    InvalidAnswerError,
    LateReading,
    NoSeriesError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
    UnmeasurableError,
    buckets_of,
)
from bot.budgets.sources.prometheus import promql
from bot.budgets.sources.prometheus.api import WINDOW, PrometheusApi
from bot.budgets.sources.prometheus.counters import (
    CounterQueries,
    Counters,
    Series,
    count_events,
    find_ended,
    find_last,
    find_late,
)
from bot.budgets.sources.prometheus.events import events, has_bad, instant
from bot.budgets.sources.prometheus.histograms import (
    boundary_pattern,
    bucket_fault,
    native_fault,
    without_bucket,
)
from bot.budgets.sources.prometheus.inspection import inspect
from bot.budgets.sources.prometheus.selectors import JoinedSelector, families, join, parse
from bot.budgets.sources.prometheus.variants import narrowed
from bot.catalog.slo import CounterSli, DowntimeSli, EventsSli, LatencySli, Sli
from bot.catalog.window import Span
from bot.pacing import Pacer

_MOST_POINTS = 10_000
"""Prometheus returns at most 11,000 points of a series."""

_SUBQUERY_STEP_S = 60
_PART = "governor_part"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_S = 253_000_000_000
"""No answer holds later seconds, which are in the year 9987."""


class PrometheusSource:
    """Counts events by queries to one server.

    `headers` go with every request (`X-Scope-OrgID` and the like). Give a bearer token or basic auth,
    not both. No request takes longer than `timeout`. Samples come up to `delay` after their time.
    """

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        *,
        bearer_token: str | None = None,
        basic_auth: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta = timedelta(seconds=30),
        delay: timedelta = timedelta(),
    ) -> None:
        self.delay = delay
        self._api = PrometheusApi(
            url,
            session,
            bearer_token=bearer_token,
            basic_auth=basic_auth,
            headers=headers or {},
            timeout=timeout,
        )

    async def check(self) -> None:
        """Ask for the number 1; raises `SourceError`."""
        await self._api.query("query", {"query": "vector(1)"})

    def groups(self, slis: Sequence[Sli], at_most: int) -> list[list[Sli]]:
        """Divide SLIs into groups that are read together; those of a group differ only in label values."""
        return _grouped(tuple(slis), at_most)

    async def read(self, sli: Sli, span: Span, step: timedelta) -> Sequence[Bucket]:
        """Return the events of one SLI; see `read_together`."""
        (answer,) = await self.read_together([sli], span, step)
        if isinstance(answer, SourceError):
            raise answer
        return buckets_of(answer)

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> list[Answer]:
        """Return the events of `span` in buckets of width `step` for SLIs of one group; see the port."""
        width_s = int(step.total_seconds())
        steps = range(_seconds(span.start), _seconds(span.end), width_s)
        counters = [_counters(sli) for sli in slis]
        counts = await self._count(counters, steps)
        totals = [selectors["total"] for selectors in counters]
        ended = await self._find_ended(totals, counts, steps)
        late: dict[int, int] = {}
        last: dict[int, int | None] = {}
        if WINDOW not in totals[0]:
            last = dict(zip(sorted(ended), await self._find_last(totals, ended, steps), strict=True))
            late = await find_late(self._evaluate, totals, [series["total"] for series in counts], steps)
        lacking: list[Series] = [{} for _ in slis]
        if isinstance(slis[0], LatencySli):
            lacking = await self._without_bucket(counters, counts, steps)
        answers: list[Answer] = []
        pace = Pacer()
        for index, (sli, selectors) in enumerate(zip(slis, counters, strict=True)):
            await pace()
            try:
                counted = events(sli, selectors, counts[index], lacking[index], step)
                await self._check_end(
                    sli,
                    selectors,
                    counted,
                    steps,
                    has_ended=index in ended,
                    last=last.get(index),
                    lacks_bucket=bool(lacking[index].get(steps[-1])),
                )
            except SourceUnavailableError:
                raise
            except SourceError as error:
                answers.append(error)
            else:
                newest = late.get(index)
                answers.append(counted if newest is None else LateReading(counted, instant(newest)))
        return answers

    def narrowed(self, sli: Sli, label: str, value: str, *, others: bool = False) -> Sli:
        """Return the SLI of the events with a label's value, or with another; see the port."""
        return narrowed(sli, label, value, others=others)

    async def inspect(self, sli: Sli, span: Span, step: timedelta) -> Inspection:
        """Return what is sent for one SLI and what the server says to it; see the port."""
        try:
            counters = _counters(sli)
        except SourceRefusedError as error:
            return Inspection((), error)
        return await inspect(self._api, self.read_together, sli, counters, span=span, step=step)

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:
        """Return the values of a label; see the port.

        Prometheus returns a value for up to about three hours after its last sample: until it has moved
        the series out of memory.
        """
        parameters = {"start": str(_seconds(span.start)), "end": str(_seconds(span.end))}
        if match is not None:
            parameters["match[]"] = match
        return await self._api.label_values(label, parameters)

    async def _check_end(
        self,
        sli: Sli,
        counters: Counters,
        counted: Sequence[Bucket],
        steps: range,
        *,
        has_ended: bool,
        last: int | None,
        lacks_bucket: bool,
    ) -> None:
        """Raise `SourceError` if it is not known at the end of the steps what happens."""
        if has_ended:
            total = counters["total"]
            native = None if WINDOW in total else await native_fault(self._api, total, steps.stop)
            if native is not None:
                raise UnmeasurableError(native, counted)
            what = "the query has had no value for an hour:" if WINDOW in total else "no series match"
            raise NoSeriesError(f"{what} {total}", counted, None if last is None else instant(last))
        if isinstance(sli, LatencySli) and lacks_bucket:
            fault = await bucket_fault(self._api, sli, counters, steps.stop, steps.step)
            raise UnmeasurableError(fault, counted)

    async def _find_ended(
        self, totals: Sequence[str], counts: Sequence[Mapping[str, Series]], steps: range
    ) -> set[int]:
        """Return the indices of the SLIs whose events have no series at the end of the steps."""
        found = [series["total"] for series in counts]
        if WINDOW not in totals[0]:
            return await find_ended(self._evaluate, totals, found, steps)
        return {
            index
            for index, query in enumerate(totals)
            if not found[index] and not await self._had_value(query, steps)
        }

    async def _find_last(
        self, totals: Sequence[str], ended: Collection[int], steps: range
    ) -> list[int | None]:
        """Return the newest samples of the SLIs that have ended, in the order of their indices."""
        return await find_last(self._evaluate, [totals[index] for index in sorted(ended)], steps)

    async def _had_value(self, query: str, steps: range) -> bool:
        """Return whether a full query, which may have no value where nothing happens, had one in an hour."""
        text = query.replace(WINDOW, f"{steps.step}s")
        every = max(steps.step, _SUBQUERY_STEP_S)
        lately = f"count(last_over_time(({text})[{promql.LOOKBACK_S}s:{every}s]))"
        return bool(await self._api.query("query", {"query": lately, "time": str(steps.stop)}))

    async def _without_bucket(
        self, counters: Sequence[Counters], counts: Sequence[Mapping[str, Series]], steps: range
    ) -> list[Series]:
        """Return for each SLI how many series without the threshold's bucket there are in each step."""
        found: list[Series] = [{} for _ in counters]
        # Such a series has events that are not in the bucket.
        slow = [index for index, series in enumerate(counts) if has_bad(series["total"], series["good"])]
        if slow:
            total, good = (join(tuple(counters[index][name] for index in slow)) for name in ("total", "good"))
            query = without_bucket(total.text, good.text, steps.step, _by(total))
            for place, series in _assigned(await self._query_range(query, steps), total):
                found[slow[place]].update(series)
        return found

    async def _count(self, counters: Sequence[Counters], steps: range) -> list[dict[str, Series]]:
        """Count the events of each counter: a selector by differences, a query with `$window` as written."""
        selectors = [{name: text for name, text in texts.items() if WINDOW not in text} for texts in counters]
        counts: list[dict[str, Series]] = [{} for _ in counters]
        if selectors[0]:
            counts = await count_events(self._evaluate, selectors, steps)
        for series, texts in zip(counts, counters, strict=True):
            for name, text in texts.items():
                if WINDOW in text:
                    query = text.replace(WINDOW, f"{steps.step}s")
                    series[name] = await self._evaluate_sum(query, steps)
        return counts

    async def _evaluate(
        self, counters: Sequence[Counters], queries: CounterQueries, steps: range
    ) -> list[dict[tuple[str, str], Series]]:
        """Evaluate queries: those of one SLI in one request, those of several SLIs in one request a part."""
        answers: list[dict[tuple[str, str], Series]] = [{} for _ in counters]
        joined = {name: join(tuple(selectors[name] for selectors in counters)) for name in counters[0]}
        total = joined["total"].text if "total" in joined else ""
        if not any(selector.by for selector in joined.values()):
            parts = {
                f"{name} {part}": query.replace(promql.TOTAL, total)
                for name, selector in joined.items()
                for part, query in queries(selector.text, steps.step).items()
            }
            query = " or ".join(
                f'label_replace({part_query}, "{_PART}", "{name}", "", "")'
                for name, part_query in parts.items()
            )
            for labels, values in await self._query_range(query, steps):
                name, _, part = labels.get(_PART, "").partition(" ")
                for answer in answers:
                    answer.setdefault((name, part), {}).update(values)
            return answers
        requests = {
            (name, part): query.replace(promql.TOTAL, total)
            for name, selector in joined.items()
            for part, query in queries(selector.text, steps.step, _by(selector)).items()
        }
        results = await asyncio.gather(*(self._query_range(query, steps) for query in requests.values()))
        for (name, part), result in zip(requests, results, strict=True):
            for index, series in _assigned(result, joined[name]):
                answers[index].setdefault((name, part), {}).update(series)
        return answers

    async def _evaluate_sum(self, query: str, steps: range) -> Series:
        sums: Series = {}
        for _, values in await self._query_range(query, steps):
            for start, count in values.items():
                sums[start] = sums.get(start, 0.0) + count
        return sums

    async def _query_range(self, query: str, steps: range) -> list[tuple[Mapping[str, str], Series]]:
        """Evaluate a query at the end of each step; return each series' labels and values."""
        answer: list[tuple[Mapping[str, str], Series]] = []
        for first in range(0, len(steps), _MOST_POINTS):
            part = steps[first : first + _MOST_POINTS]
            form = {
                "query": query,
                "start": str(part[0] + part.step),
                "end": str(part[-1] + part.step),
                "step": str(part.step),
            }
            result = await self._api.query_range(form)
            pace = Pacer()
            for series in result:
                await pace()
                answer.append((series.metric, _values(series.values, part)))
        return answer


@lru_cache(maxsize=65_536)
def _counters(sli: Sli) -> Counters:
    """Return the counters of an SLI; raises `SourceRefusedError` for an SLI of another kind."""
    match sli:
        case CounterSli():
            other = sli.bad if sli.bad is not None else sli.good
            if other is None:
                raise SourceRefusedError("the SLI names neither the bad events nor the good ones")
            return {"total": sli.total, "other": other}
        case LatencySli():
            match = sli.match.strip().rstrip(",")
            braces = f"{match}," if match else ""
            boundary = boundary_pattern(sli.threshold)
            return {
                "total": f"{sli.histogram}_count{{{match}}}",
                "good": f'{sli.histogram}_bucket{{{braces}le=~"{boundary}"}}',
            }
        case EventsSli() | DowntimeSli():
            raise SourceRefusedError("Prometheus counts neither pushed events nor downtime")
        case _:
            raise SourceRefusedError("Prometheus cannot count what this SLI asks for")


@lru_cache(maxsize=16_384)
def _group_key(sli: Sli) -> Hashable | None:
    """Return what SLIs that may be read together have in common; None for one that is read alone."""
    try:
        counters = _counters(sli)
    except SourceRefusedError:
        return None
    parsed = {name: parse(text) for name, text in counters.items()}
    if None in parsed.values():
        return None
    return tuple((name, selector.shape) for name, selector in parsed.items() if selector is not None)


@lru_cache(maxsize=64)
def _grouped(slis: tuple[Sli, ...], at_most: int) -> list[list[Sli]]:
    """Cache the groups: at each evaluation the SLIs are the same."""
    slis_by_key: dict[Hashable, list[Sli]] = defaultdict(list)
    for sli in dict.fromkeys(slis):
        slis_by_key[_group_key(sli) or sli].append(sli)
    groups: list[list[Sli]] = []
    for alike in slis_by_key.values():
        if len(alike) == 1:
            groups.append(alike)
            continue
        members = [tuple(_counters(sli).values()) for sli in alike]
        groups += [[alike[index] for index in group] for group in families(members, at_most)]
    return groups


def _by(selector: JoinedSelector) -> str:
    return f" by ({', '.join(selector.by)})" if selector.by else ""


def _assigned(
    result: Sequence[tuple[Mapping[str, str], Series]], selector: JoinedSelector
) -> Iterator[tuple[int, Series]]:
    """Yield each series with the index of every SLI whose label values it has."""
    owners: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, label_values in enumerate(selector.values):
        owners[label_values].append(index)
    for labels, series in result:
        for index in owners.get(tuple(labels.get(label, "") for label in selector.by), ()):
            yield index, series


@lru_cache(maxsize=64)
def _starts(steps: range) -> frozenset[int]:
    return frozenset(steps)


def _values(samples: Sequence[tuple[int, float]], steps: range) -> Series:
    """Return the values at the ends of steps; raises `InvalidAnswerError` for what cannot be true."""
    width, starts = steps.step, _starts(steps)
    values = {at - width: value for at, value in samples}
    are_expected = values.keys() <= starts
    if not are_expected and any(abs(start) > _LATEST_S for start in values):
        raise InvalidAnswerError("the answer holds a time that lies thousands of years away")
    if not all(map(math.isfinite, values.values())):
        raise InvalidAnswerError("the answer holds NaN or infinity")
    return values if are_expected else {start: values[start] for start in values if start in starts}


def _seconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)
