"""A policy in words: what is promised, what freezes, what is exempt, who approves."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from bot.catalog.catalog import Permissions
from bot.catalog.error_budget_policy import OnMissingData, PolicyMode
from bot.catalog.gates import GateUnavailable
from bot.freezes.policy_text import policy_text
from tests.support.values import catalog, service, slo


def test_it_says_what_freezes_what_is_exempt_and_who_approves() -> None:
    own = service(slos=(slo(),))
    policy = replace(
        own.error_budget_policy, freeze_at=Decimal(0), unfreeze_at=Decimal("0.1"),
        dwell=timedelta(minutes=15), exemptions=("P0", "security"),
    )  # fmt: skip
    own = replace(own, error_budget_policy=policy)
    policies = catalog(own)
    policies = replace(
        policies, workspace=replace(policies.workspace, permissions=Permissions(exempt=("@sre", "#leads")))
    )
    text = policy_text(policies, own)
    assert "at or below 0% freezes it; it opens once the budget has stayed at or above 10% for 15" in text
    assert "A freeze bars production." in text
    assert "A change of the kind P0 or security, once that is proven" in text
    assert f"@sre or members of #leads may approve it in {own.channel}, never who asked" in text
    assert "While the gate cannot be asked, changes ship." in text
    assert "only observes" not in text


def test_what_is_not_so_is_not_said() -> None:
    own = service(slos=(slo(),))
    policy = replace(
        own.error_budget_policy, exemptions=(), mode=PolicyMode.OBSERVE, on_missing_data=OnMissingData.FREEZE
    )
    own = replace(own, error_budget_policy=policy, gate_unavailable=GateUnavailable.CLOSED)
    policies = catalog(own)
    policies = replace(policies, workspace=replace(policies.workspace, permissions=Permissions()))
    text = policy_text(policies, own)
    assert "only observes" in text
    assert "cannot be measured freezes it" in text
    assert "of the kind" not in text
    assert "nobody may grant an exemption" in text
    assert "While the gate cannot be asked, nothing ships." in text
    assert "It has no SLO" in policy_text(catalog(own), replace(own, slos=()))
