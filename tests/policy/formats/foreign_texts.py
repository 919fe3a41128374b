"""What becomes of a YAML text with documents of other tools, read as the files of an import are."""

from collections.abc import Sequence
from pathlib import Path

from bot.policy.faults import PolicyFault
from bot.policy.formats.foreign_files import ForeignFiles, read_files
from bot.policy.formats.reading import NoteKind, Reading
from bot.policy.formats.registry import slo_formats


def files_of(tmp_path: Path, *texts: str) -> ForeignFiles:
    """Write each text into a file and read them."""
    files = []
    for number, text in enumerate(texts):
        file = tmp_path / f"slo-{number}.yaml"
        file.write_text(text, encoding="utf-8")
        files.append(file)
    return read_files(files, slo_formats({}))


def read(tmp_path: Path, *texts: str) -> Sequence[Reading]:
    """Return what becomes of the documents; all files can be read."""
    found = files_of(tmp_path, *texts)
    assert found.faults == []
    return [*slo_formats({}).read(found.documents, "prometheus"), *found.refused]


def read_one(tmp_path: Path, text: str) -> Reading:
    """Return what becomes of the only document."""
    (reading,) = read(tmp_path, text)
    return reading


def faults(tmp_path: Path, text: str) -> list[PolicyFault]:
    """Return the faults of a file that cannot be read."""
    return files_of(tmp_path, text).faults


def said(reading: Reading, kind: NoteKind) -> list[tuple[int, str]]:
    """Return the notes of a kind: their lines and sentences."""
    return [
        (reading.document.line_of(note.path), note.message) for note in reading.notes if note.kind is kind
    ]
