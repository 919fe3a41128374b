"""Turns what was counted of an SLI's counters into its good and bad events. Pure; no clock, no I/O."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from bot.budgets.source import BucketColumns, InvalidAnswerError
from bot.budgets.sources.prometheus.counters import Counters, Series, is_further, sum_of
from bot.catalog.slo import CounterSli, LatencySli, Sli

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A counter that is read just before another may lag behind by this share, or by so many events.
_SKEW_SHARE = 0.01
_SKEW_EVENTS = 2.0


def events(
    sli: Sli, counters: Counters, counts: Mapping[str, Series], left_out: Series, step: timedelta
) -> BucketColumns:
    """Return the events of an SLI, without the steps in which `left_out` counts something.

    Raises `InvalidAnswerError` for what cannot be true.
    """
    if any(left_out.values()):
        counts = {name: _without(series, left_out) for name, series in counts.items()}
    total, bad = _total_and_bad(sli, counters, counts)
    starts = total if total.keys() >= bad.keys() else {*total, *bad}
    return BucketColumns(
        {start: (bad.get(start, 0.0), total.get(start, 0.0)) for start in sorted(starts)}, step
    )


def _total_and_bad(sli: Sli, counters: Counters, counts: Mapping[str, Series]) -> tuple[Series, Series]:
    for name, series in counts.items():
        if series and min(series.values()) < 0:
            raise InvalidAnswerError(f"{counters[name]} answered a negative number of events")
    counts = _added_up(counts)
    total = counts["total"]
    if isinstance(sli, LatencySli):
        _check_below(counts["good"], total, "there are more quick events than events in all")
        return total, _rest(total, counts["good"])
    other = counts["other"]
    name = "good" if isinstance(sli, CounterSli) and sli.bad is None else "bad"
    _check_below(other, total, f"there are more {name} events than events in all")
    return total, _rest(total, other) if name == "good" else other


def _added_up(counts: Mapping[str, Series]) -> Mapping[str, Series]:
    """Return what each sum of counters counted."""
    if not any(map(is_further, counts)):
        return counts
    sums: dict[str, Series] = {}
    for name, series in counts.items():
        into = sums.setdefault(sum_of(name), {})
        for start, events in series.items():
            into[start] = into.get(start, 0.0) + events
    return sums


def instant(at_s: int) -> datetime:
    """Return the time of a second since the epoch."""
    return _EPOCH + timedelta(seconds=at_s)


def seconds(at: datetime) -> int:
    """Return the whole seconds since the epoch."""
    return (at - _EPOCH) // timedelta(seconds=1)


def _check_below(part: Series, whole: Series, fault: str) -> None:
    """Raise `InvalidAnswerError` if the part is greater than the whole, by more than skew explains."""
    parts, wholes = sum(part.values()), sum(whole.values())
    if parts > wholes + max(_SKEW_EVENTS, _SKEW_SHARE * wholes):
        raise InvalidAnswerError(f"{fault} ({parts:g} of {wholes:g})")


def _rest(whole: Series, part: Series) -> Series:
    # Not clipped at 0: what one step has too many, a neighbour has too few.
    return {start: whole.get(start, 0.0) - part.get(start, 0.0) for start in {*whole, *part}}


def _without(series: Series, left_out: Series) -> Series:
    """Return the steps of a series without those in which `left_out` counts something."""
    return {start: events for start, events in series.items() if not left_out.get(start)}


def has_bad(total: Series, good: Series) -> bool:
    """Return whether a step has events that are not among the good ones."""
    return any(events > good.get(start, 0.0) for start, events in total.items())
