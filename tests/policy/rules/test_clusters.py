"""`gates.kubernetes`: clusters, and which of their objects are of which services."""

from pathlib import Path

import pytest

from bot.catalog.clusters import (
    CanarySettings,
    CanaryTool,
    ClusterSettings,
    ProjectApplications,
    ProjectSettings,
    ServiceWorkloads,
)
from bot.policy.faults import PolicyError
from bot.policy.loader import load

DOCUMENTS = """\
apiVersion: governor/v1
kind: Workspace
metadata: {{name: acme}}
spec:
  channels: {{announcements: "#releases"}}
  gates:
    kubernetes: {clusters}
---
apiVersion: governor/v1
kind: Service
metadata: {{name: checkout}}
spec: {{channel: "#checkout"}}
"""


def write(folder: Path, clusters: str) -> Path:
    (folder / "shop.yaml").write_text(DOCUMENTS.format(clusters=clusters))
    return folder


def test_a_cluster_is_read_with_the_namespaces_of_its_workloads(tmp_path: Path) -> None:
    text = """
      - name: production
        context: arn:aws:eks:eu-west-1:1:cluster/prod
        environment: production
        namespaces: [shop]
        workloads: [{service: checkout, namespace: payments, names: [api]}]
        canaries: [{service: checkout, namespace: shop, name: checkout, tool: flagger}]
        projects: [{name: shop, applications: [{service: checkout, names: ["checkout-*"]}]}]
      - {name: staging}"""
    production, staging = load(write(tmp_path, text)).workspace.gates.clusters
    assert production == ClusterSettings(
        "production",
        "arn:aws:eks:eu-west-1:1:cluster/prod",
        "production",
        ("payments", "shop"),
        (ServiceWorkloads("checkout", "payments", ("api",)),),
        (CanarySettings("checkout", "shop", "checkout", CanaryTool.FLAGGER),),
        (ProjectSettings("shop", "argocd", (ProjectApplications("checkout", ("checkout-*",)),)),),
    )
    assert staging == ClusterSettings("staging")


@pytest.mark.parametrize(
    ("cluster", "fault"),
    [
        (
            "{name: p, workloads: [{service: chekout, namespace: shop, names: [api]}]}",
            "unknown Service `chekout`; did you mean `checkout`?",
        ),
        (
            "{name: p, projects: [{name: shop, applications: [{service: cart, names: [x]}]}]}",
            "unknown Service `cart`",
        ),
        ("{name: p, namespaces: [Shop]}", "`Shop` is not the name of an object of Kubernetes"),
        (
            "{name: p, canaries: [{service: checkout, namespace: shop, name: ../secrets}]}",
            "`../secrets` is not the name of an object of Kubernetes",
        ),
        (
            (
                "{name: p, canaries: [{service: checkout, namespace: a, name: x}, "
                "{service: checkout, namespace: a, name: x}]}"
            ),
            "`x` is in this list twice",
        ),
        ("{name: p}, {name: p}", "`p` is in this list twice"),
    ],
)
def test_faults_are_named(tmp_path: Path, cluster: str, fault: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(write(tmp_path, f"[{cluster}]"))
    assert any(fault in str(each) for each in caught.value.faults), caught.value.faults
