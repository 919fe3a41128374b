"""What few events prove to a rule is what they prove to the bot, or a little less."""

from decimal import Decimal
from pathlib import Path

import pytest

from bot.budgets.statistics.posterior import probability_above
from bot.catalog.error_budget_policy import DecideBy, ErrorBudgetPolicy
from bot.policy.prometheus_rules.evidence import evidence_for, lower_bound
from tests.support.servers import running_prometheus
from tests.support.values import WORKBOOK_ALERTS

FAST, _, SLOW = WORKBOOK_ALERTS
OBJECTIVE = Decimal("0.999")
COUNTS = [(3, 3), (3, 4), (3, 1_000), (3, 10**6), (4, 40), (10, 10), (10, 2_000), (30, 10**5), (1_000, 10**5)]


async def test_the_bound_of_a_rule_is_never_above_the_true_one_and_close_to_it(tmp_path: Path) -> None:
    async with running_prometheus(tmp_path) as prometheus:
        for bad, total in COUNTS:
            bound = await prometheus.value(lower_bound(f"vector({bad})", f"vector({total})"))
            assert probability_above(bound, bad, total) >= 0.95
            assert probability_above(bound * 1.05, bad, total) < 0.95


def test_a_fast_burn_needs_errors_and_no_bound_since_its_rate_is_proof_enough() -> None:
    needed = evidence_for(ErrorBudgetPolicy("standard"), FAST, OBJECTIVE)
    assert needed is not None
    assert (needed.errors, needed.needs_bound, needed.unless_allowed) == (Decimal("2.5"), False, 10)


def test_a_slow_burn_needs_the_bound() -> None:
    needed = evidence_for(ErrorBudgetPolicy("standard"), SLOW, OBJECTIVE)
    assert needed is not None
    assert needed.needs_bound


@pytest.mark.parametrize(
    ("decide_by", "unless"), [(DecideBy.LEDGER, None), (DecideBy.EVIDENCE, None), (DecideBy.AUTO, 10)]
)
def test_the_policy_says_when_evidence_is_needed(decide_by: DecideBy, unless: int | None) -> None:
    needed = evidence_for(ErrorBudgetPolicy("p", decide_by=decide_by), SLOW, OBJECTIVE)
    assert (needed is None) == (decide_by is DecideBy.LEDGER)
    assert needed is None or needed.unless_allowed == unless
