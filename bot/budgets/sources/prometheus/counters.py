"""Counts the events of counters in steps, with further queries only where the simple one is not exact.

Counters of several SLIs are counted together: each round of queries is for all SLIs that still need it.
Does no I/O itself: a `CounterReader` evaluates the queries, which are in `promql.py`.
"""

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import sub
from typing import Protocol

import structlog

from bot.budgets.source import Births
from bot.budgets.sources.prometheus import promql
from bot.budgets.sources.prometheus.selectors import created_selector, is_part_of, parse
from bot.pacing import Pacer

log = structlog.get_logger(__name__)

Series = dict[int, float]
"""Values by the start of the step, in seconds since the epoch."""

Counters = Mapping[str, str]
"""The selectors of one SLI by name; SLIs that are counted together use the same names."""

_FURTHER = "+"
"""Stands in the names of a sum's further addends: `total`, `total+2`, `total+3`."""

_MOST_GAP = 3
"""The most steps between two runs of steps that are joined into one query."""

_LAST_DIGITS = 1e-12
"""A share of a sum of counters that rounding may add or take away."""

_EMPTY: Series = {}
_NAME = "counter"
_TOTAL = "total"


def named(name: str, selectors: Sequence[str]) -> dict[str, str]:
    """Return a counter that is the sum of selectors, each under a name of its own."""
    return {
        name + (f"{_FURTHER}{place}" if place > 1 else ""): text for place, text in enumerate(selectors, 1)
    }


def sum_of(name: str) -> str:
    """Return the name of the counter of which the one of this name is an addend."""
    return name.partition(_FURTHER)[0]


def is_further(name: str) -> bool:
    """Return whether the counter of this name is an addend of another, and not its first."""
    return _FURTHER in name


def totals(counters: Iterable[str]) -> list[str]:
    """Return the names of the addends of all events."""
    return [name for name in counters if sum_of(name) == _TOTAL]


def total_of(name: str, counters: Counters) -> str | None:
    """Return the selector of all events of the metric, or at least the place, of one of the counters."""
    wholes = totals(counters)
    metric = _metric(counters[name])
    same = [whole for whole in wholes if _metric(counters[whole]) == metric]
    place = _TOTAL + name.removeprefix(sum_of(name))
    best = next(iter([*same, *(whole for whole in (place, _TOTAL) if whole in wholes)]), None)
    return best if sum_of(name) != _TOTAL else name


def _metric(text: str) -> str:
    selector = parse(text)
    return text if selector is None else selector.metric


class CounterQueries(Protocol):
    """Returns the queries for one selector, by the part of the answer that each gives."""

    def __call__(self, selector: str, step_s: int, by: str = "") -> Mapping[str, str]:
        """See `promql.py`."""
        ...


class CounterReader(Protocol):
    """Evaluates queries for each counter, at the end of each of the steps (their starts are given)."""

    async def __call__(
        self, counters: Sequence[Counters], queries: CounterQueries, steps: range
    ) -> Sequence[Mapping[tuple[str, str], Series]]:
        """Return for each SLI the values by the counter's name and the part of the answer."""
        ...


async def count_events(
    ask: CounterReader, counters: Sequence[Counters], steps: range
) -> list[dict[str, Series]]:
    """Return for each SLI the events of each counter in each step; steps without events may be left out.

    `steps` are the starts of adjoining steps; the range's step is their width in seconds.
    """
    if len(counters) == 1:
        return await _count_closely(ask, counters, steps)
    # Of many counters, few were restarted at any time: a query for each long part of the time finds them.
    watched = [_not_within_others(selectors) for selectors in counters]
    parts = _long_parts(steps)
    levels = partial(promql.levels, lookback_s=promql.quiet_lookback_s(parts.step))
    answers, doubts = await asyncio.gather(
        ask(counters, levels, range(steps.start - steps.step, steps.stop, steps.step)),
        ask(watched, promql.unsteady, parts),
    )
    deltas: list[dict[str, Series]] = []
    pace = Pacer()
    for selectors, levels_of in zip(counters, answers, strict=True):
        await pace()
        deltas.append(
            {name: _rises(levels_of.get((name, promql.LEVEL), _EMPTY), steps) for name in selectors}
        )
    doubtful = [_starts(answer, promql.UNSTEADY) for answer in doubts]
    for indices, run in _runs(doubtful, parts):
        within = range(max(run.start, steps.start), run.stop, steps.step)
        corrections = await _count_closely(ask, [counters[index] for index in indices], within)
        for index, corrected in zip(indices, corrections, strict=True):
            for name, series in deltas[index].items():
                deltas[index][name] = {at: count for at, count in series.items() if at not in within}
            _replace(deltas[index], corrected)
    return deltas


