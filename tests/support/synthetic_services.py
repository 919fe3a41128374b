"""Synthetic services whose future is known: hours of good and bad events, with what happens to real ones.

Traffic follows the hour and the day of the week; errors come from a base rate that changes at times for
weeks (a new dependency, a slow leak), from deployments that go wrong for minutes to hours, and from outages.
How often and how badly differs from service to service by orders of magnitude.
"""

import math
import random
from dataclasses import dataclass
from itertools import accumulate

HOURS_A_DAY = 24


@dataclass(frozen=True, slots=True)
class SyntheticService:
    """Bad and all events of each hour, from a Monday midnight on, and what was promised."""

    bad: tuple[float, ...]
    total: tuple[float, ...]
    allowed: float
    window_days: int

    def day(self, index: int, hours: int = HOURS_A_DAY) -> tuple[float, float]:
        """Return the bad events and all events of a day, or of its first hours."""
        first = index * HOURS_A_DAY
        return sum(self.bad[first : first + hours]), sum(self.total[first : first + hours])

    def window(self, hour: int) -> tuple[float, float]:
        """Return the bad events and all events of the window that ends before an hour."""
        first = max(0, hour - self.window_days * HOURS_A_DAY)
        return sum(self.bad[first:hour]), sum(self.total[first:hour])

    def remaining(self) -> list[float]:
        """Return what was left of the budget before each hour; 1 where nothing happened yet."""
        bad, total = ([0.0, *accumulate(counts)] for counts in (self.bad, self.total))
        length = self.window_days * HOURS_A_DAY
        left = []
        for hour in range(len(self.bad) + 1):
            first = max(0, hour - length)
            budget = (total[hour] - total[first]) * self.allowed
            left.append(1 - (bad[hour] - bad[first]) / budget if budget > 0 else 1.0)
        return left


def synthetic_service(seed: str, days: int) -> SyntheticService:
    """Return the service of a seed."""
    generator = random.Random(seed)  # noqa: S311 - reproducible, not secret
    allowed = generator.choice((0.01, 0.005, 0.001, 0.001, 0.0005))
    an_hour = 10 ** generator.uniform(1.5, 5.0)
    hours = days * HOURS_A_DAY
    total = _traffic(generator, an_hour, hours)
    rates = [
        a + b
        for a, b in zip(_base(generator, allowed, hours), _faults(generator, allowed, hours), strict=True)
    ]
    bad = tuple(
        min(count, _events(generator, count * min(1.0, rate)))
        for count, rate in zip(total, rates, strict=True)
    )
    return SyntheticService(bad, total, allowed, generator.choice((7, 28, 30)))


def _traffic(generator: random.Random, an_hour: float, hours: int) -> tuple[float, ...]:
    swing, weekend, noise = (
        generator.uniform(0.1, 0.9),
        generator.uniform(0.3, 1.1),
        generator.uniform(0.02, 0.2),
    )
    growth = generator.uniform(-0.003, 0.005)
    return tuple(
        float(
            round(
                an_hour
                * (1 + swing * math.sin(2 * math.pi * (hour % 24 - 9) / 24))
                * (weekend if hour // 24 % 7 >= 5 else 1.0)
                * math.exp(growth * hour / 24 + generator.gauss(0, noise))
            )
        )
        for hour in range(hours)
    )


def _base(generator: random.Random, allowed: float, hours: int) -> list[float]:
    """Return the usual error rate of each hour; it changes for good about once in six weeks."""
    usual = allowed * 10 ** generator.uniform(-2.0, 0.0)
    every_days, size = generator.uniform(20, 90), generator.uniform(0.2, 0.9)
    rates, level = [], 1.0
    for _ in range(hours):
        if generator.random() < 1 / (every_days * 24):
            level = math.exp(generator.gauss(0, size))
        rates.append(usual * level)
    return rates


def _faults(generator: random.Random, allowed: float, hours: int) -> list[float]:
    """Return the share of each hour's requests that fail by bad deployments and outages."""
    shares = [0.0] * hours
    deploys_a_day, goes_wrong = generator.uniform(0.2, 3.0), generator.uniform(0.0, 0.08)
    deploy_burn = 10 ** generator.uniform(0.5, 1.8)
    for day in range(hours // 24):
        if day % 7 < 5:
            for _ in range(_poisson(generator, deploys_a_day * goes_wrong)):
                lasts_h = generator.lognormvariate(math.log(0.6), 0.8)
                burn = deploy_burn * generator.lognormvariate(0, 0.5)
                _fail(shares, day * 24 + generator.uniform(8, 18), lasts_h, allowed * burn)
    outage_every_h = 24 * generator.choice((20, 45, 90, 200))
    for hour in range(hours):
        if generator.random() < 1 / outage_every_h:
            share = 10 ** generator.uniform(-1.7, 0)
            _fail(shares, hour + generator.random(), generator.lognormvariate(math.log(0.5), 1.0), share)
    return shares


def _fail(shares: list[float], start: float, lasts_h: float, share: float) -> None:
    for hour in range(int(start), min(len(shares), int(start + lasts_h) + 1)):
        overlap = min(start + lasts_h, hour + 1) - max(start, hour)
        shares[hour] = min(1.0, shares[hour] + share * max(0.0, overlap))


def _events(generator: random.Random, mean: float) -> float:
    return float(
        _poisson(generator, mean) if mean < 30 else max(0, round(generator.gauss(mean, math.sqrt(mean))))
    )


def _poisson(generator: random.Random, mean: float) -> int:
    left, count = math.exp(-mean), 0
    product = generator.random()
    while product > left:
        product *= generator.random()
        count += 1
    return count
