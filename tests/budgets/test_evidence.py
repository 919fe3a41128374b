"""When arithmetic decides on a budget, when the events must prove it, and what exact levels come of that."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.budget import Budget, EventCounts, SloState, assess
from bot.budgets.evidence import is_surely_spent, probability_spent, rests_on_evidence
from bot.catalog.error_budget_policy import DecideBy, ErrorBudgetPolicy
from bot.catalog.slo import DowntimeSli
from tests.support.clock import NOW
from tests.support.values import QUIET, slo

EVIDENCE = replace(QUIET, decide_by=DecideBy.EVIDENCE)
LEDGER = replace(QUIET, decide_by=DecideBy.LEDGER)


def of_events(
    bad: float, total: float, policy: ErrorBudgetPolicy = QUIET, objective: str = "0.999"
) -> Budget:
    counted = EventCounts(bad, total)
    return assess(slo(objective=objective), events=counted, recent={}, as_of=NOW, policy=policy)


def test_arithmetic_decides_from_ten_expected_bad_events_on() -> None:
    promised = slo()
    assert rests_on_evidence(QUIET, promised, 9_999)
    assert not rests_on_evidence(QUIET, promised, 10_000)
    assert rests_on_evidence(EVIDENCE, promised, 10**9)
    assert not rests_on_evidence(LEDGER, promised, 1)


def test_downtime_is_always_added_up() -> None:
    promised = slo(objective="0.99999", sli=DowntimeSli())
    assert not any(rests_on_evidence(policy, promised, 60) for policy in (QUIET, EVIDENCE, LEDGER))


@pytest.mark.parametrize(
    ("bad", "total", "state"),
    [
        (0, 3, SloState.OK),
        (1, 3, SloState.TOO_LITTLE_TRAFFIC),
        (2, 3, SloState.TOO_LITTLE_TRAFFIC),
        (3, 3, SloState.OK),
        (3, 100, SloState.OK),
        (3, 1_500, SloState.TOO_LITTLE_TRAFFIC),
        (5, 1_500, SloState.OK),
        (9, 9_000, SloState.TOO_LITTLE_TRAFFIC),
        (16, 9_000, SloState.OK),
        (10, 10_000, SloState.OK),
    ],
)
def test_a_budget_that_few_events_spent_is_known_only_if_they_prove_it(
    bad: float, total: float, state: SloState
) -> None:
    found = of_events(bad, total)
    assert found.state is state
    assert (found.remaining is None) is (state is SloState.TOO_LITTLE_TRAFFIC)
    assert found.events == EventCounts(bad, total)
    assert found.sli == (total - bad) / total


def test_what_is_not_current_stays_stale() -> None:
    stale = assess(slo(), events=EventCounts(1, 3), recent={}, as_of=NOW, stale=True, policy=QUIET)
    assert stale.state is SloState.STALE


def test_without_a_policy_figures_are_figures() -> None:
    assert assess(slo(), events=EventCounts(1, 3), recent={}, as_of=NOW).state is SloState.OK


def test_a_level_is_proven_by_its_own_rate() -> None:
    promised = slo()
    half = Decimal("0.5")
    assert probability_spent(promised, 9, 9_900, half) > 0.95 > probability_spent(promised, 9, 9_900)
    assert is_surely_spent(QUIET, promised, 9, 9_900, half)
    assert not is_surely_spent(QUIET, promised, 9, 9_900)


@given(
    digits=st.integers(2, 5).flatmap(
        lambda length: st.integers(10 ** (length - 1), 10**length - 1).map(lambda n: (n, length))
    ),
    budget=st.integers(10, 10**6),
)
def test_every_objective_spent_exactly_freezes_and_one_event_less_does_not(
    digits: tuple[int, int], budget: int
) -> None:
    """Objectives of two to five digits, from 10% to 99.999%, and totals that allow a whole number."""
    number, length = digits
    objective = Decimal(number) / 10**length
    allowed_share = 1 - objective
    total = budget * 10**length
    bad = total * allowed_share
    assert bad == int(bad)
    exact = of_events(int(bad), total, objective=str(objective))
    assert (exact.state, exact.remaining) == (SloState.OK, Decimal(0))
    less = of_events(int(bad) - 1, total, objective=str(objective))
    assert less.remaining is not None
    assert less.remaining > 0
    assert is_surely_spent(QUIET, exact.slo, int(bad), total)


@pytest.mark.parametrize("length", [2, 3, 4, 5])
def test_the_smallest_total_of_each_objective_is_spent_exactly(length: int) -> None:
    """All objectives of so many digits, with the fewest events that allow a whole number of bad ones."""
    for number in range(10 ** (length - 1), 10**length, 1 if length < 5 else 97):
        objective, total = Decimal(number) / 10**length, 10**length
        bad = total - number
        counted = EventCounts(bad, total)
        found = assess(slo(objective=objective), events=counted, recent={}, as_of=NOW, policy=LEDGER)
        assert found.remaining == 0
