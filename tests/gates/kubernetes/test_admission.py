"""What the API server enforces, by the CEL that operators apply, in CEL's own runtime."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import kubernetes_validate
import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional
from hypothesis import given
from hypothesis import strategies as st

from tests.gates.kubernetes.api_server import admission_objects

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
OTHER_DIGEST = "sha256:" + "b" * 64
Object = dict[str, Any]


def text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


class Admission:
    """Evaluates a ValidatingAdmissionPolicy as the API server does: conditions, variables, validations."""

    def __init__(self, policy: Object) -> None:
        spec = policy["spec"]
        names = ("object", "oldObject", "request", "params", "variables")
        env = cel.NewEnv(
            variables=dict.fromkeys(names, cel.Type.DYN), extensions=[ext_optional.ExtOptional()]
        )
        self._conditions = [env.compile(each["expression"]) for each in spec["matchConditions"]]
        self._variables = [(each["name"], env.compile(each["expression"])) for each in spec["variables"]]
        (validation,) = spec["validations"]
        self._validation = env.compile(validation["expression"])
        self._message = env.compile(validation["messageExpression"])

    def refusal(self, new: Object, old: Object | None, holds: list[Object]) -> str | None:
        """Return the message with which a change is refused; None if it is admitted."""
        data: Object = {
            "object": new,
            "oldObject": old,
            "request": {"operation": "CREATE" if old is None else "UPDATE"},
            "params": {"spec": {"holds": holds}},
        }
        if not all(self._plain(condition, data) for condition in self._conditions):
            return None
        variables: Object = {}
        for name, expression in self._variables:
            variables[name] = self._plain(expression, data | {"variables": variables})
        data["variables"] = variables
        return None if self._plain(self._validation, data) else str(self._plain(self._message, data))

    def _plain(self, expression: Any, data: Mapping[str, Any]) -> Any:
        value = expression.eval(data=data)
        if value.type() == cel.Type.ERROR:
            raise AssertionError(value.value())
        return value.plain_value()


def policies() -> list[Object]:
    return [each for each in admission_objects() if each["kind"] == "ValidatingAdmissionPolicy"]


@pytest.fixture(name="admission", params=["governor", "governor-closed"], scope="module")
def fixture_admission(request: pytest.FixtureRequest) -> Admission:
    (policy,) = [each for each in policies() if each["metadata"]["name"] == request.param]
    return Admission(policy)


def deployment(image: str = "registry/checkout:1", *, at: datetime | None = NOW, **metadata: Any) -> Object:
    """Return a Deployment as the API server has it when it was changed at a time by kubectl."""
    entry = {"manager": "kubectl", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "checkout",
            "namespace": "shop",
            "labels": {"governor/service": "checkout"},
            "creationTimestamp": text(at or NOW),
            "managedFields": [entry | {"time": text(at), "fieldsV1": {"f:spec": {}}}] if at else [],
        }
        | metadata,
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"labels": {"app": "checkout"}},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
        },
    }


def changed(old: Object, image: str = "registry/checkout:2", at: datetime = NOW) -> Object:
    new = copy.deepcopy(old)
    new["spec"]["template"]["spec"]["containers"][0]["image"] = image
    new["metadata"]["managedFields"] = [
        entry | {"time": text(at)} for entry in new["metadata"]["managedFields"]
    ]
    return new


OLD = deployment(at=NOW - timedelta(days=3))
HOLD: Object = {"service": "checkout", "reason": "person hold: peak sale"}


def test_the_objects_are_what_the_published_schema_of_kubernetes_takes() -> None:
    found = admission_objects()
    for version in ("1.30", "1.32", "1.35"):
        for each in found:
            kubernetes_validate.validate(each, version, strict=True)
    policies_named = {each["metadata"]["name"] for each in policies()}
    bindings = [each for each in found if each["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert {each["spec"]["policyName"] for each in bindings} == policies_named
    actions = {each["spec"]["paramRef"]["name"]: each["spec"]["validationActions"] for each in bindings}
    assert actions == {"enforced": ["Deny"], "observed": ["Warn", "Audit"]}


def test_what_is_missing_opens_or_closes_as_the_namespace_says() -> None:
    bindings = {
        each["metadata"]["name"]: each["spec"]
        for each in admission_objects()
        if each["kind"] == "ValidatingAdmissionPolicyBinding"
    }
    fails = {each["metadata"]["name"]: each["spec"]["failurePolicy"] for each in policies()}
    assert (bindings["governor"]["paramRef"]["parameterNotFoundAction"], fails["governor"]) == (
        "Allow",
        "Ignore",
    )
    closed = bindings["governor-closed"]
    assert (closed["paramRef"]["parameterNotFoundAction"], fails["governor-closed"]) == ("Deny", "Fail")
    assert closed["matchResources"]["namespaceSelector"] == {
        "matchLabels": {"governor/gate-unavailable": "closed"}
    }
    # Nothing is refused for want of an answer that is of no service.
    assert closed["matchResources"]["objectSelector"]["matchExpressions"][0]["key"] == "governor/service"


def test_a_frozen_service_does_not_ship_and_the_refusal_says_why(admission: Admission) -> None:
    assert admission.refusal(changed(OLD), OLD, []) is None
    refused = admission.refusal(changed(OLD), OLD, [HOLD])
    assert refused is not None
    assert refused.startswith("checkout is frozen: person hold: peak sale. ")
    assert admission.refusal(deployment(), None, [HOLD]) is not None
    assert admission.refusal(changed(OLD), OLD, [HOLD | {"service": "cart"}]) is None


def test_scaling_labels_and_restarts_pass_and_every_change_of_the_pods_does_not(admission: Admission) -> None:
    scaled, labelled, restarted = (copy.deepcopy(OLD) for _ in range(3))
    scaled["spec"]["replicas"] = 9
    labelled["metadata"]["labels"]["team"] = "shop"
    annotations = {"kubectl.kubernetes.io/restartedAt": text(NOW)}
    restarted["spec"]["template"]["metadata"]["annotations"] = annotations
    for new in (scaled, labelled, restarted):
        assert admission.refusal(new, OLD, [HOLD]) is None
    # A restart again, of what was restarted before and has another annotation.
    before = copy.deepcopy(restarted)
    before["spec"]["template"]["metadata"]["annotations"]["checksum/config"] = "1"
    again = copy.deepcopy(before)
    again["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = "later"
    assert admission.refusal(again, before, [HOLD]) is None
    for path, value in (
        (("metadata", "annotations"), annotations | {"checksum/config": "2"}),
        (("metadata", "annotations"), annotations),
        (("metadata", "labels"), {"app": "checkout", "version": "2"}),
        (("spec", "containers"), [{"name": "app", "image": "registry/checkout:1", "env": []}]),
    ):
        new = copy.deepcopy(before)
        new["spec"]["template"][path[0]][path[1]] = value
        assert admission.refusal(new, before, [HOLD]) is not None, path


def test_workloads_are_found_by_label_old_label_and_name(admission: Admission) -> None:
    unlabelled = changed(OLD)
    unlabelled["metadata"]["labels"] = {}
    assert admission.refusal(unlabelled, OLD, [HOLD]) is not None
    without = deployment(at=NOW - timedelta(days=3), labels={})
    assert admission.refusal(changed(without), without, [HOLD]) is None
    bare = copy.deepcopy(without)
    del bare["metadata"]["labels"]
    assert admission.refusal(changed(bare), bare, [HOLD]) is None
    assert admission.refusal(changed(bare), bare, [HOLD | {"workloads": ["api", "checkout"]}]) is not None


@pytest.mark.parametrize("tool", ["rollout without a template", "stateful set"])
def test_other_kinds(admission: Admission, tool: str) -> None:
    old = copy.deepcopy(OLD)
    if tool == "stateful set":
        old["kind"] = "StatefulSet"
        assert admission.refusal(changed(old), old, [HOLD]) is not None
    else:
        del old["spec"]["template"]
        new = copy.deepcopy(old)
        new["spec"]["replicas"] = 5
        assert admission.refusal(new, old, [HOLD]) is None


def test_an_exempt_digest_ships_alone(admission: Admission) -> None:
    hold = HOLD | {"exempt": [DIGEST]}
    exempt = f"registry/checkout@{DIGEST}"
    assert admission.refusal(changed(OLD, exempt), OLD, [hold]) is None
    assert admission.refusal(changed(OLD, f"registry/checkout@{OTHER_DIGEST}"), OLD, [hold]) is not None
    assert admission.refusal(changed(OLD), OLD, [hold]) is not None
    # Beside it nothing else may be new; what ran before may stay.
    beside = changed(OLD, exempt)
    beside["spec"]["template"]["spec"]["initContainers"] = [{"name": "i", "image": "registry/new:1"}]
    assert admission.refusal(beside, OLD, [hold]) is not None
    before = copy.deepcopy(OLD)
    before["spec"]["template"]["spec"]["initContainers"] = [{"name": "i", "image": "registry/new:1"}]
    assert admission.refusal(beside, before, [hold]) is None
    # An exemption from one hold is none from another.
    assert admission.refusal(changed(OLD, exempt), OLD, [hold, HOLD]) is not None
    # Without any new image, a changed environment is not what was exempt.
    configured = copy.deepcopy(OLD)
    configured["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "1"}]
    assert admission.refusal(configured, OLD, [hold]) is not None


@pytest.mark.parametrize("seconds", [-3600, -1, 0, 1, 3600])
def test_a_hold_ends_and_begins_on_time_without_governor(admission: Admission, seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    until = HOLD | {"until": text(NOW)}
    begins = HOLD | {"from": text(NOW), "until": text(NOW + timedelta(days=1))}
    for new, old in ((changed(OLD, at=at), OLD), (deployment(at=at), None)):
        assert (admission.refusal(new, old, [until]) is None) == (seconds >= 0)
        assert (admission.refusal(new, old, [begins]) is None) == (seconds < 0)


times = st.integers(min_value=-100_000, max_value=100_000)


@given(real=times, forged=st.lists(times, max_size=4), begins=st.none() | times, ends=st.none() | times)
def test_no_time_that_a_client_makes_up_opens_a_hold(
    real: int, forged: list[int], begins: int | None, ends: int | None
) -> None:
    admission = Admission(policies()[0])
    hold = dict(HOLD)
    hold |= {} if begins is None else {"from": text(NOW + timedelta(seconds=begins))}
    hold |= {} if ends is None else {"until": text(NOW + timedelta(seconds=ends))}
    new = changed(OLD, at=NOW + timedelta(seconds=real))
    new["metadata"]["managedFields"] += [
        {"manager": f"m{index}", "operation": "Update", "time": text(NOW + timedelta(seconds=each))}
        for index, each in enumerate(forged)
    ]
    is_held = (begins is None or real >= begins) and (ends is None or real < ends)
    refusal = admission.refusal(new, OLD, [hold])
    if is_held:
        assert refusal is not None
    elif not forged:
        assert refusal is None


def test_without_a_time_of_the_api_server_a_hold_stays(admission: Admission) -> None:
    ended = HOLD | {"until": text(NOW - timedelta(days=1))}
    entries: list[Object] | None
    for entries in ([], OLD["metadata"]["managedFields"], None):
        new = changed(OLD)
        new["metadata"]["managedFields"] = entries
        if entries is None:
            del new["metadata"]["managedFields"]
        assert admission.refusal(new, OLD, [ended]) is not None


@pytest.mark.parametrize("created", [None, "missing"])
def test_a_new_object_without_a_time_is_held(admission: Admission, created: str | None) -> None:
    ended = HOLD | {"until": text(NOW - timedelta(days=1))}
    new = deployment()
    new["metadata"]["creationTimestamp"] = None
    if created == "missing":
        del new["metadata"]["creationTimestamp"]
    assert admission.refusal(new, None, [ended]) is not None
