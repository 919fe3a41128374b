"""The Kubernetes clusters of a workspace, and which of their objects are of which services."""

from dataclasses import dataclass
from enum import StrEnum

from bot.catalog.error_budget_policy import PRODUCTION


class CanaryTool(StrEnum):
    """What ships a canary step by step."""

    ROLLOUTS = "rollouts"
    """Argo Rollouts."""
    FLAGGER = "flagger"


@dataclass(frozen=True, slots=True)
class ServiceWorkloads:
    """The workloads of a namespace that are of a service, though they carry no label that says so."""

    service: str
    namespace: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CanarySettings:
    """A canary of a service: a Rollout of Argo Rollouts, or a Canary of Flagger."""

    service: str
    namespace: str
    name: str
    tool: CanaryTool = CanaryTool.ROLLOUTS


@dataclass(frozen=True, slots=True)
class ProjectApplications:
    """The applications of an AppProject that are of a service, as Argo CD's patterns."""

    service: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """An AppProject of Argo CD that gets a sync window while one of its services is frozen."""

    name: str
    namespace: str
    applications: tuple[ProjectApplications, ...]


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """One cluster, reached by a context of the kubeconfig file, or None: as that file or the pod says.

    What ships to it ships to `environment`. In `namespaces` changed pod templates are held.
    """

    name: str
    context: str | None = None
    environment: str = PRODUCTION
    namespaces: tuple[str, ...] = ()
    workloads: tuple[ServiceWorkloads, ...] = ()
    canaries: tuple[CanarySettings, ...] = ()
    projects: tuple[ProjectSettings, ...] = ()
