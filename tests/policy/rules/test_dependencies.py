"""`dependsOn`: what it names must be another service of the same workspace, each once."""

from pathlib import Path

import pytest

from bot.policy.faults import PolicyError
from bot.policy.loader import load

SERVICES = """\
apiVersion: governor/v1
kind: Workspace
metadata: {{name: acme}}
spec: {{channels: {{announcements: "#releases", incidents: "#incidents"}}}}
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {{name: standard}}
spec: {{holdWithDependencies: {follows}}}
---
apiVersion: governor/v1
kind: Service
metadata: {{name: payments}}
spec: {{channel: "#payments"}}
---
apiVersion: governor/v1
kind: Service
metadata: {{name: checkout}}
spec: {{channel: "#checkout", dependsOn: {names}}}
"""


def write(folder: Path, names: str, follows: str = "true") -> Path:
    (folder / "shop.yaml").write_text(SERVICES.format(names=names, follows=follows))
    return folder


@pytest.mark.parametrize(("follows", "holds"), [("true", True), ("false", False)])
def test_services_are_named_and_the_policy_says_whether_it_follows(
    tmp_path: Path, follows: str, holds: bool
) -> None:
    checkout = load(write(tmp_path, "[payments]", follows)).services["checkout"]
    assert checkout.depends_on == ("payments",)
    assert checkout.holds_with_dependencies is holds


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ("[paymets]", "unknown Service `paymets`; did you mean `payments`?"),
        ("[checkout]", "a service does not depend on itself"),
        ("[payments, payments]", "`payments` is in this list twice"),
        ("payments", "dependsOn"),
        ("[7]", "dependsOn"),
    ],
)
def test_what_cannot_be_depended_on_is_a_fault(tmp_path: Path, names: str, fault: str) -> None:
    with pytest.raises(PolicyError) as error:
        load(write(tmp_path, names))
    assert fault in str(error.value)
