"""Prometheus, and what speaks its HTTP API: Thanos, Mimir, VictoriaMetrics. Requests: `prometheus_api.py`."""

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
from bot.budgets.sources.prometheus.api import NOT_ITS_FORM, WINDOW, PrometheusApi
from bot.budgets.sources.prometheus.counters import CounterQueries, Counters, Series, count_events
from bot.budgets.sources.prometheus.selectors import JoinedSelector, families, join, parse
from bot.catalog.slo import CounterSli, DowntimeSli, EventsSli, LatencySli, Sli
from bot.catalog.window import Span

_MOST_POINTS = 10_000
"""Prometheus answers at most 11,000 points of a series."""

_PART = "governor_part"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A counter that is read just before another may lag behind by these.
_RACE_SHARE = 0.01
_RACE_EVENTS = 2.0


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
        """Sort SLIs into groups that are asked together; those of a group differ only in label values."""
        return _sorted(tuple(slis), at_most)

    async def read(self, sli: Sli, span: Span, step: timedelta) -> Sequence[Bucket]:
        """Count the events of one SLI; see `read_together`."""
        (answer,) = await self.read_together([sli], span, step)
        if isinstance(answer, SourceError):
            raise answer
        return answer

    async def read_together(
        self, slis: Sequence[Sli], span: Span, step: timedelta
    ) -> list[Sequence[Bucket] | SourceError]:
        """Count the events of `span` in buckets of width `step` for SLIs of one group; see the port."""
        wide = int(step.total_seconds())
        steps = range(_seconds(span.start), _seconds(span.end), wide)
        counters = [_counters(sli) for sli in slis]
        found = await self._count(counters, steps)
        answers: list[Sequence[Bucket] | SourceError] = []
        for sli, named, series in zip(slis, counters, found, strict=True):
            try:
                total, bad = await self._judge(sli, named, series, steps)
            except SourceUnavailableError:
                raise
            except SourceError as error:
                answers.append(error)
            else:
                answers.append(_buckets(total, bad, step))
        return answers

    async def label_values(self, label: str, match: str | None, span: Span) -> Sequence[str]:
        """Return the values of a label; see the port.

        Prometheus names a value for up to about three hours after its last sample: until it has moved the
        series out of memory.
        """
        asked = {"start": str(_seconds(span.start)), "end": str(_seconds(span.end))}
        if match is not None:
            asked["match[]"] = match
        return await self._api.label_values(label, asked)

    async def _judge(
        self, sli: Sli, counters: Counters, found: Mapping[str, Series], steps: range
    ) -> tuple[Series, Series]:
        """Return all events and the bad ones; raises `InvalidAnswerError` for what cannot be true."""
        for name, series in found.items():
            if any(events < 0 for events in series.values()):
                raise InvalidAnswerError(f"{counters[name]} answered a negative number of events")
        total = found["total"]
        if isinstance(sli, LatencySli):
            good = found["good"]
            if any(total.values()) and not any(good.values()):
                await self._check_boundary(sli, steps)
            _check_below(good, total, "there are more quick events than events in all")
            return total, _rest(total, good)
        counted = found["other"]
        name = "good" if isinstance(sli, CounterSli) and sli.bad is None else "bad"
        _check_below(counted, total, f"there are more {name} events than events in all")
        return total, _rest(total, counted) if name == "good" else counted

    async def _check_boundary(self, sli: LatencySli, steps: range) -> None:
        """Raise `InvalidAnswerError` if the histogram has no bucket that ends at the threshold."""
        at = min(steps.stop, steps.start + _MOST_POINTS * steps.step)
        match = sli.match.strip().rstrip(",")
        selector = f"{sli.histogram}_bucket{{{match}}}[{max(promql.LOOKBACK_S, at - steps.start)}s]"
        query = f"group by (le) (last_over_time({selector}))"
        result = await self._api.query("query", {"query": query, "time": str(at)})
        known = {series["metric"].get("le", "") for series in result}
        pattern = _boundary_pattern(sli.threshold).replace(r"\\", "\\")
        if not any(re.fullmatch(pattern, boundary) for boundary in known):
            shown = ", ".join(sorted(known - {""}, key=_as_number)) or "none"
            threshold = f"{sli.threshold.total_seconds():g}"
            raise InvalidAnswerError(
                f"{sli.histogram} has no bucket that ends at {threshold} s; it has: {shown}"
            )

    async def _count(self, counters: Sequence[Counters], steps: range) -> list[dict[str, Series]]:
        """Count each counter: a selector by its differences, a query with `$window` as it says."""
        selectors = [{name: text for name, text in each.items() if WINDOW not in text} for each in counters]
        found: list[dict[str, Series]] = [{} for _ in counters]
        if selectors[0]:
            found = await count_events(self._evaluate, selectors, steps)
        for series, each in zip(found, counters, strict=True):
            for name, text in each.items():
                if WINDOW in text:
                    query = text.replace(WINDOW, f"{steps.step}s")
                    series[name] = await self._evaluate_sum(query, steps)
        return found

    async def _evaluate(
        self, counters: Sequence[Counters], queries: CounterQueries, steps: range
    ) -> list[dict[tuple[str, str], Series]]:
        """Evaluate queries for many: of one SLI in one request, of several one request for each part."""
        found: list[dict[tuple[str, str], Series]] = [{} for _ in counters]
        joints = {name: join(tuple(each[name] for each in counters)) for name in counters[0]}
        if not any(joint.by for joint in joints.values()):
            texts = {
                f"{name} {part}": query
                for name, joint in joints.items()
                for part, query in queries(joint.text, steps.step).items()
            }
            query = " or ".join(
                f'label_replace({text}, "{_PART}", "{name}", "", "")' for name, text in texts.items()
            )
            for labels, values in await self._ask_range(query, steps):
                name, _, part = labels.get(_PART, "").partition(" ")
                for answer in found:
                    answer.setdefault((name, part), {}).update(values)
            return found
        asked = {
            (name, part): query
            for name, joint in joints.items()
            for part, query in queries(joint.text, steps.step, _by(joint)).items()
        }
        results = await asyncio.gather(*(self._ask_range(query, steps) for query in asked.values()))
        for (name, part), result in zip(asked, results, strict=True):
            for one, series in _shared_out(result, joints[name]):
                found[one].setdefault((name, part), {}).update(series)
        return found

    async def _evaluate_sum(self, query: str, steps: range) -> Series:
        found: Series = {}
        for _, values in await self._ask_range(query, steps):
            for start, events in values.items():
                found[start] = found.get(start, 0.0) + events
        return found

    async def _ask_range(self, query: str, steps: range) -> list[tuple[Mapping[str, str], Series]]:
        """Evaluate a query at the end of each step; answer each series' labels and values."""
        found: list[tuple[Mapping[str, str], Series]] = []
        for first in range(0, len(steps), _MOST_POINTS):
            part = steps[first : first + _MOST_POINTS]
            form = {
                "query": query,
                "start": str(part[0] + part.step),
                "end": str(part[-1] + part.step),
                "step": str(part.step),
            }
            result = await self._api.query("query_range", form)
            found.extend((series["metric"], _values(series, part.step)) for series in result)
        return found


