"""Checks the clusters that the policies name: can they be asked, are the rights and the policies there.

Only reads, and asks the API server what this account may do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.catalog.catalog import Catalog
from bot.catalog.clusters import CanaryTool, ClusterSettings
from bot.catalog.current import CurrentCatalog
from bot.diagnostics.findings import Finding, fault, ok, skipped
from bot.formatting import counted, listed
from bot.gates.argocd.window_writer import path_of as project_path
from bot.gates.kubernetes.canaries import path_of as canary_path
from bot.gates.kubernetes.cluster import Cluster, ClusterError, ClusterRefusalError, ObjectMissingError
from bot.gates.kubernetes.clusters import Clusters
from bot.gates.kubernetes.release_holds import ENFORCED, OBSERVED
from bot.gates.kubernetes.release_holds import path_of as holds_path
from bot.settings import Settings

CHECK = "kubernetes"
_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_POLICIES = ("governor", "governor-closed")
_BINDINGS = ("governor", "governor-closed", "governor-observed")
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_APPLY = "apply deploy/helm/governor/files/admission.yaml, or set kubernetes.admission in the Helm chart"


@dataclass(frozen=True, slots=True)
class Access:
    """A right in a namespace; `name` is that of the only object that it is needed for, empty for any."""

    namespace: str
    verb: str
    group: str
    resource: str
    name: str = ""

    @property
    def words(self) -> str:
        """The right in words."""
        return f"{self.verb} {self.resource}.{self.group}{f' {self.name}' if self.name else ''}"


async def cluster_findings(settings: Settings, catalog: Catalog) -> list[Finding]:
    """Return what is wrong with each cluster; nothing where the policies name none."""
    clusters = Clusters(CurrentCatalog(catalog), settings.kubeconfig)
    findings: list[Finding] = []
    try:
        for cluster in clusters.settings:
            findings += await _examine(clusters, cluster)
    finally:
        await clusters.close()
    return findings


async def _examine(clusters: Clusters, settings: ClusterSettings) -> list[Finding]:
    client = clusters.of(settings)
    try:
        missing = [access for access in needed(settings) if not await _may(client, access)]
        findings = _rights(settings, missing)
        if settings.namespaces:
            findings += await _admission(client)
            findings += await _holds(client, settings, missing)
        return findings + await _objects(clusters, settings)
    except ClusterError as error:
        return [fault(CHECK, settings.name, str(error), "see KUBECONFIG, its context, and the pod's account")]


def needed(settings: ClusterSettings) -> Sequence[Access]:
    """Return the rights that the cluster's settings need."""
    rights = [
        Access(namespace, verb, "governor.internal", "releaseholds", name)
        for namespace in settings.namespaces
        for verb, name in (("get", ENFORCED), ("patch", ENFORCED), ("patch", OBSERVED), ("create", ""))
    ]
    for canary in settings.canaries:
        rollouts = canary.tool is CanaryTool.ROLLOUTS
        group = "argoproj.io" if rollouts else "flagger.app"
        resources = ("rollouts", "rollouts/status") if rollouts else ("canaries", "canaries/status")
        rights.append(Access(canary.namespace, "get", group, resources[0]))
        rights += [Access(canary.namespace, "patch", group, resource) for resource in resources]
    for project in settings.projects:
        rights += [
            Access(project.namespace, verb, "argoproj.io", "appprojects", project.name)
            for verb in ("get", "patch")
        ]
    return list(dict.fromkeys(rights))


async def _may(client: Cluster, access: Access) -> bool:
    resource, _, subresource = access.resource.partition("/")
    attributes = {
        "namespace": access.namespace,
        "verb": access.verb,
        "group": access.group,
        "resource": resource,
        "subresource": subresource,
        "name": access.name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    answer = await client.create(_REVIEWS, review)
    status = answer.get("status")
    return isinstance(status, dict) and status.get("allowed") is True


def _rights(settings: ClusterSettings, missing: Sequence[Access]) -> list[Finding]:
    if not missing:
        return [ok(CHECK, settings.name, f"{counted(len(needed(settings)), 'right')} as needed")]
    by_namespace: dict[str, list[str]] = {}
    for access in missing:
        by_namespace.setdefault(access.namespace, []).append(access.words)
    return [
        fault(
            CHECK,
            f"{settings.name}/{namespace}",
            f"this account may not {listed(rights, 'or')}",
            "name the namespace under `kubernetes` in the Helm chart, or give the account such a role",
        )
        for namespace, rights in sorted(by_namespace.items())
    ]


async def _admission(client: Cluster) -> list[Finding]:
    """Return whether the policies are there by which the API server refuses changes."""
    wanted = [
        *(f"validatingadmissionpolicies/{name}" for name in _POLICIES),
        *(f"validatingadmissionpolicybindings/{name}" for name in _BINDINGS),
    ]
    try:
        lacking = [each for each in wanted if await _is_missing(client, f"{_ADMISSION}/{each}")]
    except ClusterRefusalError:
        reason = "this account may not see the admission policies, so whether they are there is not known"
        return [skipped(CHECK, f"{client.name} policies", reason)]
    if lacking:
        detail = f"frozen services are not held: {listed(lacking)} missing"
        return [fault(CHECK, f"{client.name} policies", detail, _APPLY)]
    return [ok(CHECK, f"{client.name} policies", "the API server refuses changes to frozen services")]


async def _holds(client: Cluster, settings: ClusterSettings, missing: Iterable[Access]) -> list[Finding]:
    """Return in which namespaces nothing was written yet."""
    unreadable = {access.namespace for access in missing}
    return [
        fault(
            CHECK,
            f"{settings.name}/{namespace}",
            "Governor has not written any ReleaseHolds here",
            f"{_APPLY}; then see the log of the running bot for cluster_not_in_step",
        )
        for namespace in settings.namespaces
        if namespace not in unreadable and await _is_missing(client, holds_path(namespace, ENFORCED))
    ]


async def _objects(clusters: Clusters, settings: ClusterSettings) -> list[Finding]:
    """Return which canaries and projects of the policies cannot be read."""
    paths = {f"the canary {each.name}": canary_path(each) for each in settings.canaries}
    paths |= {f"the project {each.name}": project_path(each) for each in settings.projects}
    findings = []
    for what, path in paths.items():
        try:
            await clusters.of(settings).read(path)
        except ObjectMissingError:
            fix = "correct its name and namespace in the policies"
            findings.append(fault(CHECK, f"{settings.name} {what}", f"{what} does not exist", fix))
        except ClusterRefusalError:
            # The missing right is named above.
            continue
    return findings


async def _is_missing(client: Cluster, path: str) -> bool:
    try:
        await client.read(path)
    except ObjectMissingError:
        return True
    return False
