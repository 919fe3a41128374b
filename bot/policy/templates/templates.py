"""Templates of services: Service documents with `forEach`, validated once and expanded for each value. Pure.

A value that yields no valid service is a fault that names the document and the value; all others get theirs.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from bot.policy.documents.documents import ServiceDocument
from bot.policy.documents.for_each import ForEach
from bot.policy.documents.promql_shapes import LABEL
from bot.policy.faults import Path, PolicyFault, quoted
from bot.policy.rules.references import repeated_names
from bot.policy.rules.validation import ParsedDocument, validate
from bot.policy.templates import placeholders as placeholder
from bot.policy.templates.label_values import DiscoveryRequest, LabelKey
from bot.policy.templates.placeholders import SAMPLE, Spelling, spelling_at

_NAME: Path = ("metadata", "name")
_FOR_EACH: Path = ("spec", "forEach")


def with_placeholders_checked(source: ParsedDocument) -> ParsedDocument:
    """Return the Service document with every misplaced or wrong placeholder refused."""
    label = _label(source)
    if label is None and _FOR_EACH in source.tree.positions:
        # Without a valid label it is unknown which placeholder is right.
        return source

    def check(path: Path, text: str) -> str:
        placeholder.check(text, spelling_at(path), label)
        return text

    return source.rewritten(check)


def with_sample(source: ParsedDocument) -> ParsedDocument:
    """Return the document expanded for a sample value; its positions stay those of the document."""
    return _filled(source, SAMPLE) if _FOR_EACH in source.tree.positions else source


def template(source: ParsedDocument, for_each: ForEach) -> "Template":
    """Return the template of a document; without a placeholder in its name, the values name its services."""
    name = _text(source, _NAME) or ""
    if not placeholder.has_placeholder(name):
        placeholder_name = f"%{{{for_each.label}}}"
        source = source.rewritten(lambda path, text: placeholder_name if path == _NAME else text)
        positions = source.tree.positions | {
            _NAME: replace(source.tree.positions[_NAME], written=placeholder_name)
        }
        source = replace(source, tree=replace(source.tree, positions=positions))
    return Template(name, source, for_each)


Expanded = ServiceDocument | PolicyFault
"""The service of one value, or the fault why it has none."""


@dataclass(frozen=True, slots=True)
class Template:
    """A Service document with `forEach` that is valid; single values may still have faults.

    `name` is the document's name, `source` the document with the name of its services.
    """

    name: str
    source: ParsedDocument
    for_each: ForEach
    _expanded: dict[str, Expanded] = field(default_factory=dict, compare=False, repr=False)

    @property
    def discovery_request(self) -> DiscoveryRequest:
        """The values to request from the source."""
        key, for_each = LabelKey(self.name, self.for_each.label), self.for_each
        return DiscoveryRequest(key, for_each.source, for_each.match, for_each.keep_for, for_each.limit)

    def document(self, value: str) -> Expanded:
        """Return the document of one value, or its first fault."""
        if value not in self._expanded:
            self._expanded[value] = self._expand(value)
        return self._expanded[value]

    def _expand(self, value: str) -> Expanded:
        source = _without_for_each(_filled(self.source, value))
        document, faults = validate(source)
        for fault in [*faults, *repeated_names(source)]:
            return replace(fault, message=self._about(value, fault.message))
        return cast("ServiceDocument", document)

    def fault(self, value: str, path: Path, message: str, allowed: str = "") -> PolicyFault:
        """Return a fault of one value at a path of the document."""
        return self.source.fault(path, self._about(value, message), allowed)

    def _about(self, value: str, message: str) -> str:
        return f"the value {quoted(value)} of {quoted(self.for_each.label)}: {message}"


@dataclass(frozen=True, slots=True)
class Expansion:
    """The documents of valid values, the faults of the others, and how many services each document has."""

    documents: tuple[ServiceDocument, ...] = ()
    faults: tuple[PolicyFault, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def expand(
    templates: Sequence[Template], other_names: Mapping[str, str], known: Mapping[LabelKey, Sequence[str]]
) -> Expansion:
    """Expand templates for the known values, the longest known first: of the same names the first is kept.

    `other_names` are the names of the other services, each with its document and position.
    """
    names = dict(other_names)
    documents: list[ServiceDocument] = []
    faults: list[PolicyFault] = []
    counts: dict[str, int] = {}
    for template in templates:
        title = template.discovery_request.key.title
        counts[title] = 0
        for value in _within_limit(template, known.get(template.discovery_request.key, ()), faults):
            document = template.document(value)
            if isinstance(document, PolicyFault):
                faults.append(document)
                continue
            name = document.metadata.name
            if name in names:
                message = f"it would be called {quoted(name)}, and so is {names[name]}"
                allowed = "another name, or the value under `except`"
                faults.append(template.fault(value, _NAME, message, allowed))
                continue
            names[name] = f"the value {quoted(value)} of {title}"
            documents.append(document)
            counts[title] += 1
    return Expansion(tuple(documents), tuple(faults), counts)


def _within_limit(template: Template, values: Sequence[str], faults: list[PolicyFault]) -> Iterator[str]:
    for_each = template.for_each
    included = [value for value in values if value not in for_each.without]
    yield from included[: for_each.limit]
    if len(included) > for_each.limit:
        label, limit = quoted(for_each.label), for_each.limit
        message = f"{label} has more than {limit} values; only the ones known longest become services"
        faults.append(template.source.fault(_FOR_EACH, message, "a narrower `match`, or a higher `limit`"))


def _filled(source: ParsedDocument, value: str) -> ParsedDocument:
    return source.rewritten(lambda path, text: _fill(path, text, value))


def _fill(path: Path, text: str, value: str) -> str:
    spelling = spelling_at(path)
    if spelling is Spelling.NOWHERE or not placeholder.has_placeholder(text):
        return text
    return placeholder.filled(text, spelling, value)


def _without_for_each(source: ParsedDocument) -> ParsedDocument:
    value = source.tree.value
    if isinstance(value, dict) and isinstance(value.get("spec"), dict):
        spec = {key: item for key, item in value["spec"].items() if key != _FOR_EACH[-1]}
        return replace(source, tree=replace(source.tree, value={**value, "spec": spec}))
    return source


def _label(source: ParsedDocument) -> str | None:
    label = _text(source, (*_FOR_EACH, "label"))
    return label if label is not None and re.fullmatch(LABEL, label) else None


def _text(source: ParsedDocument, path: Path) -> str | None:
    value: object = source.tree.value
    for step in path:
        value = value.get(str(step)) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None
