"""Which counters an SLI is asked for by, and which SLIs are asked about together. Pure; no clock, no I/O."""

from collections import defaultdict
from collections.abc import Hashable
from functools import lru_cache
from typing import assert_never

from bot.budgets.source import SourceRefusedError
from bot.budgets.sources.prometheus.api import WINDOW
from bot.budgets.sources.prometheus.counters import Counters, named, totals
from bot.budgets.sources.prometheus.histograms import boundary_pattern, native_counters
from bot.budgets.sources.prometheus.samples import MOST_TOGETHER, SampledSli, interval_s, is_selector
from bot.budgets.sources.prometheus.selectors import addends, families, parse, with_any_spelling
from bot.catalog.slo import (
    CounterSli,
    CounterSlicesSli,
    DowntimeSli,
    EventsSli,
    GaugeSli,
    GaugeSlicesSli,
    LatencySli,
    NativeHistogramSli,
    RatioSli,
    Sli,
)

CountableSli = CounterSli | LatencySli
"""SLIs whose events are counted as they are."""


def counted_sli(sli: Sli) -> CountableSli:
    """Return the SLI that counts the events; raises `SourceRefusedError` where nothing is counted."""
    match sli:
        case CounterSli() | LatencySli():
            return sli
        case CounterSlicesSli():
            return sli.counters
        case NativeHistogramSli():
            total, good = native_counters(sli)
            return CounterSli(sli.source, total, good=good)
        case RatioSli() | GaugeSli() | GaugeSlicesSli():
            raise SourceRefusedError("the SLI has samples, and no counters")
        case EventsSli() | DowntimeSli():
            raise SourceRefusedError("Prometheus counts neither pushed events nor downtime")
        case _:
            raise SourceRefusedError("Prometheus cannot count what this SLI asks for")


@lru_cache(maxsize=65_536)
def counters_of(sli: CountableSli) -> Counters:
    """Return the counters of an SLI, a sum's by addend; raises `SourceRefusedError` where one is missing."""
    match sli:
        case CounterSli():
            other = sli.bad if sli.bad is not None else sli.good
            if other is None:
                raise SourceRefusedError("the SLI names neither the bad events nor the good ones")
            return named("total", _selectors(sli.total)) | named("other", _selectors(other))
        case LatencySli():
            match = sli.match.strip().rstrip(",")
            braces = f"{match}," if match else ""
            boundary = boundary_pattern(sli.threshold)
            return {
                "total": f"{sli.histogram}_count{{{match}}}",
                "good": f'{sli.histogram}_bucket{{{braces}le=~"{boundary}"}}',
            }
        case _:
            assert_never(sli)


def selectors_of(sli: Sli) -> list[str]:
    """Return the selectors of all events or samples; none where a query counts them. May raise."""
    if isinstance(sli, SampledSli):
        return [sli.query] if is_selector(sli.query) else []
    counters = counters_of(counted_sli(sli))
    return [counters[name] for name in totals(counters) if WINDOW not in counters[name]]


def _selectors(text: str) -> list[str]:
    """Return the addends of a sum of selectors; a query, or another text, is one by itself."""
    if WINDOW in text:
        return [with_any_spelling(text)]
    parts = [part.strip() for part in addends(text)]
    return parts if len(parts) > 1 else [text]


@lru_cache(maxsize=16_384)
def _group_key(sli: Sli) -> Hashable | None:
    """Return what SLIs that may be read together have in common; None for one that is read alone."""
    if isinstance(sli, SampledSli):
        return interval_s(sli)
    try:
        counters = counters_of(counted_sli(sli))
    except SourceRefusedError:
        return None
    parsed = {name: parse(text) for name, text in counters.items()}
    if None in parsed.values():
        return None
    shapes = tuple((name, selector.shape) for name, selector in parsed.items() if selector is not None)
    return (shapes, sli.of) if isinstance(sli, CounterSlicesSli) else shapes


@lru_cache(maxsize=8)
def grouped(slis: tuple[Sli, ...], at_most: int) -> list[list[Sli]]:
    """Divide SLIs into groups that are read together; cached: within a minute they are mostly the same."""
    slis_by_key: dict[Hashable, list[Sli]] = defaultdict(list)
    for sli in dict.fromkeys(slis):
        slis_by_key[_group_key(sli) or sli].append(sli)
    groups: list[list[Sli]] = []
    for alike in slis_by_key.values():
        if len(alike) == 1:
            groups.append(alike)
        elif isinstance(alike[0], SampledSli):
            size = min(at_most, MOST_TOGETHER)
            groups += [alike[first : first + size] for first in range(0, len(alike), size)]
        else:
            members = [tuple(counters_of(counted_sli(sli)).values()) for sli in alike]
            groups += [[alike[index] for index in group] for group in families(members, at_most)]
    return groups
