"""The chain of the audit log: whatever is done to the rows afterwards, verifying names the first of them."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.util import await_only

from bot.store import audit
from bot.store.audit_chain import ChainHead, ChainTampered, ChainVerified, verify_chain
from bot.store.database import Database
from bot.store.migrate import migrate
from tests.support.clock import NOW

ROWS = 6


async def write(database: Database, *numbers: int) -> None:
    for number in numbers:
        async with database.transaction() as connection:
            after = {"number": number, "share": 0.1, "at": None, "who": "Zoë"}
            entry = audit.AuditEntry("U1", "hold.placed", f"s{number}", "why", "checkout", None, after)
            await audit.record(connection, entry, NOW + timedelta(microseconds=number))


async def verified(database: Database, earlier: str | None = None) -> ChainVerified | ChainTampered:
    async with database.reading() as connection:
        return await verify_chain(connection, earlier=earlier)


async def tamper(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement))


async def test_what_was_only_added_to_fits_together(database: Database) -> None:
    assert await verified(database) == ChainVerified(0, 0, (await end(database)))
    await write(database, *range(ROWS))
    found = await verified(database)
    assert isinstance(found, ChainVerified)
    assert (found.rows, found.unchained, found.head.row) == (ROWS, 0, ROWS)


async def end(database: Database) -> ChainHead:
    found = await verified(database)
    assert isinstance(found, ChainVerified)
    return found.head


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE audit SET reason = 'another' WHERE id = 3", 3),
        ("UPDATE audit SET actor = 'U2' WHERE id = 1", 1),
        ("UPDATE audit SET at = at + 1 WHERE id = 6", 6),
        ("UPDATE audit SET service = NULL WHERE id = 4", 4),
        ('UPDATE audit SET "after" = NULL WHERE id = 2', 2),
        ("UPDATE audit SET hash = NULL WHERE id = 5", 5),
        ("DELETE FROM audit WHERE id = 3", 4),
        ("DELETE FROM audit WHERE id = 1", 2),
        ("DELETE FROM audit WHERE id > 4", 4),
        ("DELETE FROM audit", 0),
        (
            "INSERT INTO audit (id, at, actor, action, subject, reason) VALUES (7, 0, 'U1', 'x', 'y', 'z')",
            7,
        ),
    ],
)
async def test_the_first_row_that_was_tampered_with_is_named(
    database: Database, statement: str, first: int
) -> None:
    await write(database, *range(ROWS))
    await tamper(database, statement)
    found = await verified(database)
    assert isinstance(found, ChainTampered)
    assert found.row == first


async def test_a_row_that_is_added_while_the_log_is_verified_is_no_tampering(url: str) -> None:
    async with Database(url) as writer, Database(url) as reader:
        await migrate(writer)
        await write(writer, *range(ROWS))
        left = 0

        def add(*_: object) -> None:
            """Add a row before one statement of the reader."""
            nonlocal left
            left -= 1
            if left == 0:
                await_only(write(writer, 7))

        event.listen(reader.engine.sync_engine, "before_cursor_execute", add)
        for number in range(1, 6):
            left = number
            assert isinstance(await verified(reader), ChainVerified), number


async def test_a_chain_made_anew_ends_otherwise_than_the_end_that_was_kept(database: Database) -> None:
    await write(database, *range(ROWS))
    kept = str(await end(database))
    await write(database, 7)
    assert isinstance(await verified(database, kept), ChainVerified)
    for table in ("audit", "audit_head"):
        await tamper(database, f"DELETE FROM {table}")  # noqa: S608 - two names of ours
    await write(database, *range(10, 10 + ROWS))
    assert isinstance(await verified(database), ChainVerified)
    assert isinstance(await verified(database, kept), ChainTampered)


async def test_rows_older_than_the_chain_are_counted_and_not_covered(database: Database) -> None:
    old = "INSERT INTO audit (at, actor, action, subject, reason) VALUES (0, 'U1', 'x', 'y', 'z')"
    await tamper(database, old)
    await write(database, 1)
    found = await verified(database)
    assert isinstance(found, ChainVerified)
    assert (found.rows, found.unchained) == (1, 1)


async def test_replicas_that_write_at_once_make_one_chain(url: str) -> None:
    async with Database(url) as one, Database(url) as two:
        await migrate(one)
        await asyncio.gather(*(write(each, *range(20)) for each in (one, two, one, two)))
        found = await verified(one)
    assert isinstance(found, ChainVerified)
    assert found.rows == 80


async def test_a_transaction_that_is_undone_leaves_no_link(database: Database) -> None:
    await write(database, 1)
    with suppress(LookupError):
        async with database.transaction() as connection:
            await audit.record(connection, audit.AuditEntry("U1", "x", "y", "z"), NOW)
            raise LookupError
    await write(database, 2)
    found = await verified(database)
    assert isinstance(found, ChainVerified)
    assert found.rows == 2


async def test_what_is_longer_than_its_column_is_cut_and_the_chain_fits_together(database: Database) -> None:
    subject, actor = f"{'c' * 64} to {'e' * 255}", "a" * 101
    async with database.transaction() as connection:
        await audit.record(connection, audit.AuditEntry(actor, "deployment.succeeded", subject, ""), NOW)
        await audit.record(connection, audit.AuditEntry("a" * 100, "x", subject[:200], ""), NOW)
    async with database.reading() as connection:
        cut, whole = [row.entry for row in await audit.read(connection)]
    assert (cut.subject, cut.actor) == (f"{subject[:199]}…", f"{actor[:99]}…")
    assert (whole.subject, whole.actor) == (subject[:200], actor[:100])
    assert isinstance(await verified(database), ChainVerified)
