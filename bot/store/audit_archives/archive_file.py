"""Archive files: one JSON object a line, as the rows were stored; gzipped where the name ends with `.gz`.

A file is written beside its place and moved there only once it is whole and on the disk, so that a crash
never leaves a part of an archive under its name.
"""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from types import TracebackType
from typing import IO, Self, cast

from bot.store.audit_chain import ChainRow

_COLUMNS = frozenset(
    {"id", "at", "actor", "action", "service", "subject", "reason", "before", "after", "hash"}
)
_LONGEST_LINE = 16_777_216


class ArchiveFileError(Exception):
    """An archive file cannot be written or read; the message says which and why."""


class ArchiveWriter:
    """Writes a new archive file: `with` it, `add` rows, `finish`. Without `finish` nothing is left of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack: list[IO[bytes]] = []
        self._part: Path | None = None

    def __enter__(self) -> Self:
        with _named_failures(self._path, "written"):
            descriptor, part = mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".part")
            self._part = Path(part)
            written = os.fdopen(descriptor, "wb")
            self._stack.append(written)
            if self._path.suffix == ".gz":
                packed = gzip.GzipFile(filename="", mode="wb", fileobj=written, mtime=0)
                self._stack.append(cast("IO[bytes]", packed))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._stack:
            # What cannot be written any more is thrown away.
            with suppress(OSError):
                self._stack.pop().close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)

    def add(self, row: ChainRow) -> None:
        """Write one row. Raises `ArchiveFileError`."""
        values = dict(row.values) | {"id": row.id, "at": row.at.astimezone(UTC).isoformat(), "hash": row.hash}
        with _named_failures(self._path, "written"):
            self._stack[-1].write(json.dumps(values, sort_keys=True).encode() + b"\n")

    def finish(self) -> None:
        """Put the file on the disk, then under its name. Raises `ArchiveFileError`, also if it exists."""
        if self._part is None:
            raise AssertionError("the archive was not opened")
        with _named_failures(self._path, "written"):
            if len(self._stack) > 1:
                self._stack.pop().close()
            written = self._stack[-1]
            written.flush()
            os.fsync(written.fileno())
            try:
                # Unlike a rename, this never replaces a file.
                os.link(self._part, self._path)
            except FileExistsError:
                raise
            except OSError:
                _move(self._part, self._path)
            _sync_folder(self._path.parent)


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """An archive that was written before; `rows` reads it once more each time."""

    path: Path

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self.path.exists()

    def first_row(self) -> int:
        """Return the number of its first row. Raises `ArchiveFileError`."""
        first = next(self.rows(), None)
        if first is None:
            raise ArchiveFileError(f"{self.path} is empty: it has no rows of the audit log")
        return first.id

    def rows(self) -> Iterator[ChainRow]:
        """Read the rows one by one. Raises `ArchiveFileError`."""
        with _named_failures(self.path, "read"), self._open() as lines:
            number = 0
            while line := lines.readline(_LONGEST_LINE):
                number += 1
                try:
                    yield _row(line)
                except (ValueError, TypeError, KeyError, RecursionError) as error:
                    raise ArchiveFileError(
                        f"line {number} of {self.path} is not a row of the audit log"
                    ) from error

    def _open(self) -> IO[bytes]:
        if self.path.suffix == ".gz":
            return cast("IO[bytes]", gzip.open(self.path, "rb"))
        return self.path.open("rb")


def rows_of(paths: Iterable[Path]) -> Iterator[ChainRow]:
    """Read the rows of several archives, in the order of the log. Raises `ArchiveFileError`."""
    for file in sorted(map(ArchiveFile, paths), key=ArchiveFile.first_row):
        yield from file.rows()


def _row(line: bytes) -> ChainRow:
    values = json.loads(line)
    if not isinstance(values, Mapping) or set(values) != _COLUMNS or not line.endswith(b"\n"):
        raise ValueError("the line has other columns")
    id_, hash_, at = values["id"], values["hash"], datetime.fromisoformat(values["at"])
    if type(id_) is not int or not (hash_ is None or isinstance(hash_, str)) or at.tzinfo is None:
        raise ValueError("the line has values of other types")
    content = {name: value for name, value in values.items() if name not in {"id", "at", "hash"}}
    return ChainRow(id_, at.astimezone(UTC), hash_, content)


@contextmanager
def _named_failures(path: Path, done: str) -> Iterator[None]:
    """Translate what the file system and the compression say into an error that names the file."""
    try:
        yield
    except FileExistsError as error:
        raise ArchiveFileError(f"{path} exists already") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ArchiveFileError(f"{path} cannot be {done}: {reason}") from error


def _move(part: Path, path: Path) -> None:
    """Move a file to its name where the file system has no links."""
    if path.exists():
        raise FileExistsError(path)
    part.rename(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
