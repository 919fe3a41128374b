"""`launchRequires` in policy documents."""

from bot.catalog.error_budget_policy import LaunchRequirement
from bot.policy.loader import load
from tests.policy.conftest import POLICY, SERVICE, WORKSPACE, Write, faults_of


def policy(spec: str) -> str:
    return POLICY.replace("spec: {}", f"spec: {{{spec}}}")


def test_a_policy_may_require_the_launch_checklist(write: Write) -> None:
    documents = {"shop": WORKSPACE, "checkout": SERVICE}
    required = load(write(**documents, standard=policy("launchRequires: readiness"))).services["checkout"]
    assert required.error_budget_policy.launch_requires is LaunchRequirement.READINESS
    nothing = load(write(**documents, standard=policy("launchRequires: nothing"))).services["checkout"]
    assert nothing.error_budget_policy.launch_requires is None


def test_nothing_else_can_be_required(write: Write) -> None:
    folder = write(shop=WORKSPACE, checkout=SERVICE, standard=policy("launchRequires: luck"))
    assert any("is not known" in str(fault) for fault in faults_of(folder))
