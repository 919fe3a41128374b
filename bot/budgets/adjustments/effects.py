"""What adjustments change in the sum of a span: which times are to be summed, and what follows. Pure.

Each moment is adjusted once: what is dropped comes before what counts as good, older adjustments before newer
ones, and a correction reaches only what no other adjustment covers. So the effects add up to the difference.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bot.budgets.adjustments.adjustment import Adjustment, CountsAs
from bot.budgets.budget import NO_EVENTS, EventCounts
from bot.budgets.exact import exact
from bot.catalog.window import Span


@dataclass(frozen=True, slots=True)
class Effect:
    """What one adjustment changes in a sum: how many bad events more, and how many in all."""

    adjustment: Adjustment
    bad: float
    total: float


@dataclass(frozen=True, slots=True)
class AdjustedCounts(EventCounts):
    """A sum after adjustments; `recorded` is what was counted, `effects` make the difference."""

    recorded: EventCounts
    effects: tuple[Effect, ...]


def effects_of(events: EventCounts | None) -> tuple[Effect, ...]:
    """Return what adjustments changed in a sum; nothing where none did."""
    return events.effects if isinstance(events, AdjustedCounts) else ()


def recorded_of(events: EventCounts | None) -> EventCounts | None:
    """Return what was counted before adjustments."""
    return events.recorded if isinstance(events, AdjustedCounts) else events


@dataclass(frozen=True, slots=True)
class _Part:
    """What one adjustment has of a span; `whole` is all that its correction is spread over."""

    adjustment: Adjustment
    spans: tuple[Span, ...]
    whole: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class AdjustedSpan:
    """How a span is adjusted, in parts; empty where no adjustment reaches it."""

    parts: tuple[_Part, ...] = ()

    @property
    def needed(self) -> list[Span]:
        """The spans whose sums `adjusted` must be given, each once."""
        return list(dict.fromkeys(span for part in self.parts for span in (*part.spans, *part.whole)))


_DECIMALS = 3
"""To so many a share of events is rounded, where a window cuts a time: whole numbers stay exact."""

NOTHING_ADJUSTED = AdjustedSpan()

SumOf = Callable[[Span], EventCounts]
"""Returns the recorded events of one of the spans that were needed."""


@dataclass(frozen=True, slots=True)
class LeftOutTime:
    """The times of an SLO that do not count, in order and apart; of `dropped` ones the total shrinks too."""

    spans: tuple[Span, ...] = ()
    dropped: tuple[Span, ...] = ()


NOTHING_LEFT_OUT = LeftOutTime()


class AdjustmentPlanner:
    """Plans sums under some adjustments, all of one SLO and in force."""

    def __init__(self, adjustments: Iterable[Adjustment]) -> None:
        in_order = sorted(adjustments, key=lambda each: (each.counts_as is CountsAs.GOOD, each.id))
        self._excluded: list[tuple[Adjustment, tuple[Span, ...]]] = []
        covered: list[Span] = []
        for each in in_order:
            if not each.is_correction:
                self._excluded.append((each, tuple(without([each.span], covered))))
                covered = merged([*covered, each.span])
        self._corrected = [
            (each, tuple(without([each.span], covered))) for each in in_order if each.is_correction
        ]

    @property
    def left_out(self) -> LeftOutTime:
        """The times that do not count, whatever happened in them."""
        dropped = [
            span for each, spans in self._excluded if each.counts_as is CountsAs.DROPPED for span in spans
        ]
        every = [span for _, spans in self._excluded for span in spans]
        return LeftOutTime(tuple(merged(every)), tuple(merged(dropped)))

    def plan(self, span: Span) -> AdjustedSpan:
        """Return how a span is adjusted."""
        parts = []
        for adjustment, spans in self._excluded:
            if adjustment.overlaps(span) and (own := within(spans, span)):
                parts.append(_Part(adjustment, own))
        for adjustment, spans in self._corrected:
            if adjustment.overlaps(span) and (own := within(spans, span)):
                parts.append(_Part(adjustment, own, spans))
        return AdjustedSpan(tuple(parts)) if parts else NOTHING_ADJUSTED


def adjusted(counted: EventCounts, plan: AdjustedSpan, sum_of: SumOf) -> EventCounts:
    """Return a span's events under its plan; those that were counted where nothing adjusts them."""
    if not plan.parts:
        return counted
    *effects, last = (_effect(part, sum_of) for part in plan.parts)
    bad_before = _sum(counted.bad, (effect.bad for effect in effects))
    total_before = _sum(counted.total, (effect.total for effect in effects))
    total = max(0.0, _sum(total_before, [last.total]))
    bad = min(total, max(0.0, _sum(bad_before, [last.bad])))
    # Where a share of a bucket had to be taken, the effects still make exactly the difference.
    last = Effect(last.adjustment, _sum(bad, [-bad_before]), _sum(total, [-total_before]))
    return AdjustedCounts(bad, total, counted, (*effects, last))


def _sum(first: float, others: Iterable[float]) -> float:
    """Return a sum as one would write it down: of decimals, not of binary fractions."""
    return float(sum(map(exact, others), exact(first)))


def _effect(part: _Part, sum_of: SumOf) -> Effect:
    adjustment = part.adjustment
    own = sum((sum_of(span) for span in part.spans), NO_EVENTS)
    drops = adjustment.counts_as is CountsAs.DROPPED
    if not adjustment.is_correction:
        bad, total = round(0.0 - own.bad, _DECIMALS), round(0.0 - own.total, _DECIMALS)
        return Effect(adjustment, bad, total if drops else 0.0)
    is_whole = part.spans == part.whole
    whole = own if is_whole else sum((sum_of(span) for span in part.whole), NO_EVENTS)
    number = adjustment.bad_events
    if number > 0 and drops:
        # Events that nobody counted: spread evenly over the time.
        share = 1.0 if is_whole else _length(part.spans) / _length(part.whole)
        bad = round(number * share, _DECIMALS)
        return Effect(adjustment, bad, bad)
    there_are, own_ones = (whole.good, own.good) if number > 0 else (whole.bad, own.bad)
    moved = min(float(abs(number)), max(0.0, there_are))
    if not is_whole:
        moved = moved * (own_ones / there_are) if there_are > 0 else 0.0
    bad = moved if number > 0 else 0.0 - moved
    bad = round(bad, _DECIMALS)
    return Effect(adjustment, bad, bad if drops else 0.0)


def within(spans: Iterable[Span], bounds: Span) -> tuple[Span, ...]:
    """Return the parts of spans that lie within bounds."""
    cut = (Span(max(span.start, bounds.start), min(span.end, bounds.end)) for span in spans)
    return tuple(span for span in cut if span.start < span.end)


def without(spans: Iterable[Span], removed: Sequence[Span]) -> list[Span]:
    """Return what is left of spans outside others, which do not overlap and are in order."""
    left = list(spans)
    for hole in removed:
        left = [
            part
            for span in left
            for part in (
                Span(span.start, min(span.end, hole.start)),
                Span(max(span.start, hole.end), span.end),
            )
            if part.start < part.end
        ]
    return left


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans that cover the same and do not overlap, oldest first."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def _length(spans: Iterable[Span]) -> float:
    return sum(span.length.total_seconds() for span in spans)
