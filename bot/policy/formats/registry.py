"""The readers of other tools' SLO documents: those of Governor, and those that installed packages add.

A package adds one by an entry point of the group `governor.slo_formats`: a class without parameters.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final

from bot.policy.formats.openslo.reader import OpenSloReader
from bot.policy.formats.pyrra import PyrraReader
from bot.policy.formats.reading import ForeignDocument, FormatReader, Reading
from bot.policy.formats.slo_generator import SloGeneratorReader
from bot.policy.formats.sloth import SlothReader

ENTRY_POINTS: Final = "governor.slo_formats"


class SloFormats:
    """The formats that can be read; of those that recognize a document the first one reads it."""

    def __init__(self, readers: Sequence[FormatReader]) -> None:
        self.readers = readers

    def may_recognize(self, top_level: Mapping[str, Any]) -> bool:
        """Return whether a document may be of a tool, or hold some that are, by the texts at its top."""
        return str(top_level.get("kind", "")).endswith("List") or self.recognizes(top_level)

    def recognizes(self, value: Mapping[str, Any]) -> bool:
        """Return whether a document is of one of the tools."""
        return self.reader_of(value) is not None

    def reader_of(self, value: Mapping[str, Any]) -> FormatReader | None:
        """Return who reads a document; None for one of no tool."""
        return next((reader for reader in self.readers if reader.recognizes(value)), None)

    def read(self, documents: Sequence[ForeignDocument], source: str) -> list[Reading]:
        """Return what becomes of documents, those of one tool together, in the order of the documents."""
        of_readers: dict[str, list[ForeignDocument]] = {}
        for document in documents:
            reader = self.reader_of(document.value)
            if reader is not None:
                of_readers.setdefault(reader.name, []).append(document)
        readings = {
            id(reading.document): reading
            for reader in self.readers
            for reading in reader.read(of_readers.get(reader.name, []), source)
        }
        return [readings[id(document)] for document in documents if id(document) in readings]


def slo_formats(environ: Mapping[str, str] | None = None) -> SloFormats:
    """Return the formats of this installation; documents that name variables get those of `environ`."""
    own: list[FormatReader] = [SlothReader(), PyrraReader(), OpenSloReader(), SloGeneratorReader(environ)]
    return SloFormats([*own, *(reader() for reader in added_readers())])


@cache
def added_readers() -> tuple[type[FormatReader], ...]:
    """Return the readers that installed packages add."""
    return tuple(point.load() for point in entry_points(group=ENTRY_POINTS))
