"""Connections to SQLite that ask their thread once for each statement.

The driver runs SQLite in a thread of its own and asks it four times for a statement: for a cursor, to
execute, to fetch and to close. Each time costs more than a small statement does. BEGIN, which takes no lock
and reads nothing, goes along with the statement that follows.
"""

import sqlite3
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import aiosqlite
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random

_BEGIN = "BEGIN"


class OneTripCursor:
    """A cursor that fetches all rows as it executes, and then is closed."""

    arraysize = 1

    def __init__(self, connection: "OneTripConnection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._rows = []

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Self:
        """Execute a statement and fetch its rows."""
        if statement == _BEGIN:
            self._connection.begin_with_next()
            return self
        await self._connection.in_thread(self._execute, statement, parameters)
        return self

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> Self:
        """Execute a statement that returns no rows once for each set of parameters."""
        await self._connection.in_thread(self._execute_many, statement, parameters)
        return self

    async def fetchall(self) -> Sequence[Any]:
        """Return the rows, once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Forget the rows."""
        self._rows = []

    def _execute(self, connection: sqlite3.Connection, statement: str, parameters: Sequence[Any]) -> None:
        cursor = connection.execute(statement, parameters)
        try:
            if cursor.description is not None:
                self._rows = cursor.fetchall()
            self._note(cursor)
        finally:
            cursor.close()

    def _execute_many(
        self, connection: sqlite3.Connection, statement: str, parameters: Sequence[Sequence[Any]]
    ) -> None:
        cursor = connection.executemany(statement, parameters)
        self._note(cursor)
        cursor.close()

    def _note(self, cursor: sqlite3.Cursor) -> None:
        self.description, self.rowcount, self.lastrowid = (
            cursor.description,
            cursor.rowcount,
            cursor.lastrowid,
        )


class OneTripConnection(aiosqlite.Connection):
    """The driver's connection with such cursors."""

    _begins = False

    def cursor(self) -> OneTripCursor:  # type: ignore[override] # it has what SQLAlchemy needs of one
        """Return a new cursor."""
        return OneTripCursor(self)

    async def in_thread(self, do: Any, *arguments: Any) -> None:
        """Call a function with SQLite's connection in its thread."""
        if self._begins:
            do, arguments = _begin_and_call, (do, *arguments)
        self._begins = False
        await self._execute(do, self._conn, *arguments)  # type: ignore[no-untyped-call] # the driver's is not typed

    def begin_with_next(self) -> None:
        """Begin a transaction with the next statement."""
        self._begins = True

    async def rollback(self) -> None:
        """End the transaction, if a statement has begun it."""
        if not self._begins:
            await super().rollback()
        self._begins = False

    async def commit(self) -> None:
        """Commit the transaction, if a statement has begun it."""
        if not self._begins:
            await super().commit()
        self._begins = False


def _begin_and_call(connection: sqlite3.Connection, do: Any, *arguments: Any) -> None:
    connection.execute(_BEGIN).close()
    do(connection, *arguments)


def open_connection(database: str, **options: Any) -> OneTripConnection:
    """Return a connection that opens when it is awaited, as `aiosqlite.connect` does."""
    connection = OneTripConnection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    # The thread of a connection that nobody closed must not keep the program.
    connection._thread.daemon = True  # noqa: SLF001 - the driver offers no other way
    return connection


async def use_write_ahead_log(connection: aiosqlite.Connection, within_s: float) -> None:
    """Have SQLite write ahead to a log, from now on and for all connections to the file.

    While another connection switches a new file to it, SQLite refuses at once, whatever its busy timeout.
    """
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(_is_busy),
        stop=stop_after_delay(within_s),
        wait=wait_random(0.01, 0.1),
        reraise=True,
    ):
        with attempt:
            await connection.execute_fetchall("PRAGMA journal_mode=WAL")


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY
