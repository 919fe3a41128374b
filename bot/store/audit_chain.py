"""The chain of the audit log: each row's hash covers the row and the hash of the row before it.

A row that was changed, removed or inserted does not match the rows after it. Somebody who can write to the
database could recompute the whole chain, so keep its head (`governor audit verify` prints it, and every
export has it) where they cannot write: a recomputed chain has another head.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.tables.core import audit, audit_archives, audit_head

BEGINNING = "0" * 64
"""The previous hash of the first row."""

ARCHIVED = "audit.archived"
"""The action of the row that says up to where the log was archived."""

_HEAD = 1
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of the chain: the last row's number and hash."""

    row: int
    hash: str

    def __str__(self) -> str:
        return f"{self.row}:{self.hash}"


@dataclass(frozen=True, slots=True)
class ChainRow:
    """A row of the log: `values` are the columns that its hash covers beside its time."""

    id: int
    at: datetime
    hash: str | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChainVerified:
    """The chain is intact: `rows` in it up to `head`, after `unchained` rows older than the chain.

    Rows up to row `after` were archived and not looked at.
    """

    rows: int
    unchained: int
    head: ChainHead
    after: int = 0


@dataclass(frozen=True, slots=True)
class ChainTampered:
    """Row `row` is the first that does not match the chain; `why` is a sentence."""

    row: int
    why: str


_NO_ANCHOR = ChainHead(0, BEGINNING)


def link(previous: str, at: datetime, values: Mapping[str, Any]) -> str:
    """Return the hash of a row whose predecessor has the hash `previous`; `values` are its columns."""
    # As it will be read back: values without a JSON type become text.
    content = json.loads(json.dumps({name: values[name] for name in _COVERED}))
    content["at"] = f"{at:%Y-%m-%dT%H:%M:%S.%f%z}"
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


_COVERED = ("actor", "action", "service", "subject", "reason", "before", "after")


async def append(connection: AsyncConnection, at: datetime, values: Mapping[str, Any]) -> None:
    """Add a row within the caller's transaction, linked to the last one.

    The head of the chain stays locked until the transaction ends: writers of all replicas take turns.
    """
    head = await _lock_head(connection)
    hash_ = link(head.hash, at, values)
    inserted = await connection.execute(
        insert(audit).values(at=at, hash=hash_, **values).returning(audit.c.id)
    )
    await connection.execute(
        update(audit_head).where(audit_head.c.id == _HEAD).values(row=inserted.scalar_one(), hash=hash_)
    )


async def verify_chain(
    connection: AsyncConnection, *, earlier: str | None = None
) -> ChainVerified | ChainTampered:
    """Verify the chain from the first row in the database; return the first row that does not match, if any.

    `connection` reads from one snapshot. `earlier` is an earlier head of the chain, as `ROW:HASH`: that row
    must still have that hash. Raises `ValueError` where `earlier` is no head, or was archived.
    """
    follower, anchors = ChainFollower(_parse_head(earlier)), await _read_all_anchors(connection)
    follower.begin_after(anchors)
    return await _follow_log(connection, follower, anchors[-1])


async def verify_with_archives(
    database: Database, archived: Iterable[ChainRow], *, earlier: str | None = None
) -> ChainVerified | ChainTampered:
    """Verify the rows of archives, all of them or the last ones, and the log in the database after them.

    It is like `verify_chain` otherwise. Raises `ValueError` also where archives are missing.
    """
    follower = ChainFollower(_parse_head(earlier))
    async with database.reading() as connection:
        anchors = await _read_all_anchors(connection)
    # Files take long to read: the server would end a transaction that does nothing meanwhile.
    if (found := _follow_archived(follower, archived, anchors)) is not None:
        return found
    async with database.reading() as connection:
        # Another archive may have been made since.
        anchor = (await _read_all_anchors(connection))[-1]
        _check_end_of_archives(follower, anchor)
        return await _follow_log(connection, follower, anchor)


async def _follow_log(
    connection: AsyncConnection, follower: "ChainFollower", anchor: ChainHead
) -> ChainVerified | ChainTampered:
    """Follow the rows in the database to the head; rows up to the anchor are archived."""
    # What is not deleted yet of archived rows is left out.
    async for row in _rows(connection, anchor.row):
        if (found := follower.follow(row)) is not None:
            return found
    return (
        follower.missing()
        or await _check_anchor(connection, anchor)
        or await _check_head(connection, follower.verified())
    )


