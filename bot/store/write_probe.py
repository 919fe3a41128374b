"""Whether the database can be written to, tried every few seconds: `/readyz` shows it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import delete, insert
from sqlalchemy.exc import SQLAlchemyError

from bot.store.database import Database
from bot.store.health.errors import unavailable_reason
from bot.store.tables.replicas import conditions

log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
_TOO_LONG_S: Final = 8.0
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_NAME: Final = "can be written"


class WriteProbe:
    """Writes a row and deletes it again in one transaction, which leaves nothing but the proof.

    `observe` takes the seconds that it took.
    """

    def __init__(
        self,
        database: Database,
        now_s: Callable[[], float] = time.monotonic,
        observe: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._observe = observe
        self._database = database
        self._now_s = now_s
        self._began_s: float | None = None
        self._problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why nothing can be written, for a person; None if something can."""
        file = self._database.file
        if file is not None:
            try:
                file.check()
            except OSError as error:
                return str(error)
        waited_s = 0.0 if self._began_s is None else self._now_s() - self._began_s
        if waited_s > _TOO_LONG_S:
            return f"a write has waited {waited_s:.0f} s: the database is locked, busy or does not answer"
        return self._problem

    async def attempt(self) -> None:
        """Try to write now, and log where that is news."""
        self._began_s = self._now_s()
        try:
            problem = await self._write()
        finally:
            self._observe(self._now_s() - self._began_s)
            self._began_s = None
        if problem != self._problem:
            if problem is None:
                log.info("database_writable")
            else:
                log.error("database_not_writable", problem=problem)
        self._problem = problem

    async def _write(self) -> str | None:
        try:
            async with self._database.transaction(in_turn=False) as connection:
                await connection.execute(delete(conditions).where(conditions.c.name == _NAME))
                await connection.execute(insert(conditions).values(name=_NAME, since=_ANY_TIME))
                await connection.execute(delete(conditions).where(conditions.c.name == _NAME))
        except (SQLAlchemyError, OSError) as error:
            return unavailable_reason(error) or type(error).__name__
        return None
