"""Loads a folder of policy documents: returns the policies, or raises all their faults at once.

    files -> YAML nodes -> trees (values with positions) -> models -> policies -> catalog
                  (each step may add faults, each with its position)

SLO documents of other tools become Service documents (`imports/`); those of other programs are skipped.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from yaml import MappingNode, Node, ScalarNode, YAMLError

from bot.catalog.catalog import Catalog
from bot.policy.documents.documents import API_VERSION, KINDS, Document, ServiceDocument
from bot.policy.faults import PolicyError, PolicyFault, did_you_mean, quoted
from bot.policy.formats.foreign_documents import is_recognized
from bot.policy.formats.foreign_files import plainer
from bot.policy.imports.folders import import_slos
from bot.policy.imports.summary import ImportSummary
from bot.policy.policy_set import PolicySet
from bot.policy.rules.dependencies import dependency_faults
from bot.policy.rules.freeze_windows import freeze_window_faults
from bot.policy.rules.gates import gate_faults
from bot.policy.rules.goals import goal_faults
from bot.policy.rules.references import clashes, unknown_references, workspace_faults
from bot.policy.rules.rotations import rotation_faults
from bot.policy.rules.source_types import with_source_types
from bot.policy.rules.validation import ParsedDocument, refusals, validate
from bot.policy.rules.variables import with_variables_checked
from bot.policy.rules.webhooks import webhook_faults
from bot.policy.rules.workspaces import main_workspace
from bot.policy.templates.templates import Template, template, with_placeholders_checked, with_sample
from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.tree import Allowance, TooLargeError, read_tree
from bot.policy.yaml.yaml_files import (
    UnreadableFileError,
    compose,
    compose_quickly,
    find_files,
    read_text,
)
from bot.suggestions import is_misspelt

_SLOWLY_READ_BYTES = 200_000
"""Up to how much the slower parser reads within a second or two."""
Compose = Callable[[SourceText], Iterator[Node]]
"""Yields the root node of each document of a file."""

__all__ = ["PolicyError", "PolicyFault", "folder_fault", "load", "read", "read_over"]


def load(folder: Path, environ: Mapping[str, str] | None = None) -> Catalog:
    """Return the catalog of a folder without any values of `forEach`; see `read`."""
    return read(folder, environ).expanded({}).catalog


def read(folder: Path, environ: Mapping[str, str] | None = None) -> PolicySet:
    """Read the policy documents in a folder (or one file); raises `PolicyError` with all faults.

    `environ` has the values of `${NAME}`: the process's environment unless given.
    """
    environ = os.environ if environ is None else environ
    found: PolicyError | None = None
    try:
        return _read(folder, environ, compose_quickly)
    except PolicyError as error:
        found = error
    except (YAMLError, ValueError):
        # This parser does not say where the fault is.
        pass
    if found is not None and _size(folder) > _SLOWLY_READ_BYTES:
        raise found
    # Faults come from the slower parser, which describes them better.
    return _read(folder, environ, compose)


def read_over(base: Path, changes: Path, environ: Mapping[str, str] | None = None) -> PolicySet:
    """Read the documents of `base` with those of `changes` (a file or folder) in place of their namesakes.

    What `changes` does not name stays as it is in `base`. Raises `PolicyError` with all faults of both.
    """
    reading = _Reading(os.environ if environ is None else environ, compose)
    for folder in (base, changes):
        if not folder.exists():
            raise PolicyError((folder_fault(folder, "there is no such file or folder"),))
        try:
            files = find_files(folder)
        except UnreadableFileError as unreadable:
            raise PolicyError((unreadable.fault,)) from unreadable
        if not files:
            raise PolicyError((folder_fault(folder, "the folder holds no policy file", "*.yaml or *.yml"),))
        earlier, reading.sources = reading.sources, []
        for file in files:
            reading.read(file)
        named = {(source.kind, source.name) for source in reading.sources}
        reading.sources[:0] = [each for each in earlier if (each.kind, each.name) not in named]
    reading.import_slos(base)
    policies = reading.policies()
    if not (reading.has_workspace or reading.may_be_unread("Workspace")):
        reading.faults.append(folder_fault(base, "there is no Workspace document", "exactly one"))
    if reading.faults:
        raise PolicyError(reading.faults, reading.imported.folders)
    return policies


def _size(folder: Path) -> int:
    """Return the size in bytes of the files that can be read."""
    size = 0
    with suppress(UnreadableFileError):
        for file in find_files(folder):
            with suppress(OSError):
                size += file.stat().st_size
    return size


def _read(folder: Path, environ: Mapping[str, str], compose: Compose) -> PolicySet:
    reading = _Reading(environ, compose)
    try:
        return _read_by(reading, folder)
    finally:
        reading.forget()


def _read_by(reading: "_Reading", folder: Path) -> PolicySet:
    try:
        files = find_files(folder)
    except UnreadableFileError as unreadable:
        raise PolicyError((unreadable.fault,)) from unreadable
    for file in files:
        reading.read(file)
    reading.import_slos(folder)
    policies = reading.policies()
    faults = reading.faults
    if not folder.exists():
        faults.append(folder_fault(folder, "the folder does not exist"))
    elif not files:
        faults.append(folder_fault(folder, "the folder holds no policy file", "*.yaml or *.yml"))
    elif not (reading.has_workspace or reading.may_be_unread("Workspace")):
        faults.append(folder_fault(folder, "there is no Workspace document", "exactly one"))
    if faults:
        raise PolicyError(faults, reading.imported.folders)
    return policies


def folder_fault(folder: Path, message: str, allowed: str = "") -> PolicyFault:
    """Return a fault of the folder as a whole."""
    return PolicyFault(str(folder), None, None, "", "", message, allowed)


class _Reading:
    """One read of a folder: the documents and faults found so far."""

    def __init__(self, environ: Mapping[str, str], compose: Compose) -> None:
        self.faults: list[PolicyFault] = []
        self.sources: list[ParsedDocument] = []
        self.imported = ImportSummary()
        self._foreign: list[tuple[SourceText, Node]] = []
        self._environ = environ
        self._compose = compose
        self._unread: list[str | None] = []

    def read(self, file: Path) -> None:
        """Read one file's documents."""
        try:
            text = read_text(file)
        except UnreadableFileError as unreadable:
            self._give_up(unreadable.fault, None)
            return
        allowance = Allowance()
        end = 0
        try:
            for node in self._compose(text):
                self._document(text, node, allowance)
                end = node.end_mark.index
        except UnreadableFileError as unreadable:
            self._give_up(plainer(unreadable.fault, text), text.text[end:])
        except TooLargeError as too_large:
            message = "aliases repeat too many values from here on; do they nest?"
            self._give_up(text.fault(too_large.mark, message), text.text[end:])
        else:
            if not end:
                self.faults.append(text.fault(0, "the file holds no document", "one or more"))

    @property
    def has_workspace(self) -> bool:
        """Whether a Workspace was found, valid or not."""
        return any(source.kind == "Workspace" for source in self.sources)

    def may_be_unread(self, word: str) -> bool:
        """Return whether a word occurs in text that could not be read, so that it may not be missing."""
        return any(text is None or word in text for text in self._unread)

    def forget(self) -> None:
        """Free what was read one by one: all of it at once would stop the event loop meanwhile."""
        for kept in (self.sources, self._foreign):
            while kept:
                kept.pop()

    def _give_up(self, fault: PolicyFault, unread: str | None) -> None:
        self.faults.append(fault)
        self._unread.append(unread)

    def _document(self, text: SourceText, node: Node, allowance: Allowance) -> None:
        if is_recognized(node):
            self._foreign.append((text, node))
            return
        if not isinstance(node, MappingNode):
            is_empty = isinstance(node, ScalarNode) and node.value == ""
            message = "the document is empty" if is_empty else "the document is not a mapping"
            self.faults.append(text.fault(node.start_mark, message, "apiVersion, kind, metadata, spec"))
            return
        fault = _foreign(text, node)
        if fault is True:
            # A list of Kubernetes may hold documents of several tools.
            self._foreign.append((text, node))
        if isinstance(fault, PolicyFault):
            self._give_up(fault, _text_of(text, node))
        if fault is not None:
            return
        tree = read_tree(node, self._environ, allowance)
        kind, name = tree.positions.get(("kind",)), tree.positions.get(("metadata", "name"))
        source = ParsedDocument(text, tree, (kind and kind.written) or "", (name and name.written) or "")
        if source.kind in KINDS:
            is_service = source.kind == "Service"
            self.sources.append(with_placeholders_checked(source) if is_service else source)
            return
        self._unread.append(_text_of(text, node))
        self.faults += refusals(source)
        if kind is None:
            self.faults.append(_without_kind(source))
        elif not tree.is_invalid(("kind",)):
            hint = did_you_mean(source.kind, KINDS)
            message = f"unknown kind {{it}}{hint}"
            self.faults.append(source.fault(("kind",), message, ", ".join(KINDS)))

    def import_slos(self, folder: Path) -> None:
        """Make Service documents of the SLO documents of other tools, here and in the folders to import."""
        imported = import_slos(folder, self.sources, self._foreign, self._environ)
        self.faults += imported.faults
        self.sources = list(imported.sources or self.sources)
        self.imported = imported.summary

    def policies(self) -> PolicySet:
        """Validate every document, alone and together; return the valid ones."""
        self.sources = with_source_types(with_variables_checked(self.sources))
        documents: list[Document] = []
        names: dict[str, str] = {}
        templates: list[Template] = []
        for source in self.sources:
            document, faults = validate(with_sample(source) if source.kind == "Service" else source)
            self.faults += faults
            if isinstance(document, ServiceDocument) and document.spec.for_each is not None:
                templates.append(template(source, document.spec.for_each))
            elif document is not None:
                documents.append(document)
                if source.kind == "Service":
                    names[document.metadata.name] = f"{source.title} in {source.where}"
            if source.kind == "Workspace":
                self.faults += workspace_faults(source, main_workspace(self.sources))
        self.faults += clashes(self.sources)
        self.faults += unknown_references(self.sources, self.may_be_unread)
        self.faults += rotation_faults(self.sources, self.may_be_unread)
        self.faults += goal_faults(self.sources, self.may_be_unread)
        self.faults += freeze_window_faults(self.sources, self.may_be_unread)
        self.faults += gate_faults(self.sources, self.may_be_unread)
        self.faults += dependency_faults(self.sources, self.may_be_unread)
        self.faults += webhook_faults(self.sources, self.may_be_unread)
        return PolicySet(tuple(documents), names, tuple(templates), self.imported)


