"""What readers of other tools' SLO documents are given, and what they return. Pure.

A reader turns documents into SLOs of the own format, and says of each document what became of it: one `Note`
for each thing that is not carried over, or not as it was written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from bot.texts import clean_line

_TITLE_AT_MOST: Final = 120

KeyPath = tuple[str | int, ...]
"""The keys that lead to a value in a document."""


@dataclass(frozen=True, slots=True)
class ForeignDocument:
    """One document of another tool: its values, where it stands, and at which lines its keys do."""

    file: str
    line: int
    value: Mapping[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def line_of(self, path: KeyPath) -> int:
        """Return the line of a key, or of the nearest key around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)


class NoteKind(StrEnum):
    """What a note says of a part of a document."""

    OMITTED = "not carried over"
    CHANGED = "carried over differently"
    WARNING = "probably a mistake"


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one part of a document, in a plain sentence without its period."""

    kind: NoteKind
    path: KeyPath
    message: str


@dataclass(frozen=True, slots=True)
class ReadSlo:
    """An SLO in the own format, the service that it belongs to, and what else was said of that service.

    `slo` is an entry of `slos` of a Service document; without a `window` it has that of its import, or 30 d.
    Its `name`, and `service`, are as the document has them: what follows makes names of them that Governor
    takes, and says so. `labels` and `annotations` are those of the document, from which channel and teams may
    come. `for_each` are the labels for each of whose values there is one: none of its selectors names them.
    `path` leads to what it was made of. `source_type` is the type that its source must be of.
    """

    service: str
    slo: Mapping[str, Any]
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    for_each: tuple[str, ...] = ()
    path: KeyPath = ()
    source_type: str = "prometheus"


class Outcome(StrEnum):
    """What became of a document as a whole."""

    WHOLE = "read whole"
    PARTLY = "read with omissions"
    REFUSED = "refused"
    PART = "read as a part of others"
    """It holds no SLO of its own: a data source, an alert policy, a shared configuration."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader made of one document. With a `refusal`, which is a plain sentence, it has no SLOs.

    What is refused is a fault of the policies, unless `is_unsupported`: then the document is right, but holds
    nothing that Governor can measure, and is passed over with a warning.
    """

    document: ForeignDocument
    title: str
    slos: tuple[ReadSlo, ...] = ()
    notes: tuple[Note, ...] = ()
    refusal: str | None = None
    refused_at: KeyPath = ()
    is_unsupported: bool = False

    def __post_init__(self) -> None:
        """Clean the title, which shows a name of the document as it was written."""
        object.__setattr__(self, "title", clean_line(self.title, _TITLE_AT_MOST))

    @property
    def outcome(self) -> Outcome:
        """What became of the document."""
        if self.refusal is not None:
            return Outcome.REFUSED
        if not self.slos:
            return Outcome.PART
        is_partly = any(note.kind is NoteKind.OMITTED for note in self.notes)
        return Outcome.PARTLY if is_partly else Outcome.WHOLE


class FormatReader(Protocol):
    """Reads the documents of one tool."""

    name: str
    """The tool's name, as people write it."""

    def recognizes(self, value: Mapping[str, Any]) -> bool:
        """Return whether a document is of this tool, valid or not."""
        ...

    def read(self, documents: Sequence[ForeignDocument], source: str) -> Sequence[Reading]:
        """Return what becomes of documents that it recognizes, which may refer to each other.

        `source` is the name of the source in which the numbers of Prometheus queries live.
        """
        ...