@lru_cache(maxsize=16_384)
def _counters(sli: Sli) -> Counters:
    """Return what an SLI counts; raises `SourceRefusedError` for what is not counted here."""
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
def _kinship(sli: Sli) -> Hashable | None:
    """Return what SLIs that may be asked together have in common; None for one that is asked alone."""
    try:
        counters = _counters(sli)
    except SourceRefusedError:
        return None
    parsed = {name: parse(text) for name, text in counters.items()}
    if None in parsed.values():
        return None
    return tuple((name, selector.shape) for name, selector in parsed.items() if selector is not None)


@lru_cache(maxsize=16)
def _sorted(slis: tuple[Sli, ...], at_most: int) -> list[list[Sli]]:
    """Remember how SLIs were sorted: at each evaluation they are the same."""
    kin: dict[Hashable, list[Sli]] = defaultdict(list)
    for sli in dict.fromkeys(slis):
        kin[_kinship(sli) or sli].append(sli)
    found: list[list[Sli]] = []
    for alike in kin.values():
        if len(alike) == 1:
            found.append(alike)
            continue
        members = [tuple(_counters(sli).values()) for sli in alike]
        found += [[alike[one] for one in group] for group in families(members, at_most)]
    return found


def _by(joint: JoinedSelector) -> str:
    return f" by ({', '.join(joint.by)})" if joint.by else ""


def _shared_out(
    result: Sequence[tuple[Mapping[str, str], Series]], joint: JoinedSelector
) -> Iterator[tuple[int, Series]]:
    """Return each series of an answer to those whose label values it bears."""
    owners: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for one, values in enumerate(joint.values):
        owners[values].append(one)
    for labels, series in result:
        for one in owners.get(tuple(labels.get(label, "") for label in joint.by), ()):
            yield one, series


@lru_cache(maxsize=16_384)
def _instant(at_s: int) -> datetime:
    # The same for all SLOs of a question.
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
        raise InvalidAnswerError(NOT_ITS_FORM) from error
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
    """Raise `InvalidAnswerError` if the part is the greater, by more than two readings at once explain."""
    parts, wholes = sum(part.values()), sum(whole.values())
    if parts > wholes + max(_RACE_EVENTS, _RACE_SHARE * wholes):
        raise InvalidAnswerError(f"{fault} ({parts:g} of {wholes:g})")


def _rest(whole: Series, part: Series) -> Series:
    # Not cut off at 0: what one step has too much, a neighbour has too little.
    return {start: whole.get(start, 0.0) - part.get(start, 0.0) for start in {*whole, *part}}


def _seconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)
