"""SLIs whose events are samples of a query: ratios over time, gauges, and slices by a gauge's mean.

A query is evaluated at every whole minute (a slice's at its end), so that it does not matter in which buckets
the events are asked for. Wide buckets add the minutes up on the server, by a subquery whose range lacks a
millisecond: it holds the same minutes whether ranges include their start, as before Prometheus 3, or not.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, assert_never

from bot.budgets.source import (
    Answer,
    BucketColumns,
    Cell,
    InvalidAnswerError,
    LateReading,
    NoSeriesError,
    SourceError,
)
from bot.budgets.sources.prometheus import promql
from bot.budgets.sources.prometheus.api import WINDOW, PrometheusApi
from bot.budgets.sources.prometheus.counters import Series
from bot.budgets.sources.prometheus.events import instant
from bot.budgets.sources.prometheus.selectors import parse, with_any_spelling
from bot.budgets.sources.prometheus.slices import bucket_of
from bot.catalog.slo import GaugeSli, GaugeSlicesSli, RatioSli

SampledSli = RatioSli | GaugeSli | GaugeSlicesSli

QueryRange = Callable[[str, range], Awaitable[Sequence[tuple[Mapping[str, str], Series]]]]
"""Evaluates a query at the end of each of the steps, whose starts are given."""

MOST_TOGETHER: Final = 10
"""How many SLIs are asked about in one request."""

RATIO_WINDOW: Final = "5m"
"""What stands for `$window` in a query whose samples count: the window of Sloth's recorded ratios."""

_SAMPLED_S: Final = 60
_PART: Final = "governor_part"
TOTAL, BAD, GOOD, _OUTSIDE, _NEWEST = "total", "bad", "good", "outside", "newest"
_ROUNDING: Final = 0.000_001


def interval_s(sli: SampledSli) -> int:
    """Return how many seconds lie between two events of an SLI."""
    return int(sli.of.total_seconds()) if isinstance(sli, GaugeSlicesSli) else _SAMPLED_S


def is_selector(query: str) -> bool:
    """Return whether a query is a plain selector, whose samples' own times are known."""
    return parse(query) is not None


async def read_samples(
    api: PrometheusApi, query_range: QueryRange, slis: Sequence[SampledSli], span: range, step: timedelta
) -> list[Answer]:
    """Return the events of SLIs with the same interval, in buckets of `step`; `span` is in whole seconds."""
    width = int(step.total_seconds())
    steps = _steps(span, interval_s(slis[0]), width)
    query = " or ".join(
        f'label_replace({part}, "{_PART}", "{index} {name}", "", "")'
        for index, sli in enumerate(slis)
        for name, part in _parts(sli, steps.step).items()
    )
    found: list[dict[str, Series]] = [{} for _ in slis]
    for labels, values in await query_range(query, steps):
        index, _, name = labels.get(_PART, "").partition(" ")
        found[int(index)][name] = {start + steps.step: value for start, value in values.items()}
    answers: list[Answer] = []
    for sli, series in zip(slis, found, strict=True):
        counted = _events(sli, series, span, step)
        if isinstance(counted, SourceError):
            answers.append(counted)
        else:
            answers.append(await _at_the_end(api, sli, series, counted, span.stop))
    return answers


def _events(
    sli: SampledSli, series: Mapping[str, Series], span: range, step: timedelta
) -> BucketColumns | InvalidAnswerError:
    """Return the events of the span; `series` has the values by the time at which they were asked for."""
    if outside := series.get(_OUTSIDE):
        first = instant(min(outside))
        return InvalidAnswerError(
            f"values of the ratio lie outside 0 to 1, at first by {first:%Y-%m-%d %H:%M} UTC: it must be "
            f"the share of bad events, not percent: {sli.query}"
        )
    cells: dict[int, Cell] = {}
    good, width = series.get(GOOD, {}), int(step.total_seconds())
    shares = series.get(BAD, {}) if isinstance(sli, RatioSli) else None
    for at, total in sorted(series.get(TOTAL, {}).items()):
        start = bucket_of(at, width)
        if span.start <= start < span.stop:
            bad = total - good.get(at, 0.0) if shares is None else shares.get(at, 0.0)
            before, events = cells.get(start, (0.0, 0.0))
            cells[start] = before + bad, events + total
    return BucketColumns(cells, step)


