"""Plays services whose error rates are known, and counts how often they are frozen or taken back by chance.

The rules are the bot's own; beside them stands plain arithmetic, which asked for no evidence. Months are
looked at each hour with a full window behind them, ramps every half minute for half an hour.
`python -m tests.support.decision_simulation` prints a larger table than the tests do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from bot.budgets.budget import EventCounts
from bot.budgets.evidence import is_surely_spent
from bot.budgets.statistics.two_samples import GroupCounts
from bot.catalog.error_budget_policy import DecideBy, ErrorBudgetPolicy
from bot.flags.guard import BurnReading, ChangeTest, Guard, crossing
from bot.flags.variant_test import VariantTest
from tests.support.values import slo

ALLOWED = 0.001
"""What a 99.9% objective allows."""

GUARD = Guard(14.4, timedelta(minutes=30))
OVER = timedelta(minutes=5)
_HOURS = 30 * 24
_LOOKS_A_MINUTE = 2
_LOOKS = 30 * _LOOKS_A_MINUTE
_OVER_LOOKS = 5 * _LOOKS_A_MINUTE
_RATES = ErrorBudgetPolicy("simulated")
_SLO = slo(objective="0.999")

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Month:
    """How many of all months had a false freeze: by the policy, and by plain arithmetic."""

    events_a_day: float
    frozen: float
    by_arithmetic: float


@dataclass(frozen=True, slots=True)
class Ramp:
    """How many of all increases were taken back, and after how many minutes half and most of them were."""

    requests_a_minute: float
    taken_back: float
    half_after: float
    most_after: float
    by_burn_alone: float


def month(
    events_a_day: float, *, runs: int, seed: int, decide_by: DecideBy = DecideBy.AUTO, spending: float = 0.5
) -> Month:
    """Play months of a service that spends `spending` of its budget."""
    draw, policy = np.random.default_rng(seed), replace(_RATES, decide_by=decide_by)
    shape = (runs, 2 * _HOURS)
    total = draw.poisson(events_a_day / 24, shape)
    bad = draw.binomial(total, ALLOWED * spending)
    bad, total = _window(bad, _HOURS)[:, _HOURS:], _window(total, _HOURS)[:, _HOURS:]
    is_spent = (bad >= total * ALLOWED - 1e-9) & (total > 0)
    known: dict[tuple[int, int], bool] = {}
    frozen = 0
    for run in range(runs):
        moments = np.flatnonzero(is_spent[run])
        seen = {(int(bad[run, at]), int(total[run, at])) for at in moments}
        for counts in seen:
            if counts not in known:
                known[counts] = is_surely_spent(policy, _SLO, *counts, Decimal(0))
        frozen += any(known[counts] for counts in seen)
    return Month(events_a_day, frozen / runs, float(is_spent.any(axis=1).mean()))


def ramp(requests_a_minute: float, *, runs: int, seed: int, before: float, since: float) -> Ramp:
    """Play increases of a service that burned at `before` for an hour and burns at `since` from then on."""
    draw = np.random.default_rng(seed)
    total_before = draw.poisson(requests_a_minute * 60, runs)
    bad_before = draw.binomial(total_before, ALLOWED * before)
    lately = draw.poisson(requests_a_minute / _LOOKS_A_MINUTE, (runs, _OVER_LOOKS))
    bad_lately = draw.binomial(lately, ALLOWED * before)
    total = draw.poisson(requests_a_minute / _LOOKS_A_MINUTE, (runs, _LOOKS))
    bad = draw.binomial(total, ALLOWED * since)
    recent, bad_recent = _window(total, _OVER_LOOKS), _window(bad, _OVER_LOOKS)
    alone = _window(np.hstack([lately, total]), _OVER_LOOKS)[:, _OVER_LOOKS:]
    bad_alone = _window(np.hstack([bad_lately, bad]), _OVER_LOOKS)[:, _OVER_LOOKS:]
    total, bad = total.cumsum(axis=1), bad.cumsum(axis=1)
    burns = _burn(bad_recent, recent)
    minutes = [
        _taken_back_after(
            EventCounts(int(bad_before[run]), int(total_before[run])), bad[run], total[run], burns[run]
        )
        for run in range(runs)
    ]
    burned = (_burn(bad_alone, alone) >= GUARD.burn).any(axis=1)
    half, most = np.percentile(minutes, [50, 90], method="higher")
    return Ramp(
        requests_a_minute, float(np.isfinite(minutes).mean()), float(half), float(most), float(burned.mean())
    )


def compared_ramp(
    requests_a_minute: float, *, share: float, runs: int, seed: int, off: float, on: float
) -> Ramp:
    """Play increases to a `share` of all requests, which burn at `on`, while the others burn at `off`.

    `by_burn_alone` is how many the comparison with the past takes back: it sees the service as a whole.
    """
    draw = np.random.default_rng(seed)
    shape, a_look = (runs, _LOOKS), requests_a_minute / _LOOKS_A_MINUTE
    total_before = draw.poisson(requests_a_minute * 60, runs)
    bad_before = draw.binomial(total_before, ALLOWED * off)
    total_on, total_off = draw.poisson(a_look * share, shape), draw.poisson(a_look * (1 - share), shape)
    bad_on, bad_off = draw.binomial(total_on, ALLOWED * on), draw.binomial(total_off, ALLOWED * off)
    burns = _burn(_window(bad_on, _OVER_LOOKS), _window(total_on, _OVER_LOOKS))
    total, bad = total_on + total_off, bad_on + bad_off
    burns_in_all = _burn(_window(bad, _OVER_LOOKS), _window(total, _OVER_LOOKS))
    bad, total = bad.cumsum(axis=1), total.cumsum(axis=1)
    minutes, by_past = [], 0
    for run in range(runs):
        counted = tuple(
            map(GroupCounts, *(each[run].tolist() for each in (bad_on, total_on, bad_off, total_off)))
        )
        minutes.append(_taken_back_by_variant_after(counted, burns[run]))
        before = EventCounts(int(bad_before[run]), int(total_before[run]))
        by_past += np.isfinite(_taken_back_after(before, bad[run], total[run], burns_in_all[run]))
    half, most = np.percentile(minutes, [50, 90], method="higher")
    taken_back = float(np.isfinite(minutes).mean())
    return Ramp(requests_a_minute, taken_back, float(half), float(most), by_past / runs)


def _taken_back_by_variant_after(counted: Sequence[GroupCounts], burns: NDArray[np.float64]) -> float:
    for look in np.flatnonzero(burns >= GUARD.burn):
        seen = counted[: int(look) + 1]
        on = EventCounts(sum(each.bad for each in seen), sum(each.total for each in seen))
        off = EventCounts(sum(each.other_bad for each in seen), sum(each.other_total for each in seen))
        test = VariantTest("simulated", ALLOWED, on, off, seen, None)
        if crossing(GUARD, [BurnReading("availability", float(burns[look]), OVER, test)]) is not None:
            return float(look + 1) / _LOOKS_A_MINUTE
    return float("inf")


def _taken_back_after(before: EventCounts, bad: Counts, total: Counts, burns: NDArray[np.float64]) -> float:
    """Return after how many minutes the guard takes the increase back; infinity if it does not."""
    for look in np.flatnonzero(burns >= GUARD.burn):
        counted = EventCounts(int(bad[look]), int(total[look]))
        test = ChangeTest("simulated", ALLOWED, before, counted, None)
        reading = BurnReading("availability", float(burns[look]), OVER, test)
        if crossing(GUARD, [reading]) is not None:
            return float(look + 1) / _LOOKS_A_MINUTE
    return float("inf")


def _window(counts: Counts, length: int) -> Counts:
    """Return at each moment the sum of the last `length` counts."""
    sums = counts.cumsum(axis=1)
    sums[:, length:] -= sums[:, :-length].copy()
    return sums


def _burn(bad: Counts, total: Counts) -> NDArray[np.float64]:
    return np.where(total > 0, bad / np.maximum(total, 1) / ALLOWED, 0.0)


TRAFFIC = (1, 10, 34, 50, 100, 200, 300, 334, 500, 700, 1_000, 10_000, 100_000, 1_000_000)
"""Events a day; 334 to 700 allow between 10 and 21 bad events in 30 days."""

REQUESTS = (0.1, 1, 10, 30, 100, 1_000, 100_000)
"""Requests a minute."""


def tables(runs: int, seed: int = 1) -> Sequence[str]:
    """Return the lines of the three tables."""
    lines = ["events/day  false freezes in a month: auto  evidence  arithmetic (before)"]
    for events in TRAFFIC:
        auto = month(events, runs=runs, seed=seed)
        evidence = month(events, runs=runs, seed=seed, decide_by=DecideBy.EVIDENCE)
        lines.append(f"{events:>10,}{auto.frozen:>35.1%}{evidence.frozen:>10.1%}{auto.by_arithmetic:>21.1%}")
    lines.append("")
    lines.append(
        "requests/min  taken back at 0.5×, 1×, 10× as before | 1× by burn alone | 20×: half, most after"
    )
    for requests in REQUESTS:
        half = ramp(requests, runs=runs, seed=seed, before=0.5, since=0.5)
        even = ramp(requests, runs=runs, seed=seed, before=1, since=1)
        fast = ramp(requests, runs=runs, seed=seed, before=10, since=10)
        found = ramp(requests, runs=runs, seed=seed, before=0.5, since=20)
        lines.append(
            f"{requests:>12,}{half.taken_back:>18.1%}{even.taken_back:>6.1%}{fast.taken_back:>9.1%}"
            f"{even.by_burn_alone:>26.1%}{found.half_after:>14.1f}{found.most_after:>8.1f} min"
        )
    lines.append("")
    lines.append(
        "requests/min  at 10% of users, compared: taken back at 0.5×, 1×, 10× as the others | "
        "20×: half, most after | 20× by the past"
    )
    for requests in REQUESTS:
        harmless = [
            compared_ramp(requests, share=0.1, runs=runs, seed=seed, off=burn, on=burn)
            for burn in (0.5, 1, 10)
        ]
        found = compared_ramp(requests, share=0.1, runs=runs, seed=seed, off=0.5, on=20)
        lines.append(
            f"{requests:>12,}{harmless[0].taken_back:>40.1%}{harmless[1].taken_back:>6.1%}"
            f"{harmless[2].taken_back:>7.1%}{found.half_after:>23.1f}{found.most_after:>8.1f} min"
            f"{found.by_burn_alone:>14.1%}"
        )
    return lines


if __name__ == "__main__":
    print("\n".join(tables(20_000)))  # noqa: T201
