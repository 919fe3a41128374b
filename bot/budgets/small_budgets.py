"""Finds SLOs with so little traffic that their budget is less than one event, and proposes what would do."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bot.budgets.exact import WHOLE
from bot.budgets.ledger.rollups import HOUR, ceil, instant, seconds
from bot.budgets.reading.batch_reader import BatchReader
from bot.budgets.reading.read_plan import Read
from bot.budgets.source import Source, SourceError, buckets_of
from bot.catalog.slo import Slo, SourceSli
from bot.catalog.window import Span
from bot.formatting import duration_code, percent_text

_DAY = timedelta(days=1)
_CONCURRENT_READS = 4
_WINDOWS = tuple(timedelta(days=days) for days in (7, 14, 28, 30, 60, 90, 180, 365))
_OBJECTIVES = tuple(
    map(Decimal, ("0.9999", "0.9995", "0.999", "0.995", "0.99", "0.98", "0.95", "0.9", "0.8"))
)


@dataclass(frozen=True, slots=True)
class SmallBudget:
    """An SLO whose events allow less than one bad one in its window.

    `window` and `objective` are the nearest ones that allow one, each None where none does.
    """

    slo: Slo
    events_a_day: float
    allowed: float
    window: timedelta | None
    objective: Decimal | None

    @property
    def words(self) -> str:
        """What is wrong and what to do about it, in a sentence or two."""
        own = f"{percent_text(self.slo.objective, plain=True)} allow {self.allowed:.2g} bad ones in a window"
        text = f"about {self.events_a_day:,.0f} events a day at {own}: too few to decide on"
        proposals = [f"a window of {duration_code(self.window)}"] if self.window else []
        if self.objective is not None:
            proposals.append(f"an objective of {percent_text(self.objective, plain=True)}")
        return f"{text}; take {' or '.join(proposals)}" if proposals else text


def small_budget(slo: Slo, events_a_day: float, now: datetime) -> SmallBudget | None:
    """Return what is too small about an SLO with that traffic; None where nothing is, or nothing comes in."""
    length, share = slo.window.full_length(now), float(WHOLE - slo.objective)
    days = length / _DAY
    allowed = events_a_day * days * share
    if events_a_day <= 0 or allowed >= 1:
        return None
    windows = (each for each in _WINDOWS if each > length and events_a_day * (each / _DAY) * share >= 1)
    objectives = (
        each
        for each in _OBJECTIVES
        if each < slo.objective and events_a_day * days * float(WHOLE - each) >= 1
    )
    return SmallBudget(slo, events_a_day, allowed, next(windows, None), next(objectives, None))


async def small_budgets(
    slos: Sequence[Slo], sources: Mapping[str, Source], now: datetime, *, within: timedelta
) -> list[SmallBudget]:
    """Return the SLOs with too small a budget, by the last day of those that a source can count.

    What a source does not answer within that time is left out.
    """
    events = await events_a_day(slos, sources, now, within=within)
    small = [small_budget(slo, events[slo], now) for slo in slos if slo in events]
    return [each for each in small if each is not None]


async def events_a_day(
    slos: Sequence[Slo], sources: Mapping[str, Source], now: datetime, *, within: timedelta
) -> Mapping[Slo, float]:
    """Return the events of the last day of those SLOs that a source can count within that time."""
    by_source: dict[str, list[Slo]] = defaultdict(list)
    for slo in slos:
        if isinstance(slo.sli, SourceSli):
            by_source[slo.sli.source].append(slo)
    found = await asyncio.gather(
        *(_events_in_a_day(name, own, sources, now, within) for name, own in by_source.items())
    )
    return {slo: total for answers in found for slo, total in answers.items()}


async def _events_in_a_day(
    name: str, slos: Sequence[Slo], sources: Mapping[str, Source], now: datetime, within: timedelta
) -> Mapping[Slo, float]:
    reader = BatchReader(sources, _CONCURRENT_READS, timedelta())
    end = instant(ceil(seconds(now), HOUR))
    read = Read(Span(end - _DAY, end), timedelta(seconds=HOUR))
    batches = reader.batches(name, slos, read.points, now)
    try:
        async with asyncio.timeout(within.total_seconds()):
            answers = await asyncio.gather(*(reader.read(name, batch, read, now) for batch in batches))
    except TimeoutError:
        return {}
    return {
        slo: sum(bucket.total for bucket in buckets_of(answer))
        for batch in answers
        for slo, answer in batch.items()
        if not isinstance(answer, SourceError)
    }
