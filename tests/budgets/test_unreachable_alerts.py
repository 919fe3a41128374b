"""Burn alerts that no outage can fire are named, with the most that a burn rate can be."""

from dataclasses import replace
from decimal import Decimal

import pytest

from bot.budgets.budget import EventCounts, burn_rate
from bot.budgets.unreachable_alerts import unreachable_alerts
from bot.catalog.error_budget_policy import CanaryGuard
from bot.formatting import percent_text
from tests.support.values import STANDARD, catalog, service, slo


def words(objective: str, *, flags: tuple[str, ...] = (), guard: CanaryGuard | None = None) -> str:
    """Return what is said of an SLO with the built-in alerts, without the objective and the advice."""
    policy = replace(STANDARD, guard=guard or CanaryGuard())
    own = replace(service(slos=(slo(objective=objective),), policy=policy), flags=flags)
    said = "".join(found.words for found in unreachable_alerts(catalog(own)))
    before = f"at an objective of {percent_text(Decimal(objective))} "
    after = "; give the SLO a policy with lower rates"
    assert not said or (said.startswith(before) and said.endswith(after))
    return said.removeprefix(before).removesuffix(after)


def test_an_alert_above_the_burn_rate_of_a_full_outage_is_named() -> None:
    assert words("0.9") == "a burn rate is 10 at most: the burn alert of 14.4 over 1h never fires"
    assert words("0.8", flags=("new-checkout",)) == (
        "a burn rate is 5 at most: the burn alerts of 14.4 over 1h and 6 over 6h and the guard of its flags "
        "at 14.4 over 5m never fire"
    )


def test_the_guard_counts_only_where_there_are_flags_to_watch() -> None:
    early = CanaryGuard(burn=Decimal(200))
    assert words("0.99", guard=early) == words("0.999") == ""
    assert words("0.99", guard=early, flags=("new-checkout",)) == (
        "a burn rate is 100 at most: the guard of its flags at 200 over 5m never fires"
    )


@pytest.mark.parametrize(("burn", "is_named"), [("10", False), ("10.01", True)])
def test_what_a_full_outage_just_reaches_can_fire(burn: str, is_named: bool) -> None:
    alert = replace(STANDARD.burn_alerts[0], burn=Decimal(burn))
    own = slo(objective="0.9")
    policy = replace(STANDARD, burn_alerts=(alert,))
    assert bool(list(unreachable_alerts(catalog(service(slos=(own,), policy=policy))))) == is_named
    highest = burn_rate(EventCounts(1_000, 1_000), own.objective)
    assert highest is not None
    assert (highest < alert.burn) == is_named


def test_an_slo_with_a_policy_of_its_own_is_judged_by_that() -> None:
    low = replace(STANDARD, burn_alerts=(replace(STANDARD.burn_alerts[0], burn=Decimal(5)),))
    own = service(slos=(slo(objective="0.9"),), policy=STANDARD, policies={"availability": low})
    assert list(unreachable_alerts(catalog(own))) == []
