"""The Helm chart: linted and rendered by Helm itself, its manifests checked against Kubernetes' schemas."""

import re
import shlex
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.support.helm import helm
from tests.support.paths import ROOT

CHART = ROOT / "deploy" / "helm" / "governor"
LEAST = {"existingSecret": "governor-secrets", "existingPolicies": "governor-policies"}
FULL: dict[str, Any] = {
    "secret": {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s", "DATABASE_URL": "postgresql://db/g"},
    "env": {"GOVERNOR_URL": "https://governor.example.com", "HTTP_CONNECTIONS": 500},
    "policies": {"checkout.yaml": (ROOT / "policies" / "checkout.yaml").read_text()},
    "image": {"repository": "registry.example.com/governor", "tag": "9", "pullSecrets": ["registry"]},
    "ingress": {"enabled": True, "className": "nginx", "host": "g.example.com", "tlsSecret": "g-tls"},
    "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "serviceAccount": {"automountToken": True, "annotations": {"a": "b"}},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "podAnnotations": {"a": "b"},
    "extraVolumes": [{"name": "certificates", "secret": {"secretName": "client"}}],
    "extraVolumeMounts": [{"name": "certificates", "mountPath": "/etc/governor", "readOnly": True}],
}

Manifests = dict[str, dict[str, Any]]


def rendered(tmp_path: Path, values: Mapping[str, object]) -> Manifests:
    """Return what Helm makes of the chart, by kind."""
    return {manifest["kind"]: manifest for manifest in manifests(tmp_path, values)}


def manifests(tmp_path: Path, values: Mapping[str, object]) -> list[dict[str, Any]]:
    """Return what Helm makes of the chart, each checked as the API server would."""
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    linted = helm("lint", "--strict", "--quiet", "--values", str(file), str(CHART))
    assert linted.returncode == 0, linted.stdout + linted.stderr
    done = helm("template", "shop", str(CHART), "--namespace", "tools", "--values", str(file))
    assert done.returncode == 0, done.stderr
    made = [document for document in yaml.safe_load_all(done.stdout) if document]
    for manifest in made:
        # The Prometheus operator's own kind is not Kubernetes'.
        if manifest["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(manifest, "1.35", strict=True)
    return made


@pytest.fixture(name="full")
def fixture_full(tmp_path: Path) -> Manifests:
    return rendered(tmp_path, FULL)


def test_the_least_values_make_a_deployment_of_two_with_a_migration_before_an_upgrade(tmp_path: Path) -> None:
    made = rendered(tmp_path, LEAST)
    assert set(made) == {
        "Deployment",
        "Job",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    }
    assert made["Deployment"]["spec"]["replicas"] == 2
    assert made["Job"]["metadata"]["annotations"]["helm.sh/hook"] == "post-install,pre-upgrade"
    (container,) = made["Job"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["migrate"]


def test_all_values_make_all_kinds(full: Manifests) -> None:
    assert {"ConfigMap", "Secret", "Ingress", "ServiceMonitor"} <= set(full)
    assert full["ConfigMap"]["data"] == FULL["policies"]
    assert full["Secret"]["stringData"] == FULL["secret"]
    assert full["ServiceMonitor"]["metadata"]["labels"]["release"] == "prometheus"
    pod = full["Deployment"]["spec"]["template"]["spec"]
    assert FULL["extraVolumes"][0] in pod["volumes"]
    assert FULL["extraVolumeMounts"][0] in pod["containers"][0]["volumeMounts"]
    (endpoint,) = full["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True


def test_pods_run_without_rights_on_a_read_only_root(full: Manifests) -> None:
    for kind in ("Deployment", "Job"):
        pod = full[kind]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert writable == {"/data", "/tmp"}  # noqa: S108 - in the container


def test_probes_ask_what_the_bot_serves_and_policies_are_mounted_whole(full: Manifests) -> None:
    (container,) = full["Deployment"]["spec"]["template"]["spec"]["containers"]
    paths = {name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    (policies,) = [mount for mount in container["volumeMounts"] if mount["name"] == "policies"]
    # A mount by subPath would never be updated.
    assert policies == {"name": "policies", "mountPath": "/policies", "readOnly": True}
    volumes = {volume["name"]: volume for volume in full["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    assert volumes["policies"]["projected"]["sources"] == [{"configMap": {"name": "shop-governor-policies"}}]
    names = {variable["name"]: variable for variable in container["env"]}
    assert names["POLICIES_DIR"]["value"] == "/policies"
    assert names["HTTP_CONNECTIONS"]["value"] == "500"
    assert names["DATABASE_URL"]["valueFrom"]["secretKeyRef"]["key"] == "DATABASE_URL"


def test_a_start_that_waits_for_a_migration_is_not_cut_off_and_an_end_is_announced_first(
    full: Manifests,
) -> None:
    pod = full["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 900
    assert all(container[name]["timeoutSeconds"] == 5 for name in container if name.endswith("Probe"))
    waits_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    # What the program itself takes to end: tests/test_docs.py and docs/operating.md say 30 s.
    assert waits_s + 30 < pod["terminationGracePeriodSeconds"]


def test_the_migration_runs_where_the_pods_do(full: Manifests) -> None:
    serving, migrating = (full[kind]["spec"]["template"]["spec"] for kind in ("Deployment", "Job"))
    for key in ("nodeSelector", "tolerations", "enableServiceLinks", "imagePullSecrets", "securityContext"):
        assert serving[key] == migrating[key]


def test_policies_may_lie_in_several_config_maps(tmp_path: Path) -> None:
    made = rendered(tmp_path, LEAST | {"existingPolicies": ["shop", "payments"]})
    volumes = made["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert {"configMap": {"name": "payments"}} in volumes[0]["projected"]["sources"]
    assert len(volumes[0]["projected"]["sources"]) == 2


@pytest.mark.parametrize("text", ["kind: Service", "  # indented\nkind: Service\n", "a: |\n  b\n"])
def test_a_policy_file_reaches_the_pods_as_it_was_written(tmp_path: Path, text: str) -> None:
    made = rendered(tmp_path, {"existingSecret": "s", "policies": {"a.yaml": text}})
    assert made["ConfigMap"]["data"] == {"a.yaml": text}


def test_what_selects_pods_selects_those_that_serve(full: Manifests) -> None:
    labels = full["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        full["Deployment"]["spec"]["selector"]["matchLabels"],
        full["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        full["Service"]["spec"]["selector"],
    ):
        assert selector.items() <= labels.items()
        migrating = full["Job"]["spec"]["template"]["metadata"]["labels"]
        assert not selector.items() <= migrating.items()
    assert (
        full["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items()
        <= full["Service"]["metadata"]["labels"].items()
    )


def test_rights_in_the_cluster_are_given_only_where_they_are_asked_for(tmp_path: Path) -> None:
    assert not {"Role", "ClusterRole"} & set(rendered(tmp_path, LEAST))
    kubernetes = {
        "admission": True,
        "namespaces": ["shop", "payments"],
        "canaries": ["shop"],
        "argocd": {"projects": ["shop", "1"]},
    }
    everything = manifests(tmp_path, LEAST | {"kubernetes": kubernetes})
    roles = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each["rules"]
        for each in everything
        if each["kind"] == "Role"
    }
    assert set(roles) == {
        ("shop", "shop-governor-holds"),
        ("payments", "shop-governor-holds"),
        ("shop", "shop-governor-canaries"),
        ("argocd", "shop-governor-sync-windows"),
    }
    assert roles["argocd", "shop-governor-sync-windows"][0]["resourceNames"] == ["shop", "1"]
    verbs = {verb for rules in roles.values() for rule in rules for verb in rule["verbs"]}
    assert verbs == {"get", "patch", "create"}
    bound = {
        (each["metadata"]["namespace"], each["roleRef"]["name"])
        for each in everything
        if each["kind"] == "RoleBinding"
    }
    assert bound == set(roles)
    kinds = [each["kind"] for each in everything]
    assert kinds.count("ValidatingAdmissionPolicy") == 2
    assert kinds.count("CustomResourceDefinition") == 1
    (deployment,) = [each for each in everything if each["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is True


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"existingPolicies": "p"}, "set existingSecret, or secret with SLACK_BOT_TOKEN"),
        ({"existingSecret": "s"}, "set policies to the policy documents by file name"),
        (
            {"existingPolicies": "p", "secret": {"SLACK_BOT_TOKEN": "x"}},
            "secret needs DATABASE_URL, the address of a PostgreSQL database",
        ),
        (
            {"existingPolicies": "p", "secret": {"DATABASE_URL": "sqlite:////data/g.db"}},
            "DATABASE_URL must be of a PostgreSQL database",
        ),
        ({**LEAST, "existingPolicies": []}, "existingPolicies"),
        ({**LEAST, "replicas": 3}, "additional properties 'replicas' not allowed"),
        ({**LEAST, "replicaCount": 0}, "minimum"),
        ({**LEAST, "extraVolumes": [{"name": "data", "emptyDir": {}}]}, "extraVolumes"),
        ({**LEAST, "policies": {"checkout": "kind: Service"}}, "invalid propertyName 'checkout'"),
    ],
)
def test_wrong_values_are_refused_with_what_to_set(
    tmp_path: Path, values: Mapping[str, object], says: str
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    done = helm("template", "shop", str(CHART), "--values", str(file))
    assert done.returncode != 0
    assert says in done.stderr


def test_the_documented_command_renders_the_chart() -> None:
    page = (ROOT / "docs" / "production.md").read_text()
    found = re.search(r"^helm upgrade --install (.*?)(?<!\\)$", page, re.MULTILINE | re.DOTALL)
    assert found
    arguments = shlex.split(found[1].replace("\\\n", " ").replace("deploy/helm/governor", str(CHART)))
    done = helm("template", *arguments)
    assert done.returncode == 0, done.stderr
    assert "http://prometheus.monitoring:9090" in done.stdout


def test_the_chart_is_of_the_programs_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version("governor")
