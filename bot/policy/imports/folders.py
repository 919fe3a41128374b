"""Finds SLO documents of other tools, in the folder of policies and in those to import.

A folder under `imports` of the Workspace document may hold anything else too, which is passed over. Faults
name the file and line of the other tool's document.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from yaml import MappingNode, Node

from bot.formatting import duration_code
from bot.policy.documents.documents import API_VERSION
from bot.policy.documents.imports import ImportDefaultsSpec, ImportSpec
from bot.policy.faults import Path as KeyPath
from bot.policy.faults import PolicyFault, quoted
from bot.policy.formats.foreign_documents import documents_in, is_governed_by, mentions_slos
from bot.policy.formats.foreign_files import TOO_LARGE, composed, plainer
from bot.policy.formats.imported_services import (
    Defaults,
    ImportRules,
    Place,
    ServiceFault,
)
from bot.policy.formats.reading import ForeignDocument, NoteKind, Reading
from bot.policy.formats.registry import SloFormats, slo_formats
from bot.policy.formats.services import services_of
from bot.policy.imports.service_documents import mapping_in, merged, own_services, service_fault
from bot.policy.imports.summary import ImportSummary, PassedOver
from bot.policy.rules.validation import ParsedDocument
from bot.policy.rules.variables import named_variables
from bot.policy.rules.workspaces import main_workspace
from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.tree import Allowance, TooLargeError
from bot.policy.yaml.yaml_files import (
    LARGEST_IMPORT_BYTES,
    UnreadableFileError,
    find_files,
    read_text,
)

_DEFAULT_SOURCE = "prometheus"
_SPECS = TypeAdapter(tuple[ImportSpec, ...])


@dataclass(frozen=True, slots=True)
class Imported:
    """The policies' documents with those that were made of other tools', and the faults of these."""

    sources: Sequence[ParsedDocument] = ()
    faults: Sequence[PolicyFault] = ()
    summary: ImportSummary = field(default_factory=ImportSummary)


def import_slos(
    folder: Path,
    sources: Sequence[ParsedDocument],
    found: Sequence[tuple[SourceText, Node]],
    environ: Mapping[str, str],
) -> Imported:
    """Return the services of other tools' documents, with those of the policies that they belong to.

    `found` are the documents of other programs in the folder of policies itself, `sources` the policies. Of
    `environ` the documents get only what the Workspace allows everywhere.
    """
    main = main_workspace(sources)
    specs = _specs(main)
    if not specs:
        return Imported()
    root = folder if folder.is_dir() else folder.parent
    allowed = named_variables(main) if main is not None else ()
    formats = slo_formats({name: environ[name] for name in allowed if name in environ})
    imported = _Importing(root, sources, formats).imported(specs, found)
    return replace(imported, faults=[*imported.faults, *_missing_folders(root, specs, main)])


def _missing_folders(
    root: Path, specs: Sequence[ImportSpec], main: ParsedDocument | None
) -> Iterator[PolicyFault]:
    for index, spec in enumerate(specs):
        if main is not None and not (root / spec.folder).exists():
            path = ("spec", "imports", index, "folder")
            yield main.fault(
                path, f"there is no folder {quoted(str(root / spec.folder))}", "a folder or file"
            )


def _specs(main: ParsedDocument | None) -> Sequence[ImportSpec]:
    """Return what the main Workspace says of imports; nothing if that is at fault, which others say."""
    value = main.tree.value if main is not None else None
    spec = value.get("spec") if isinstance(value, dict) else None
    if not isinstance(spec, dict):
        return ()
    if "imports" not in spec:
        return (ImportSpec(folder="."),)
    try:
        return _SPECS.validate_python(spec["imports"])
    except ValidationError:
        return ()


class _Importing:
    def __init__(self, root: Path, sources: Sequence[ParsedDocument], formats: SloFormats) -> None:
        self._root = root
        self._sources = sources
        self._formats = formats
        self._faults: list[PolicyFault] = []
        self._read: set[Path] = set()
        self._documents: list[list[ForeignDocument]] = []
        self._readings: list[tuple[Reading, ImportRules]] = []

    def imported(self, specs: Sequence[ImportSpec], found: Sequence[tuple[SourceText, Node]]) -> Imported:
        folders = [self._root / spec.folder for spec in specs]
        rules = [self._rules(spec) for spec in specs]
        self._documents = [[] for _ in specs]
        self._read = {Path(source.text.file).resolve() for source in self._sources}
        nearest = sorted(range(len(specs)), key=lambda index: -len(folders[index].resolve().parts))
        self._of_policies(found, folders, nearest, rules)
        # A file that lies in two of the folders is read by the nearer one.
        for index in nearest:
            if not _is_same(folders[index], self._root):
                self._folder(index, folders[index], rules[index])
        for index, documents in enumerate(self._documents):
            readings = self._formats.read(documents, rules[index].source)
            self._readings += [(reading, rules[index]) for reading in readings]
        services = services_of(self._readings, own_services(self._sources))
        self._faults += [_refusal(reading) for reading, _ in self._readings if _is_fault(reading)]
        self._faults += map(service_fault, services.faults)
        summary = ImportSummary(
            documents=len(self._readings),
            slos=sum(len(reading.slos) for reading, _ in self._readings),
            omissions=sum(
                note.kind is NoteKind.OMITTED
                for reading, _ in self._readings
                for note in services.notes_of(reading)
            ),
            passed_over=tuple(
                PassedOver(
                    reading.document.file, reading.document.line_of(reading.refused_at), str(reading.refusal)
                )
                for reading, _ in self._readings
                if reading.is_unsupported
            ),
            folders=tuple(folder for folder in folders if not _is_same(folder, self._root)),
        )
        return Imported(merged(self._sources, services.services), self._faults, summary)

    def _of_policies(
        self,
        found: Sequence[tuple[SourceText, Node]],
        folders: Sequence[Path],
        nearest: Sequence[int],
        rules: Sequence[ImportRules],
    ) -> None:
        for text, node in found:
            self._read.add(Path(text.file).resolve())
            # Documents that stand in for others, in a backtest, may lie elsewhere.
            file = Path(text.file) if _is_within(text.file, self._root) else self._root
            index = next((each for each in nearest if _is_within(file, folders[each])), None)
            if index is not None:
                self._document(index, text, node, Allowance(), rules[index])

    def _folder(self, index: int, folder: Path, rules: ImportRules) -> None:
        try:
            files = find_files(folder, with_json=True)
        except UnreadableFileError as unreadable:
            self._faults.append(unreadable.fault)
            return
        for file in files:
            path = file.resolve()
            if path not in self._read:
                self._read.add(path)
                self._file(index, file, rules)

    def _file(self, index: int, file: Path, rules: ImportRules) -> None:
        try:
            text = read_text(file, LARGEST_IMPORT_BYTES)
        except UnreadableFileError as unreadable:
            self._faults.append(unreadable.fault)
            return
        allowance = Allowance()
        try:
            for node in composed(text):
                if isinstance(node, MappingNode) and is_governed_by(node, API_VERSION):
                    message = "this document belongs in the folder of policies"
                    allowed = "documents of other tools in folders to import"
                    self._faults.append(text.fault(node.start_mark, message, allowed))
                else:
                    self._document(index, text, node, allowance, rules)
        except UnreadableFileError as unreadable:
            if mentions_slos(text.text):
                self._faults.append(plainer(unreadable.fault, text))

    def _document(
        self, index: int, text: SourceText, node: Node, allowance: Allowance, rules: ImportRules
    ) -> None:
        try:
            for document in documents_in(text, node, allowance, self._formats):
                if isinstance(document, Reading):
                    self._readings.append((document, rules))
                else:
                    self._documents[index].append(document)
        except TooLargeError as too_large:
            self._faults.append(text.fault(too_large.mark, TOO_LARGE))

    def _rules(self, spec: ImportSpec) -> ImportRules:
        defaults = [Defaults(block.labels, _values(block)) for block in spec.defaults]
        return ImportRules(spec.source or self._source(), duration_code(spec.window), defaults)

    def _source(self) -> str:
        names = [
            name
            for source in self._sources
            if source.kind == "Workspace" and isinstance(source.tree.value, dict)
            for name in mapping_in(mapping_in(source.tree.value, "spec"), "sources")
        ]
        return names[0] if len(names) == 1 else _DEFAULT_SOURCE


def _values(block: ImportDefaultsSpec) -> Mapping[KeyPath, object]:
    values: dict[KeyPath, object] = {
        ("channel",): block.channel,
        ("teams", "development"): list(block.teams.development) if block.teams.development else None,
        ("teams", "reliability"): list(block.teams.reliability) if block.teams.reliability else None,
        ("errorBudgetPolicy",): block.error_budget_policy,
        ("workspace",): block.workspace,
    }
    return {path: value for path, value in values.items() if value is not None}


def _is_fault(reading: Reading) -> bool:
    return reading.refusal is not None and not reading.is_unsupported


def _refusal(reading: Reading) -> PolicyFault:
    place = Place(reading.document, reading.title, reading.refused_at)
    return service_fault(ServiceFault(place, reading.refusal or ""))


def _is_same(first: Path, second: Path) -> bool:
    return first.resolve() == second.resolve()


def _is_within(file: str | Path, folder: Path) -> bool:
    return Path(file).resolve().is_relative_to(folder.resolve())
