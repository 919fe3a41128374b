"""Histograms: whether their series have the bucket that tells quick events from slow ones.

During a rolling deployment some pods may have other buckets than the rest. The events of such a series are
in its `_count` and in no bucket that counts: all of them would be slow. So the steps in which one was scraped
are left out, and an SLI that has one now is unmeasurable.

Native histograms have no series `…_count` and `…_bucket` at all; their events are counted by functions:
https://prometheus.io/docs/specs/native_histograms/
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from bot.bounded_body import quotable
from bot.budgets.sources.prometheus.api import WINDOW, PrometheusApi
from bot.budgets.sources.prometheus.bounds import spellings
from bot.catalog.slo import LatencySli, NativeHistogramSli

_SHORTEST_LOOKBACK_S = 300
"""Longer than the usual time between two scrapes."""

_MOST_BOUNDARIES = 30
_CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)_(?:count|bucket)\s*(\{.*)?", re.DOTALL)


def boundary_pattern(threshold: timedelta) -> str:
    """Return the `le` label as a pattern, escaped for a query: "1" in the text format, else "1.0"."""
    texts = spellings(repr(threshold.total_seconds()))
    return "|".join(re.escape(text) for text in texts).replace("\\", r"\\")


def without_bucket(total: str, good: str, step_s: int, by: str = "") -> str:
    """Return the query for how many series of `total` have events, but no series of `good`."""
    return f"count{by} ({_counting(total, step_s)} unless ignoring(le) {_last(good, step_s)})"


def native_counters(sli: NativeHistogramSli) -> tuple[str, str]:
    """Return the queries for all events and the good ones of a native histogram in `$window`.

    A threshold within a bucket takes a part of that bucket's events, as `histogram_fraction` estimates it.
    """
    match = sli.match.strip().rstrip(",")
    events = f"sum(increase({sli.histogram}{{{match}}}[{WINDOW}]))"
    total = f"histogram_count({events})"
    # Without events there is no fraction, but NaN.
    fraction = f"histogram_fraction(-Inf, {sli.threshold.total_seconds():g}, {events})"
    return total, f"({fraction} * {total}) >= 0"


async def classic_fault(api: PrometheusApi, sli: NativeHistogramSli, at: int) -> str | None:
    """Return what to do where a native histogram is missing because it is classic; None if it is not."""
    match = sli.match.strip().rstrip(",")
    if not await _number(api, f"count({_last(f'{sli.histogram}_bucket{{{match}}}', 0)})", at):
        return None
    return f"{sli.histogram} is a classic histogram, which has series of buckets; leave out `native`"


async def bucket_fault(
    api: PrometheusApi, sli: LatencySli, counters: Mapping[str, str], at: int, step_s: int
) -> str:
    """Return which series have no bucket at the threshold at a time, and which they have; for its owner."""
    total, good = counters["total"], counters["good"]
    match = sli.match.strip().rstrip(",")
    buckets = _last(f"{sli.histogram}_bucket{{{match}}}", step_s)
    lacking = await _number(api, without_bucket(total, good, step_s), at)
    of = await _number(api, f"count({_counting(total, step_s)})", at)
    others = f"group by (le) ({buckets} unless ignoring(le) {_last(good, step_s)})"
    result = await api.query("query", {"query": others, "time": str(at)})
    threshold = f"{sli.threshold.total_seconds():g} s"
    shown = _shown({str(series["metric"].get("le", "")) for series in result})
    if lacking < of:
        which = f"{lacking} of {of} series of {sli.histogram} have"
        return f"{which} no bucket that ends at {threshold}; they have: {shown}"
    return f"{sli.histogram} has no bucket that ends at {threshold}; it has: {shown}"


async def native_fault(api: PrometheusApi, selector: str, at: int) -> str | None:
    """Return what to do where a counter of a histogram is missing because that is native; None if not."""
    classic = _CLASSIC.fullmatch(selector)
    if classic is None:
        return None
    native = f"{classic[1]}{classic[2] or ''}"
    if not await _number(api, f"count({native})", at):
        return None
    return (
        f"{classic[1]} is a native histogram, which has no series of buckets; write `native: true` beside "
        "`histogram`, or let Prometheus keep the classic buckets as well (always_scrape_classic_histograms)"
    )


async def _number(api: PrometheusApi, query: str, at: int) -> int:
    result = await api.query("query", {"query": query, "time": str(at)})
    return sum(_value(series) for series in result)


def _value(series: Mapping[str, Any]) -> int:
    match series.get("value"):
        case [_, str(text)] if text.isdigit():
            return int(text)
        case _:
            return 0


def _counting(total: str, step_s: int) -> str:
    return f"({_last(total, step_s)} > 0)"


def _last(selector: str, step_s: int) -> str:
    return f"last_over_time({selector}[{max(step_s, _SHORTEST_LOOKBACK_S)}s])"


def _shown(boundaries: Collection[str]) -> str:
    ordered: Sequence[str] = sorted(set(boundaries) - {""}, key=_as_number)
    more = len(ordered) - _MOST_BOUNDARIES
    texts = [quotable(boundary) for boundary in ordered[:_MOST_BOUNDARIES]]
    return ", ".join([*texts, f"and {more} more"] if more > 0 else texts) or "none"


def _as_number(boundary: str) -> float:
    try:
        return float(boundary)
    except ValueError:
        return math.nan
