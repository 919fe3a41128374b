"""Counts the events of counters in steps, asking again only where the simple answer is not exact.

Counters of several SLIs are counted together: each round of questions is asked for all that still need
it, and an answer belongs to one of them. Sans I/O but for `CounterReader`, which evaluates queries; the
queries themselves are in `promql.py`.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from bot.budgets.sources.prometheus import promql
from bot.budgets.sources.prometheus.selectors import is_part_of

Series = dict[int, float]
"""Values by the start of the step, in seconds since the epoch."""

Counters = Mapping[str, str]
"""The selectors of one SLI by their names; those that are counted together have the same names."""

_ASIDE = 3
"""Steps that may be asked for without need, to join two stretches in one question."""

_NOTHING: Series = {}


class CounterQueries(Protocol):
    """Answers the queries for one selector, by the part of the answer that they give."""

    def __call__(self, selector: str, step_s: int, by: str = "") -> Mapping[str, str]:
        """See `promql.py`."""
        ...


class CounterReader(Protocol):
    """Evaluates queries for each counter, at the end of each of the steps (their starts are given)."""

    async def __call__(
        self, counters: Sequence[Counters], queries: CounterQueries, steps: range
    ) -> Sequence[Mapping[tuple[str, str], Series]]:
        """Return for each SLI the values by the counter's name and the part."""
        ...


async def count_events(
    ask: CounterReader, counters: Sequence[Counters], steps: range
) -> list[dict[str, Series]]:
    """Return for each SLI the events of each named counter in each step; steps without any may be left out.

    `steps` are the starts of adjoining steps, their distance the steps' width in seconds.
    """
    length = steps.stop - steps.start
    if len(counters) == 1 or length > promql.QUIET_S:
        return await _count_closely(ask, counters, steps)
    # Of many, few were restarted just now: one question about the whole finds them.
    watched = [_not_within_others(each) for each in counters]
    plain = partial(promql.plain, lookback_s=promql.quiet_lookback_s(length))
    answers, doubts = await asyncio.gather(
        ask(counters, plain, steps),
        ask(watched, promql.doubtful, range(steps.start, steps.stop, length)),
    )
    found = [_deltas(answer, of) for answer, of in zip(answers, counters, strict=True)]
    doubted = [one for one, doubt in enumerate(doubts) if any(map(_any, doubt.values()))]
    if doubted:
        exact = await _count_closely(ask, [counters[one] for one in doubted], steps)
        for one, better in zip(doubted, exact, strict=True):
            found[one] = better
    return found


def _not_within_others(counters: Counters) -> Counters:
    """Leave out the counters whose series are all among another's."""
    kept: dict[str, str] = {}
    for name, selector in counters.items():
        if not any(is_part_of(selector, other) for other in kept.values()):
            kept[name] = selector
    return kept


async def _count_closely(
    ask: CounterReader, counters: Sequence[Counters], steps: range
) -> list[dict[str, Series]]:
    answers = await ask(counters, promql.regular, steps)
    found = [_deltas(answer, of) for answer, of in zip(answers, counters, strict=True)]
    irregular = [_starts(answer, promql.IRREGULAR) for answer in answers]
    corrections = [
        _correct(ask, counters, found, concerned, run) for concerned, run in _runs(irregular, steps)
    ]
    await asyncio.gather(*corrections)
    return found


async def _correct(
    ask: CounterReader,
    counters: Sequence[Counters],
    found: Sequence[dict[str, Series]],
    concerned: Sequence[int],
    steps: range,
) -> None:
    exact = await _exact_events(ask, [counters[one] for one in concerned], steps)
    for one, better in zip(concerned, exact, strict=True):
        _replace(found[one], better)


