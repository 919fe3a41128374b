"""Validates one document: from its tree to its model, from pydantic's errors to faults with positions."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bot.policy.documents.documents import KINDS, Document
from bot.policy.documents.model import known_keys
from bot.policy.documents.objectives import UNION_TAGS
from bot.policy.documents.sources.sources import SOURCE_TAGS, SOURCE_TYPES
from bot.policy.documents.variants import SWITCHES
from bot.policy.faults import IT, InvalidValueError, Path, PolicyFault, did_you_mean, dotted, quoted
from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.tree import NodePosition, Tree
from bot.suggestions import suggest

MOST_FAULTS = 200
"""How many faults of one document are listed: nobody reads more, and each costs time to describe."""
_NOT_STEPS = UNION_TAGS | SOURCE_TAGS | {"[key]"}


@dataclass(frozen=True, slots=True)
class PlaceElsewhere:
    """Where a value stands that was made of another document: its file and line, its path there."""

    file: str
    line: int
    document: str
    path: str


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """One policy document as parsed: its file, its tree, its kind and name as written.

    `source_types` are the types of the workspace's sources by name: what an SLI may say depends on them.
    `elsewhere` are the places of those of its values, by their paths, that were made of other documents.
    """

    text: SourceText
    tree: Tree
    kind: str
    name: str
    source_types: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[Path, PlaceElsewhere] = field(default_factory=dict)

    def rewritten(self, rewrite: Callable[[Path, str], str]) -> "ParsedDocument":
        """Return the document with other texts at the same positions."""
        return replace(self, tree=self.tree.rewritten(rewrite))

    @property
    def title(self) -> str:
        """`Kind/name`, as far as they are known."""
        return f"{self.kind}/{self.name}" if self.name else self.kind

    @property
    def where(self) -> str:
        """`FILE:LINE` of the document's start."""
        if () in self.elsewhere:
            return f"{self.elsewhere[()].file}:{self.elsewhere[()].line}"
        line, _ = self.text.position(self.tree.positions[()].value.index)
        return f"{self.text.file}:{line}"

    def fault(self, path: Path, message: str, allowed: str = "", *, at_key: bool = False) -> PolicyFault:
        """Return a fault at the value at `path`, or at its key."""
        nearest, position = self.tree.nearest(path)
        mark = position.key if at_key and position.key is not None else position.value
        fault_path = path[:-1] if at_key and nearest == path else path
        message = message.replace(IT, written(position))
        if (place := self._place_elsewhere(path)) is not None:
            return PolicyFault(place.file, place.line, 1, place.document, place.path, message, allowed)
        return self.text.fault(mark, message, allowed, document=self.title, path=dotted(fault_path))

    def _place_elsewhere(self, path: Path) -> PlaceElsewhere | None:
        """Return the place of the value, or of the nearest that contains it, where that is elsewhere."""
        ways = (path[:length] for length in range(len(path), -1, -1))
        return next((self.elsewhere[way] for way in ways if way in self.elsewhere), None)


def written(position: NodePosition) -> str:
    """Return a value as it was written, without substitutions from the environment."""
    return "this" if position.written is None else quoted(position.written)


def refusals(source: ParsedDocument) -> list[PolicyFault]:
    """Return the faults from reading the document."""
    faults = []
    for refusal in source.tree.refused:
        as_written = "this" if refusal.written is None else quoted(refusal.written)
        message, allowed = refusal.reason.message.replace(IT, as_written), refusal.reason.allowed
        rest = source.text.line_from(refusal.mark.index)
        if refusal.written == "" and re.match(r"[^\n:]*:\s+#\S", rest):
            allowed = "quotes around it; a bare # begins a comment in YAML"
        path = dotted(refusal.path)
        faults.append(source.text.fault(refusal.mark, message, allowed, document=source.title, path=path))
    return faults


