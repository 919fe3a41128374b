"""Whether the guard of flags can tell anything: the labels of variants, and the traffic while it watches."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.budgets.ledger.rollups import MINUTE, ceil, instant, seconds
from bot.budgets.small_budgets import events_a_day
from bot.budgets.source import NoSeriesError, Source, SourceError
from bot.budgets.sources.prometheus.selectors import addends
from bot.budgets.variant_counts import narrowed_slis
from bot.catalog.catalog import Catalog, Service
from bot.catalog.slo import (
    CounterSli,
    CounterSlicesSli,
    EventsSli,
    GaugeSli,
    GaugeSlicesSli,
    LatencySli,
    NativeHistogramSli,
    RatioSli,
    Sli,
    Slo,
    SourceSli,
)
from bot.catalog.variants import Variants
from bot.catalog.window import Span
from bot.flags.guard_traffic import idle_guard
from bot.formatting import listed
from bot.policy.documents.promql_shapes import check_selector
from bot.policy.faults import InvalidValueError

_LENGTH = timedelta(hours=1)
_AT_ONCE = 4
_MOST_VALUES = 5


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """What keeps the guard from telling, for an SLO. `is_fault`: somebody should change something."""

    slo: str
    words: str
    fix: str
    is_fault: bool = True


async def guard_findings(
    catalog: Catalog,
    sources: Mapping[str, Source],
    now: datetime,
    *,
    within: timedelta,
    unmeasured: Collection[str] = (),
) -> list[GuardFinding]:
    """Return what keeps the guards from telling, by what the sources answer within that time.

    `unmeasured` are the keys of SLOs that cannot be measured anyway.
    """
    guarded = [
        (service, slo)
        for service in catalog.services.values()
        if service.flags
        for slo in service.slos
        if slo.key not in unmeasured
    ]
    labels = [(slo, service.variants) for service, slo in guarded if service.variants is not None]
    found = await asyncio.gather(
        _missing_labels(labels, sources, now, within), _idle_guards(guarded, sources, now, within)
    )
    return [finding for findings in found for finding in findings]


async def _missing_labels(
    labels: Sequence[tuple[Slo, Variants]], sources: Mapping[str, Source], now: datetime, within: timedelta
) -> list[GuardFinding]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def look(slo: Slo, variants: Variants) -> GuardFinding | None:
        if isinstance(slo.sli, EventsSli):
            return _without_label(slo, "its events are pushed, and carry no labels")
        if not isinstance(slo.sli, SourceSli) or slo.sli.source not in sources:
            return None
        try:
            async with slots, asyncio.timeout(within.total_seconds()):
                return await _missing_label(slo, slo.sli, variants, sources[slo.sli.source], now)
        except (SourceError, TimeoutError):
            # What the source cannot say is a finding of its own.
            return None

    found = await asyncio.gather(*(look(slo, variants) for slo, variants in labels))
    return [finding for finding in found if finding is not None]


async def _missing_label(
    slo: Slo, sli: SourceSli, variants: Variants, source: Source, now: datetime
) -> GuardFinding | None:
    end = instant(ceil(seconds(now), MINUTE))
    span = Span(end - _LENGTH, end)
    has_on, has_off = [await _is_there(source, each, span) for each in narrowed_slis(source, sli, variants)]
    off = f'`{variants.label}="{variants.control}"`'
    if has_off and has_on:
        return None
    if not has_off and not has_on:
        return _without_label(slo, f"no series has the label `{variants.label}` now")
    if not has_off:
        return _without_label(
            slo, f"no series has {off} now{await _known_values(source, sli, variants, span)}"
        )
    on = (
        f'`{variants.label}="{variants.treatment}"`'
        if variants.treatment
        else f"`{variants.label}` but {off}"
    )
    words = f"no series has {on} now: nobody met a flag{await _known_values(source, sli, variants, span)}"
    return GuardFinding(slo.key, words, "nothing, while its flags are off", is_fault=False)


def _without_label(slo: Slo, why: str) -> GuardFinding:
    words = f"{why}, so increases of flags are compared with the hour before them"
    fix = "check `variants` in the service's policy, and that the application reports the label"
    return GuardFinding(slo.key, words, fix)


async def _is_there(source: Source, sli: Sli, span: Span) -> bool:
    (answer,) = await source.read_together([sli], span, timedelta(seconds=MINUTE))
    if isinstance(answer, SourceError) and not isinstance(answer, NoSeriesError):
        raise answer
    return not isinstance(answer, NoSeriesError)


async def _known_values(source: Source, sli: SourceSli, variants: Variants, span: Span) -> str:
    """Return which values the label has, as far as the source can be asked about the SLI's series."""
    match = _series_of(sli)
    if match is None:
        return ""
    values = await source.label_values(variants.label, match, span)
    shown = [f'"{value}"' for value in sorted(values)[:_MOST_VALUES]]
    return f" (it has {listed(shown)})" if shown else ""


def _series_of(sli: SourceSli) -> str | None:
    """Return a selector of all of an SLI's series; None where a query counts them."""
    match sli:
        case LatencySli(histogram=histogram, match=match):
            return f"{histogram}_count{{{match}}}"
        case NativeHistogramSli(histogram=histogram, match=match):
            return f"{histogram}{{{match}}}"
        case CounterSli(total=text) | CounterSlicesSli(counters=CounterSli(total=text)):
            return _first_selector(text)
        case RatioSli(query=text) | GaugeSli(query=text) | GaugeSlicesSli(query=text):
            return _first_selector(text)
        case _:
            return None


def _first_selector(text: str) -> str | None:
    try:
        return check_selector(addends(text)[0])
    except InvalidValueError:
        return None


async def _idle_guards(
    guarded: Sequence[tuple[Service, Slo]], sources: Mapping[str, Source], now: datetime, within: timedelta
) -> list[GuardFinding]:
    events = await events_a_day([slo for _, slo in guarded], sources, now, within=within)
    return list(_idle(guarded, events))


def _idle(guarded: Sequence[tuple[Service, Slo]], events: Mapping[Slo, float]) -> Iterator[GuardFinding]:
    for service, slo in guarded:
        if slo in events:
            guard = service.policy_for(slo).guard
            idle = idle_guard(slo, guard, events[slo], by_variant=service.variants is not None)
            if idle is not None:
                yield GuardFinding(slo.key, idle.words, idle.fix, is_fault=idle.holds)
