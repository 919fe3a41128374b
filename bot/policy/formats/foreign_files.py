"""Reads files and folders of other tools' SLO documents for the command line."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from yaml import Node, YAMLError

from bot.policy.faults import PolicyFault
from bot.policy.formats.foreign_documents import documents_in, mentions_slos, unrendered
from bot.policy.formats.reading import ForeignDocument, Reading
from bot.policy.formats.registry import SloFormats
from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.tree import Allowance, TooLargeError
from bot.policy.yaml.yaml_files import (
    LARGEST_IMPORT_BYTES,
    UnreadableFileError,
    compose,
    compose_quickly,
    read_text,
)

TOO_LARGE = "aliases repeat too many values from here on; do they nest?"


@dataclass(slots=True)
class ForeignFiles:
    """The SLO documents of some files, what of them cannot be read, and the files that hold none."""

    documents: list[ForeignDocument] = field(default_factory=list)
    refused: list[Reading] = field(default_factory=list)
    faults: list[PolicyFault] = field(default_factory=list)
    without: list[Path] = field(default_factory=list)


def read_files(
    files: Sequence[Path], formats: SloFormats, show: Callable[[int, int], None] = lambda _done, _all: None
) -> ForeignFiles:
    """Return the documents in files; `show` is told how many of how many are read."""
    found = ForeignFiles()
    for done, file in enumerate(files, 1):
        before = len(found.documents) + len(found.refused) + len(found.faults)
        _read(file, formats, found)
        if before == len(found.documents) + len(found.refused) + len(found.faults):
            found.without.append(file)
        show(done, len(files))
    return found


def _read(file: Path, formats: SloFormats, found: ForeignFiles) -> None:
    try:
        text = read_text(file, LARGEST_IMPORT_BYTES)
    except UnreadableFileError as unreadable:
        found.faults.append(unreadable.fault)
        return
    allowance = Allowance()
    try:
        for node in composed(text):
            for document in documents_in(text, node, allowance, formats):
                if isinstance(document, Reading):
                    found.refused.append(document)
                else:
                    found.documents.append(document)
    except UnreadableFileError as unreadable:
        found.faults.append(plainer(unreadable.fault, text))
    except TooLargeError as too_large:
        found.faults.append(text.fault(too_large.mark, TOO_LARGE))


def composed(text: SourceText) -> Iterator[Node]:
    """Yield the root node of each document as most programs read it; raises `UnreadableFileError`."""
    try:
        yield from list(compose_quickly(text, as_libyaml=True))
    except (YAMLError, ValueError):
        # This parser does not say where the fault is.
        yield from compose(text)


def plainer(fault: PolicyFault, text: SourceText) -> PolicyFault:
    """Return the fault of a file that is no YAML, or that it is a template that nobody filled in."""
    template = unrendered(text.text) if mentions_slos(text.text) else None
    return fault if template is None else text.fault(template[0], template[1])
