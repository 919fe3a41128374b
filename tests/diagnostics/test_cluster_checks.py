"""`governor doctor` says what a cluster lacks, and how to give it that."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.catalog.catalog import Catalog
from bot.diagnostics.cluster_checks import cluster_findings
from bot.diagnostics.findings import Finding, FindingState
from bot.gates.kubernetes.release_holds import path_of
from bot.policy.loader import load
from bot.settings import Settings
from tests.gates.kubernetes.api_server import ApiServer, admission_objects, serving_cluster
from tests.gates.kubernetes.conftest import with_gates
from tests.support.running import write_policies

GATES = """
  gates:
    kubernetes:
      - name: production
        context: prod
        namespaces: [shop]
        canaries:
          - {service: checkout, namespace: shop, name: checkout}
          - {service: checkout, namespace: shop, name: basket, tool: flagger}
        projects:
          - {name: shop, applications: [{service: checkout, names: [checkout]}]}
"""
_PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
CANARY = "/apis/flagger.app/v1beta1/namespaces/shop/canaries/basket"


class Examined:
    """A cluster with everything in place, and the doctor."""

    def __init__(self, cluster: ApiServer, catalog: Catalog, kubeconfig: Path) -> None:
        self.cluster = cluster
        self._catalog = catalog
        self._settings = Settings(kubeconfig=kubeconfig)

    async def faults(self) -> list[Finding]:
        return [each for each in await self.findings() if each.state is FindingState.FAULT]

    async def findings(self) -> list[Finding]:
        return await cluster_findings(self._settings, self._catalog)


@pytest.fixture
async def examined(tmp_path: Path) -> AsyncIterator[Examined]:
    async with serving_cluster() as cluster:
        for each in admission_objects():
            if each["kind"] in _PLURALS:
                plural, name = _PLURALS[each["kind"]], each["metadata"]["name"]
                cluster.put(f"/apis/admissionregistration.k8s.io/v1/{plural}/{name}", each)
        for name in ("enforced", "observed"):
            cluster.put(path_of("shop", name), {"spec": {"holds": []}})
        cluster.put("/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/checkout", {"spec": {}})
        cluster.put(CANARY, {"spec": {}})
        cluster.put("/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/shop", {"spec": {}})
        catalog = load(write_policies(tmp_path, with_gates(GATES)))
        yield Examined(cluster, catalog, cluster.kubeconfig(tmp_path, "prod"))


async def test_a_cluster_with_everything_in_place_has_no_fault(examined: Examined) -> None:
    findings = await examined.findings()
    assert [each.detail for each in findings] == [
        "12 rights as needed",
        "the API server refuses changes to frozen services",
    ]
    assert all(each.state is FindingState.OK for each in findings)
    assert examined.cluster.writes == []


async def test_missing_policies_are_named(examined: Examined) -> None:
    for path in [path for path in examined.cluster.objects if path.endswith("/governor-observed")]:
        del examined.cluster.objects[path]
    (found,) = await examined.faults()
    assert found.detail == (
        "frozen services are not held: validatingadmissionpolicybindings/governor-observed missing"
    )
    assert "kubernetes.admission" in found.fix
    examined.cluster.denied.add("validatingadmissionpolicies")
    assert FindingState.SKIPPED in {each.state for each in await examined.findings()}


async def test_missing_rights_are_named_by_namespace(examined: Examined) -> None:
    examined.cluster.denied |= {"releaseholds", "rollouts/status", "appprojects"}
    found = {each.subject: each.detail for each in await examined.faults()}
    assert set(found) == {"production/argocd", "production/shop"}
    assert "patch rollouts/status.argoproj.io" in found["production/shop"]
    assert "create releaseholds.governor.internal" in found["production/shop"]
    assert found["production/argocd"] == (
        "this account may not get appprojects.argoproj.io shop or patch appprojects.argoproj.io shop"
    )


async def test_what_the_policies_name_and_does_not_exist(examined: Examined) -> None:
    del examined.cluster.objects[CANARY]
    del examined.cluster.objects[path_of("shop", "enforced")]
    details = [each.detail for each in await examined.faults()]
    assert details == ["Governor has not written any ReleaseHolds here", "the canary basket does not exist"]


async def test_a_cluster_that_cannot_be_reached(tmp_path: Path) -> None:
    catalog = load(write_policies(tmp_path, with_gates(GATES)))
    kubeconfig = ApiServer(url="http://127.0.0.1:9").kubeconfig(tmp_path, "prod")
    (found,) = await cluster_findings(Settings(kubeconfig=kubeconfig), catalog)
    assert found.state is FindingState.FAULT
    assert found.detail.startswith("the cluster production cannot be reached: ")