async def _at_the_end(
    api: PrometheusApi, sli: SampledSli, series: Mapping[str, Series], counted: BucketColumns, end: int
) -> Answer:
    """Return what was counted, as far as it is known at the end of the span what happens."""
    if is_selector(sli.query):
        newest: float | None = max(series.get(_NEWEST, {}).values(), default=None)
        # The last slice may have ended a while before the span.
        if newest is None or newest < end - promql.LATE_S:
            (query,) = promql.newest(sli.query, _SAMPLED_S, within_s=promql.LOOKBACK_S).values()
            newest = await api.value(query, str(end))
        if newest is None or newest < end - promql.PRESENT_S:
            last = None if newest is None else instant(int(newest))
            return NoSeriesError(f"no series match {sli.query}", counted, last)
        return LateReading(counted, instant(int(newest))) if newest < end - promql.LATE_S else counted
    if not any(at > end - promql.LOOKBACK_S for at in series.get(TOTAL, ())):
        lately = f"count(last_over_time({_evaluated(sli.query)}[{promql.LOOKBACK_S}s:{_SAMPLED_S}s]))"
        if await api.value(lately, str(end)) is None:
            return NoSeriesError(f"the query has had no value for an hour: {sli.query}", counted)
    return counted


def _steps(span: range, every: int, width: int) -> range:
    """Return the steps that end when events are: at least the last one before the end of the span."""
    step = max(every, width)
    first, last = span.start // step + 1, span.stop // step
    return range((min(first, last) - 1) * step, last * step, step)


def _parts(sli: SampledSli, step: int) -> Mapping[str, str]:
    """Return the queries whose values count an SLI's events in steps; each has one series, without labels."""
    every = interval_s(sli)
    parts = at_once(sli)
    if step > every:
        return {name: f"sum_over_time(({query})[{_within(step)}:{every}s])" for name, query in parts.items()}
    # Of events long ago it does not matter when the newest sample came.
    return parts | ({_NEWEST: f"max(timestamp({sli.query}))"} if is_selector(sli.query) else {})


def at_once(sli: SampledSli) -> dict[str, str]:
    """Return the queries whose values count the events of one moment, or of the slice that ends then."""
    # NaN is no sample: it compares as false with anything.
    known = f"({_evaluated(sli.query)} >= -Inf)"
    match sli:
        case RatioSli():
            return {
                TOTAL: f"count({known})",
                BAD: f"sum(clamp_max(clamp_min({known}, 0), 1))",
                _OUTSIDE: f"count(abs({known} - 0.5) > {0.5 + _ROUNDING})",
            }
        case GaugeSli(good_when=good_when):
            return {TOTAL: f"count({known})", GOOD: f"count({known} {good_when})"}
        case GaugeSlicesSli(good_when=good_when):
            mean = f"({_mean(sli, known)} >= -Inf)"
            return {TOTAL: f"count({mean})", GOOD: f"count({mean} {good_when})"}
        case _:
            assert_never(sli)


def _mean(sli: GaugeSlicesSli, known: str) -> str:
    """Return the query for the mean over a slice: of all samples of a selector, else of one a minute."""
    within = _within(interval_s(sli))
    if not is_selector(sli.query):
        samples = f"{known}[{within}:{_SAMPLED_S}s]"
        return f"(sum(sum_over_time({samples})) / sum(count_over_time({samples})))"
    samples = f"{sli.query}[{within}]"
    # Where samples are further apart than slices, the last one still holds.
    return f"(sum(sum_over_time({samples})) / sum(count_over_time({samples})) or avg({sli.query}))"


def _evaluated(query: str) -> str:
    # The line break ends a comment that the query may end with.
    return f"({with_any_spelling(query.replace(WINDOW, RATIO_WINDOW))}\n)"


def _within(length_s: int) -> str:
    return f"{length_s * 1000 - 1}ms"
