"""SLO documents of other tools for tests, as a reader gets them; and the trial set of official ones."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.policy.formats.reading import ForeignDocument, FormatReader, NoteKind, Reading
from tests.support.paths import ROOT

TRIAL = Path(os.environ.get("SLO_FORMATS_DIR", ROOT.parent / "shared" / "formats"))
"""Official documents of other tools, which are not part of the project."""
needs_trial = pytest.mark.skipif(not TRIAL.is_dir(), reason="the folder of official documents is not there")


def foreign(text: str, file: str = "slo.yaml") -> list[ForeignDocument]:
    """Return the documents of a file, those in lists too."""
    found = []
    for document in yaml.safe_load_all(text):
        for value in document if isinstance(document, list) else [document]:
            assert isinstance(value, dict)
            found.append(ForeignDocument(file, 1, value))
    return found


def read_all(reader: FormatReader, text: str) -> Sequence[Reading]:
    """Return what becomes of the documents in a text."""
    documents = foreign(text)
    assert all(reader.recognizes(document.value) for document in documents)
    return reader.read(documents, "prometheus")


def read_slo(reader: FormatReader, text: str) -> Mapping[str, Any]:
    """Return the only SLO of a text, which nothing keeps from being read."""
    readings = read_all(reader, text)
    assert [reading.refusal for reading in readings if reading.refusal] == []
    (slo,) = (slo for reading in readings for slo in reading.slos)
    return slo.slo


def refusal(reader: FormatReader, text: str) -> str:
    """Return why the first document of a text is refused."""
    reading = read_all(reader, text)[0]
    assert reading.refusal is not None
    assert reading.slos == ()
    return reading.refusal


def notes(reader: FormatReader, text: str, kind: NoteKind) -> list[str]:
    """Return what is said of the documents in a text."""
    return [note.message for reading in read_all(reader, text) for note in reading.notes if note.kind is kind]


def trial_files(tool: str) -> list[Path]:
    """Return the official documents of a tool."""
    folder = TRIAL / tool
    return sorted(folder.iterdir()) if folder.is_dir() else []
