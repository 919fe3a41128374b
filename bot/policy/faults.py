"""Faults of policy documents, with their positions.

    ValueError
    ├── InvalidValueError   one value or rule; raised by the models, knows no position
    └── PolicyError         a set of documents; raised by the loader with every `PolicyFault`

Neither is retryable: somebody has to edit a file.
"""

import pathlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot import suggestions

Path = tuple[str | int, ...]
"""The path from a document's root to a value: keys and list indices."""

IT = "{it}"
"""The placeholder in a message for the value as it was written, before substitution of `${…}`."""


class InvalidValueError(ValueError):
    """A value that its key does not allow. `message` may contain `IT`; `allowed` says what is allowed."""

    def __init__(self, message: str, allowed: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class PolicyFault:
    """One fault. `line` and `column` begin at 1; they are None where the whole set is at fault.

    `document` is `Kind/name` as far as known, `path` the dotted path to the value, `allowed` what is
    allowed. No text contains a value that came from the environment.
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
    """All faults of a set of documents, in the order of files and lines.

    `folders` are those that the documents name to import others from: their faults may end there too.
    """

    def __init__(self, faults: Iterable[PolicyFault], folders: Sequence[pathlib.Path] = ()) -> None:
        self.folders = tuple(folders)
        self.faults: tuple[PolicyFault, ...] = tuple(sorted(set(faults), key=_order))
        super().__init__("\n".join(map(str, self.faults)))


def _order(fault: PolicyFault) -> tuple[str, int, int, str]:
    return fault.file, fault.line or 0, fault.column or 0, fault.message


def dotted(path: Path) -> str:
    """Return a path in dotted form: `spec.slos[0].name`."""
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
    """Return a text between backticks, on one line and shortened to 80 characters."""
    line = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return f"`{line if len(line) <= 80 else line[:79] + '…'}`"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` for the nearest known word, or nothing where none is near."""
    return suggestions.did_you_mean([quoted(name) for name in suggestions.suggest(word, known)])
