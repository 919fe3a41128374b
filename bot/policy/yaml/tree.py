"""Turns one YAML document's nodes into plain values, each with its position in the file.

Knows YAML, the environment and the limits of size and depth; nothing of policies.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.error import Mark

from bot.policy.faults import InvalidValueError, Path, quoted
from bot.policy.yaml.scalars import foreign_value, scalar_value, whole_characters
from bot.policy.yaml.substitution import referenced, substitute

MAX_DEPTH = 64
"""How deep collections may be nested, aliases followed."""
_MERGE = "tag:yaml.org,2002:merge"


class RefusedValue:
    """A placeholder for a value that was refused already; no type accepts it."""

    def __repr__(self) -> str:
        return "<unreadable>"


UNREADABLE = RefusedValue()


@dataclass(frozen=True, slots=True)
class NodePosition:
    """Where a value is: its key, if it has one, and the value itself; `written` is a scalar's source text."""

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
    """Aliases multiply the values of a file beyond what any set of policies needs."""

    def __init__(self, mark: Mark) -> None:
        super().__init__("too many values")
        self.mark = mark


@dataclass(slots=True)
class Allowance:
    """How many more values may be read again because an alias repeats them; shared by a file's documents.

    What is written out costs nothing: the size of a file is limited in bytes.
    """

    left: int = 100_000

    def take(self, mark: Mark) -> None:
        """Count one repeated value; raises `TooLargeError` when there are too many."""
        self.left -= 1
        if self.left < 0:
            raise TooLargeError(mark)