def _long_parts(steps: range) -> range:
    """Return long parts that cover the steps and end with them, for `promql.unsteady`."""
    length = steps.stop - steps.start
    part = min(length, promql.quiet_part_s(steps.step))
    return range(steps.stop - -(-length // part) * part, steps.stop, part)


async def find_ended(
    ask: CounterReader, selectors: Sequence[str], events: Sequence[Series], steps: range
) -> set[int]:
    """Return the indices of the counters that have no series at the end of `steps`, given their events."""
    still = _still(events, steps, promql.PRESENT_S)
    if not still:
        return set()
    answers = await ask([{_NAME: selectors[index]} for index in still], promql.present, steps[-1:])
    return {
        index for index, answer in zip(still, answers, strict=True) if not any(map(_any, answer.values()))
    }


async def find_late(
    ask: CounterReader, selectors: Sequence[str], events: Sequence[Series], steps: range
) -> dict[int, int]:
    """Return the newest sample, in seconds, of the counters that have none at the end of `steps`, by index.

    `events` are the counters' events: one that has just counted some is not late.
    """
    still = _still(events, steps, promql.LATE_S)
    if not still:
        return {}
    answers = await ask([{_NAME: selectors[index]} for index in still], promql.newest, steps[-1:])
    newest = {
        index: max((int(at) for series in answer.values() for at in series.values()), default=steps.stop)
        for index, answer in zip(still, answers, strict=True)
    }
    return {index: at for index, at in newest.items() if at < steps.stop - promql.LATE_S}


async def find_last(ask: CounterReader, selectors: Sequence[str], steps: range) -> list[int | None]:
    """Return the newest sample, in seconds, of counters that have ended, None where it is long ago."""
    if not selectors:
        return []
    queries = partial(promql.newest, within_s=promql.LOOKBACK_S)
    answers = await ask([{_NAME: selector} for selector in selectors], queries, steps[-1:])
    return [
        max((int(at) for series in answer.values() for at in series.values()), default=None)
        for answer in answers
    ]


def _still(events: Sequence[Series], steps: range, length_s: int) -> list[int]:
    """Return the indices of the counters without events in the last `length_s` seconds of the steps."""
    last = steps[max(0, len(steps) - max(1, length_s // steps.step)) :]
    return [index for index, series in enumerate(events) if not any(series.get(start) for start in last)]


def _not_within_others(counters: Counters) -> Counters:
    """Return the counters without those whose series are all among another's."""
    outermost: dict[str, str] = {}
    for name, selector in counters.items():
        if not any(is_part_of(selector, other) for other in outermost.values()):
            outermost[name] = selector
    return outermost


async def _count_closely(
    ask: CounterReader, counters: Sequence[Counters], steps: range
) -> list[dict[str, Series]]:
    answers = await ask(counters, promql.regular, steps)
    deltas = [_deltas(answer, selectors) for answer, selectors in zip(answers, counters, strict=True)]
    irregular = [_starts(answer, promql.IRREGULAR) for answer in answers]
    corrections = [_correct(ask, counters, deltas, indices, run) for indices, run in _runs(irregular, steps)]
    await asyncio.gather(*corrections)
    return deltas


async def _correct(
    ask: CounterReader,
    counters: Sequence[Counters],
    deltas: Sequence[dict[str, Series]],
    indices: Sequence[int],
    steps: range,
) -> None:
    exact = await _exact_events(ask, [counters[index] for index in indices], steps)
    for index, corrected in zip(indices, exact, strict=True):
        _replace(deltas[index], corrected)


async def _exact_events(
    ask: CounterReader, counters: Sequence[Counters], steps: range
) -> list[dict[str, Series]]:
    """Return the events of every step, including those of resets, new series and outages."""
    answers = await ask(counters, promql.exact, steps)
    events = [
        {name: _complete(answer.get((name, promql.EXACT), _EMPTY), steps) for name in selectors}
        for answer, selectors in zip(answers, counters, strict=True)
    ]
    for indices, run, most_series in _births(answers, steps):
        await _add_revived(ask, counters, events, indices, run)
        if _TOTAL in counters[0]:
            fine = range(run.start, run.stop, promql.fine_step_s(run, most_series))
            added = await _first_samples(ask, [counters[index] for index in indices], fine)
            for index, found in zip(indices, added, strict=True):
                for name, series in found.items():
                    for start, count in _gathered(series, run).items():
                        events[index][name][start] += count
    ambiguous = [_starts(answer, promql.AMBIGUOUS) for answer in answers]
    finer = max(
        (width for width in promql.STEPS_S if width < steps.step and steps.step % width == 0), default=0
    )
    for indices, run in _runs(ambiguous, steps):
        ambiguous_counters = [counters[index] for index in indices]
        if finer:
            parts = await _count_closely(ask, ambiguous_counters, range(run.start, run.stop, finer))
            corrected = [{name: _gathered(series, run) for name, series in part.items()} for part in parts]
        else:
            rough = await ask(ambiguous_counters, promql.rough, run)
            corrected = [
                {name: answer.get((name, promql.EXACT), _EMPTY) for name in selectors}
                for answer, selectors in zip(rough, ambiguous_counters, strict=True)
            ]
        for index, exact_events in zip(indices, corrected, strict=True):
            _replace(events[index], exact_events)
    return events


async def _add_revived(
    ask: CounterReader,
    counters: Sequence[Counters],
    events: Sequence[dict[str, Series]],
    indices: Sequence[int],
    steps: range,
) -> None:
    answers = await ask([counters[index] for index in indices], promql.revived, steps)
    for index, answer in zip(indices, answers, strict=True):
        for name in counters[index]:
            for start, count in answer.get((name, promql.REVIVED), _EMPTY).items():
                events[index][name][start] += count


async def _first_samples(
    ask: CounterReader, counters: Sequence[Counters], steps: range
) -> list[dict[str, Series]]:
    """Return what new series counted up to their first sample, where it is proven when that was."""
    queries = partial(promql.first_samples, labels=_request_labels(counters[0]))
    answers = await ask(counters, queries, steps)
    proven = [
        {name: dict(answer.get((name, promql.PROVEN), _EMPTY)) for name in selectors}
        for answer, selectors in zip(answers, counters, strict=True)
    ]
    unproven = [_starts(answer, promql.UNPROVEN) for answer in answers]
    for indices, run in _runs(unproven, steps):
        others = await _proven_otherwise(ask, [counters[index] for index in indices], run)
        for index, answer in zip(indices, others, strict=True):
            for name, selector in counters[index].items():
                for start, events in answer.get((name, promql.PROVEN), _EMPTY).items():
                    proven[index][name][start] = proven[index][name].get(start, 0.0) + events
                left = sum(answer.get((name, promql.UNPROVEN), _EMPTY).values())
                if left:
                    log.info("first_samples_not_counted", selector=selector, events=left)
    return proven


async def _proven_otherwise(
    ask: CounterReader, counters: Sequence[Counters], steps: range
) -> Sequence[Mapping[tuple[str, str], Series]]:
    def queries(selector: str, step_s: int, by: str = "") -> Mapping[str, str]:
        created = created_selector(selector)
        return promql.proven_otherwise(selector, step_s, by, labels=labels, created=created)

    labels = _request_labels(counters[0])
    return await ask(counters, queries, steps)


async def count_births(ask: CounterReader, counters: Counters, steps: range) -> Births:
    """Return how many series of one SLI's counters began in wide steps, and what was not counted of them."""
    (answer,) = await ask([counters], promql.births, steps)
    born, left = 0, dict.fromkeys((promql.SERIES, promql.UNPROVEN), 0.0)
    for name in counters:
        born += int(sum(answer.get((name, promql.BORN), _EMPTY).values()))
    for _, run, most_series in _births([answer], steps):
        fine = range(run.start, run.stop, promql.fine_step_s(run, most_series))
        for part in await _proven_otherwise(ask, [counters], fine):
            for (_, what), series in part.items():
                if what in left:
                    left[what] += sum(series.values())
    return Births(born, int(left[promql.SERIES]), left[promql.UNPROVEN])


def _request_labels(counters: Counters) -> tuple[str, ...]:
    """Return the labels in which series of one target may differ, among the events of one SLI."""
    parsed = {name: selector for name, text in counters.items() if (selector := parse(text)) is not None}
    own = {matcher.label for selector in parsed.values() for matcher in selector.matchers}
    fixed = parsed[_TOTAL].values if _TOTAL in parsed else ()
    # What is the same for all of an SLI's series distinguishes SLIs that are counted together.
    return tuple(label for label in promql.request_labels(own) if label not in fixed)


def _births(
    answers: Sequence[Mapping[tuple[str, str], Series]], steps: range
) -> Iterator[tuple[list[int], range, float]]:
    """Yield which SLIs have series that seem new, when, and how many series they have at most in all.

    Only as far as a search in the past is affordable.
    """
    born: list[set[int]] = []
    most: list[float] = []
    for answer in answers:
        counts = [series for (_, part), series in answer.items() if part == promql.SERIES]
        series_counts = {start: sum(series.get(start, 0.0) for series in counts) for start in steps}
        starts = _starts(answer, promql.BORN)
        born.append({start for start in starts if series_counts[start] <= promql.MOST_SEARCHED})
        most.append(max((series_counts[start] for start in born[-1]), default=0.0))
    for indices, run in _runs(born, steps):
        # Together they may be too many series to search for in one query.
        batch: list[int] = []
        for index in indices:
            if batch and sum(most[other] for other in (*batch, index)) > promql.MOST_SEARCHED:
                yield batch, run, sum(most[other] for other in batch)
                batch = []
            batch.append(index)
        yield batch, run, sum(most[other] for other in batch)


def _deltas(answer: Mapping[tuple[str, str], Series], counters: Counters) -> dict[str, Series]:
    return {name: dict(answer.get((name, promql.DELTA), _EMPTY)) for name in counters}


def _rises(levels: Series, steps: range) -> Series:
    """Return by how much a sum of counters rose in each step, where it is known before and after."""
    if len(levels) == len(steps) + 1:
        rises = list(map(sub, itertools.islice(levels.values(), 1, None), levels.values()))
        if min(rises) >= 0:
            return dict(zip(steps, rises, strict=True))
    found: Series = {}
    before = levels.get(steps.start - steps.step)
    for start in steps:
        level = levels.get(start)
        if level is not None and before is not None:
            rise = level - before
            # Sums of fractions differ in their last digits.
            found[start] = 0.0 if abs(rise) < _LAST_DIGITS * level else rise
        before = level
    return found


def _any(series: Series) -> bool:
    return any(series.values())


def _starts(answer: Mapping[tuple[str, str], Series], part: str) -> set[int]:
    """Return the steps in which any counter has this part of the answer."""
    return {
        start
        for (_, name), series in answer.items()
        if name == part
        for start, present in series.items()
        if present
    }


def _runs(starts: Sequence[Iterable[int]], within: range) -> list[tuple[list[int], range]]:
    """Return runs of steps that contain all starts, each with the indices that have a start in it."""
    runs: list[range] = []
    for start in sorted({start for own in starts for start in own}):
        if runs and start - runs[-1].stop <= _MOST_GAP * within.step:
            runs[-1] = range(runs[-1].start, start + within.step, within.step)
        else:
            runs.append(range(start, start + within.step, within.step))
    return [
        ([index for index, own in enumerate(starts) if any(start in run for start in own)], run)
        for run in runs
    ]


def _complete(series: Mapping[int, float], steps: range) -> Series:
    return {start: series.get(start, 0.0) for start in steps}


def _gathered(parts: Mapping[int, float], steps: range) -> Series:
    """Add narrow steps up to the wide ones that contain them."""
    sums = dict.fromkeys(steps, 0.0)
    for start, events in parts.items():
        sums[steps[(start - steps.start) // steps.step]] += events
    return sums


def _replace(events: Mapping[str, Series], corrected: Mapping[str, Series]) -> None:
    for name, series in corrected.items():
        events[name].update(series)
