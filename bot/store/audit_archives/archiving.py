"""Moves the beginning of the audit log into a file; the chain of the rows that stay goes on from there.

The order makes a crash harmless at each point: the file is whole, on the disk and read once more before one
transaction records where the log begins from then on, and that is recorded before any row is deleted.
Repeating the same command continues where it ended. Others may do the same at once: only one of them records.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.audit import AuditEntry, record
from bot.store.audit_archives.archive_file import ArchiveFile, ArchiveWriter
from bot.store.audit_chain import (
    BEGINNING,
    ChainFollower,
    ChainHead,
    ChainRow,
    read_anchors,
    read_rows,
)
from bot.store.database import Database
from bot.store.tables.core import audit, audit_archives

SUBJECT: Final = "audit log"


class ArchiveError(Exception):
    """The log is not archived; the message says why."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What was archived: `rows` after row `begins_after` up to `head`, the last one of the time `until`."""

    rows: int
    begins_after: int
    head: ChainHead
    until: datetime
    is_new: bool = True
    """False where the file was archived before: what a crash left undone was done."""


@dataclass(frozen=True, slots=True)
class NothingToArchive:
    """No row may be archived; `held_back_from` is the first that is old enough and still needed."""

    held_back_from: int | None = None


async def archive(
    database: Database,
    path: Path,
    before: datetime,
    *,
    needed_from: int | None,
    by: str,
    now: datetime,
) -> Archived | NothingToArchive:
    """Move the rows from before a time into a file, but none from row `needed_from` on.

    A file that exists must be what an earlier run that did not come to its end has written. The rows are not
    deleted yet, see `retention`. Raises `ArchiveError` and `ArchiveFileError`.
    """
    if not ArchiveFile(path).exists():
        async with database.reading() as connection:
            anchors = await _read_anchors(connection)
            old = await _last_before(connection, before, anchors[-1].row)
            last = old if needed_from is None else await _last(connection, min(old, needed_from - 1))
        if last <= anchors[-1].row:
            return NothingToArchive(needed_from if last < old else None)
        await _write(database, path, anchors[-1], last)
    found = await _read_back(database, path)
    if found.is_new and needed_from is not None and found.head.row >= needed_from:
        raise ArchiveError(f"{path} has rows that are still needed: row {needed_from} and later ones")
    return await _record(database, path, found, by, now) if found.is_new else found


async def _read_anchors(connection: AsyncConnection) -> list[ChainHead]:
    return [ChainHead(0, BEGINNING), *await read_anchors(connection)]


async def _last_before(connection: AsyncConnection, before: datetime, anchor: int) -> int:
    """Return the last row before the first one that is too young."""
    columns = audit.c
    first_young = select(func.min(columns.id)).where(columns.at >= before, columns.id > anchor)
    young = await connection.scalar(first_young)
    return await _last(connection, None if young is None else young - 1)


async def _last(connection: AsyncConnection, to: int | None) -> int:
    """Return the last row up to row `to`; 0 without one."""
    query = select(func.max(audit.c.id))
    return int(await connection.scalar(query if to is None else query.where(audit.c.id <= to)) or 0)


async def _write(database: Database, path: Path, anchor: ChainHead, last: int) -> None:
    follower = ChainFollower(None)
    follower.begin_after([anchor])
    with ArchiveWriter(path) as writer:
        while follower.last < last:
            # Rows never change: each batch has a snapshot of its own, and no long one holds up the database.
            async with database.reading() as connection:
                batch = await read_rows(connection, follower.last, to=last)
            if not batch:
                raise ArchiveError(f"row {last} was deleted meanwhile; nothing was archived")
            for row in batch:
                _follow(follower, row)
                writer.add(row)
        writer.finish()


def _follow(follower: ChainFollower, row: ChainRow) -> None:
    if (wrong := follower.follow(row)) is not None:
        raise ArchiveError(f"row {wrong.row} was tampered with: {wrong.why}; nothing was archived")


async def _read_back(database: Database, path: Path) -> Archived:
    """Read a whole file and compare each row with the database's; it may have been archived before."""
    file = ArchiveFile(path)
    first = file.first_row()
    async with database.reading() as connection:
        anchors = await _read_anchors(connection)
    follower = ChainFollower(None)
    follower.begin_after([anchor for anchor in anchors if anchor.row < first])
    is_newest = follower.last == anchors[-1].row
    stored: list[ChainRow] = []
    until, begins_after = None, follower.last
    for row in file.rows():
        if is_newest:
            if not stored:
                async with database.reading() as connection:
                    stored = list(reversed(await read_rows(connection, follower.last)))
            if not stored or stored.pop() != row:
                raise ArchiveError(f"{path} does not have what the log begins with: row {row.id} differs")
        _follow(follower, row)
        until = row.at
    head = ChainHead(follower.last, follower.previous)
    if until is None or not (is_newest or head in anchors):
        raise ArchiveError(f"{path} does not have what the log begins with now")
    return Archived(follower.rows + follower.unchained, begins_after, head, until, is_new=head not in anchors)


async def _record(database: Database, path: Path, found: Archived, by: str, now: datetime) -> Archived:
    """Record that the log begins after what is in the file, unless another run was first."""
    values = {
        "row": found.head.row,
        "hash": found.head.hash,
        "rows": found.rows,
        "until": found.until,
        "file": path.name,
        "archived_at": now,
    }
    after = {
        "head": str(found.head),
        "rows": found.rows,
        "until": found.until.isoformat(),
        "file": path.name,
    }
    async with database.transaction() as connection:
        anchors = await _read_anchors(connection)
        if found.head in anchors:
            return replace(found, is_new=False)
        if anchors[-1].row != found.begins_after:
            raise ArchiveError(
                f"the log was archived to row {anchors[-1].row} meanwhile, with rows of {path}: delete it"
            )
        await connection.execute(insert(audit_archives).values(values))
        await record(connection, AuditEntry(by, "audit.archived", SUBJECT, "", after=after), now)
    return found
