"""Counts the events of counters in steps, asking again only where the simple answer is not exact.

Sans I/O but for `Ask`, which evaluates queries; the queries themselves are in `promql.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from bot.budgets.sources import promql

Series = dict[int, float]
"""Values by the start of the step, in seconds since the epoch."""

Ask = Callable[[Mapping[str, str], range], Awaitable[Mapping[str, Series]]]
"""Evaluates named queries at the end of each of the steps, which begin at the given times."""

_ASIDE = 3
"""Steps that may be asked for without need, to join two stretches in one question."""


async def count_events(ask: Ask, selectors: Mapping[str, str], steps: range) -> dict[str, Series]:
    """Answer the events of each named counter in each step; steps without any may be left out.

    `steps` are the starts of adjoining steps, their distance the steps' width in seconds.
    """
    answers = await ask(_named(promql.regular, selectors, steps.step), steps)
    found = {name: dict(answers.get(f"{name} {promql.DELTA}", {})) for name in selectors}
    irregular = _starts(answers, selectors, promql.IRREGULAR)
    corrections = [_exact_events(ask, selectors, run) for run in _runs(irregular, steps)]
    for exact in await asyncio.gather(*corrections):
        _replace(found, exact)
    return found


async def _exact_events(ask: Ask, selectors: Mapping[str, str], steps: range) -> dict[str, Series]:
    """Answer the events of every step, with what resets, new series and outages add."""
    answers = await ask(_named(promql.exact, selectors, steps.step), steps)
    found = {name: _complete(answers.get(f"{name} {promql.EXACT}", {}), steps) for name in selectors}
    for run in _runs(_births(answers, selectors), steps):
        await _add_revived(ask, selectors, run, found)
    ambiguous = _starts(answers, selectors, promql.AMBIGUOUS)
    finer = max(
        (width for width in promql.STEPS_S if width < steps.step and steps.step % width == 0), default=0
    )
    for run in _runs(ambiguous, steps):
        if finer:
            narrow = range(run.start, run.stop, finer)
            parts = await count_events(ask, selectors, narrow)
            _replace(found, {name: _gathered(parts[name], run) for name in selectors})
        else:
            rough = await ask(_named(promql.rough, selectors, run.step), run)
            _replace(found, {name: rough.get(f"{name} {promql.EXACT}", {}) for name in selectors})
    return found


async def _add_revived(
    ask: Ask, selectors: Mapping[str, str], steps: range, found: Mapping[str, Series]
) -> None:
    answers = await ask(_named(promql.revived, selectors, steps.step), steps)
    for name in selectors:
        for start, events in answers.get(f"{name} {promql.REVIVED}", {}).items():
            found[name][start] += events


def _births(answers: Mapping[str, Series], selectors: Iterable[str]) -> set[int]:
    """Answer the steps with series that seem new, as far as they can be looked for in the past."""
    series = [answers.get(f"{name} {promql.SERIES}", {}) for name in selectors]
    born = _starts(answers, selectors, promql.BORN)
    return {
        start for start in born if sum(counts.get(start, 0.0) for counts in series) <= promql.MOST_LOOKED_FOR
    }


def _named(
    queries: Callable[[str, int], Mapping[str, str]], selectors: Mapping[str, str], step: int
) -> dict[str, str]:
    return {
        f"{name} {part}": query
        for name, selector in selectors.items()
        for part, query in queries(selector, step).items()
    }


def _starts(answers: Mapping[str, Series], selectors: Iterable[str], part: str) -> set[int]:
    """Answer the steps in which any counter has the part."""
    return {
        start for name in selectors for start, found in answers.get(f"{name} {part}", {}).items() if found
    }


def _runs(starts: Iterable[int], within: range) -> Sequence[range]:
    """Answer stretches of adjoining steps that hold all of these, few rather than tight."""
    runs: list[range] = []
    for start in sorted(starts):
        if runs and start - runs[-1].stop <= _ASIDE * within.step:
            runs[-1] = range(runs[-1].start, start + within.step, within.step)
        else:
            runs.append(range(start, start + within.step, within.step))
    return runs


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
