"""Archives of the audit log: nothing is lost at any point, and a changed file is found."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import QueuePool

from bot.store import audit
from bot.store.audit_archives.archive_file import _COLUMNS, ArchiveFile, ArchiveFileError, rows_of
from bot.store.audit_archives.archiving import Archived, ArchiveError, NothingToArchive, archive
from bot.store.audit_chain import (
    ChainRow,
    ChainTampered,
    ChainVerified,
    verify_chain,
    verify_with_archives,
)
from bot.store.database import Database
from bot.store.migrate import migrate
from bot.store.retention.deletion import delete_expired
from bot.store.tables import core
from bot.store.tables.webhooks import webhook_deliveries, webhook_endpoints
from bot.webhooks.audit_needs import first_needed_row
from tests.support.clock import NOW
from tests.support.small_disk import small_disk

DAY = timedelta(days=1)
START = NOW - 300 * DAY


async def write(database: Database, first: int, last: int) -> None:
    """Write one row a day: row `n` is of the day `n` after the start."""
    async with database.transaction() as connection:
        for number in range(first, last + 1):
            after = {"number": number, "share": 0.1, "who": "Zoë"}
            entry = audit.AuditEntry("U1", "hold.placed", f"s{number}", "why", None, None, after)
            await audit.record(connection, entry, START + number * DAY + timedelta(microseconds=number))


async def move(database: Database, path: Path, days: int, needed_from: int | None = None) -> Archived:
    """Archive what is from before so many days after the start."""
    moved = await archive(database, path, START + days * DAY, needed_from=needed_from, by="operator", now=NOW)
    await delete_expired(database, NOW, only=[core.audit])
    assert isinstance(moved, Archived)
    return moved


async def verified(
    database: Database, archives: Sequence[Path] | None = None, earlier: str | None = None
) -> ChainVerified | ChainTampered:
    if archives is not None:
        return await verify_with_archives(database, rows_of(archives), earlier=earlier)
    async with database.reading() as connection:
        return await verify_chain(connection, earlier=earlier)


async def ids(database: Database) -> list[int]:
    async with database.reading() as connection:
        return list(await connection.scalars(select(core.audit.c.id).order_by(core.audit.c.id)))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith("governor.db")]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
async def test_the_chain_goes_on_from_the_archives(database: Database, tmp_path: Path, name: str) -> None:
    one, two = tmp_path / name, tmp_path / f"2-{name}"
    await write(database, 1, 20)
    kept = await verified(database)
    assert isinstance(kept, ChainVerified)
    moved = await move(database, one, 9)
    assert (moved.rows, moved.head.row, moved.is_new) == (8, 8, True)
    assert await ids(database) == [*range(9, 22)]
    plain = gzip.decompress(one.read_bytes()) if name.endswith(".gz") else one.read_bytes()
    first = json.loads(plain.splitlines()[0])
    assert (first["id"], first["after"]["who"], len(first["hash"])) == (1, "Zoë", 64)
    await write(database, 22, 24)
    assert (await move(database, two, 16)).rows == 7
    living = await verified(database)
    assert isinstance(living, ChainVerified)
    assert (living.rows, living.after) == (10, 15)
    for archives in ([one, two], [two, one]):
        whole = await verified(database, archives, str(kept.head))
        assert isinstance(whole, ChainVerified)
        assert (whole.rows, whole.after, whole.head) == (25, 0, living.head)
    newest = await verified(database, [two], str(kept.head))
    assert isinstance(newest, ChainVerified)
    assert (newest.rows, newest.after) == (17, 8)
    async with database.reading() as connection:
        (said, _) = (
            row.entry for row in await audit.read(connection) if row.entry.action == "audit.archived"
        )
    assert (said.actor, said.after) == (
        "operator",
        {
            "head": str(moved.head),
            "rows": 8,
            "until": moved.until.isoformat(),
            "file": name,
        },
    )


async def test_no_transaction_is_open_while_archives_are_read(database: Database, tmp_path: Path) -> None:
    archive_of = tmp_path / "a"
    await write(database, 1, 9)
    await move(database, archive_of, 5)
    open_then: set[int] = set()

    def rows() -> Iterator[ChainRow]:
        for row in rows_of([archive_of]):
            open_then.add(cast("QueuePool", database.engine.pool).checkedout())
            yield row

    assert isinstance(await verify_with_archives(database, rows()), ChainVerified)
    assert open_then == {0}


class BetweenReadings:
    """A database in which something happens before the second time that it is read."""

    def __init__(self, database: Database, happen: Callable[[], Awaitable[object]]) -> None:
        self._database = database
        self._happen = happen
        self._readings = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a snapshot to read from."""
        self._readings += 1
        if self._readings == 2:
            await self._happen()
        async with self._database.reading() as connection:
            yield connection


