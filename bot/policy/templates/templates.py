"""Service documents that stand for many: checked before any value is known, then filled in for each. Pure.

What is wrong with one value is a fault that names the document and the value; all others get their service.
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
    """Return the Service document with every misplaced or misspelt placeholder refused."""
    label = _label(source)
    if label is None and _FOR_EACH in source.tree.places:
        # Which placeholder would be right cannot be told before the label is.
        return source

    def check(path: Path, text: str) -> str:
        placeholder.check(text, spelling_at(path), label)
        return text

    return source.rewritten(check)


def with_sample(source: ParsedDocument) -> ParsedDocument:
    """Return the document as it is for some valid value; its places stay those of the document."""
    return _filled(source, SAMPLE) if _FOR_EACH in source.tree.places else source


def template(source: ParsedDocument, for_each: ForEach) -> "Template":
    """Make a template of a document; its services are called by the value where its name does not say how."""
    name = _text(source, _NAME) or ""
    if not placeholder.is_mentioned(name):
        named = f"%{{{for_each.label}}}"
        source = source.rewritten(lambda path, text: named if path == _NAME else text)
        places = source.tree.places | {_NAME: replace(source.tree.places[_NAME], written=named)}
        source = replace(source, tree=replace(source.tree, places=places))
    return Template(name, source, for_each)


Made = ServiceDocument | PolicyFault
"""What one value makes of a template."""


@dataclass(frozen=True, slots=True)
class Template:
    """A Service document with `forEach`, free of faults but for those that single values bring.

    `name` is what the document is called, `source` the document with the name that its services have.
    """

    name: str
    source: ParsedDocument
    for_each: ForEach
    _made: dict[str, Made] = field(default_factory=dict, compare=False, repr=False)

    @property
    def wanted(self) -> DiscoveryRequest:
        """Which values the document stands for."""
        asked = LabelKey(self.name, self.for_each.label)
        each = self.for_each
        return DiscoveryRequest(asked, each.source, each.match, each.keep_for, each.limit)

    def document(self, value: str) -> Made:
        """Return the document of one value, or the first thing that is wrong with it."""
        if value not in self._made:
            self._made[value] = self._make(value)
        return self._made[value]

    def _make(self, value: str) -> Made:
        source = _without_for_each(_filled(self.source, value))
        document, faults = validate(source)
        for fault in [*faults, *repeated_names(source)]:
            return replace(fault, message=self._about(value, fault.message))
        return cast("ServiceDocument", document)

    def fault(self, value: str, path: Path, message: str, allowed: str = "") -> PolicyFault:
        """Make a fault of one value at a place of the document."""
        return self.source.fault(path, self._about(value, message), allowed)

    def _about(self, value: str, message: str) -> str:
        return f"the value {quoted(value)} of {quoted(self.for_each.label)}: {message}"


@dataclass(frozen=True, slots=True)
class Expansion:
    """The documents of all values, what is wrong with the others, and how many each document stands for."""

    documents: tuple[ServiceDocument, ...] = ()
    faults: tuple[PolicyFault, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


def expand(
    templates: Sequence[Template], taken: Mapping[str, str], known: Mapping[LabelKey, Sequence[str]]
) -> Expansion:
    """Fill the known values in, the longest known first: whoever came first keeps a name.

    `taken` holds the names of the other services and where each is said.
    """
    names = dict(taken)
    documents: list[ServiceDocument] = []
    faults: list[PolicyFault] = []
    counts: dict[str, int] = {}
    for template in templates:
        title = template.wanted.asked.title
        counts[title] = 0
        for value in _within_limit(template, known.get(template.wanted.asked, ()), faults):
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
    each = template.for_each
    wanted = [value for value in values if value not in each.without]
    yield from wanted[: each.limit]
    if len(wanted) > each.limit:
        message = f"{quoted(each.label)} has more than {each.limit} values; those known longest have services"
        faults.append(template.source.fault(_FOR_EACH, message, "a narrower `match`, or a higher `limit`"))


def _filled(source: ParsedDocument, value: str) -> ParsedDocument:
    return source.rewritten(lambda path, text: _fill(path, text, value))


def _fill(path: Path, text: str, value: str) -> str:
    spelling = spelling_at(path)
    if spelling is Spelling.NOWHERE or not placeholder.is_mentioned(text):
        return text
    return placeholder.filled(text, spelling, value)


def _without_for_each(source: ParsedDocument) -> ParsedDocument:
    value = source.tree.value
    if isinstance(value, dict) and isinstance(value.get("spec"), dict):
        spec = {key: one for key, one in value["spec"].items() if key != _FOR_EACH[-1]}
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
