"""Rules between documents: names are unique, references lead to something.

Reads the trees, not the models, so that a document with other faults is checked as well.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from bot.policy.documents.for_each import DEFAULT_SOURCE
from bot.policy.documents.objectives import BUILT_IN_SLIS
from bot.policy.faults import IT, Path, PolicyFault, did_you_mean, quoted
from bot.policy.rules.validation import ParsedDocument
from bot.policy.rules.workspaces import are_both_main, workspace_clashes


def clashes(sources: Sequence[ParsedDocument]) -> Iterator[PolicyFault]:
    """Yield a fault for every name that is used twice, and for conflicts between Workspaces."""
    first: dict[tuple[str, object], ParsedDocument] = {}
    for source in sources:
        key = (source.kind, _text(source, "metadata", "name"))
        if key[1] is None:
            continue
        earlier = first.setdefault(key, source)
        if earlier is not source and not are_both_main(earlier, source):
            yield source.fault(("metadata", "name"), f"{IT} is already the name in {earlier.where}")
    yield from workspace_clashes(sources)
    for source in sources:
        yield from repeated_names(source)


_UNIQUE_LISTS: dict[str, tuple[tuple[Path, str | None], ...]] = {
    "Service": (
        (("spec", "slos"), "name"),
        (("spec", "flags"), None),
        (("spec", "lowRisk"), None),
        (("spec", "variants", "flags"), None),
        (("spec", "maintenance"), "name"),
    ),
    "Workspace": ((("spec", "flags", "environments"), "name"),),
    "Rotation": (),
    "Goal": (),
    "FreezeWindow": (),
    "ErrorBudgetPolicy": ((("spec", "exemptions"), None), (("spec", "lowerWhenExhausted"), None)),
}
"""The lists of each kind whose entries, or the values of a key of theirs, must be unique."""


def repeated_names(source: ParsedDocument) -> Iterator[PolicyFault]:
    """Yield a fault for every entry that occurs twice in one of the document's lists."""
    for path, key in _UNIQUE_LISTS[source.kind]:
        seen: dict[str, int] = {}
        for index, _ in enumerate(_list(source, *path)):
            entry: Path = (*path, index) if key is None else (*path, index, key)
            name = _text(source, *entry)
            if name is not None and seen.setdefault(name, index) != index:
                yield source.fault(entry, f"{IT} is in this list twice", "each once")


def workspace_faults(source: ParsedDocument, main: ParsedDocument | None = None) -> Iterator[PolicyFault]:
    """Yield the faults between keys of a Workspace; `main` has the environments of a further one."""
    path = ("spec", "flags", "environments")
    if main is not None and main is not source:
        yield from _unknown_environments(source, main, path)
        return
    environments = _list(source, *path)
    defaults = [
        index
        for index, _ in enumerate(environments)
        if _value(source, *path, index, "default") in (True, "true")
    ]
    for _, index in pairwise(defaults):
        yield source.fault((*path, index, "default"), "another environment is the default", "one")
    yield from _unknown_environments(source, source, path)
    for name in _mapping(source, "spec", "sources"):
        if name in BUILT_IN_SLIS:
            message = f"a source cannot be called {quoted(name)}: an SLI of another kind has that name"
            yield source.fault(("spec", "sources", name), message, at_key=True)


def _unknown_environments(source: ParsedDocument, main: ParsedDocument, path: Path) -> Iterator[PolicyFault]:
    environments = _list(main, *path)
    names = [_text(main, *path, index, "name") for index, _ in enumerate(environments)]
    if not names:
        names = ["production"]
    if None not in names:
        for name in _mapping(source, "spec", "permissions", "flags"):
            if name not in names:
                key_path = ("spec", "permissions", "flags", name)
                known = _written_names(main, path, len(environments)) or ["production"]
                message = f"unknown environment {quoted(name)}{did_you_mean(name, known)}"
                yield source.fault(key_path, message, ", ".join(known), at_key=True)


