"""The port to one cluster: objects are read and patched by their paths. Knows no client library.

ClusterError
├── ClusterAwayError      nobody answered, or with an error of its own; it may pass
├── ClusterRefusalError   the cluster does not allow it: a right is missing, or nobody may log in
├── ObjectMissingError    there is no such object, or no such kind
├── ObjectChangedError    somebody else changed the object meanwhile, or a condition does not hold
└── ObjectInvalidError    the cluster does not take the object as it is
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

FIELD_MANAGER = "governor"
"""The manager of the fields that Governor writes."""

KubernetesObject = dict[str, Any]


class ClusterError(Exception):
    """A cluster could not do what was asked. The message names the cluster and is fit for a person."""

    retryable = False

    def __init__(self, cluster: str, problem: str) -> None:
        super().__init__(f"the cluster {cluster} {problem}")
        self.cluster = cluster
        self.problem = problem


class ClusterAwayError(ClusterError):
    """Nobody answered, or with an error of its own; `after_s` is how long it asks to wait."""

    retryable = True

    def __init__(self, cluster: str, problem: str, after_s: float | None = None) -> None:
        super().__init__(cluster, problem)
        self.after_s = after_s


class ClusterRefusalError(ClusterError):
    """A right is missing, or nobody may log in."""


class ObjectMissingError(ClusterError):
    """There is no such object, or no such kind of objects."""


class ObjectChangedError(ClusterError):
    """Somebody else changed the object meanwhile, or a condition of the patch does not hold."""

    retryable = True


class ObjectInvalidError(ClusterError):
    """The cluster does not take the object as it is."""


class PatchKind(StrEnum):
    """How a patch is meant, as the API server's media types."""

    APPLY = "application/apply-patch+yaml"
    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"


class Cluster(Protocol):
    """One cluster. All methods raise `ClusterError`."""

    @property
    def name(self) -> str:
        """What the policies call it."""
        ...

    async def read(self, path: str) -> KubernetesObject:
        """Return an object, or a list of objects."""
        ...

    async def create(self, path: str, body: Mapping[str, Any]) -> KubernetesObject:
        """Create an object in a list, or ask a review; return it as it became."""
        ...

    async def patch(self, path: str, kind: PatchKind, body: object) -> KubernetesObject:
        """Patch an object; return it as it became. With APPLY it is created where it is missing."""
        ...