async def _exact_events(
    ask: CounterReader, counters: Sequence[Counters], steps: range
) -> list[dict[str, Series]]:
    """Return the events of every step, with what resets, new series and outages add."""
    answers = await ask(counters, promql.exact, steps)
    found = [
        {name: _complete(answer.get((name, promql.EXACT), _NOTHING), steps) for name in of}
        for answer, of in zip(answers, counters, strict=True)
    ]
    for concerned, run in _births(answers, steps):
        await _add_revived(ask, counters, found, concerned, run)
    ambiguous = [_starts(answer, promql.AMBIGUOUS) for answer in answers]
    finer = max(
        (width for width in promql.STEPS_S if width < steps.step and steps.step % width == 0), default=0
    )
    for concerned, run in _runs(ambiguous, steps):
        asked = [counters[one] for one in concerned]
        if finer:
            parts = await _count_closely(ask, asked, range(run.start, run.stop, finer))
            better = [{name: _gathered(series, run) for name, series in part.items()} for part in parts]
        else:
            rough = await ask(asked, promql.rough, run)
            better = [
                {name: answer.get((name, promql.EXACT), _NOTHING) for name in of}
                for answer, of in zip(rough, asked, strict=True)
            ]
        for one, exact in zip(concerned, better, strict=True):
            _replace(found[one], exact)
    return found


async def _add_revived(
    ask: CounterReader,
    counters: Sequence[Counters],
    found: Sequence[dict[str, Series]],
    concerned: Sequence[int],
    steps: range,
) -> None:
    answers = await ask([counters[one] for one in concerned], promql.revived, steps)
    for one, answer in zip(concerned, answers, strict=True):
        for name in counters[one]:
            for start, events in answer.get((name, promql.REVIVED), _NOTHING).items():
                found[one][name][start] += events


def _births(
    answers: Sequence[Mapping[tuple[str, str], Series]], steps: range
) -> Iterator[tuple[list[int], range]]:
    """Return who has series that seem new and when, as far as they can be looked for in the past."""
    born: list[set[int]] = []
    most: list[float] = []
    for answer in answers:
        counts = [series for (_, part), series in answer.items() if part == promql.SERIES]
        size = {start: sum(series.get(start, 0.0) for series in counts) for start in steps}
        begun = _starts(answer, promql.BORN)
        born.append({start for start in begun if size[start] <= promql.MOST_LOOKED_FOR})
        most.append(max((size[start] for start in born[-1]), default=0.0))
    for concerned, run in _runs(born, steps):
        # Together they may be too many series to look for in one question.
        part: list[int] = []
        for one in concerned:
            if part and sum(most[other] for other in (*part, one)) > promql.MOST_LOOKED_FOR:
                yield part, run
                part = []
            part.append(one)
        yield part, run


def _deltas(answer: Mapping[tuple[str, str], Series], counters: Counters) -> dict[str, Series]:
    return {name: dict(answer.get((name, promql.DELTA), _NOTHING)) for name in counters}


def _any(series: Series) -> bool:
    return any(series.values())


def _starts(answer: Mapping[tuple[str, str], Series], wanted: str) -> set[int]:
    """Return the steps in which any counter has the part."""
    return {
        start
        for (_, part), series in answer.items()
        if part == wanted
        for start, found in series.items()
        if found
    }


def _runs(starts: Sequence[Iterable[int]], within: range) -> list[tuple[list[int], range]]:
    """Return stretches of adjoining steps that hold all of these, few rather than tight, and who has any."""
    runs: list[range] = []
    for start in sorted({start for each in starts for start in each}):
        if runs and start - runs[-1].stop <= _ASIDE * within.step:
            runs[-1] = range(runs[-1].start, start + within.step, within.step)
        else:
            runs.append(range(start, start + within.step, within.step))
    return [
        ([one for one, each in enumerate(starts) if any(start in run for start in each)], run) for run in runs
    ]


def _complete(series: Mapping[int, float], steps: range) -> Series:
    return {start: series.get(start, 0.0) for start in steps}


def _gathered(parts: Mapping[int, float], steps: range) -> Series:
    """Add narrow steps up to the wide ones that they lie in."""
    found = dict.fromkeys(steps, 0.0)
    for start, events in parts.items():
        found[steps[(start - steps.start) // steps.step]] += events
    return found


def _replace(found: Mapping[str, Series], better: Mapping[str, Series]) -> None:
    for name, series in better.items():
        found[name].update(series)