def unknown_references(
    sources: Sequence[ParsedDocument], may_be_unread: Callable[[str], bool]
) -> Iterator[PolicyFault]:
    """Yield a fault for every reference of a Service to a policy or source that does not exist.

    `may_be_unread` returns whether a name may be in a document that could not be read.
    """
    policies = {
        _text(source, "metadata", "name"): source.name
        for source in sources
        if source.kind == "ErrorBudgetPolicy"
    }
    known_sources = _known_sources(sources)
    for source in sources:
        if source.kind == "Service":
            slos: list[Path] = [
                ("spec", "slos", index) for index, _ in enumerate(_list(source, "spec", "slos"))
            ]
            for path in [("spec",), *slos]:
                policy_path = (*path, "errorBudgetPolicy")
                if not may_be_unread(_text(source, *policy_path) or ""):
                    yield from _unknown_policy(source, policy_path, policies)
            for path in slos:
                yield from _unknown_sources(source, (*path, "sli"), known_sources)
            yield from _unknown_values_source(source, known_sources)


def _known_sources(sources: Sequence[ParsedDocument]) -> list[str]:
    """Return the names that an `sli` may use; empty if no valid Workspace says."""
    workspaces = [source for source in sources if source.kind == "Workspace"]
    if not workspaces or any(workspace.tree.is_invalid(("spec", "sources")) for workspace in workspaces):
        return []
    names = {name for workspace in workspaces for name in _mapping(workspace, "spec", "sources")}
    return sorted(names | set(BUILT_IN_SLIS))


def _unknown_policy(
    source: ParsedDocument, path: Path, policies: Mapping[str | None, str]
) -> Iterator[PolicyFault]:
    policy = _text(source, *path)
    # A policy whose own name could not be read may be the one.
    if policy is not None and policy not in policies and None not in policies:
        known = sorted(policies.values())
        hint = did_you_mean(source.tree.positions[path].written or "", known)
        message = f"unknown ErrorBudgetPolicy {IT}{hint}"
        yield source.fault(path, message, ", ".join(known) or "none is defined")


def _unknown_sources(source: ParsedDocument, path: Path, known: Sequence[str]) -> Iterator[PolicyFault]:
    for key in _mapping(source, *path):
        if known and key not in known:
            message = f"unknown source {quoted(key)}{did_you_mean(key, known)}"
            yield source.fault((*path, key), message, ", ".join(known), at_key=True)


def _unknown_values_source(source: ParsedDocument, known: Sequence[str]) -> Iterator[PolicyFault]:
    """Yield a fault if there is no source for the values of `forEach`."""
    path: Path = ("spec", "forEach")
    if not known or not _mapping(source, *path):
        return
    names = [name for name in known if name not in BUILT_IN_SLIS]
    source_name = _value(source, *path, "source")
    allowed = ", ".join(names) or "none is defined"
    if source_name is None and DEFAULT_SOURCE not in names:
        message = f"`source` is missing, and no source is called {quoted(DEFAULT_SOURCE)}"
        yield source.fault(path, message, allowed)
    elif isinstance(source_name, str) and source_name not in names:
        hint = did_you_mean(source_name, names)
        yield source.fault((*path, "source"), f"unknown source {IT}{hint}", allowed)


def _written_names(source: ParsedDocument, path: Path, count: int) -> list[str]:
    return [source.tree.positions[(*path, index, "name")].written or "" for index in range(count)]


def _value(source: ParsedDocument, *path: str | int) -> object:
    value = source.tree.value
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) else None
    return value


def _text(source: ParsedDocument, *path: str | int) -> str | None:
    value = _value(source, *path)
    return value if isinstance(value, str) else None


def _list(source: ParsedDocument, *path: str | int) -> list[object]:
    value = _value(source, *path)
    return value if isinstance(value, list) else []


def _mapping(source: ParsedDocument, *path: str | int) -> dict[str, object]:
    value = _value(source, *path)
    return value if isinstance(value, dict) else {}
