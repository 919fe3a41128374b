"""Imported services as documents of the own format, with comments on what is left out. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from bot.policy.faults import dotted
from bot.policy.formats.imported_services import ImportedService, ImportedServices
from bot.policy.formats.reading import Note, NoteKind, Reading

_WIDTH = 100
_SAID = {
    NoteKind.OMITTED: "Not carried over",
    NoteKind.CHANGED: "Carried over differently",
    NoteKind.WARNING: "Probably a mistake",
}


def as_document(service: ImportedService, services: ImportedServices, readings: Sequence[Reading]) -> str:
    """Return a service as the text of a file, with comments from the documents that it was made of."""
    documents = {id(slo.place.document) for slo in service.slos}
    value = _escaped(service.value)
    slos = value["spec"].pop("slos")
    lines = []
    for reading in readings:
        if id(reading.document) in documents:
            lines.append(_comment(f"From {reading.document.file}:{reading.document.line}, {reading.title}."))
            lines += _notes(reading, services.notes_of(reading))
    # A mapping that is empty would be written `{}`.
    spec = value.pop("spec")
    lines += [_yaml(value), "spec:\n", _indented(_yaml(spec), 2) if spec else "", "  slos:\n"]
    lines += [_indented(_yaml([slo]), 4) for slo in slos]
    return "".join(lines)


def _notes(reading: Reading, notes: Iterable[Note]) -> list[str]:
    comments = []
    for note in notes:
        at = f"{dotted(note.path)}, " if note.path else ""
        where = f"{at}line {reading.document.line_of(note.path)}"
        comments.append(_comment(f"- {_SAID[note.kind]} ({where}): {note.message}."))
    return comments


def _comment(text: str) -> str:
    """Return a comment of one line, whatever the text holds."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return f"# {' '.join(printable.split())}\n"


def _escaped(value: Any) -> Any:
    """Return a value in whose texts nothing is taken from the environment."""
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(each) for each in value]
    return value.replace("${", "$${") if isinstance(value, str) else value


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _indented(text: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in text.removesuffix("\n").split("\n"))


class _Dumper(yaml.SafeDumper):
    """Writes no aliases: the same mapping may stand in several SLOs."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the method's own parameter
        return True
