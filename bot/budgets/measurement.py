"""Whether SLOs can be measured now: reads the last minutes of each from its source, and writes nothing."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.budgets.ledger.rollups import MINUTE, ceil, instant, seconds
from bot.budgets.reading.batch_reader import BatchReader
from bot.budgets.reading.read_plan import Read
from bot.budgets.source import Source, SourceError, SourceUnavailableError, delay_of
from bot.catalog.slo import Slo, SourceSli
from bot.catalog.window import Span

_LENGTH = timedelta(minutes=10)
_CONCURRENT_READS = 4


@dataclass(frozen=True, slots=True)
class Measurement:
    """The outcome: how many SLOs can be measured, and why the others cannot, by the SLO's key.

    `silent` are the sources that did not answer, with the reason: nothing is known of their SLOs.
    """

    measured: int
    problems: Mapping[str, str]
    silent: Mapping[str, str]


async def measure(
    slos: Sequence[Slo], sources: Mapping[str, Source], now: datetime, *, within: timedelta
) -> Measurement:
    """Read the last ten known minutes of all SLOs that have a source, waiting at most `within` for each."""
    by_source: dict[str, list[Slo]] = defaultdict(list)
    for slo in slos:
        if isinstance(slo.sli, SourceSli):
            by_source[slo.sli.source].append(slo)
    answers = await asyncio.gather(
        *(_answers(name, own, sources, now, within) for name, own in by_source.items())
    )
    problems: dict[str, str] = {}
    silent: dict[str, str] = {}
    for name, answer in zip(by_source, answers, strict=True):
        for slo, error in answer.items():
            if isinstance(error, SourceUnavailableError):
                silent[name] = str(error)
            elif error is not None:
                problems[slo.key] = str(error)
    measured = sum(error is None for answer in answers for error in answer.values())
    return Measurement(measured, problems, silent)


async def _answers(
    name: str, slos: Sequence[Slo], sources: Mapping[str, Source], now: datetime, within: timedelta
) -> Mapping[Slo, SourceError | None]:
    """Return for each SLO of one source why it cannot be measured, or None."""
    reader = BatchReader(sources, _CONCURRENT_READS, timedelta())
    now -= delay_of(sources.get(name))
    # The minute that has not ended yet, too: a metric that was scraped just now for the first time is there.
    end = instant(ceil(seconds(now), MINUTE))
    read = Read(Span(end - _LENGTH, end), timedelta(seconds=MINUTE))
    batches = reader.batches(name, slos, read.points, now)
    try:
        async with asyncio.timeout(within.total_seconds()):
            answers = await asyncio.gather(*(reader.read(name, batch, read, now) for batch in batches))
    except TimeoutError:
        return dict.fromkeys(slos, SourceUnavailableError(f"no answer within {within.total_seconds():g} s"))
    return {
        slo: answer if isinstance(answer, SourceError) else None
        for batch in answers
        for slo, answer in batch.items()
    }
