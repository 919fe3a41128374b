"""Did a change make it worse? A test that may be looked at after every event. Pure; no clock, no I/O.

The e-value is the likelihood of the counts under higher error rates, averaged, divided by that under `null`:

    E = mean over m of  m^k · ((1 − m·p0) / (1 − p0))^(n − k)    k bad of n events since the change, p0 = null

While the true rate is at most `null`, E is expected to be at most 1 however often one looks, so that it ever
reaches 1/α with a probability of at most α (Ville's inequality). A mixture sequential probability ratio test
(SPRT), after Wald and Robbins.
"""

import math
from collections.abc import Sequence

from bot.budgets.statistics.posterior import upper_bound

FALSE_ALARMS = 0.01
"""α: how often a change that did no harm may be taken for a harmful one."""

_BEFORE_CONFIDENCE = 0.8
_ODDS = (1.0, 1.4, 2.0, 4.0, 16.0)
"""The alternatives, as multiples of the odds of the least rate that matters."""
_LEAST_RISE = 1.5
_CERTAIN = 0.99
_HIGHEST_NULL = 1 - 1e-9


def null_rate(allowed: float, bad: float, total: float) -> float:
    """Return the rate that a change must have raised: the one allowed, or what it may have been before.

    `bad` of `total` events were counted before the change.
    """
    before = upper_bound(bad, total, _BEFORE_CONFIDENCE) if total > 0 else 0.0
    return min(max(allowed, before), _HIGHEST_NULL)


def alternatives(null: float, least: float) -> tuple[float, ...]:
    """Return the higher rates that are tested against `null`; `least` is the least of them that matters."""
    odds = max(_odds_of(min(least, _CERTAIN)), _LEAST_RISE * _odds_of(null))
    return tuple(odds * factor / (1 + odds * factor) for factor in _ODDS)


def e_value(bad: float, total: float, null: float, rates: Sequence[float]) -> float:
    """Return the evidence of `bad` of `total` events for the `rates` against `null`, all between 0 and 1."""
    try:
        return math.exp(log_e_value(bad, total, null, rates))
    except OverflowError:
        return math.inf


def log_e_value(bad: float, total: float, null: float, rates: Sequence[float]) -> float:
    """Return the natural logarithm of the e-value, which itself may be too large for a number."""
    logs = [
        bad * math.log(rate / null) + (total - bad) * (math.log1p(-rate) - math.log1p(-null))
        for rate in rates
    ]
    highest = max(logs)
    return highest + math.log(math.fsum(math.exp(each - highest) for each in logs) / len(logs))


def _odds_of(rate: float) -> float:
    return rate / (1 - rate)
