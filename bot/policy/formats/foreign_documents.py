"""SLO documents of other tools as they stand in a YAML file, and what keeps them from being read. Pure.

A list of Kubernetes (`kind: List`, as `kubectl get -o yaml` prints it) stands for the documents in it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from bot.policy.faults import quoted
from bot.policy.formats.reading import ForeignDocument, KeyPath, Reading
from bot.policy.formats.registry import SloFormats, slo_formats
from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.tree import Allowance, Tree, read_foreign_tree

_HELM: Final = re.compile(
    r"\{\{(?:[^\n}]{0,200}[\s$(])?\$?\.(?:Values|Release|Chart|Capabilities|Files|Template)\b[^\n}]{0,200}\}{0,2}|"
    r"\{\{-?\s*(?:include|tpl|toYaml|required|lookup)\b[^\n}]{0,200}\}{0,2}"
)
"""What only Helm fills in: Sloth's `{{.window}}`, and the templates of Prometheus' alerts, look alike."""
_TOOLS = re.compile(r"prometheus/v1\b|sloth\.slok\.dev/|pyrra\.dev/|openslo/v|sre\.google\.com/")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_UNRENDERED = "this is a template of Helm, {}, that was not filled in; read what `helm template` prints"


def mentions_slos(text: str) -> bool:
    """Return whether a text that cannot be read probably holds SLO documents of another tool."""
    return _TOOLS.search(text) is not None


def unrendered(text: str) -> tuple[int, str] | None:
    """Return where a text holds a template of Helm, and a sentence about it; None where it holds none."""
    match = _HELM.search(_COMMENT.sub(lambda comment: " " * len(comment[0]), text))
    return None if match is None else (match.start(), _UNRENDERED.format(quoted(match[0])))


def is_recognized(node: Node) -> bool:
    """Return whether one of the readers takes the document, or the first of a list, for one of its tool."""
    if isinstance(node, SequenceNode):
        node = node.value[0] if node.value else node
    if not isinstance(node, MappingNode):
        return False
    return slo_formats().recognizes(_top_level(node))


def is_governed_by(node: MappingNode, api_version: str) -> bool:
    """Return whether the document names this `apiVersion`."""
    return any(
        isinstance(key, ScalarNode)
        and key.value == "apiVersion"
        and isinstance(value, ScalarNode)
        and value.value == api_version
        for key, value in node.value
    )


def documents_in(
    text: SourceText, node: Node, allowance: Allowance, formats: SloFormats
) -> Iterator[ForeignDocument | Reading]:
    """Yield the SLO documents of one YAML document, or the refusal of what holds unreadable ones.

    Raises `TooLargeError`.
    """
    if isinstance(node, SequenceNode):
        for each in node.value:
            yield from documents_in(text, each, allowance, formats)
        return
    if not isinstance(node, MappingNode) or not formats.may_recognize(_top_level(node)):
        return
    tree = read_foreign_tree(node, allowance)
    if not isinstance(tree.value, dict):
        return
    lines = {path: (at.key or at.value).line + 1 for path, at in tree.positions.items()}
    lines_below = _lines_below(lines)
    for path, value in _with_items(tree.value):
        if not formats.recognizes(value):
            continue
        document = ForeignDocument(text.file, lines[path], value, lines_below[path] if path else lines)
        template = unrendered(text.text[node.start_mark.index : node.end_mark.index])
        if template is not None:
            index, message = template
            line, _ = text.position(node.start_mark.index + index)
            yield _refused(ForeignDocument(text.file, line, value), message)
        elif refusal := _refusal(tree):
            yield _refused(ForeignDocument(text.file, refusal[0], value), refusal[1])
        else:
            yield document


def _refused(document: ForeignDocument, message: str) -> Reading:
    kind = document.value.get("kind")
    return Reading(document, kind if isinstance(kind, str) else "document", refusal=message)


def _refusal(tree: Tree) -> tuple[int, str] | None:
    """Return the line and the words of the first value that no program reads the same."""
    for refusal in tree.refused:
        as_written = "this" if refusal.written is None else quoted(refusal.written)
        return refusal.mark.line + 1, refusal.reason.message.replace("{it}", as_written)
    return None


def _top_level(node: MappingNode) -> dict[str, Any]:
    """Return the texts at the top of a document, before all of it is read."""
    return {
        key.value: value.value if isinstance(value, ScalarNode) else ""
        for key, value in node.value
        if isinstance(key, ScalarNode)
    }


def _with_items(value: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    items = value.get("items")
    kind = value.get("kind")
    if isinstance(items, list) and isinstance(kind, str) and kind.endswith("List"):
        for index, item in enumerate(items):
            if isinstance(item, dict):
                yield ("items", index), item
    else:
        yield (), value


def _lines_below(lines: Mapping[KeyPath, int]) -> dict[KeyPath, dict[KeyPath, int]]:
    """Return the lines of each item of a list, by the paths within it."""
    below: dict[KeyPath, dict[KeyPath, int]] = {}
    for path, line in lines.items():
        below.setdefault(path[:2], {})[path[2:]] = line
    return below
