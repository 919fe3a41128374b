"""Reads the fields of another tool's document one by one, and knows which were not read. Pure.

A reader that asks for each field that it understands need not list those that it does not: what is left
becomes a note.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from bot.policy.faults import dotted
from bot.policy.formats.reading import ForeignDocument, KeyPath, Note, NoteKind

_QUOTED_AT_MOST = 60


class RefusedDocumentError(Exception):
    """A document cannot be read; the message is a plain sentence without its period that says why.

    `path` leads to what it is about. `is_unsupported` tells a right document that Governor cannot measure.
    """

    def __init__(self, message: str, path: KeyPath = (), *, is_unsupported: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.is_unsupported = is_unsupported


@dataclass(slots=True, eq=False)
class DocumentNotes:
    """What was said of a document so far, and which of its values were looked at."""

    document: ForeignDocument
    notes: list[Note] = field(default_factory=list)
    read: set[KeyPath] = field(default_factory=set)

    @property
    def root(self) -> "NotedFields":
        """The document's own fields."""
        return NotedFields(self.document.value, (), self)

    def note(self, kind: NoteKind, path: KeyPath, message: str) -> None:
        """Note something about a part of the document, once."""
        note = Note(kind, path, message)
        if note not in self.notes:
            self.notes.append(note)

    def unread(self) -> list[KeyPath]:
        """Return the paths of the values that nothing has read."""
        return [
            path
            for path in leaves(self.document.value)
            if not any(path[:length] in self.read for length in range(len(path) + 1))
        ]

    def unread_keys(self) -> list[KeyPath]:
        """Return the paths of the keys in which nothing was read, of nested ones the outermost.

        A key without a value counts as left out.
        """
        known = {path[:length] for path in self.read for length in range(len(path) + 1)}
        found: dict[KeyPath, None] = {}
        for path in self.unread():
            outermost = next(path[:length] for length in range(len(path) + 1) if path[:length] not in known)
            if value_at(self.document.value, outermost) is not None:
                found[outermost] = None
        return list(found)

    def note_unread(self, reason: str) -> None:
        """Note each value that nothing has read."""
        for path in self.unread():
            self.note(NoteKind.OMITTED, path, f"`{dotted(path)}` {reason}")


