"""Turns one YAML document's nodes into plain values, and remembers where each came from.

Knows YAML, the environment and the limits of what is still sensible; nothing of policies.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.error import Mark

from bot.policy.faults import InvalidValueError, Path, quoted
from bot.policy.yaml.scalars import scalar_value
from bot.policy.yaml.substitution import substitute

DEEPEST = 64
"""How many collections may lie within each other, aliases followed."""
_MERGE = "tag:yaml.org,2002:merge"


class RefusedValue:
    """Stands for a value that was refused already; no type accepts it."""

    def __repr__(self) -> str:
        return "<unreadable>"


UNREADABLE = RefusedValue()


@dataclass(frozen=True, slots=True)
class NodePosition:
    """Where a value stands: its key, if it has one, and itself; `written` is a scalar's own text."""

    key: Mark | None
    value: Mark
    written: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A value or key that was refused while reading. `path` leads to the value, or to the key's mapping."""

    path: Path
    mark: Mark
    reason: InvalidValueError
    written: str | None
    is_key: bool = False


class TooLargeError(Exception):
    """More values than any set of policies needs: most likely aliases that multiply each other."""

    def __init__(self, mark: Mark) -> None:
        super().__init__("too many values")
        self.mark = mark


@dataclass(slots=True)
class Allowance:
    """How many more values may be read; shared by all documents of a file."""

    left: int = 100_000

    def take(self, mark: Mark) -> None:
        """Count one value; raises `TooLargeError` when there have been too many."""
        self.left -= 1
        if self.left < 0:
            raise TooLargeError(mark)


@dataclass(slots=True)
class Tree:
    """A document's values, the place of each, and what was refused while reading them."""

    places: dict[Path, NodePosition] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    value: object = UNREADABLE
    _spoilt: set[Path] = field(default_factory=set)

    def refuse(self, refusal: Refusal) -> None:
        """Note a refusal; nothing more is to be said of the value it is about."""
        self.refused.append(refusal)
        if not refusal.is_key:
            self._spoilt.add(refusal.path)

    def is_spoilt(self, path: Path) -> bool:
        """Return whether the value at this path, or one that holds it, was refused while reading."""
        return any(path[:length] in self._spoilt for length in range(len(path) + 1))

    def nearest(self, path: Path) -> tuple[Path, NodePosition]:
        """Return the place of the value at this path, or of the nearest one that holds it."""
        while path not in self.places:
            path = path[:-1]
        return path, self.places[path]

    def rewritten(self, rewrite: Callable[[Path, str], str]) -> "Tree":
        """Return the tree with other texts at the same places; a text that `rewrite` refuses is spoilt."""
        tree = Tree(self.places, list(self.refused), UNREADABLE, set(self._spoilt))
        tree.value = tree._rewritten((), self.value, rewrite)
        return tree

    def _rewritten(self, path: Path, value: object, rewrite: Callable[[Path, str], str]) -> object:
        if isinstance(value, dict):
            return {key: self._rewritten((*path, key), one, rewrite) for key, one in value.items()}
        if isinstance(value, list):
            return [self._rewritten((*path, index), one, rewrite) for index, one in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            return rewrite(path, value)
        except InvalidValueError as refused:
            place = self.places[path]
            self.refuse(Refusal(path, place.value, refused, place.written))
            return UNREADABLE


def read_tree(root: Node, environ: Mapping[str, str], allowance: Allowance) -> Tree:
    """Read a document; raises `TooLargeError`, everything else is in the tree's `refused`."""
    return _Reader(environ, allowance).read(root)


class _Reader:
    def __init__(self, environ: Mapping[str, str], allowance: Allowance) -> None:
        self._environ = environ
        self._allowance = allowance
        self._tree = Tree()
        self._open: list[Node] = []

    def read(self, root: Node) -> Tree:
        self._tree.value = self._value(root, (), None)
        return self._tree

    def _value(self, node: Node, path: Path, key: Node | None) -> object:
        self._allowance.take(node.start_mark)
        written = node.value if isinstance(node, ScalarNode) else None
        key_mark = key.start_mark if key is not None else None
        self._tree.places[path] = NodePosition(key_mark, node.start_mark, written)
        try:
            if isinstance(node, ScalarNode):
                return self._scalar(node)
            return self._collection(node, path)
        except InvalidValueError as refused:
            # An empty value stands nowhere: its key shows the way.
            mark = key_mark if key_mark is not None and written == "" else node.start_mark
            self._tree.refuse(Refusal(path, mark, refused, written))
            return UNREADABLE

    def _scalar(self, node: ScalarNode) -> object:
        value = scalar_value(node)
        return substitute(value, self._environ) if isinstance(value, str) else value

    def _collection(self, node: Node, path: Path) -> object:
        if len(self._open) >= DEEPEST:
            raise InvalidValueError("this is nested too deeply", f"at most {DEEPEST} levels")
        if any(node is outer for outer in self._open):
            raise InvalidValueError("this refers to itself", "an alias to something that ended before")
        self._open.append(node)
        try:
            if isinstance(node, SequenceNode) and node.tag.endswith(":seq"):
                return [self._value(item, (*path, index), None) for index, item in enumerate(node.value)]
            if isinstance(node, MappingNode) and node.tag.endswith(":map"):
                return self._mapping(node, path)
        finally:
            self._open.pop()
        raise InvalidValueError("YAML tags are not used in policies", "a value without `!`")

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, object]:
        values: dict[str, object] = {}
        own: set[str] = set()
        for key_node, value_node, is_merged in self._entries(node, path, []):
            try:
                key = _new_key(key_node, set() if is_merged else own)
            except InvalidValueError as refused:
                written = key_node.value if isinstance(key_node, ScalarNode) else None
                refusal = Refusal(path, key_node.start_mark, refused, written, is_key=True)
                self._tree.refuse(refusal)
                continue
            if key in values:
                continue
            if not is_merged:
                own.add(key)
            values[key] = self._value(value_node, (*path, key), key_node)
        return values

    def _entries(
        self, node: MappingNode, path: Path, merging: list[Node]
    ) -> Iterator[tuple[Node, Node, bool]]:
        """Yield a mapping's own entries, then those it merges in (`<<`), which yield to its own."""
        merges = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merges.append(value_node)
            else:
                self._allowance.take(key_node.start_mark)
                yield key_node, value_node, bool(merging)
        for value_node in merges:
            sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
            for source in sources:
                is_usable = isinstance(source, MappingNode) and source not in (node, *merging)
                if not is_usable or len(merging) >= DEEPEST:
                    refused = InvalidValueError("only another mapping can be merged", "<<: *alias")
                    mark = source.start_mark
                    self._tree.refuse(Refusal(path, mark, refused, None, is_key=True))
                else:
                    yield from self._entries(source, path, [*merging, node])


def _new_key(node: Node, taken: set[str]) -> str:
    key = scalar_value(node) if isinstance(node, ScalarNode) else None
    if isinstance(key, bool | int | float):
        kind = "true or false" if isinstance(key, bool) else "a number"
        raise InvalidValueError(f"YAML reads the key {quoted(node.value)} as {kind}", "quotes around it")
    if key is None:
        raise InvalidValueError("a key must be text", "a word")
    if key in taken:
        raise InvalidValueError(f"the key {quoted(key)} stands twice", "each key once")
    return key