async def test_what_happens_while_archives_are_read_is_no_tampering(
    database: Database, tmp_path: Path
) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    await write(database, 1, 20)
    await move(database, one, 9)

    async def verified_while(happen: Callable[[], Awaitable[object]]) -> ChainVerified | ChainTampered:
        opened = cast("Database", BetweenReadings(database, happen))
        return await verify_with_archives(opened, rows_of([one]))

    assert isinstance(await verified_while(lambda: write(database, 22, 24)), ChainVerified)
    with pytest.raises(ValueError, match="the log was archived to row 13: name all later archives"):
        await verified_while(lambda: move(database, two, 14))
    assert isinstance(await verified(database, [one, two]), ChainVerified)


async def test_an_earlier_head_is_looked_for_in_the_archives(database: Database, tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    await write(database, 1, 20)
    hashes = [None, *(row.hash for row in await _all(database))]
    await move(database, one, 6)
    await move(database, two, 11)
    for row in (3, 5, 8, 10, 15):
        assert isinstance(await verified(database, [one, two], f"{row}:{hashes[row]}"), ChainVerified)
        assert isinstance(await verified(database, [one, two], f"{row}:{'0' * 64}"), ChainTampered)
    for row in (5, 10, 15):
        assert isinstance(await verified(database, None, f"{row}:{hashes[row]}"), ChainVerified)
        assert isinstance(await verified(database, None, f"{row}:{'0' * 64}"), ChainTampered)
    with pytest.raises(ValueError, match="row 8 was archived"):
        await verified(database, None, f"8:{hashes[8]}")


async def _all(database: Database) -> Sequence[audit.AuditRow]:
    async with database.reading() as connection:
        return await audit.read(connection)


async def test_archives_that_are_missing_or_changed_are_found(database: Database, tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in "123")
    await write(database, 1, 30)
    for path, days in ((one, 6), (two, 11), (three, 16)):
        await move(database, path, days)
    found = await verified(database, [one, three])
    assert isinstance(found, ChainTampered)
    assert found.row == 11
    for some in ([one], [one, two]):
        with pytest.raises(ValueError, match="was archived to row 15: name all later archives"):
            await verified(database, some)
    twice = await verified(database, [one, one, two, three])
    assert isinstance(twice, ChainTampered)
    lines = two.read_text().splitlines()
    changed = json.loads(lines[1]) | {"reason": "another"}
    for bad, row in (
        ([lines[0], json.dumps(changed), *lines[2:]], 7),
        ([lines[0], *lines[2:]], 8),
        (lines[1:], 7),
        (lines[:-1], 11),
        ([lines[1], lines[0], *lines[2:]], 7),
        ([*lines, lines[-1]], 10),
    ):
        two.write_text("\n".join(bad) + "\n")
        found = await verified(database, [one, two, three])
        assert isinstance(found, ChainTampered), bad
        assert found.row == row


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}\n",
        b"[]\n",
        b"nonsense\n",
        b"\xff\xfe\n",
        b"[" * 100_000,
        json.dumps(dict.fromkeys(_COLUMNS, 1)).encode() + b"\n",
        json.dumps(dict.fromkeys(_COLUMNS, 1) | {"at": "2026-01-01T00:00:00"}).encode() + b"\n",
    ],
)
async def test_what_is_no_archive_is_refused(database: Database, tmp_path: Path, content: bytes) -> None:
    await write(database, 1, 5)
    for name in ("a", "a.gz"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ArchiveFileError, match=str(path)):
            await verified(database, [path])
        with pytest.raises(ArchiveFileError, match=str(path)):
            await move(database, path, 3)
        assert path.read_bytes() == content
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"x" * 10_000)[:-9])
    with pytest.raises(ArchiveFileError):
        await verified(database, [cut])
    for missing in (tmp_path / "missing", tmp_path):
        with pytest.raises(ArchiveFileError):
            await verified(database, [missing])
    with pytest.raises(ArchiveFileError, match="No such file or directory"):
        await move(database, tmp_path / "no" / "folder", 3)
    assert len(await ids(database)) == 5


