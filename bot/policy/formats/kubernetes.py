"""What every document of Kubernetes has: its name, namespace, labels and annotations. Pure."""

from dataclasses import dataclass
from typing import Final

from bot.policy.formats.noted_fields import NotedFields

_OF_KUBERNETES: Final = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""Keys of `metadata` in which Kubernetes keeps its own books."""


@dataclass(frozen=True, slots=True)
class KubernetesMetadata:
    """The metadata of a document; the namespace is one of the labels."""

    name: str
    labels: dict[str, str]
    annotations: dict[str, str]


def metadata_of(document: NotedFields) -> KubernetesMetadata:
    """Return the metadata of a document; raises `RefusedDocumentError`."""
    document.ignore("apiVersion", "kind", "status")
    fields = document.required_mapping("metadata")
    fields.ignore(*_OF_KUBERNETES)
    namespace = fields.spelled("namespace")
    labels = {"namespace": namespace} if namespace else {}
    return KubernetesMetadata(
        fields.required_spelled("name"), labels | fields.texts("labels"), fields.texts("annotations")
    )
