"""Imported SLOs by their services, and how a folder's documents are read: plain values. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bot.policy.formats.reading import ForeignDocument, KeyPath, Note, Reading

DEFAULT_WINDOW: Final = "30d"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for documents with these labels, for all without; `values` by their path in a Service."""

    labels: Mapping[str, str]
    values: Mapping[KeyPath, object]


@dataclass(frozen=True, slots=True)
class ImportRules:
    """How a folder's documents are read: where queries are asked, the window of those without, defaults."""

    source: str
    window: str = DEFAULT_WINDOW
    defaults: Sequence[Defaults] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a document of another tool."""

    document: ForeignDocument
    title: str
    path: KeyPath = ()

    @property
    def line(self) -> int:
        """The line of the place."""
        return self.document.line_of(self.path)

    @property
    def where(self) -> str:
        """`FILE:LINE`."""
        return f"{self.document.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class ServiceFault:
    """Why the SLOs of a document cannot be taken over as they are."""

    place: Place
    message: str
    allowed: str = ""


@dataclass(frozen=True, slots=True)
class PlacedSlo:
    """An entry of `slos` of a Service, and what it was made of."""

    value: Mapping[str, Any]
    place: Place
    source_type: str = "prometheus"


@dataclass(frozen=True, slots=True)
class ImportedService:
    """A Service document made of other tools' documents. `places` has those of values, by their paths in it.

    Where the policies have a Service of that name (`is_own`), `spec` is empty: the SLOs are added to it.
    """

    name: str
    is_own: bool
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    slos: Sequence[PlacedSlo]
    places: Mapping[KeyPath, Place]

    @property
    def value(self) -> dict[str, Any]:
        """The document."""
        metadata = {"name": self.name, **({"labels": dict(self.labels)} if self.labels else {})}
        spec = {**self.spec, "slos": [dict(slo.value) for slo in self.slos]}
        return {"apiVersion": "governor/v1", "kind": "Service", "metadata": metadata, "spec": spec}


@dataclass(slots=True)
class ImportedServices:
    """The services of documents, and what is to be said of the documents because of them."""

    services: list[ImportedService] = field(default_factory=list)
    notes: dict[int, list[Note]] = field(default_factory=dict)
    """The notes by the identity of the reading that they belong to."""
    faults: list[ServiceFault] = field(default_factory=list)
    without_channel: list[str] = field(default_factory=list)

    def notes_of(self, reading: Reading) -> tuple[Note, ...]:
        """Return all notes on one document."""
        return (*reading.notes, *self.notes.get(id(reading), ()))
