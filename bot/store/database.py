"""The database engine and its transactions, the same for SQLite and PostgreSQL.

Reading and writing are separate because SQLite has one writer: a write transaction begins as such, so
that two of them wait for each other instead of failing half-way. On PostgreSQL the writers of all
replicas take turns as well, unless they opt out.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast
from weakref import WeakSet

from sqlalchemy import Connection, Table, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.store import signals
from bot.store.drivers.sqlite import OneTripConnection, open_connection, use_write_ahead_log
from bot.store.health.errors import DatabaseBusyError, DatabaseFileLostError
from bot.store.health.sqlite_file import SqliteFile
from bot.store.signals import Signals
from bot.tracing.spans import span

_BUSY_TIMEOUT_S = 10
_CLOSE_S = 2.0
_POOL_TIMEOUT_S = 10.0
_CACHE_KB = 500
"""How much of SQLite's file each connection keeps; the system keeps it in memory, too."""
_TURN_TIMEOUT_S = 15.0

# Any number that no other program uses as an advisory lock in the same database.
_TURN = text("SELECT pg_advisory_xact_lock(118411018)")
SERVER_SETTINGS = {
    "application_name": "governor",
    # A replica that was halted within a transaction must not block the others.
    "idle_in_transaction_session_timeout": "5000",
}
"""What PostgreSQL is asked for when a connection opens."""

_POSTGRESQL: dict[str, Any] = {"timeout": 5, "command_timeout": 30, "server_settings": SERVER_SETTINGS}


CountTurn = Callable[[float, float], None]
"""Called after a transaction with the seconds that it waited for its turn, and those that it had it."""


class Database:
    """One database. Open it with `async with Database(url) as database`; `count_turn` is told of turns."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._system = "sqlite" if self.is_sqlite else "postgresql"
        self.file = _sqlite_file(url) if self.is_sqlite else None
        self.count_turn: CountTurn = lambda _waited_s, _held_s: None
        self._turn = asyncio.Lock()
        self._threads: WeakSet[threading.Thread] = WeakSet()
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_pre_ping=not self.is_sqlite,
            # A database in memory has one connection and no pool to wait for.
            **({} if self.is_sqlite and self.file is None else {"pool_timeout": _POOL_TIMEOUT_S}),
            connect_args={"async_creator_fn": self._sqlite_connection} if self.is_sqlite else _POSTGRESQL,
        )
        event.listen(self.engine.sync_engine, "after_execute", signals.note_write)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "do_connect", self._open_same_file)
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "connect", self._note_file)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)
        # Part of BEGIN, so it costs no trip. A writer must see what was committed before its turn.
        snapshot: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        latest: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "READ COMMITTED"}
        self._reader = self.engine.execution_options(**snapshot)
        self._writer = self.engine.execution_options(writes=True, **latest)
        self.signals = Signals(self.engine, is_shared=not self.is_sqlite)

    async def __aenter__(self) -> "Database":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.dispose()
        # A connection whose query was cancelled is closed by its own thread, which then notifies this loop.
        for thread in list(self._threads):
            await asyncio.to_thread(thread.join, _CLOSE_S)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a consistent snapshot to read from; writes in it are discarded."""
        with span("database read", "client", inner=True) as recorded:
            recorded.note("db.system.name", self._system)
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self, *, in_turn: bool = True) -> AsyncIterator[AsyncConnection]:
        """Open a transaction: committed at the end of the block, rolled back if it raises.

        Transactions take turns, across replicas too: each sees what the one before it decided, and row ids
        follow the order of commits, which keeps messages in order. `in_turn=False` is for transactions that
        decide and announce nothing: counts, leases, the state of a delivery. SQLite always has one
        writer.

        The signals that it marked (see `signals.py`) are fired once it is committed. Raises
        `DatabaseFileLostError` where SQLite's file is not the one that was opened: nothing would be kept.
        """
        began_s = time.monotonic()
        with span("database transaction", "client", inner=True) as recorded:
            recorded.note("db.system.name", self._system)
            async with (
                self._next_turn() if self.is_sqlite else nullcontext(),
                self._writer.begin() as connection,
            ):
                self._refuse_another_file()
                signals.begin(connection)
                if in_turn and not self.is_sqlite:
                    await connection.execute(_TURN)
                turn_s = time.monotonic()
                yield connection
                topics = signals.marked(connection)
                await self.signals.send(connection, topics)
                self._refuse_another_file()
        if in_turn or self.is_sqlite:
            self.count_turn(turn_s - began_s, time.monotonic() - turn_s)
        self.signals.fire(topics)

    @asynccontextmanager
    async def _next_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_TURN_TIMEOUT_S):
                await self._turn.acquire()
        except TimeoutError as error:
            raise DatabaseBusyError("the database is busy or locked") from error
        try:
            yield
        finally:
            self._turn.release()

    def _refuse_another_file(self, *_: object) -> None:
        if self.file is not None:
            self.file.check()

    def _open_same_file(self, _dialect: object, _record: object, args: list[Any], options: Any) -> None:
        """Open SQLite's file anew only as it is: one that is gone must not come into being empty."""
        if self.file is not None and self.file.is_known:
            self.file.check()
            args[0], options["uri"] = self.file.existing_uri, True

    def _note_file(self, connection: Any, _record: object) -> None:
        if self.file is None:
            return
        self.file.note()
        try:
            self.file.check()
        except DatabaseFileLostError:
            connection.close()
            raise

    def _sqlite_connection(self, database: str, **options: Any) -> OneTripConnection:
        """Return a connection to be opened; its thread is noted first, because opening may fail."""
        connection = open_connection(database, **options)
        self._threads.add(connection._thread)  # noqa: SLF001 - the driver offers no way to wait
        return connection

    def insert(self, table: Table) -> sqlite.Insert:
        """Return an INSERT with `on_conflict_do_…`, in this database's dialect.

        Both dialects' statements have the same methods; the type names one of them.
        """
        if self.is_sqlite:
            return sqlite.insert(table)
        return cast("sqlite.Insert", postgresql.insert(table))


def _sqlite_file(url: str) -> SqliteFile | None:
    name = make_url(url).database
    return None if not name or name.startswith((":", "file:")) else SqliteFile(Path(name))


def _prepare_sqlite(connection: AsyncAdapt_aiosqlite_connection, _record: Any) -> None:
    connection.run_async(partial(use_write_ahead_log, within_s=_BUSY_TIMEOUT_S))
    # The driver's own transaction control is switched off: BEGIN is ours (see `_begin_sqlite`).
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_TIMEOUT_S * 1_000}",
        # Without the sign it would be a number of pages.
        f"cache_size=-{_CACHE_KB}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