@dataclass(frozen=True, slots=True)
class NotedFields:
    """The fields of one mapping of a document. What has another type than asked for is refused."""

    value: Mapping[str, Any]
    path: KeyPath
    notes: DocumentNotes

    def __contains__(self, key: str) -> bool:
        """Return whether a field is there and not empty (`null`)."""
        return self.value.get(key) is not None

    def at(self, key: str) -> KeyPath:
        """Return the path to a field."""
        return (*self.path, key)

    def where(self, key: str | None = None) -> str:
        """Return the dotted path of a field, in backticks."""
        path = self.path if key is None else (*self.path, key)
        return f"`{dotted(path)}`"

    def note(self, kind: NoteKind, key: str | None, message: str) -> None:
        """Note something about a field, or about the mapping as a whole."""
        self.notes.note(kind, self.path if key is None else (*self.path, key), message)

    def ignore(self, *keys: str) -> None:
        """Pass over fields that mean nothing to an SLO."""
        self.notes.read.update((*self.path, key) for key in keys)

    def take(self, key: str) -> Any:
        """Return a value as it is, all of it read."""
        self.ignore(key)
        return self.value.get(key)

    def text(self, key: str) -> str | None:
        """Return a text; None where it is not there."""
        value = self.take(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, datetime | date):
            return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        raise self.unlike(key, "text", value)

    def required_text(self, key: str) -> str:
        """Return a text that must be there."""
        value = self.text(key)
        if value is None or not value.strip():
            raise self.refusal(key, f"{self.where(key)} is missing")
        return value

    def spelled(self, key: str) -> str | None:
        """Return a text, or a number or switch as a text; None where it is not there."""
        value = self.take(key)
        return None if value is None else _spelled(value, self.at(key))

    def required_spelled(self, key: str) -> str:
        """Return a text, or a number or switch as a text, that must be there."""
        value = self.spelled(key)
        if value is None or not value.strip():
            raise self.refusal(key, f"{self.where(key)} is missing")
        return value

    def texts(self, key: str) -> dict[str, str]:
        """Return the texts of a mapping, numbers and switches among them as texts."""
        path, values = self.at(key), self.take(key)
        if values is None:
            return {}
        if not isinstance(values, Mapping):
            raise self.unlike(key, "a mapping", values)
        return {
            name: _spelled("" if value is None else value, (*path, name)) for name, value in values.items()
        }

    def words(self, key: str) -> tuple[str, ...]:
        """Return the texts of a list."""
        path, values = self.at(key), self.take(key)
        if values is None:
            return ()
        if not isinstance(values, list):
            raise self.unlike(key, "a list", values)
        return tuple(_spelled(value, (*path, index)) for index, value in enumerate(values))

    def flag(self, key: str) -> bool | None:
        """Return whether something is so; None where nothing is said of it."""
        value = self.take(key)
        if value is None or isinstance(value, bool):
            return value
        raise self.unlike(key, "true or false", value)

    def number(self, key: str) -> Decimal | None:
        """Return a number exactly as it is written; None where it is not there."""
        value = self.take(key)
        if value is None:
            return None
        number = as_number(value)
        if number is None:
            raise self.unlike(key, "a number", value)
        return number

    def mapping(self, key: str) -> "NotedFields | None":
        """Return the fields of a mapping; None where it is not there."""
        value = self.value.get(key)
        if not value and (value is None or isinstance(value, dict)):
            self.ignore(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.unlike(key, "a mapping", value)
        return NotedFields(value, (*self.path, key), self.notes)

    def required_mapping(self, key: str) -> "NotedFields":
        """Return the fields of a mapping that must be there."""
        found = self.mapping(key)
        if found is None:
            raise self.refusal(key, f"{self.where(key)} is missing")
        return found

    def mappings(self, key: str) -> "Sequence[NotedFields]":
        """Return the fields of each mapping in a list; one mapping alone counts as a list of it."""
        value = self.value.get(key)
        if not value and (value is None or isinstance(value, list)):
            self.ignore(key)
            return ()
        if isinstance(value, dict):
            return (NotedFields(value, (*self.path, key), self.notes),)
        if not isinstance(value, list):
            raise self.unlike(key, "a list", value)
        for index, each in enumerate(value):
            if not isinstance(each, dict):
                path = (*self.path, key, index)
                raise RefusedDocumentError(f"`{dotted(path)}` must be a mapping, not {_short(each)}", path)
        return tuple(
            NotedFields(each, (*self.path, key, index), self.notes) for index, each in enumerate(value)
        )

    def unlike(self, key: str, wanted: str, value: object) -> RefusedDocumentError:
        """Return the error that a field is something else than it must be."""
        return self.refusal(key, f"{self.where(key)} must be {wanted}, not {_short(value)}")

    def refusal(self, key: str | None, message: str, *, is_unsupported: bool = False) -> RefusedDocumentError:
        """Return the error that the document cannot be read because of a field, or of the mapping."""
        path = self.path if key is None else (*self.path, key)
        return RefusedDocumentError(message, path, is_unsupported=is_unsupported)


def value_at(value: Any, path: KeyPath) -> Any:
    """Return the value at a path."""
    for step in path:
        value = value[step]
    return value


def _spelled(value: object, path: KeyPath) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise RefusedDocumentError(f"`{dotted(path)}` must be text, not {_short(value)}", path)
    return str(value)


def as_number(value: object) -> Decimal | None:
    """Return a finite number, also one written as text; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    try:
        # The shortest text of a binary fraction is what was written.
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 100 else None


def leaves(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of each value that holds no others, empty lists and mappings among them."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from leaves(each, (*path, key if isinstance(key, int | str) else str(key)))
    elif isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from leaves(each, (*path, index))
    else:
        yield path


def _short(value: object) -> str:
    """Return a value as a message quotes it."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = " ".join(str(value).split())
    return f"`{text if len(text) <= _QUOTED_AT_MOST else text[: _QUOTED_AT_MOST - 1] + '…'}`"
