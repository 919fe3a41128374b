"""`spareAt`, `whenSpare` and `lowRisk` in policy documents."""

from decimal import Decimal

import pytest

from bot.catalog.error_budget_policy import Approvals, WhenSpare
from bot.policy.loader import load
from tests.policy.conftest import POLICY, SERVICE, WORKSPACE, Write, faults_of


def policy(spec: str) -> str:
    return POLICY.replace("spec: {}", f"spec: {{{spec}}}")


def test_what_follows_is_what_the_policy_names(write: Write) -> None:
    spec = "spareAt: 60%, whenSpare: {rampSteps: [10%, 50%, 100%], approvals: none}"
    flags = SERVICE.replace("  slos:", "  flags: [new-checkout, dark-mode]\n  lowRisk: [dark-mode]\n  slos:")
    service = load(write(shop=WORKSPACE, standard=policy(spec), checkout=flags)).services["checkout"]
    assert service.low_risk == ("dark-mode",)
    assert service.error_budget_policy.spare_at == Decimal("0.6")
    steps = (Decimal("0.1"), Decimal("0.5"), Decimal(1))
    assert service.error_budget_policy.when_spare == WhenSpare(steps, Approvals.NONE)


def test_nothing_follows_by_default(write: Write) -> None:
    service = load(write(shop=WORKSPACE, checkout=SERVICE)).services["checkout"]
    assert service.error_budget_policy.spare_at == Decimal("0.5")
    assert service.error_budget_policy.when_spare == WhenSpare((), Approvals.REQUIRED)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("spareAt: 0%", "is out of range"),
        ("whenSpare: {rampSteps: [50%, 10%]}", "each step must be higher than the one before"),
        ("whenSpare: {rampSteps: [50%, 120%]}", "is out of range"),
        ("whenSpare: {approvals: some}", "is not known"),
        ("whenSpare: {rampStep: [10%]}", "did you mean"),
    ],
)
def test_what_cannot_be_meant_is_a_fault(write: Write, spec: str, words: str) -> None:
    faults = faults_of(write(shop=WORKSPACE, standard=policy(spec), checkout=SERVICE))
    assert words in "\n".join(str(fault) for fault in faults)


def test_a_flag_of_low_risk_is_one_of_the_service_s(write: Write) -> None:
    text = SERVICE.replace("  slos:", "  flags: [new-checkout]\n  lowRisk: [new-chekout]\n  slos:")
    (fault,) = faults_of(write(shop=WORKSPACE, checkout=text))
    assert "is not among the service's `flags`" in fault.message
    assert "new-checkout" in fault.message
