"""Which days of the past stand for which days to come: a block bootstrap by weekday class. Pure; seeded.

Each path through the coming days is made of blocks of days that followed each other in the history (the
stationary bootstrap of Politis and Romano, 1994), so that a bad week stays a bad week. A working day stands
only for a working day, a weekend's day for a weekend's. Every path weighs the days of the history anew
(the Bayesian bootstrap of Rubin, 1981): a month says little about what is rare, and the paths differ by as
much. Newer days weigh more. The draws depend on the shape of the history alone, so that all SLOs with
the same share them.
"""

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter

PATHS = 200
HORIZON_DAYS = 28

_BLOCK_DAYS = 2.0
_HALF_LIFE_DAYS = (7.0, 28.0)
"""Within how many days a day's weight halves: for today, and for the last of the coming days."""

_SATURDAY = 5

Draw = Callable[[Sequence[float]], tuple[float, ...]]
"""Picks the values of the coming days: the rest of today from the second half of a list, then whole days."""


@lru_cache(maxsize=128)
def day_draws(days: int, weekday: int) -> tuple[Draw, ...]:
    """Return a draw for each path, given how many whole days the history has and today's weekday (Monday 0).

    A draw takes a list of the history's values, oldest first, followed by as many for the rest of today.
    """
    generator = random.Random(f"{days} days before {weekday}")  # noqa: S311 - reproducible, not secret
    classes = [_is_weekend(weekday - days + index) for index in range(days)]
    members = {
        kind: [index for index in range(days) if classes[index] is kind] or list(range(days))
        for kind in (False, True)
    }
    coming = [_is_weekend(weekday + step) for step in range(HORIZON_DAYS + 1)]
    return tuple(_draw(days, classes, members, coming, generator) for _ in range(PATHS))


@lru_cache(maxsize=1)
def shares() -> tuple[float, ...]:
    """Return a share between 0 and 1 for each path, evenly spread and in no order."""
    evenly = [(index + 0.5) / PATHS for index in range(PATHS)]
    random.Random("shares").shuffle(evenly)  # noqa: S311 - reproducible, not secret
    return tuple(evenly)


def _draw(
    days: int,
    classes: Sequence[bool],
    members: dict[bool, list[int]],
    coming: Sequence[bool],
    generator: random.Random,
) -> Draw:
    weights = [generator.expovariate(1.0) for _ in range(days)]
    chosen: list[int] = []
    for step, kind in enumerate(coming):
        following = chosen[-1] + 1 if chosen else days
        goes_on = following < days and classes[following] is kind and generator.random() > 1 / _BLOCK_DAYS
        if not goes_on:
            aged = _aged(step, days)
            (following,) = generator.choices(
                members[kind], [weights[index] * aged[index] for index in members[kind]]
            )
        chosen.append(following)
    return itemgetter(chosen[0] + days, *chosen[1:])


@lru_cache(maxsize=1_024)
def _aged(step: int, days: int) -> tuple[float, ...]:
    """Return how much each day of the history weighs for a coming day: the nearer that is, the newer ones."""
    first, last = _HALF_LIFE_DAYS
    half_life = first + (last - first) * step / HORIZON_DAYS
    return tuple(0.5 ** ((days - index) / half_life) for index in range(days))


def _is_weekend(day: int) -> bool:
    return day % 7 >= _SATURDAY
