"""Do events of one group fail more often than those of another? May be looked at after every event. Pure.

The events come in buckets of time, each with its own share w of events in the first group. Where both groups
fail equally often, the first has in expectation the share w of a bucket's k bad events; where its rate is r
times that of the other, the share is w·r / (1 + w·(r − 1)). The e-value compares the two, given k:

    E = mean over r of  product over buckets of  r^a / (1 + w·(r − 1))^k    a of the k are in the first group

Neither error rate has to be known. Each factor is the likelihood ratio of two binomial distributions of a;
given k, a is hypergeometric where the rates are equal, and r^a, which is convex in a, is then expected to be
no larger than under the binomial one (Hoeffding, "Probability inequalities for sums of bounded random
variables", 1963, theorem 4). So while the first group fails at most as often as the other, E is expected to
be at most 1 however often one looks, and reaches 1/α with a probability of at most α (Ville's inequality).
The sequential test of two proportions given the number of failures is Wald's ("Sequential Analysis", 1947,
chapter 6); e-values for two streams in blocks are those of Turner, Ly and Grünwald ("Generic E-variables for
exact sequential k-sample tests that allow for optional stopping", 2024).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

RATIOS = (1.5, 2.0, 4.0, 16.0, 64.0)
"""How many times as often the first group is taken to fail."""


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """What two groups counted in the same time: bad events and all events of the first and of the second."""

    bad: float
    total: float
    other_bad: float
    other_total: float


def log_e_value(buckets: Sequence[GroupCounts], ratios: Sequence[float] = RATIOS) -> float:
    """Return the natural logarithm of the evidence that the first group fails more often."""
    telling = [
        (each.bad, each.bad + each.other_bad, each.total / (each.total + each.other_total))
        for each in buckets
        if each.total > 0 and each.other_total > 0 and each.bad + each.other_bad > 0
    ]
    logs = [
        math.fsum(
            bad * math.log(ratio) - failed * math.log1p(share * (ratio - 1)) for bad, failed, share in telling
        )
        for ratio in ratios
    ]
    highest = max(logs)
    return highest + math.log(math.fsum(math.exp(each - highest) for each in logs) / len(logs))


def e_value(buckets: Sequence[GroupCounts], ratios: Sequence[float] = RATIOS) -> float:
    """Return the evidence that the first group fails more often; infinity where it is too large."""
    try:
        return math.exp(log_e_value(buckets, ratios))
    except OverflowError:
        return math.inf
