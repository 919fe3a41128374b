"""Quantiles of a few numbers, and the interval of a share of few. Pure; no clock, no I/O."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

QUANTILE_METHOD = "linear interpolation between the two nearest values (type 7 of Hyndman and Fan)"
"""How the median and the p90 are taken: as `percentile_cont` of SQL and spreadsheets do."""
INTERVAL_METHOD = "Wilson score interval, 95%"
"""Which interval stands beside a share."""

_Z = 1.959963984540054
_SHARES = (0.5, 0.9)
N = TypeVar("N", float, timedelta)


@dataclass(frozen=True, slots=True)
class DurationQuantiles:
    """The median and the p90 of `n` lengths of time; None where there is none."""

    n: int = 0
    p50: timedelta | None = None
    p90: timedelta | None = None


@dataclass(frozen=True, slots=True)
class NumberQuantiles:
    """The median, the p90 and the mean of `n` numbers; None where there is none."""

    n: int = 0
    p50: float | None = None
    p90: float | None = None
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class Proportion:
    """A share `value` of `n`, of which `count` are counted, and its interval; None where `n` is 0."""

    n: int
    count: int
    value: float | None
    low: float | None
    high: float | None


def duration_quantiles(lengths: Iterable[timedelta]) -> DurationQuantiles:
    """Return the median and the p90 of lengths of time."""
    ordered = sorted(lengths)
    if not ordered:
        return DurationQuantiles()
    p50, p90 = (_at(ordered, share) for share in _SHARES)
    return DurationQuantiles(len(ordered), p50, p90)


def number_quantiles(numbers: Iterable[float]) -> NumberQuantiles:
    """Return the median, the p90 and the mean of finite numbers."""
    ordered = sorted(numbers)
    if not ordered:
        return NumberQuantiles()
    p50, p90 = (_at(ordered, share) for share in _SHARES)
    return NumberQuantiles(len(ordered), p50, p90, math.fsum(ordered) / len(ordered))


def proportion(count: int, n: int) -> Proportion:
    """Return the share of `count` in `n` with its Wilson interval, which never leaves 0 to 1.

    E. B. Wilson, "Probable inference", JASA 22 (1927); it stays honest for few, where the usual one does not.
    """
    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n} is not a share")
    if n == 0:
        return Proportion(0, 0, None, None, None)
    share, squared = count / n, _Z * _Z
    centre = share + squared / (2 * n)
    spread = _Z * math.sqrt(share * (1 - share) / n + squared / (4 * n * n))
    low, high = ((centre + sign * spread) / (1 + squared / n) for sign in (-1, 1))
    # Rounding must not put an end on the wrong side of the share.
    return Proportion(n, count, share, max(0.0, min(low, share)), min(1.0, max(high, share)))


def _at(ordered: Sequence[N], share: float) -> N:
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)
