"""Reads the values of other tools' documents key by key, and knows which keys nobody read. Pure.

    ValueError
    └── InvalidFieldError   one value; its message is a plain sentence without its period

It is not retryable: somebody has to edit a file.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bot.policy.faults import quoted
from bot.policy.formats.reading import KeyPath

_OF_KUBERNETES = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""Keys of `metadata` in which Kubernetes keeps its own books."""


class InvalidFieldError(ValueError):
    """A value of a document that its tool, or Governor, cannot read. `path` leads to it."""

    def __init__(self, path: KeyPath, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


class Fields:
    """One mapping of a document. A key without a value counts as left out, as it does for programs in Go."""

    def __init__(self, value: object, path: KeyPath = ()) -> None:
        if not isinstance(value, Mapping):
            raise InvalidFieldError(path, f"{_name(path)} must be a mapping")
        self.path = path
        self._value: Mapping[str, Any] = value
        self._known: set[str] = set()
        self._inner: list[Fields] = []

    def has(self, key: str) -> bool:
        """Return whether the key has a value; that alone does not count as reading it."""
        return self._value.get(key) is not None

    def at(self, key: str) -> KeyPath:
        """Return the path to a key."""
        return (*self.path, key)

    def text(self, key: str) -> str | None:
        """Return a text, or a number or switch as a text; None where there is none."""
        value = self._read(key)
        return None if value is None else _as_text(value, self.at(key))

    def required(self, key: str) -> str:
        """Return a text that must be there."""
        text = self.text(key)
        if text is None or not text.strip():
            raise InvalidFieldError(self.at(key) if text is not None else self.path, f"`{key}` is missing")
        return text

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a switch."""
        text = self.text(key)
        if text is None:
            return default
        if text not in {"true", "false"}:
            raise InvalidFieldError(self.at(key), f"`{key}` must be true or false")
        return text == "true"

    def inner(self, key: str) -> "Fields | None":
        """Return a mapping within this one."""
        value = self._read(key)
        if value is None:
            return None
        fields = Fields(value, self.at(key))
        self._inner.append(fields)
        return fields

    def each(self, key: str) -> list["Fields"]:
        """Return a list of mappings; an empty one where there is none."""
        fields = [Fields(value, (*self.at(key), index)) for index, value in enumerate(self._list(key))]
        self._inner += fields
        return fields

    def words(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; an empty one where there is none."""
        return tuple(_as_text(value, (*self.at(key), index)) for index, value in enumerate(self._list(key)))

    def texts(self, key: str) -> dict[str, str]:
        """Return a mapping of texts; an empty one where there is none."""
        value = self._read(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise InvalidFieldError(self.at(key), f"`{key}` must be a mapping")
        path = self.at(key)
        return {name: _as_text("" if each is None else each, (*path, name)) for name, each in value.items()}

    def skip(self, *keys: str) -> None:
        """Count keys as read that say nothing of an SLO."""
        self._known.update(keys)

    def unread(self) -> Iterator[KeyPath]:
        """Yield the paths to the keys with a value that were not read, here and in the mappings within."""
        for key, value in self._value.items():
            if key not in self._known and value is not None:
                yield self.at(key)
        for fields in self._inner:
            yield from fields.unread()

    def _read(self, key: str) -> object:
        self._known.add(key)
        return self._value.get(key)

    def _list(self, key: str) -> list[object]:
        value = self._read(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise InvalidFieldError(self.at(key), f"`{key}` must be a list")
        return value


class KubernetesMetadata:
    """What every document of Kubernetes has: its name, namespace, labels and annotations."""

    def __init__(self, document: Fields) -> None:
        document.skip("apiVersion", "kind", "status")
        fields = document.inner("metadata") or Fields({}, ("metadata",))
        fields.skip(*_OF_KUBERNETES)
        self.name = fields.required("name")
        self.labels = fields.texts("labels")
        self.annotations = fields.texts("annotations")
        namespace = fields.text("namespace")
        if namespace:
            self.labels = {"namespace": namespace, **self.labels}


def _as_text(value: object, path: KeyPath) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise InvalidFieldError(path, f"{_name(path)} must be text")
    return str(value)


def _name(path: KeyPath) -> str:
    words = [step for step in path if isinstance(step, str)]
    return quoted(words[-1]) if words else "the document"
