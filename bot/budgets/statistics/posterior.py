"""How likely an error rate is, given the events that were counted. Pure; no clock, no I/O.

With Jeffreys' prior Beta(½, ½), k bad of n events leave the rate distributed as Beta(k + ½, n − k + ½). Its
tail is an incomplete beta integral: the continued fraction of Didonato and Morris (DLMF 8.17.22), times a
density in the form of Loader ("Fast and Accurate Computation of Binomial Probabilities", 2000), which
subtracts no two large numbers. It is exact to ten digits up to 10⁹ events.
"""

import math

_PRIOR = 0.5
_SMALLEST = 1e-300
_LAST_DIGIT = 1e-15
_STIRLING_FROM = 15.0
_SERIES_BELOW = 0.1
_MOST_TERMS = 1_000_000
_MOST_GUESSES = 200


def probability_above(rate: float, bad: float, total: float) -> float:
    """Return how likely the error rate is above `rate`, given `bad` of `total` events."""
    return _upper_tail(bad + _PRIOR, total - bad + _PRIOR, rate)


def upper_bound(bad: float, total: float, confidence: float) -> float:
    """Return the rate that the error rate is at most with probability `confidence`."""
    return _quantile(bad + _PRIOR, total - bad + _PRIOR, confidence)


def _upper_tail(a: float, b: float, x: float) -> float:
    """Return the probability of more than `x` under Beta(a, b)."""
    if x <= 0:
        return 1.0
    if x >= 1:
        return 0.0
    weight = _weight(a, b, x)
    if x < (a + 1) / (a + b + 2):
        return 1 - weight * _continued_fraction(a, b, x) / a
    return weight * _continued_fraction(b, a, 1 - x) / b


def _quantile(a: float, b: float, confidence: float) -> float:
    """Return below which x a share `confidence` of Beta(a, b) lies: Newton's steps between safe bounds."""
    low, high, x = 0.0, 1.0, a / (a + b)
    for _ in range(_MOST_GUESSES):
        excess = (1 - _upper_tail(a, b, x)) - confidence
        low, high = (x, high) if excess < 0 else (low, x)
        density = _weight(a, b, x) / (x * (1 - x))
        following = x - excess / density if density > 0 else x
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) <= 1e-12 * x:
            return following
        x = following
    return x


def _weight(a: float, b: float, x: float) -> float:
    """Return x^a (1 − x)^b / B(a, b), without the loss of digits that large gamma functions bring."""
    n = a + b
    exponent = -_deviance(a, n * x) - _deviance(b, n * (1 - x))
    exponent += _stirling_rest(n) - _stirling_rest(a) - _stirling_rest(b)
    return math.exp(exponent) * math.sqrt(a * b / (2 * math.pi * n))


def _stirling_rest(z: float) -> float:
    """Return what Stirling's formula for ln Γ(z) leaves out."""
    if z < _STIRLING_FROM:
        return math.lgamma(z) - (z - 0.5) * math.log(z) + z - 0.5 * math.log(2 * math.pi)
    square = z * z
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / z


def _deviance(x: float, mean: float) -> float:
    """Return x ln(x / mean) + mean − x; where both are close, as a series."""
    if abs(x - mean) >= _SERIES_BELOW * (x + mean):
        return x * math.log(x / mean) + mean - x
    ratio = (x - mean) / (x + mean)
    total, term, square, divisor = (x - mean) * ratio, 2 * x * ratio, ratio * ratio, 1
    while True:
        term, divisor = term * square, divisor + 2
        following = total + term / divisor
        if following == total:
            return total
        total = following


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    numerator, denominator = 1.0, 1 / _apart_from_zero(1 - (a + b) * x / (a + 1))
    value = denominator
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        factor = 1.0
        for coefficient in (even, odd):
            denominator = 1 / _apart_from_zero(1 + coefficient * denominator)
            numerator = _apart_from_zero(1 + coefficient / numerator)
            factor = denominator * numerator
            value *= factor
        if abs(factor - 1) < _LAST_DIGIT:
            break
    return value


def _apart_from_zero(number: float) -> float:
    return number if abs(number) > _SMALLEST else _SMALLEST
