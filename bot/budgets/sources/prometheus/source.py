"""The Prometheus source, also for Thanos, Mimir and VictoriaMetrics. Its requests are in `api.py`."""

import asyncio
import math
import re
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, assert_never

import aiohttp

from bot.budgets.source import (
    Bucket,
    InvalidAnswerError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.prometheus import promql
from bot.budgets.sources.prometheus.api import MALFORMED, WINDOW, PrometheusApi
from bot.budgets.sources.prometheus.counters import CounterQueries, Counters, Series, count_events
from bot.budgets.sources.prometheus.selectors import JoinedSelector, families, join, parse
from bot.catalog.slo import CounterSli, DowntimeSli, EventsSli, LatencySli, Sli
from bot.catalog.window import Span

_MOST_POINTS = 10_000
"""Prometheus returns at most 11,000 points of a series."""

_PART = "governor_part"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A counter that is read just before another may lag behind by this share, or by so many events.
_SKEW_SHARE = 0.01
_SKEW_EVENTS = 2.0


class PrometheusSource:
    """Counts events by queries to one server.

    `headers` go with every request (`X-Scope-OrgID` and the like). Give a bearer token or basic auth,
    not both. No request takes longer than `timeout`.
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
    ) -> None:
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
        return answer

    async def read_together(
        self, slis: Sequence[Sli], span: Span, step: timedelta
    ) -> list[Sequence[Bucket] | SourceError]:
        """Return the events of `span` in buckets of width `step` for SLIs of one group; see the port."""
        width_s = int(step.total_seconds())
        steps = range(_seconds(span.start), _seconds(span.end), width_s)
        counters = [_counters(sli) for sli in slis]
        counts = await self._count(counters, steps)
        answers: list[Sequence[Bucket] | SourceError] = []
        for sli, selectors, series in zip(slis, counters, counts, strict=True):
            try:
                total, bad = await self._total_and_bad(sli, selectors, series, steps)
            except SourceUnavailableError:
                raise
            except SourceError as error:
                answers.append(error)
            else:
                answers.append(_buckets(total, bad, step))
        return answers

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:
        """Return the values of a label; see the port.

        Prometheus returns a value for up to about three hours after its last sample: until it has moved
        the series out of memory.
        """
        parameters = {"start": str(_seconds(span.start)), "end": str(_seconds(span.end))}
        if match is not None:
            parameters["match[]"] = match
        return await self._api.label_values(label, parameters)

    async def _total_and_bad(
        self, sli: Sli, counters: Counters, counts: Mapping[str, Series], steps: range
    ) -> tuple[Series, Series]:
        """Return all events and the bad ones; raises `InvalidAnswerError` for what cannot be true."""
        for name, series in counts.items():
            if any(events < 0 for events in series.values()):
                raise InvalidAnswerError(f"{counters[name]} answered a negative number of events")
        total = counts["total"]
        if isinstance(sli, LatencySli):
            good = counts["good"]
            if any(total.values()) and not any(good.values()):
                await self._check_boundary(sli, steps)
            _check_below(good, total, "there are more quick events than events in all")
            return total, _rest(total, good)
        other = counts["other"]
        name = "good" if isinstance(sli, CounterSli) and sli.bad is None else "bad"
        _check_below(other, total, f"there are more {name} events than events in all")
        return total, _rest(total, other) if name == "good" else other

    async def _check_boundary(self, sli: LatencySli, steps: range) -> None:
        """Raise `InvalidAnswerError` if the histogram has no bucket that ends at the threshold."""
        at = min(steps.stop, steps.start + _MOST_POINTS * steps.step)
        match = sli.match.strip().rstrip(",")
        selector = f"{sli.histogram}_bucket{{{match}}}[{max(promql.LOOKBACK_S, at - steps.start)}s]"
        query = f"group by (le) (last_over_time({selector}))"
        result = await self._api.query("query", {"query": query, "time": str(at)})
        boundaries = {series["metric"].get("le", "") for series in result}
        pattern = _boundary_pattern(sli.threshold).replace(r"\\", "\\")
        if not any(re.fullmatch(pattern, boundary) for boundary in boundaries):
            shown = ", ".join(sorted(boundaries - {""}, key=_as_number)) or "none"
            threshold = f"{sli.threshold.total_seconds():g}"
            raise InvalidAnswerError(
                f"{sli.histogram} has no bucket that ends at {threshold} s; it has: {shown}"
            )

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
        if not any(selector.by for selector in joined.values()):
            parts = {
                f"{name} {part}": query
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
            (name, part): query
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
            for start, events in values.items():
                sums[start] = sums.get(start, 0.0) + events
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
            result = await self._api.query("query_range", form)
            answer.extend((series["metric"], _values(series, part.step)) for series in result)
        return answer


@lru_cache(maxsize=16_384)
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
            boundary = _boundary_pattern(sli.threshold)
            return {
                "total": f"{sli.histogram}_count{{{match}}}",
                "good": f'{sli.histogram}_bucket{{{braces}le=~"{boundary}"}}',
            }
        case EventsSli() | DowntimeSli():
            raise SourceRefusedError("Prometheus counts neither pushed events nor downtime")
        case _:
            assert_never(sli)


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


@lru_cache(maxsize=16)
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


@lru_cache(maxsize=16_384)
def _instant(at_s: int) -> datetime:
    # Cached: the same for all SLOs of a request.
    return _EPOCH + timedelta(seconds=at_s)


def _buckets(total: Series, bad: Series, step: timedelta) -> list[Bucket]:
    return [
        Bucket(_instant(start), step, bad.get(start, 0.0), total.get(start, 0.0))
        for start in sorted({*total, *bad})
    ]


def _values(series: Mapping[str, Any], step: int) -> Series:
    try:
        values = {round(at) - step: float(text) for at, text in series.get("values", ())}
    except (TypeError, ValueError) as error:
        raise InvalidAnswerError(MALFORMED) from error
    if not all(map(math.isfinite, values.values())):
        raise InvalidAnswerError("the answer holds NaN or infinity")
    return values


def _boundary_pattern(threshold: timedelta) -> str:
    """Return the `le` label as a pattern, escaped for a query: "1" in the text format, else "1.0"."""
    seconds = threshold.total_seconds()
    texts = dict.fromkeys((repr(seconds), f"{seconds:.17g}" if seconds.is_integer() else repr(seconds)))
    return "|".join(re.escape(text) for text in texts).replace("\\", r"\\")


def _as_number(boundary: str) -> float:
    try:
        return float(boundary)
    except ValueError:
        return math.nan


def _check_below(part: Series, whole: Series, fault: str) -> None:
    """Raise `InvalidAnswerError` if the part is greater than the whole, by more than skew explains."""
    parts, wholes = sum(part.values()), sum(whole.values())
    if parts > wholes + max(_SKEW_EVENTS, _SKEW_SHARE * wholes):
        raise InvalidAnswerError(f"{fault} ({parts:g} of {wholes:g})")


def _rest(whole: Series, part: Series) -> Series:
    # Not clipped at 0: what one step has too many, a neighbour has too few.
    return {start: whole.get(start, 0.0) - part.get(start, 0.0) for start in {*whole, *part}}


def _seconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)
