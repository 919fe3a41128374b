"""An SQL database: one query counts the events by time, in a transaction that may only read.

Nothing is put into the query's text: its times are bound parameters.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, bindparam, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.elements import TextClause

from bot.bounded_body import quotable
from bot.budgets.source import (
    AnswerTooLargeError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.counts import second
from bot.budgets.sources.one_by_one import OneByOneSource, Reading
from bot.budgets.sources.rows import events_of, most_rows
from bot.budgets.sources.sent_queries import record_sent
from bot.budgets.sources.silence import read_unless_silent
from bot.catalog.slo import Sli
from bot.catalog.source_slis import SqlSli
from bot.catalog.sources import SqlSettings
from bot.catalog.window import Span

_DRIVERS = {
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}
_TIME = DateTime(timezone=True)
_MOST_CONCURRENT = 4
_SQLITE_STEPS = 10_000
"""After how many instructions SQLite asks whether it may go on."""
_GRACE_S = 2.0
"""How much longer than the database's own time limit we wait: its error says more than ours."""

# https://www.postgresql.org/docs/current/errcodes-appendix.html, by the first two characters.
_TRANSIENT = frozenset({"08", "40", "53", "55", "57", "58", "XX"})
_CREDENTIALS = frozenset({"28", "3D"})
_TRANSIENT_TEXTS = (
    "locked",
    "unable to open",
    "disk i/o",
    "interrupted",
    "timeout",
    "can't connect",
    "lost conn",
)


class SqlSource(OneByOneSource):
    """One database. Each read has a connection of its own, so that none is kept open between them."""

    def __init__(self, settings: SqlSettings) -> None:
        self.delay = settings.delay
        self._timeout_s = settings.timeout.total_seconds()
        self._engine = _engine(settings.url, self._timeout_s)
        self._slots = asyncio.Semaphore(_MOST_CONCURRENT)

    async def check(self) -> None:
        """Connect and ask for nothing; raises `SourceError`."""
        async with self._connection() as connection:
            await connection.execute(text("SELECT 1"))

    async def _read(self, sli: Sli, span: Span, step: timedelta) -> Reading:
        if not isinstance(sli, SqlSli):
            raise SourceRefusedError("a database is asked by {sql: …}")

        async def read(part: Span) -> Reading:
            return await self._query(sli.sql, part, step)

        return await read_unless_silent(read, span, step, "the query returned no row for the last hour")

    async def _query(self, sql: str, span: Span, step: timedelta) -> Reading:
        statement = _statement(sql, self._engine.dialect.name)
        known = self._parameters(span, step)
        parameters = {name: known[name] for name in statement.compile().params}
        record_sent("sql", {"sql": sql, **{name: str(value) for name, value in parameters.items()}})
        limit = most_rows(span, step)
        async with self._connection() as connection:
            result = await connection.stream(statement, parameters)
            columns = list(result.keys())
            rows = await result.fetchmany(limit + 1)
            await result.close()
        if len(rows) > limit:
            raise AnswerTooLargeError(f"the answer has more than {limit:,} rows: group them by time")
        return events_of(columns, rows, span, step)

    async def _limit(self, connection: AsyncConnection) -> None:
        """Let a connection only read, for a limited time, and in UTC."""
        for statement in _limits(self._engine.dialect.name, self._timeout_s):
            await connection.execute(text(statement))
        if self._engine.dialect.name == "sqlite":
            until_s = time.monotonic() + self._timeout_s
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.set_progress_handler(lambda: time.monotonic() > until_s, _SQLITE_STEPS)

    def _parameters(self, span: Span, step: timedelta) -> dict[str, object]:
        times = {"start": span.start.astimezone(UTC), "end": span.end.astimezone(UTC)}
        return {
            **{name: self._time(at) for name, at in times.items()},
            **{f"{name}_s": second(at) for name, at in times.items()},
            "width_s": int(step.total_seconds()),
        }

    def _time(self, at: datetime) -> object:
        """Return a time as the database has it: SQLite has none but texts, MySQL none with a zone."""
        if self._engine.dialect.name == "sqlite":
            return f"{at:%Y-%m-%d %H:%M:%S}"
        return at if self._engine.dialect.name == "postgresql" else at.replace(tzinfo=None)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        """Yield a connection within a transaction that may only read; raises `SourceError`."""
        try:
            async with (
                self._slots,
                asyncio.timeout(self._timeout_s + _GRACE_S),
                self._engine.connect() as connection,
            ):
                await self._limit(connection)
                yield connection
                await connection.rollback()
        except TimeoutError as error:
            message = f"the database did not answer within {self._timeout_s:g} s"
            raise SourceUnavailableError(message) from error
        except SourceError:
            raise
        except Exception as error:
            # The boundary to drivers: what they raise while they connect is not wrapped by SQLAlchemy.
            raise _translated(error, self._timeout_s) from error