@dataclass(slots=True)
class Tree:
    """A document's values, the position of each, and what was refused while reading them."""

    positions: dict[Path, NodePosition] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    value: object = UNREADABLE
    references: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    """The environment variables that each text refers to."""
    _invalid: set[Path] = field(default_factory=set)

    def refuse(self, refusal: Refusal) -> None:
        """Record a refusal; the value it is about gets no further faults."""
        self.refused.append(refusal)
        if not refusal.is_key:
            self._invalid.add(refusal.path)

    def is_invalid(self, path: Path) -> bool:
        """Return whether the value at this path, or one that contains it, was refused while reading."""
        return any(path[:length] in self._invalid for length in range(len(path) + 1))

    def nearest(self, path: Path) -> tuple[Path, NodePosition]:
        """Return the path and position of the value at this path, or of the nearest one that contains it.

        The only one of a list may be written without the list.
        """
        found: Path = ()
        for step in path:
            if (*found, step) in self.positions:
                found = (*found, step)
            elif step != 0:
                break
        return found, self.positions[found]

    def rewritten(self, rewrite: Callable[[Path, str], str]) -> "Tree":
        """Return the tree with other texts at the same positions; what `rewrite` refuses becomes invalid."""
        tree = Tree(self.positions, list(self.refused), UNREADABLE, self.references, set(self._invalid))
        tree.value = tree._rewritten((), self.value, rewrite)
        return tree

    def refusing(self, reasons: Mapping[Path, InvalidValueError]) -> "Tree":
        """Return the tree without the values at these paths, each refused for that reason and no other."""
        others = [refusal for refusal in self.refused if refusal.is_key or refusal.path not in reasons]
        tree = Tree(self.positions, others, UNREADABLE, self.references, set(self._invalid))
        for path, reason in reasons.items():
            position = self.positions[path]
            tree.refuse(Refusal(path, position.value, reason, position.written))
        tree.value = _without((), self.value, reasons.keys())
        return tree

    def _rewritten(self, path: Path, value: object, rewrite: Callable[[Path, str], str]) -> object:
        if isinstance(value, dict):
            return {key: self._rewritten((*path, key), item, rewrite) for key, item in value.items()}
        if isinstance(value, list):
            return [self._rewritten((*path, index), item, rewrite) for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            return rewrite(path, value)
        except InvalidValueError as error:
            position = self.positions[path]
            self.refuse(Refusal(path, position.value, error, position.written))
            return UNREADABLE


def _without(path: Path, value: object, paths: Collection[Path]) -> object:
    """Return a value with what is at these paths marked as unreadable."""
    if path in paths:
        return UNREADABLE
    if isinstance(value, dict):
        return {key: _without((*path, key), item, paths) for key, item in value.items()}
    if isinstance(value, list):
        return [_without((*path, index), item, paths) for index, item in enumerate(value)]
    return value


def read_tree(root: Node, environ: Mapping[str, str], allowance: Allowance) -> Tree:
    """Read a document; raises `TooLargeError`, all other faults are in the tree's `refused`."""
    return _Reader(environ, allowance).read(root)


def read_foreign_tree(root: Node, allowance: Allowance) -> Tree:
    """Read a document of another program: its scalars as that reads them, and nothing of the environment."""
    return _ForeignReader({}, allowance).read(root)


class _Reader:
    def __init__(self, environ: Mapping[str, str], allowance: Allowance) -> None:
        self._environ = environ
        self._allowance = allowance
        self._tree = Tree()
        self._open: list[Node] = []
        # Nodes live as long as the document that is read, so that their ids stay theirs.
        self._seen: set[int] = set()

    def read(self, root: Node) -> Tree:
        self._tree.value = self._value(root, (), None)
        return self._tree

    def _value(self, node: Node, path: Path, key: Node | None) -> object:
        self._count(node)
        written = node.value if isinstance(node, ScalarNode) else None
        key_mark = key.start_mark if key is not None else None
        self._tree.positions[path] = NodePosition(key_mark, node.start_mark, written)
        try:
            if isinstance(node, ScalarNode):
                return self._scalar(node, path)
            return self._collection(node, path)
        except InvalidValueError as error:
            # An empty value has no position of its own: its key's is shown.
            mark = key_mark if key_mark is not None and written == "" else node.start_mark
            self._tree.refuse(Refusal(path, mark, error, written))
            return UNREADABLE

    def _count(self, node: Node) -> None:
        """Count a node that was read before: an alias repeats it."""
        if id(node) in self._seen:
            self._allowance.take(node.start_mark)
        self._seen.add(id(node))

    def _scalar(self, node: ScalarNode, path: Path) -> object:
        value = scalar_value(node)
        if not isinstance(value, str):
            return value
        if names := referenced(value):
            self._tree.references[path] = names
        return substitute(value, self._environ)

    def _collection(self, node: Node, path: Path) -> object:
        if len(self._open) >= MAX_DEPTH:
            raise InvalidValueError("this is nested too deeply", f"at most {MAX_DEPTH} levels")
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
        own_keys: set[str] = set()
        for key_node, value_node, is_merged in self._entries(node, path, []):
            try:
                key = self._key(key_node, set() if is_merged else own_keys)
            except InvalidValueError as error:
                written = key_node.value if isinstance(key_node, ScalarNode) else None
                refusal = Refusal(path, key_node.start_mark, error, written, is_key=True)
                self._tree.refuse(refusal)
                continue
            if key in values:
                continue
            if not is_merged:
                own_keys.add(key)
            values[key] = self._value(value_node, (*path, key), key_node)
        return values

    def _key(self, node: Node, used: set[str]) -> str:
        return _new_key(node, used)

    def _entries(
        self, node: MappingNode, path: Path, merging: list[Node]
    ) -> Iterator[tuple[Node, Node, bool]]:
        """Yield a mapping's own entries, then those it merges in (`<<`); its own take precedence."""
        merges = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merges.append(value_node)
            else:
                self._count(key_node)
                yield key_node, value_node, bool(merging)
        for value_node in merges:
            sources = value_node.value if isinstance(value_node, SequenceNode) else [value_node]
            for source in sources:
                is_usable = isinstance(source, MappingNode) and source not in (node, *merging)
                if not is_usable or len(merging) >= MAX_DEPTH:
                    error = InvalidValueError("only another mapping can be merged", "<<: *alias")
                    mark = source.start_mark
                    self._tree.refuse(Refusal(path, mark, error, None, is_key=True))
                else:
                    yield from self._entries(source, path, [*merging, node])


class _ForeignReader(_Reader):
    def _scalar(self, node: ScalarNode, path: Path) -> object:  # noqa: ARG002 - no variable is filled in
        return foreign_value(node)

    def _key(self, node: Node, used: set[str]) -> str:
        if isinstance(node, ScalarNode) and node.value not in used:
            return whole_characters(node.value)
        return super()._key(node, used)


def _new_key(node: Node, used: set[str]) -> str:
    key = scalar_value(node) if isinstance(node, ScalarNode) else None
    if isinstance(key, bool | int | float):
        kind = "true or false" if isinstance(key, bool) else "a number"
        raise InvalidValueError(f"YAML reads the key {quoted(node.value)} as {kind}", "quotes around it")
    if key is None:
        raise InvalidValueError("a key must be text", "a word")
    if key in used:
        raise InvalidValueError(f"the key {quoted(key)} appears twice", "each key once")
    return key
