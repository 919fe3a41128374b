"""What became of other tools' documents, in figures that outlive the documents. Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class PassedOver(NamedTuple):
    """A document that Governor cannot measure: its file, the line, and why in a sentence."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What became of other tools' documents, in figures. `folders` are those outside of the policies' own.

    `omissions` is how many things of the documents are not carried over.
    """

    documents: int = 0
    slos: int = 0
    omissions: int = 0
    passed_over: tuple[PassedOver, ...] = ()
    folders: tuple[Path, ...] = ()