def _engine(url: str, timeout_s: float) -> AsyncEngine:
    try:
        parsed = make_url(url)
        parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
        options: dict[str, Any] = {}
        if parsed.drivername == "postgresql+asyncpg":
            options = {"timeout": timeout_s}
            if "sslmode" in parsed.query:
                named = {**parsed.query, "ssl": parsed.query["sslmode"]}
                parsed = parsed.set(query={name: value for name, value in named.items() if name != "sslmode"})
        if parsed.drivername == "sqlite+aiosqlite":
            options = {"timeout": timeout_s}
        return create_async_engine(parsed, poolclass=NullPool, connect_args=options)
    except (ArgumentError, SQLAlchemyError, ImportError, ValueError) as error:
        # The text of the error may hold the password.
        why = (
            f"its driver is not installed ({error.name})"
            if isinstance(error, ImportError)
            else "wrong address"
        )
        raise SourceRefusedError(f"the database cannot be opened: {why}") from None


def _statement(sql: str, dialect: str) -> TextClause:
    statement = text(sql)
    if dialect != "postgresql":
        return statement
    # PostgreSQL's driver must know the types; a time without a zone is then compared as one in UTC.
    names = statement.compile().params
    return statement.bindparams(
        *(bindparam(name, type_=_TIME if name in ("start", "end") else BigInteger()) for name in names)
    )


def _limits(dialect: str, timeout_s: float) -> list[str]:
    """Return what makes a transaction one that may only read, for a limited time and in UTC."""
    milliseconds = int(timeout_s * 1000)
    if dialect == "postgresql":
        return [
            "SET TRANSACTION READ ONLY",
            f"SET LOCAL statement_timeout = {milliseconds}",
            "SET LOCAL TIME ZONE 'UTC'",
        ]
    if dialect == "sqlite":
        return ["PRAGMA query_only = ON"]
    if dialect in ("mysql", "mariadb"):
        return ["SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+00:00'"]
    return []


def _sqlstate(error: BaseException) -> str:
    """Return the error's code of five characters, where its driver gives one; else nothing."""
    for each in (
        error,
        getattr(error, "orig", None),
        getattr(getattr(error, "orig", None), "__cause__", None),
    ):
        code = getattr(each, "sqlstate", None) or getattr(each, "pgcode", None)
        if isinstance(code, str):
            return code
    return ""


def _translated(error: Exception, timeout_s: float) -> SourceError:
    said = quotable(str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0])
    said = said.partition(">: ")[2] or said
    code = _sqlstate(error)
    if code == "57014" or (not code and said == "interrupted"):
        return SourceUnavailableError(f"the database did not answer within {timeout_s:g} s")
    if code[:2] in _CREDENTIALS:
        return SourceRefusedError(f"the database refuses the credentials: {said}")
    if code[:2] in _TRANSIENT or isinstance(error, OSError):
        return SourceUnavailableError(f"the database cannot be reached: {said}")
    if not code and any(each in said.casefold() for each in _TRANSIENT_TEXTS):
        return SourceUnavailableError(f"the database does not answer: {said}")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return SourceUnavailableError(f"the database went away: {said}")
    return SourceRefusedError(f"the database refuses the query: {said}")