async def test_a_file_of_something_else_is_neither_replaced_nor_taken(
    database: Database, tmp_path: Path
) -> None:
    path, other = tmp_path / "a", tmp_path / "other"
    await write(database, 1, 5)
    await move(database, path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    await write(database, 6, 12)
    async with database.transaction() as connection:
        await connection.execute(delete(core.audit_archives))
    other.write_bytes(b"".join(lines[:1]))
    with pytest.raises(ArchiveError, match="does not have what the log begins with"):
        await move(database, other, 8)
    assert other.read_bytes() == lines[0]


async def test_a_log_that_was_tampered_with_is_not_archived(database: Database, tmp_path: Path) -> None:
    await write(database, 1, 9)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE audit SET reason = 'another' WHERE id = 3"))
    with pytest.raises(ArchiveError, match="row 3 was tampered with"):
        await move(database, tmp_path / "a", 8)
    assert names(tmp_path) == []
    assert len(await ids(database)) == 9


async def test_a_beginning_that_was_removed_is_no_archive(database: Database) -> None:
    await write(database, 1, 9)
    third = (await _all(database))[2]
    async with database.transaction() as connection:
        await connection.execute(delete(core.audit).where(core.audit.c.id <= 3))
        forged = {"row": 3, "hash": third.hash, "rows": 3, "until": NOW, "file": "x", "archived_at": NOW}
        await connection.execute(insert(core.audit_archives).values(forged))
    found = await verified(database)
    assert isinstance(found, ChainTampered)
    assert (found.row, "no row says that it was archived" in found.why) == (3, True)


async def test_rows_older_than_the_chain_are_archived_too(database: Database, tmp_path: Path) -> None:
    async with database.transaction() as connection:
        for at in (1, 2):
            old = f"INSERT INTO audit (at, actor, action, subject, reason) VALUES ({at}, 'U1', 'x', 'y', 'z')"  # noqa: S608
            await connection.execute(text(old))
    await write(database, 3, 9)
    one, two = tmp_path / "1", tmp_path / "2"
    assert (await move(database, one, -9_999)).rows == 2
    assert (await move(database, two, 5)).rows == 2
    found = await verified(database, [one, two])
    assert isinstance(found, ChainVerified)
    assert (found.rows, found.unchained) == (9, 2)


class CrashError(Exception):
    """The process ended."""


class CrashingDatabase(Database):
    """A database whose process ends before or after its next commit."""

    ends = ""

    @asynccontextmanager
    async def transaction(self, *, in_turn: bool = True) -> AsyncIterator[AsyncConnection]:
        """Open a transaction."""
        if self.ends == "before":
            raise CrashError
        async with super().transaction(in_turn=in_turn) as connection:
            yield connection
        if self.ends == "after":
            raise CrashError


@pytest.mark.parametrize("ends", ["before", "after"])
async def test_a_crash_loses_nothing_and_the_same_command_completes_it(
    url: str, tmp_path: Path, ends: str
) -> None:
    path = tmp_path / "a.gz"
    async with CrashingDatabase(url) as opened:
        database = cast("CrashingDatabase", opened)
        await migrate(database)
        await write(database, 1, 20)
        database.ends = ends
        with pytest.raises(CrashError):
            await move(database, path, 9)
        database.ends = ""
        assert len(await ids(database)) == (20 if ends == "before" else 21)
        between = await verified(database, None if ends == "before" else [path])
        assert isinstance(between, ChainVerified)
        again = await move(database, path, 12)
        assert (again.rows, again.is_new) == (8, ends == "before")
        assert await ids(database) == [*range(9, 22)]
        whole = await verified(database, [path])
        assert isinstance(whole, ChainVerified)
        assert whole.rows == 21
        assert (await move(database, path, 12)).is_new is False
        assert len(await ids(database)) == 13


async def test_a_full_disk_leaves_no_file_and_every_row(database: Database, tmp_path: Path) -> None:
    await write(database, 1, 20)
    (tmp_path / "disk").mkdir()
    async with small_disk(tmp_path / "disk", 1) as disk:
        disk.fill()
        for name in ("a", "a.gz"):
            with pytest.raises(ArchiveFileError, match="No space left on device"):
                await move(database, disk.folder / name, 9)
        disk.free()
        assert names(disk.folder) == []
        assert len(await ids(database)) == 20
        assert (await move(database, disk.folder / "a", 9)).rows == 8


async def test_replicas_that_archive_at_once_archive_once(url: str, tmp_path: Path) -> None:
    async with Database(url) as one, Database(url) as two, Database(url) as three:
        await migrate(one)
        await write(one, 1, 30)
        results = await asyncio.gather(
            *(
                move(each, tmp_path / str(number), 9 + number)
                for number, each in enumerate((one, two, three))
            ),
            return_exceptions=True,
        )
        moved = [result for result in results if isinstance(result, Archived)]
        assert all(isinstance(result, Archived | ArchiveError) for result in results), results
        living = await verified(one)
        assert isinstance(living, ChainVerified)
        async with one.reading() as connection:
            archives = await connection.scalar(select(func.count()).select_from(core.audit_archives))
        assert archives == len(moved) >= 1
        used = [tmp_path / str(number) for number in range(3) if isinstance(results[number], Archived)]
        whole = await verified(one, used)
        assert isinstance(whole, ChainVerified)
        assert whole.rows == 30 + len(moved)


async def test_rows_that_webhooks_need_stay(database: Database, tmp_path: Path) -> None:
    await write(database, 1, 30)

    async def needed() -> int | None:
        async with database.reading() as connection:
            return await first_needed_row(connection, NOW)

    async def endpoint(name: str, cursor: int, **values: object) -> None:
        async with database.transaction() as connection:
            row = {"name": name, "cursor": cursor, "fingerprint": "", **values}
            await connection.execute(insert(webhook_endpoints).values(row))

    assert await needed() is None
    await endpoint("gone", 1, removed_at=NOW - DAY)
    assert await needed() is None
    await endpoint("back soon", 25, removed_at=NOW - timedelta(minutes=5))
    assert await needed() == 26
    await endpoint("portal", 12)
    assert await needed() == 13
    async with database.transaction() as connection:
        delivery = {
            "endpoint": "portal", "audit_id": 8, "event_id": "e", "event": "x", "state": "pending",
            "attempts": 1, "created_at": NOW,
        }  # fmt: skip
        await connection.execute(insert(webhook_deliveries).values(delivery))
    assert await needed() == 8
    moved = await move(database, tmp_path / "a", 20, await needed())
    assert (moved.head.row, (await ids(database))[0]) == (7, 8)
    nothing = await archive(database, tmp_path / "b", START + 20 * DAY, needed_from=8, by="operator", now=NOW)
    assert nothing == NothingToArchive(8)
    nothing = await archive(database, tmp_path / "b", START, needed_from=8, by="operator", now=NOW)
    assert nothing == NothingToArchive()
    assert not ArchiveFile(tmp_path / "b").exists()
    async with database.transaction() as connection:
        await connection.execute(delete(core.audit_archives))
    with pytest.raises(ArchiveError):
        await move(database, tmp_path / "a", 20, 3)
