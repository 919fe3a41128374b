"""Counts the events since a change by variant: those of people who met the flag, and those of all others.

They are read from the source whenever they are asked for, not kept in the ledger. What was read a while ago
is remembered for the next time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.budgets.budget import NO_EVENTS, EventCounts
from bot.budgets.ledger.rollups import base_width, ceil, floor, instant, seconds
from bot.budgets.source import (
    Answer,
    Bucket,
    NoSeriesError,
    Source,
    SourceError,
    buckets_of,
    delay_of,
)
from bot.budgets.statistics.two_samples import GroupCounts
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import Sli, Slo, SourceSli
from bot.catalog.variants import Variants
from bot.catalog.window import Span
from bot.clock import Clock

_READ_AGAIN = timedelta(minutes=5)
"""How far back late samples are looked for."""
_FORGOTTEN_AFTER = timedelta(hours=1)


class NoVariantsError(Exception):
    """The two groups cannot be compared; the message says why, to follow `because`."""


@dataclass(frozen=True, slots=True)
class VariantCounts:
    """What was counted since a change with the flag on and with it off: in all, and bucket by bucket.

    `recent` is the newest part with the flag on.
    """

    on: EventCounts
    off: EventCounts
    recent: EventCounts
    buckets: tuple[GroupCounts, ...]


@dataclass(slots=True)
class _Remembered:
    """What was read of a change so far, by the bucket's start in seconds, up to `until`."""

    asked_at: datetime
    until: datetime
    on: dict[int, EventCounts] = field(default_factory=dict)
    off: dict[int, EventCounts] = field(default_factory=dict)


class VariantCounter:
    """Counts by variant from the `sources`, which are called by the names that SLIs give them."""

    def __init__(self, sources: Mapping[str, Source], current: CurrentCatalog, clock: Clock) -> None:
        self._sources = sources
        self._current = current
        self._clock = clock
        self._remembered: dict[tuple[Slo, Variants, datetime], _Remembered] = {}

    async def count(
        self,
        slo: Slo,
        variants: Variants,
        changed_at: datetime,
        recent: timedelta,
        until: datetime | None = None,
    ) -> VariantCounts:
        """Return the events since a change up to `until`, now if it is left out; raises `NoVariantsError`.

        Those of the change's own bucket are left out: they may have come before it or after.
        """
        now = self._clock.now()
        width = base_width(self._current.catalog.workspace.evaluate_every)
        start = instant(ceil(seconds(changed_at), width))
        known_until = now
        if isinstance(slo.sli, SourceSli):
            known_until = now - delay_of(self._sources.get(slo.sli.source))
        end = instant(floor(seconds(known_until if until is None else min(until, known_until)), width))
        if start >= end:
            raise NoVariantsError("nothing was counted since the change")
        known = self._recall((slo, variants, changed_at), start, now)
        since = max(start, instant(floor(seconds(known.until - _READ_AGAIN), width)))
        if since < end:
            await self._read(slo.sli, variants, Span(since, end), width, known)
            known.until = end
        return _counts(known, Span(start, end), recent, variants)

    def _recall(self, key: tuple[Slo, Variants, datetime], start: datetime, now: datetime) -> _Remembered:
        self._remembered = {
            each: known for each, known in self._remembered.items() if now - known.asked_at < _FORGOTTEN_AFTER
        }
        known = self._remembered.setdefault(key, _Remembered(now, start))
        known.asked_at = now
        return known

    async def _read(self, sli: Sli, variants: Variants, span: Span, width: int, known: _Remembered) -> None:
        if not isinstance(sli, SourceSli):
            raise NoVariantsError("events that are pushed carry no labels")
        source = self._sources.get(sli.source)
        if source is None:
            raise NoVariantsError(f"there is no source named {sli.source}")
        try:
            answers = await asyncio.gather(
                *(
                    source.read_together([each], span, timedelta(seconds=width))
                    for each in narrowed_slis(source, sli, variants)
                )
            )
            (on,), (off,) = answers
            counted = _buckets(on), _buckets(off)
        except SourceError as error:
            raise NoVariantsError(f"the source says: {error}") from error
        for sums, buckets in zip((known.on, known.off), counted, strict=True):
            for at in [at for at in sums if instant(at) >= span.start]:
                del sums[at]
            sums.update({int(seconds(each.start)): EventCounts(each.bad, each.total) for each in buckets})


def narrowed_slis(source: Source, sli: Sli, variants: Variants) -> tuple[Sli, Sli]:
    """Return the SLI of the events with the flag on, and that of those with it off; raises `SourceError`."""
    label, control, treatment = variants.label, variants.control, variants.treatment
    on = (
        source.narrowed(sli, label, control, others=True)
        if treatment is None
        else source.narrowed(sli, label, treatment)
    )
    return on, source.narrowed(sli, label, control)


def _buckets(answer: Answer) -> Sequence[Bucket]:
    """Return what was counted; nothing where no series has the value."""
    if isinstance(answer, NoSeriesError):
        return answer.counted or ()
    if isinstance(answer, SourceError):
        raise answer
    return buckets_of(answer)


def _counts(known: _Remembered, span: Span, recent: timedelta, variants: Variants) -> VariantCounts:
    first, last = seconds(span.start), seconds(span.end)
    starts = sorted(at for at in {*known.on, *known.off} if first <= at < last)
    pairs = [(known.on.get(at, NO_EVENTS), known.off.get(at, NO_EVENTS)) for at in starts]
    on, off = sum((one for one, _ in pairs), NO_EVENTS), sum((other for _, other in pairs), NO_EVENTS)
    if off.total <= 0:
        which = f'`{variants.label}="{variants.control}"`'
        if on.total <= 0:
            label = f"the label `{variants.label}`"
            raise NoVariantsError(f"no series with {label} counted anything since the change")
        raise NoVariantsError(f"no request with the flag off ({which}) was counted since the change")
    newest = last - recent.total_seconds()
    return VariantCounts(
        on,
        off,
        sum((one for at, (one, _) in zip(starts, pairs, strict=True) if at >= newest), NO_EVENTS),
        tuple(GroupCounts(one.bad, one.total, other.bad, other.total) for one, other in pairs),
    )
