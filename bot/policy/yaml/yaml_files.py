"""Finds and reads YAML files and splits them into documents. Knows nothing of policies.

Hidden names are skipped: a mounted ConfigMap keeps its earlier versions under `..data` and the like.
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml import Node
from yaml.composer import Composer
from yaml.error import MarkedYAMLError
from yaml.reader import ReaderError

from bot.policy.faults import PolicyFault
from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.syntax_faults import syntax_fault
from bot.policy.yaml.tree import MAX_DEPTH

MAX_BYTES = 1_048_576
"""The size limit of one file."""
LARGEST_IMPORT_BYTES = 16 * MAX_BYTES
"""That of a file of other tools, such as a list of all SLOs in a cluster."""
_AMBIGUOUS = re.compile(r"[\t\r?!%]|[|>]\S*#")
"""Where these occur, libyaml may accept what PyYAML's own parser refuses."""
_SUFFIXES = (".yaml", ".yml")
_OF_THE_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""What says nothing of a file: the process or the machine is short of something for the moment."""
_NOT_FOR_US = "lost+found"
"""What a volume's root holds beside the files, for root alone."""


class UnreadableFileError(Exception):
    """A file cannot be read to its end."""

    def __init__(self, fault: PolicyFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class OutOfResourcesError(OSError):
    """The process has no file descriptor or memory left to read with; what the folder holds is not known."""


def find_files(folder: Path, *, with_json: bool = False) -> list[Path]:
    """Return the YAML files below a folder without hidden ones, in a fixed order; JSON too where wanted.

    A folder that is gone has none. One that cannot be read raises `UnreadableFileError`: its documents must
    not be taken for deleted.
    """
    if folder.is_file():
        return [folder]
    suffixes = (*_SUFFIXES, ".json") if with_json else _SUFFIXES
    files: list[Path] = []
    seen: set[str] = set()
    for directory, subfolders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        real_path = os.path.realpath(directory)
        subfolders[:] = sorted(
            name for name in subfolders if not name.startswith(".") and name != _NOT_FOR_US
        )
        if real_path in seen:
            subfolders.clear()
            continue
        seen.add(real_path)
        files += [
            Path(directory, name) for name in names if name.endswith(suffixes) and not name.startswith(".")
        ]
    return sorted(files)


def _refuse(error: OSError) -> None:
    """Raise for a folder that `os.walk` would pass over in silence."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return
    raise _unreadable(error, f"the folder cannot be read: {error.strerror or type(error).__name__}")


def _unreadable(error: OSError, message: str, file: str | None = None) -> Exception:
    if error.errno in _OF_THE_MACHINE:
        return OutOfResourcesError(error.errno, error.strerror, error.filename)
    start = None if file is None else 1
    return UnreadableFileError(PolicyFault(file or str(error.filename), start, start, "", "", message))


def read_text(file: Path, most_bytes: int = MAX_BYTES) -> SourceText:
    """Read one regular file of at most so many bytes, or what a link to one leads to.

    Raises `UnreadableFileError` and `OutOfResourcesError`.
    """
    try:
        content = _content(file, most_bytes)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _unreadable(error, f"the file cannot be read: {reason}", str(file)) from error
    if len(content) > most_bytes:
        message = "the file is too large"
        raise UnreadableFileError(
            PolicyFault(str(file), 1, 1, "", "", message, f"at most {most_bytes:,} bytes")
        )
    try:
        return SourceText(str(file), content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        text = SourceText(str(file), before + "?")
        message = f"the file is not UTF-8 (byte 0x{content[error.start]:02x})"
        raise UnreadableFileError(text.fault(len(before), message, "text in UTF-8")) from error


def _content(file: Path, most_bytes: int) -> bytes:
    """Return the content up to a byte more than is allowed; raises `UnreadableFileError` and `OSError`."""
    # Opening a pipe waits for its writer unless told not to.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            message = "this is not a regular file"
            raise UnreadableFileError(
                PolicyFault(str(file), 1, 1, "", "", message, "a file, or a link to one")
            )
        return stream.read(most_bytes + 1)


class _Bounded(Composer):
    """PyYAML's composer with a limit to its recursion."""

    depth = 0
    peek_event: Callable[[], Any]

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        try:
            if self.depth > MAX_DEPTH:
                mark = self.peek_event().start_mark
                raise MarkedYAMLError(problem="this is nested too deeply", problem_mark=mark)
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Composer(_Bounded, yaml.SafeLoader):
    """Composes with PyYAML's own parser."""


if yaml.__with_libyaml__:

    class _QuickComposer(_Bounded, yaml.CSafeLoader):
        """Composes with libyaml, several times as fast."""

        def __init__(self, stream: str) -> None:
            yaml.CSafeLoader.__init__(self, stream)
            Composer.__init__(self)


def compose_quickly(text: SourceText, *, as_libyaml: bool = False) -> Iterator[Node]:
    """Yield the same as `compose`, faster; its errors (`YAMLError`, `ValueError`) explain little.

    With `as_libyaml` it may accept what PyYAML's own parser refuses, as most programs do.
    """
    is_sure = yaml.__with_libyaml__ and (as_libyaml or not _AMBIGUOUS.search(text.text))
    composer = (_QuickComposer if is_sure else _Composer)(text.text)
    try:
        while composer.check_node():
            node = composer.get_node()
            if node is not None:
                yield node
    finally:
        composer.dispose()


def compose(text: SourceText) -> Iterator[Node]:
    """Yield the root node of each document; raises `UnreadableFileError` at the first syntax error."""
    composer: _Composer | None = None
    try:
        composer = _Composer(text.text)
        while composer.check_node():
            node = composer.get_node()
            if node is not None:
                yield node
    except MarkedYAMLError as error:
        raise UnreadableFileError(syntax_fault(text, error)) from error
    except ReaderError as error:
        message = f"the character U+{ord(text.text[error.position]):04X} is not allowed in YAML"
        raise UnreadableFileError(text.fault(error.position, message, "printable text")) from error
    except (ValueError, OverflowError) as error:
        # PyYAML raises these for escapes and directives with numbers out of range.
        index = composer.get_mark().index if composer is not None else 0
        raise UnreadableFileError(text.fault(index, "this number or escape is out of range")) from error
    finally:
        if composer is not None:
            composer.dispose()
