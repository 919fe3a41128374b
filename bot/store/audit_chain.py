"""The chain of the audit log: each row's hash covers the row and the hash of the row before it.

A row that was changed, removed or inserted does not match the rows after it. Somebody who can write to the
database could recompute the whole chain, so keep its head (`governor audit verify` prints it, and every
export has it) where they cannot write: a recomputed chain has another head.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.tables.core import audit, audit_head

BEGINNING = "0" * 64
"""The previous hash of the first row."""

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
class ChainVerified:
    """The chain is intact: `rows` in it up to `head`, after `unchained` rows older than the chain."""

    rows: int
    unchained: int
    head: ChainHead


@dataclass(frozen=True, slots=True)
class ChainTampered:
    """Row `row` is the first that does not match the chain; `why` is a sentence."""

    row: int
    why: str


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
    """Verify the chain from its first row; return the first row that does not match, if there is one.

    `earlier` is an earlier head of the chain, as `ROW:HASH`: that row must still have that hash.
    """
    previous, last, rows, unchained = BEGINNING, 0, 0, 0
    expected = _parse_head(earlier)
    is_found = expected is None
    async for row in _rows(connection):
        if row.hash is None and rows == 0:
            unchained += 1
        elif row.hash is None or row.hash != link(previous, row.at, row._asdict()):
            after = f"row {last}" if rows else "the beginning of the chain"
            return ChainTampered(
                row.id, f"it was changed or inserted, or rows between {after} and it were removed"
            )
        else:
            previous, rows = row.hash, rows + 1
        last = row.id
        if expected is not None and row.id == expected.row:
            is_found = row.hash == expected.hash
    if expected is not None and not is_found:
        return ChainTampered(expected.row, "the chain once ended with it, and now it differs or is missing")
    return await _check_head(
        connection, ChainVerified(rows, unchained, ChainHead(last if rows else 0, previous))
    )


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


async def _rows(connection: AsyncConnection) -> AsyncIterator[Row[Any]]:
    last = 0
    while True:
        query = select(audit).where(audit.c.id > last).order_by(audit.c.id).limit(_BATCH)
        batch = (await connection.execute(query)).all()
        for row in batch:
            yield row
        if len(batch) < _BATCH:
            return
        last = batch[-1].id


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
