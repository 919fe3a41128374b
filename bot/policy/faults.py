"""What can be wrong with a set of policy documents, and where.

    ValueError
    ├── Refused        one value or rule, said by the models; knows no position
    └── PolicyFaults   a whole set, said by the loader; holds every Fault with its position

Neither is retryable: somebody has to edit a file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bot import suggestions

Path = tuple[str | int, ...]
"""The way from a document's root to a value: keys and list indices."""

IT = "{it}"
"""Stands in a message for the value as its author wrote it (before `${…}` was filled in)."""


class InvalidValueError(ValueError):
    """A value that its key does not allow. `message` may hold `IT`; `allowed` says what would do."""

    def __init__(self, message: str, allowed: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class PolicyFault:
    """One thing that is wrong. `line` and `column` begin at 1, or are None where the set is at fault.

    `document` is `Kind/name` as far as known, `path` the dotted way to the value, `allowed` what would
    be right. No text holds a value that came from the environment.
    """

    file: str
    line: int | None
    column: int | None
    document: str
    path: str
    message: str
    allowed: str = ""

    @property
    def position(self) -> str:
        """`file:line:column`, or the file alone."""
        return self.file if self.line is None else f"{self.file}:{self.line}:{self.column}"

    def __str__(self) -> str:
        subject = " ".join(filter(None, (self.document, self.path)))
        head = f"{self.position}: {subject}: " if subject else f"{self.position}: "
        return head + self.message + (f" (allowed: {self.allowed})" if self.allowed else "")


class PolicyError(ValueError):
    """Everything that is wrong with a set of documents, in the order of files and lines."""

    def __init__(self, faults: Iterable[PolicyFault]) -> None:
        self.faults: tuple[PolicyFault, ...] = tuple(
            sorted(set(faults), key=lambda f: (f.file, f.line or 0, f.column or 0, f.message))
        )
        super().__init__("\n".join(map(str, self.faults)))


def dotted(path: Path) -> str:
    """Write a path as people do: `spec.slos[0].name`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            text += f".{step}"
        else:
            text += f"[{quoted(step)}]"
    return text.removeprefix(".")


def quoted(text: str) -> str:
    """Put a text between backticks, on one line and cut to a readable length."""
    line = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return f"`{line if len(line) <= 80 else line[:79] + '…'}`"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` for the nearest known word, or nothing where none is near."""
    return suggestions.did_you_mean([quoted(name) for name in suggestions.suggest(word, known)])
