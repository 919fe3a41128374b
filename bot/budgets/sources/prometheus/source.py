"""The Prometheus source, also for Thanos, Mimir and VictoriaMetrics. Its requests are in `api.py`."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import zip_longest
from typing import NamedTuple

import aiohttp

from bot.budgets.source import (
    Answer,
    Births,
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
from bot.budgets.sources.comparison import OtherTool, ToolFigure
from bot.budgets.sources.prometheus import promql
from bot.budgets.sources.prometheus.api import WINDOW, PrometheusApi
from bot.budgets.sources.prometheus.bounds import BOUND, bound_of
from bot.budgets.sources.prometheus.comparison import tool_query
from bot.budgets.sources.prometheus.counters import (
    CounterQueries,
    Counters,
    Series,
    count_births,
    count_events,
    find_ended,
    find_last,
    find_late,
    total_of,
    totals,
)
from bot.budgets.sources.prometheus.events import events, has_bad, instant, seconds
from bot.budgets.sources.prometheus.histograms import (
    bucket_fault,
    classic_fault,
    native_fault,
    without_bucket,
)
from bot.budgets.sources.prometheus.inspection import inspect
from bot.budgets.sources.prometheus.questions import (
    CountableSli,
    counted_sli,
    counters_of,
    grouped,
    selectors_of,
)
from bot.budgets.sources.prometheus.samples import SampledSli, read_samples
from bot.budgets.sources.prometheus.selectors import JoinedSelector, join
from bot.budgets.sources.prometheus.slices import as_slices, slices_span
from bot.budgets.sources.prometheus.variants import narrowed
from bot.budgets.sources.sign_in import SignIn
from bot.budgets.sources.tls_files import TlsFiles
from bot.catalog.slo import CounterSlicesSli, LatencySli, NativeHistogramSli, Sli
from bot.catalog.window import Span
from bot.pacing import Pacer

_MOST_POINTS = 10_000
"""Prometheus returns at most 11,000 points of a series."""

_SUBQUERY_STEP_S = 60
_PART = "governor_part"
_LATEST_S = 253_000_000_000
"""No answer holds later seconds, which are in the year 9987."""


class _Ended(NamedTuple):
    """A selector without series at the end of a span, and its newest sample in seconds; or a query."""

    text: str
    last: int | None


class PrometheusSource:
    """Counts events by queries to one server.

    `headers` go with every request (`X-Scope-OrgID` and the like). Give a bearer token or basic auth,
    not both. No request takes longer than `timeout`. Samples come up to `delay` after their time.
    `params` go with every query, such as Thanos' `dedup`; `tls` and `signing` say who we are where a header
    does not.
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
        params: Mapping[str, str] | None = None,
        tls: TlsFiles | None = None,
        signing: SignIn | None = None,
    ) -> None:
        self.delay = delay
        self._api = PrometheusApi(
            url,
            session,
            bearer_token=bearer_token,
            basic_auth=basic_auth,
            headers=headers or {},
            timeout=timeout,
            params=params,
            tls=tls,
            signing=signing,
        )

    async def check(self) -> None:
        """Ask for the number 1; raises `SourceError`."""
        await self._api.query("query", {"query": "vector(1)"})

    def groups(self, slis: Sequence[Sli], at_most: int) -> list[list[Sli]]:
        """Divide SLIs into groups that are read together; those of a group differ only in label values."""
        return grouped(tuple(slis), at_most)

    async def read(self, sli: Sli, span: Span, step: timedelta) -> Sequence[Bucket]:
        """Return the events of one SLI; see `read_together`."""
        (answer,) = await self.read_together([sli], span, step)
        if isinstance(answer, SourceError):
            raise answer
        return buckets_of(answer)

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> list[Answer]:
        """Return the events of `span` in buckets of width `step` for SLIs of one group; see the port."""
        if isinstance(slis[0], SampledSli):
            sampled = [sli for sli in slis if isinstance(sli, SampledSli)]
            bounds = range(seconds(span.start), seconds(span.end))
            return await read_samples(self._api, self._query_range, sampled, bounds, step)
        counted = [counted_sli(sli) for sli in slis]
        if isinstance(slis[0], NativeHistogramSli):
            return await self._read_native(slis[0], counted, span, step)
        if not isinstance(slis[0], CounterSlicesSli):
            return await self._read_counters(counted, span, step)
        slices = slices_span(span, slis[0].of)
        answers = await self._read_counters(counted, slices, slis[0].of)
        return [
            as_slices(sli, answer, span, step)
            for sli, answer in zip(slis, answers, strict=True)
            if isinstance(sli, CounterSlicesSli)
        ]

    async def _read_native(
        self, sli: NativeHistogramSli, counted: Sequence[CountableSli], span: Span, step: timedelta
    ) -> list[Answer]:
        """Return the events of a native histogram, which is read alone; say so where it is a classic one."""
        (answer,) = await self._read_counters(counted, span, step)
        if isinstance(answer, NoSeriesError):
            fault = await classic_fault(self._api, sli, seconds(span.end))
            if fault is not None:
                return [NoSeriesError(fault, answer.counted or ())]
        return [answer]

    async def _read_counters(self, slis: Sequence[CountableSli], span: Span, step: timedelta) -> list[Answer]:
        """Return the events of SLIs that count them as they are."""
        steps = range(seconds(span.start), seconds(span.end), int(step.total_seconds()))
        counters = [counters_of(sli) for sli in slis]
        counts = await self._count(counters, steps)
        ended = await self._find_ended(counters, counts, steps)
        late = await self._find_late(counters, counts, steps)
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
                    ended=ended.get(index),
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
            selectors = selectors_of(sli)
        except SourceRefusedError as error:
            return Inspection((), error)
        return await inspect(self._api, self.read_together, sli, selectors, span=span, step=step)

    async def births(self, sli: Sli, span: Span) -> Births | None:
        """Return which series of an SLI began in a span, to the hour; see the port."""
        if isinstance(sli, SampledSli):
            return None
        counters = counters_of(counted_sli(sli))
        selectors = {name: counters[name] for name in totals(counters) if WINDOW not in counters[name]}
        if not selectors:
            return None
        hour = promql.STEPS_S[0]
        steps = range(-(-seconds(span.start) // hour) * hour, seconds(span.end) // hour * hour, hour)
        return await count_births(self._evaluate, selectors, steps) if steps else Births(0, 0, 0.0)

    async def figure_of(self, tool: OtherTool, sli: Sli, span: Span) -> ToolFigure:
        """Return the number that another tool would show for a window; see `ComparableSource`."""
        query = tool_query(tool, sli, seconds(span.end) - seconds(span.start))
        rate = await self._api.value(query, str(seconds(span.end)))
        is_undefined = rate is not None and math.isnan(rate)
        return ToolFigure(tool, query, span.end, None if is_undefined else rate, is_undefined)

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:
        """Return the values of a label; see the port.

        Prometheus returns a value for up to about three hours after its last sample: until it has moved
        the series out of memory.
        """
        parameters = {"start": str(seconds(span.start)), "end": str(seconds(span.end))}
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
        ended: _Ended | None,
        lacks_bucket: bool,
    ) -> None:
        """Raise `SourceError` if it is not known at the end of the steps what happens."""
        if ended is not None:
            is_query = WINDOW in ended.text
            native = None if is_query else await native_fault(self._api, ended.text, steps.stop)
            if native is not None:
                raise UnmeasurableError(native, counted)
            what = "the query has had no value for an hour:" if is_query else "no series match"
            last = None if ended.last is None else instant(ended.last)
            raise NoSeriesError(f"{what} {ended.text}", counted, last)
        if isinstance(sli, LatencySli) and lacks_bucket:
            fault = await bucket_fault(self._api, sli, counters, steps.stop, steps.step)
            raise UnmeasurableError(fault, counted)

    async def _find_ended(
        self, counters: Sequence[Counters], counts: Sequence[Mapping[str, Series]], steps: range
    ) -> dict[int, _Ended]:
        """Return what counts the events and has no series at the end of the steps, by the SLI's index."""
        found: dict[int, _Ended] = {}
        for name in totals(counters[0]):
            texts, events = [texts[name] for texts in counters], [series[name] for series in counts]
            last: Sequence[int | None] = ()
            if WINDOW not in texts[0]:
                ended = sorted(await find_ended(self._evaluate, texts, events, steps))
                last = await find_last(self._evaluate, [texts[index] for index in ended], steps)
            else:
                ended = [
                    index
                    for index, query in enumerate(texts)
                    if not events[index] and not await self._had_value(query, steps)
                ]
            for index, newest in zip_longest(ended, last):
                found.setdefault(index, _Ended(texts[index], newest))
        return found

    async def _find_late(
        self, counters: Sequence[Counters], counts: Sequence[Mapping[str, Series]], steps: range
    ) -> dict[int, int]:
        """Return the newest sample, in seconds, of what counts the events of an SLI, by its index.

        Of those that have one at the end of the steps there is none; of a sum, its latest addend counts.
        """
        late: dict[int, int] = {}
        for name in totals(counters[0]):
            texts, events = [texts[name] for texts in counters], [series[name] for series in counts]
            if WINDOW not in texts[0]:
                for index, newest in (await find_late(self._evaluate, texts, events, steps)).items():
                    late[index] = min(newest, late.get(index, newest))
        return late

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
        totals_by_name = {name: total_of(name, counters[0]) for name in joined}
        total = {name: "" if whole is None else joined[whole].text for name, whole in totals_by_name.items()}
        if not any(selector.by for selector in joined.values()):
            parts = {
                f"{name} {part}": query.replace(promql.TOTAL, total[name])
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
            (name, part): query.replace(promql.TOTAL, total[name])
            for name, selector in joined.items()
            for part, query in queries(selector.text, steps.step, _by(selector)).items()
        }
        results = await asyncio.gather(*(self._query_range(query, steps) for query in requests.values()))
        for (name, part), result in zip(requests, results, strict=True):
            for index, series in _assigned(result, joined[name]):
                others = answers[index].get((name, part), {})
                answers[index][name, part] = _added(series, others, latest=part == promql.NEWEST)
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


def _added(series: Series, others: Series, *, latest: bool) -> Series:
    """Return both together, in order: another spelling of the same bucket. Of times, take the later."""
    if not others:
        return series
    both = [(start, series.get(start), others.get(start)) for start in sorted({*series, *others})]
    return {
        start: max(values) if latest else sum(values)
        for start, one, other in both
        if (values := [value for value in (one, other) if value is not None])
    }


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
        for index in owners.get(tuple(_value(labels, label) for label in selector.by), ()):
            yield index, series


def _value(labels: Mapping[str, str], label: str) -> str:
    value = labels.get(label, "")
    return bound_of(value) or value if label == BOUND else value


@lru_cache(maxsize=8)
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
