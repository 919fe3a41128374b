"""The OpenSLO objects of a set of documents, by kind and name, as far as others refer to them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bot.policy.formats.noted_fields import DocumentNotes, NotedFields
from bot.policy.formats.reading import ForeignDocument

V1: Final = "openslo/v1"
V1ALPHA: Final = "openslo/v1alpha"
V2ALPHA: Final = "openslo.com/v2alpha"
OSKO: Final = "openslo.com/v1"
"""What the Kubernetes operator osko calls its objects: those of `openslo/v1`, numbers as texts."""
VERSIONS: Final = (V1, V1ALPHA, V2ALPHA, OSKO)
KINDS: Final = (
    "Service",
    "SLO",
    "SLI",
    "DataSource",
    "AlertPolicy",
    "AlertCondition",
    "AlertNotificationTarget",
)


def kind_of(value: Mapping[str, Any]) -> str:
    """Return the kind of an object; osko writes `Datasource`."""
    kind = value.get("kind")
    if not isinstance(kind, str):
        return ""
    return next((known for known in KINDS if known.casefold() == kind.casefold()), kind)


def name_of(value: Mapping[str, Any]) -> str:
    """Return the name of an object; empty where it has none."""
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


class OpenSloObjects:
    """The objects of a set of documents."""

    def __init__(self, documents: Sequence[ForeignDocument]) -> None:
        self.all = [DocumentNotes(document) for document in documents]
        self._by_name: dict[tuple[str, str], DocumentNotes] = {}
        self.used: set[int] = set()
        for each in self.all:
            value = each.document.value
            self._by_name.setdefault((kind_of(value), name_of(value)), each)

    def find(self, kind: str, name: str) -> NotedFields | None:
        """Return the fields of an object that another refers to."""
        found = self._by_name.get((kind, name))
        if found is None:
            return None
        self.used.add(id(found))
        return found.root

    def namesake(self, notes: DocumentNotes) -> ForeignDocument | None:
        """Return the document that had an object's kind and name first, where it is another."""
        value = notes.document.value
        first = self._by_name[(kind_of(value), name_of(value))]
        return first.document if first is not notes else None

    def is_used(self, notes: DocumentNotes) -> bool:
        """Return whether another object referred to this one."""
        return id(notes) in self.used

    def of_kind(self, kind: str) -> Iterator[DocumentNotes]:
        """Yield the objects of a kind."""
        return (each for each in self.all if kind_of(each.document.value) == kind)
