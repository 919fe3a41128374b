"""Databases that fail at a chosen point, and that wait for leave before they read or write.

Faults are raised in the engine, around what the driver really does: before a statement, before the commit, or
after the commit has really happened, as when the connection breaks before the server's answer arrives.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, event
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.migrate import migrate

Pass = Callable[[str], Awaitable[None]]
"""Waits until a replica may `read` or `write`."""


class Fault(StrEnum):
    """Where the database fails."""

    AT_STATEMENT = "at a statement"
    BEFORE_COMMIT = "before the commit"
    AFTER_COMMIT = "after the commit"


class FaultyDatabase(Database):
    """A database that fails where it is told to, once for each time it is told so.

    With `passes` it waits for leave before each transaction, when it holds no lock.
    """

    def __init__(self, url: str, passes: Pass | None = None) -> None:
        super().__init__(url)
        self._passes = passes
        self._faults: list[Fault] = []
        engine = self.engine.sync_engine
        event.listen(engine, "before_cursor_execute", self._at_statement)
        event.listen(engine, "commit", self._at_commit)

    def fail(self, *faults: Fault) -> None:
        """Fail at these points, one after another, each at the first that comes."""
        self._faults.extend(faults)

    def recover(self) -> None:
        """Fail no more."""
        self._faults.clear()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        if self._passes is not None:
            await self._passes("read")
        async with super().reading() as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, *, in_turn: bool = True) -> AsyncIterator[AsyncConnection]:
        if self._passes is not None:
            await self._passes("write")
        async with super().transaction(in_turn=in_turn) as connection:
            yield connection

    def _at_statement(self, *_: object) -> None:
        if self._faults[:1] == [Fault.AT_STATEMENT]:
            self._faults.pop(0)
            raise OperationalError("any statement", {}, ConnectionError("the server is gone"))

    def _at_commit(self, connection: Connection) -> None:
        if self._faults[:1] == [Fault.BEFORE_COMMIT]:
            self._faults.pop(0)
            raise OperationalError("COMMIT", {}, ConnectionError("the server is gone"))
        if self._faults[:1] == [Fault.AFTER_COMMIT]:
            self._faults.pop(0)
            connection.connection.commit()
            raise InterfaceError("COMMIT", {}, ConnectionError("the answer is lost"))


class _AsIfShared:
    """What leases use of a database, as if other replicas could use it too."""

    is_sqlite = False

    def __init__(self, database: Database) -> None:
        self.insert = database.insert
        self.transaction = database.transaction


def as_if_shared(database: Database) -> Database:
    """Return a view of SQLite's database in which leases are kept, as they are in PostgreSQL's."""
    return cast("Database", _AsIfShared(database)) if database.is_sqlite else database


class Template:
    """A SQLite database with all tables, copied for each run: quicker than to create them anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes = b""
        self._copies = 0

    async def prepare(self) -> None:
        """Create the tables."""
        file = self._folder / "template.db"
        async with Database(f"sqlite+aiosqlite:///{file}") as database:
            await migrate(database)
            async with database.engine.connect() as connection:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self._bytes = file.read_bytes()

    def copy(self) -> str:
        """Return the address of a new copy."""
        self._copies += 1
        file = self._folder / f"copy-{self._copies}.db"
        file.write_bytes(self._bytes)
        return f"sqlite+aiosqlite:///{file}"