def validate(source: ParsedDocument) -> tuple[Document | None, list[PolicyFault]]:
    """Return the document's model, or None, and all faults of the document by itself."""
    faults = refusals(source)
    if len(faults) > MOST_FAULTS:
        return None, [*faults[:MOST_FAULTS], *_rest(source, len(faults) - MOST_FAULTS)]
    try:
        document = KINDS[source.kind].model_validate(
            _with_switches_as_text(source), context={SOURCE_TYPES: source.source_types}
        )
    except ValidationError as error:
        details = _one_for_each_typo(source, error.errors(include_url=False))
        for detail in details[:MOST_FAULTS]:
            fault = _translate(source, detail)
            faults += [fault] if fault is not None else []
        return None, [*faults, *_rest(source, len(details) - MOST_FAULTS)]
    return (None if faults else document), faults


def _with_switches_as_text(source: ParsedDocument) -> object:
    """Return the document's value, with `off` and `on` as they are written where they are label values."""
    match source.tree.value:
        case {"spec": {"variants": dict() as variants, **of_spec}, **rest} if source.kind == "Service":
            written = {
                key: source.tree.positions["spec", "variants", key].written
                for key in SWITCHES
                if isinstance(variants.get(key), bool)
            }
            return {**rest, "spec": {**of_spec, "variants": {**variants, **written}}}
    return source.tree.value


def _rest(source: ParsedDocument, count: int) -> list[PolicyFault]:
    """Return the fault that says how many more there are, if there are any."""
    message = f"{count:,} more faults of this document are not listed"
    return [source.fault((), message)] if count > 0 else []


def _translate(source: ParsedDocument, error: ErrorDetails) -> PolicyFault | None:
    path: Path = tuple(step for step in error["loc"] if step not in _NOT_STEPS)
    if source.tree.is_invalid(path):
        return None
    if error["type"] == "missing":
        return source.fault(path[:-1], f"{quoted(str(path[-1]))} is missing")
    if error["type"] == "extra_forbidden":
        return _unknown_key(source, path, known_keys(KINDS[source.kind], error["loc"][:-1]))
    message, allowed = _reason(source, path, error)
    return source.fault(path, message, allowed, at_key="[key]" in error["loc"])


def _reason(source: ParsedDocument, path: Path, error: ErrorDetails) -> tuple[str, str]:
    """Return why a value was refused, and what is allowed."""
    context = error.get("ctx", {})
    reason = (f"{IT} cannot be used here", "")
    match error["type"]:
        case "rule":
            reason = str(context["message"]), str(context["allowed"])
        case "value_error" if isinstance(context["error"], InvalidValueError):
            reason = context["error"].message, context["error"].allowed
        case "literal_error":
            words = re.findall(r"'([^']*)'", str(context["expected"]))
            as_written = source.tree.nearest(path)[1].written or ""
            reason = f"{IT} is not known{did_you_mean(as_written, words)}", ", ".join(words)
        case "string_type":
            reason = _not_text(error["input"])
        case "tuple_type" | "list_type":
            reason = f"{IT} must be a list", "[one, another]"
        case "model_type" | "model_attributes_type" | "dict_type":
            reason = f"{IT} must be a mapping", "{key: value}"
    return reason


def _one_for_each_typo(source: ParsedDocument, details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors without keys that are missing only because they are misspelt."""
    meant = {
        (*error["loc"][:-1], name)
        for error in details
        if error["type"] == "extra_forbidden"
        for name in _meant(source, error)
    }
    return [error for error in details if error["type"] != "missing" or error["loc"] not in meant]


def _meant(source: ParsedDocument, error: ErrorDetails) -> Sequence[str]:
    """Return the key that an unknown one probably means."""
    return suggest(str(error["loc"][-1]), known_keys(KINDS[source.kind], error["loc"][:-1]))


def _unknown_key(source: ParsedDocument, path: Path, known: Sequence[str]) -> PolicyFault:
    key = str(path[-1])
    message = f"unknown key {quoted(key)}{did_you_mean(key, known)}"
    return source.fault(path, message, ", ".join(known) or "no key at all", at_key=True)


def _not_text(value: object) -> tuple[str, str]:
    if isinstance(value, bool):
        return f"YAML reads {IT} as {str(value).lower()}", "quotes around it"
    if isinstance(value, int | float):
        return f"YAML reads {IT} as a number", "quotes around it"
    return f"{IT} must be text", "one text"
