"""Each field of an official document is carried over, noted, or means nothing to an SLO for a reason."""

import copy
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import pytest

from bot.policy.faults import dotted
from bot.policy.formats.noted_fields import leaves
from bot.policy.formats.openslo.reader import OpenSloReader
from bot.policy.formats.reading import ForeignDocument, FormatReader, KeyPath, Reading
from bot.policy.formats.slo_generator import SloGeneratorReader
from tests.policy.formats.foreign import foreign, needs_trial, trial_files
from tests.policy.formats.test_openslo import ALPHA, SECOND, SEPARATE, slo
from tests.policy.formats.test_slo_generator import RATIO, SHARED

READERS: Final[Mapping[str, FormatReader]] = {
    "openslo": OpenSloReader(),
    "slo-generator": SloGeneratorReader({}),
}
FOR_PEOPLE: Final = "a text for people, which changes no number"
NOT_REFERRED: Final = "what an object is called where it stands inline: nothing refers to it"
NO_THRESHOLD: Final = "a ratio metric is not compared with a value"
EXPORTS: Final = "where slo-generator writes its own results"
MEANINGLESS: Final = {
    "*displayName": FOR_PEOPLE,
    "*description": FOR_PEOPLE,
    "spec.indicator.metadata.*": NOT_REFERRED,
    "spec.sli.metadata.*": NOT_REFERRED,
    "spec.objectives*.op": NO_THRESHOLD,
    "spec.objectives*.value": NO_THRESHOLD,
    "*.queryType": "PromQL, however it is spelt",
    "*.counter": "a query with a time window of its own says how it is counted",
    "*.isRolling": "`calendar` says it too",
    "*.alertWhen*": "an alert that never fires would be none, and what is told beside it is no choice",
    "metadata.labels*": "labels of objects that belong to no service",
    "metadata.annotations*": "annotations of objects that belong to no service",
    "spec.exporters*": EXPORTS,
    "exporters*": EXPORTS,
    "default_exporters*": EXPORTS,
    "error_budget_policies.*.name": FOR_PEOPLE,
    "error_budget_policies.*.message_*": FOR_PEOPLE,
}
"""The fields that mean nothing to an SLO, and why; the rest of a name stands for `*`."""


def changed(value: object) -> object:
    """Return another value of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value * 0.75 if value else 1
        case str() if value.replace(".", "", 1).isdigit():
            return str(float(value) * 0.75)
        case str():
            return f"{value}x"
        case _:
            return "x"


def with_change(documents: Sequence[ForeignDocument], index: int, path: KeyPath) -> list[ForeignDocument]:
    value = copy.deepcopy(dict(documents[index].value))
    place: Any = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = changed(place[path[-1]])
    found = list(documents)
    found[index] = ForeignDocument(documents[index].file, documents[index].line, value)
    return found


def said(readings: Sequence[Reading]) -> list[object]:
    return [
        (reading.title, reading.slos, reading.refusal, [(note.kind, note.message) for note in reading.notes])
        for reading in readings
    ]


def is_noted(reading: Reading, path: KeyPath) -> bool:
    return any(path[: len(note.path)] == note.path for note in reading.notes)


def unaccounted(reader: FormatReader, documents: Sequence[ForeignDocument]) -> list[str]:
    readings = reader.read(documents, "prometheus")
    before, found = said(readings), []
    for index, (document, reading) in enumerate(zip(documents, readings, strict=True)):
        if reading.refusal is not None:
            continue
        for path in leaves(document.value):
            if is_noted(reading, path):
                continue
            others = with_change(documents, index, path)
            if all(reader.recognizes(other.value) for other in others):
                after = said(reader.read(others, "prometheus"))
                name = dotted(path)
                if after == before and not any(fnmatchcase(name, each) for each in MEANINGLESS):
                    found.append(f"{reading.title}: {name}")
    return found


@pytest.mark.parametrize("text", [slo(), SEPARATE, ALPHA, SECOND], ids=["slo", "separate", "alpha", "second"])
def test_every_field_of_openslo_is_accounted_for(text: str) -> None:
    assert unaccounted(READERS["openslo"], foreign(text)) == []


def test_every_field_of_slo_generator_is_accounted_for() -> None:
    assert unaccounted(READERS["slo-generator"], foreign(RATIO) + foreign(SHARED)) == []


@needs_trial
@pytest.mark.parametrize(
    ("tool", "file"),
    [(tool, file) for tool in READERS for file in trial_files(tool)],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_every_field_of_an_official_document_is_accounted_for(tool: str, file: Path) -> None:
    assert unaccounted(READERS[tool], foreign(file.read_text(encoding="utf-8"), file.name)) == []