def _without_kind(source: ParsedDocument) -> PolicyFault:
    """Return the fault of a document without a kind: at its misspelt key, if there is one."""
    keys = [str(path[0]) for path in source.tree.positions if len(path) == 1]
    typo = next((key for key in keys if is_misspelt(key.lower(), ["kind"])), None)
    if typo is None:
        return source.fault((), "`kind` is missing", ", ".join(KINDS))
    return source.fault((typo,), f"unknown key {quoted(typo)}; did you mean `kind`?", "kind", at_key=True)


def _text_of(text: SourceText, node: Node) -> str:
    return text.text[node.start_mark.index : node.end_mark.index]


def _foreign(text: SourceText, node: MappingNode) -> PolicyFault | bool | None:
    """Return None for a policy document, True for another program's, a fault where it is unclear."""
    values = [value for key, value in node.value if isinstance(key, ScalarNode) and key.value == "apiVersion"]
    if not values:
        keys = [key for key, _ in node.value if isinstance(key, ScalarNode)]
        typo = next((key for key in keys if is_misspelt(key.value, ["apiVersion"])), None)
        if typo is not None:
            message = f"unknown key {quoted(typo.value)}; did you mean `apiVersion`?"
            return text.fault(typo.start_mark, message, "apiVersion")
        return text.fault(node.start_mark, "`apiVersion` is missing", API_VERSION)
    value = values[0]
    if not isinstance(value, ScalarNode):
        return text.fault(value.start_mark, "`apiVersion` must be text", API_VERSION)
    if value.value == API_VERSION:
        return None
    ours, theirs = API_VERSION.partition("/")[0], value.value.partition("/")[0].strip().lower()
    if len(theirs) < 40 and is_misspelt(theirs, [ours]):
        message = f"unknown apiVersion {quoted(value.value)}"
        return text.fault(value.start_mark, message, API_VERSION)
    return True
