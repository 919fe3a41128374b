"""Reads SQLite's write-ahead log as SQLite does, to find transactions that it would pass over in silence.

A frame that does not verify ends the log for SQLite: what comes after is dropped without a word.
https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HEADER: Final = struct.Struct(">8I")
_FRAME: Final = struct.Struct(">6I")
# Of the index: the frames that are committed, the log's salts, the frames that were copied to the database.
_INDEX: Final = struct.Struct("=16xI12x8s56xI")
_MAGIC_LITTLE: Final = 0x377F0682
_MAGIC_BIG: Final = 0x377F0683
_MASK: Final = 0xFFFFFFFF
_PAGE_SIZES: Final = frozenset(2**power for power in range(9, 17))

Checksum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class WalDamage:
    """Where a log does not verify, and how many transactions it holds from there on at least."""

    path: Path
    offset: int
    transactions: int

    def __str__(self) -> str:
        lost = "a transaction" if self.transactions == 1 else f"{self.transactions} transactions"
        return (
            f"{self.path} is damaged at byte {self.offset}: {lost} in it cannot be read, and SQLite silently "
            "ignores what it cannot read"
        )


def find_damage(database: Path) -> WalDamage | None:
    """Return the damage of a database's write-ahead log; None if there is none, or no log.

    What a crash leaves behind is no damage: a part of a frame at the end, frames of a transaction that was
    not committed, frames of an earlier log behind the newest ones.
    """
    path = database.with_name(f"{database.name}-wal")
    # Read before the log: while another program writes, the index must not be newer.
    index = _read_index(database.with_name(f"{database.name}-shm"))
    try:
        log = path.read_bytes()
    except FileNotFoundError:
        log = b""
    if len(log) < _HEADER.size + _FRAME.size:
        is_lost = index is not None and index.committed > index.copied
        return WalDamage(path, len(log), 1) if is_lost else None
    return _find_damage(path, log, index)


@dataclass(frozen=True, slots=True)
class _WalIndex:
    """What the log's index says: how many frames are committed, how many are in the database too."""

    committed: int
    copied: int
    salts: bytes


def _read_index(path: Path) -> _WalIndex | None:
    """Return what the index (`-shm`) says; None without one. It outlives a program that was killed."""
    try:
        index = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(index) < _INDEX.size:
        return None
    committed, salts, copied = _INDEX.unpack_from(index)
    return _WalIndex(committed, copied, salts)


def _find_damage(path: Path, log: bytes, index: _WalIndex | None) -> WalDamage | None:
    magic, _version, page_size, _number, salt_1, salt_2, *stored = _HEADER.unpack_from(log)
    order = {_MAGIC_LITTLE: "<", _MAGIC_BIG: ">"}.get(magic)
    if order is None or page_size not in _PAGE_SIZES:
        return WalDamage(path, 0, 1)
    checksum = _checksum(log[: _HEADER.size - 8], (0, 0), order)
    if checksum != tuple(stored):
        return WalDamage(path, 0, 1)
    salts = (salt_1, salt_2)
    verified = 0
    for offset in _frames(log, page_size):
        frame = _FRAME.unpack_from(log, offset)
        start = offset + _FRAME.size
        checksum = _checksum(log[offset : offset + 8], checksum, order)
        checksum = _checksum(log[start : start + page_size], checksum, order)
        if frame[2:4] != salts or checksum != frame[4:6]:
            commits = _commits(log, offset, page_size, salts)
            return WalDamage(path, offset, commits) if commits else None
        verified += 1
    is_cut_off = index is not None and index.salts == log[16:24] and index.committed > verified
    return WalDamage(path, len(log), 1) if is_cut_off else None


def _commits(log: bytes, first: int, page_size: int, salts: Checksum) -> int:
    """Return how many frames of this log that end a transaction stand at or after an offset."""
    frames = (_FRAME.unpack_from(log, offset) for offset in _frames(log, page_size) if offset >= first)
    return sum(frame[1] != 0 and frame[2:4] == salts for frame in frames)


def _frames(log: bytes, page_size: int) -> Iterator[int]:
    """Return where each whole frame begins."""
    size = _FRAME.size + page_size
    yield from range(_HEADER.size, len(log) - size + 1, size)


def _checksum(data: bytes, start: Checksum, order: str) -> Checksum:
    first, second = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