@dataclass(slots=True)
class ChainFollower:
    """Follows the chain row by row."""

    expected: ChainHead | None
    """A head that must be found on the way."""
    previous: str = BEGINNING
    last: int = 0
    rows: int = 0
    unchained: int = 0
    after: int = 0
    is_found: bool = False

    def begin_after(self, anchors: Sequence[ChainHead]) -> None:
        """Begin after the last of some rows that are archived. Raises `ValueError`, see `verify_chain`."""
        for anchor in anchors:
            self.previous, self.last, self.after = anchor.hash, anchor.row, anchor.row
            self._look_for_expected(anchor.row, anchor.hash)
        known = {anchor.row for anchor in anchors}
        if self.expected is not None and self.expected.row < self.last and self.expected.row not in known:
            raise ValueError(f"row {self.expected.row} was archived: name its archive and all later ones")

    def follow(self, row: ChainRow) -> ChainTampered | None:
        """Follow the chain to a row; return what is wrong with it."""
        is_older = row.hash is None and self.previous == BEGINNING
        if row.id <= self.last or not (is_older or row.hash == link(self.previous, row.at, row.values)):
            after = f"row {self.last}" if self.last else "the beginning of the chain"
            return ChainTampered(
                row.id, f"it was changed or inserted, or rows between {after} and it were removed"
            )
        if row.hash is None:
            self.unchained += 1
        else:
            self.previous, self.rows = row.hash, self.rows + 1
        self.last = row.id
        self._look_for_expected(row.id, row.hash)
        return None

    def missing(self) -> ChainTampered | None:
        """Return that the head that must be found was not."""
        if self.expected is None or self.is_found:
            return None
        return ChainTampered(
            self.expected.row, "the chain once ended with it, and now it differs or is missing"
        )

    def verified(self) -> ChainVerified:
        """Return what was followed."""
        is_chained = self.previous != BEGINNING
        head = ChainHead(self.last if is_chained else 0, self.previous)
        return ChainVerified(self.rows, self.unchained, head, self.after)

    def _look_for_expected(self, row: int, hash_: str | None) -> None:
        if self.expected is not None and row == self.expected.row:
            self.is_found = hash_ == self.expected.hash


def _follow_archived(
    follower: ChainFollower, archived: Iterable[ChainRow], anchors: Sequence[ChainHead]
) -> ChainTampered | None:
    """Follow the rows of archives, from the first of them."""
    for number, row in enumerate(archived):
        if number == 0:
            follower.begin_after([anchor for anchor in anchors if anchor.row < row.id])
        if (found := follower.follow(row)) is not None:
            return found
    return None


def _check_end_of_archives(follower: ChainFollower, anchor: ChainHead) -> None:
    """Raise `ValueError` if the archives do not end where the log in the database begins."""
    if follower.last > anchor.row:
        raise ValueError(
            f"the archives go on to row {follower.last}, but the log was archived only to row {anchor.row}"
        )
    if (follower.last, follower.previous) != (anchor.row, anchor.hash):
        raise ValueError(
            f"the archives end at row {follower.last}, but the log was archived to row {anchor.row}: "
            "name all later archives"
        )


async def _read_all_anchors(connection: AsyncConnection) -> list[ChainHead]:
    return [_NO_ANCHOR, *await read_anchors(connection)]


async def read_anchors(connection: AsyncConnection) -> list[ChainHead]:
    """Return the last row of each archive with its hash, oldest first: the log goes on after the last one."""
    columns = audit_archives.c
    rows = await connection.execute(select(columns.row, columns.hash).order_by(columns.row))
    return [ChainHead(row.row, row.hash) for row in rows]


async def _check_anchor(connection: AsyncConnection, anchor: ChainHead) -> ChainTampered | None:
    """Return that the beginning was removed, if no row of the log says that it was archived."""
    if anchor == _NO_ANCHOR:
        return None
    query = select(audit.c.after).where(audit.c.action == ARCHIVED, audit.c.id > anchor.row)
    for after in await connection.scalars(query):
        if isinstance(after, Mapping) and after.get("head") == str(anchor):
            return None
    return ChainTampered(anchor.row, "the log begins after it, and no row says that it was archived")


async def _check_head(connection: AsyncConnection, verified: ChainVerified) -> ChainVerified | ChainTampered:
    head = await _read_head(connection) or ChainHead(0, BEGINNING)
    if verified.head != head:
        return ChainTampered(verified.head.row, f"the log continued to row {head.row}, which is missing")
    return verified


def _parse_head(text: str | None) -> ChainHead | None:
    if text is None:
        return None
    row, _, hash_ = text.partition(":")
    if not (row.isascii() and row.isdigit() and len(row) < 19 and len(hash_) == len(BEGINNING)):
        raise ValueError(f"`--head {text}` is not what `governor audit verify` prints: ROW:HASH")
    return ChainHead(int(row), hash_)


async def _rows(connection: AsyncConnection, last: int) -> AsyncIterator[ChainRow]:
    while batch := await read_rows(connection, last):
        for row in batch:
            yield row
        last = batch[-1].id


async def read_rows(connection: AsyncConnection, after: int, *, to: int | None = None) -> Sequence[ChainRow]:
    """Return the next rows after a row, none later than row `to`, as the chain covers them."""
    query = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(_BATCH)
    if to is not None:
        query = query.where(audit.c.id <= to)
    return [
        ChainRow(row.id, row.at, row.hash, {name: getattr(row, name) for name in _COVERED})
        for row in await connection.execute(query)
    ]


async def _lock_head(connection: AsyncConnection) -> ChainHead:
    head = await _read_head(connection, locked=True)
    if head is None:
        # The first row of all: two replicas may try at once, and only one inserts the head.
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        insert_head = (
            dialect.insert(audit_head).values(id=_HEAD, row=0, hash=BEGINNING).on_conflict_do_nothing()
        )
        await connection.execute(insert_head)
        head = await _read_head(connection, locked=True)
    if head is None:
        raise AssertionError("the head of the audit log is missing")
    return head


async def _read_head(connection: AsyncConnection, *, locked: bool = False) -> ChainHead | None:
    query = select(audit_head.c.row, audit_head.c.hash).where(audit_head.c.id == _HEAD)
    row = (await connection.execute(query.with_for_update() if locked else query)).one_or_none()
    return None if row is None else ChainHead(row.row, row.hash)
