"""`governor doctor` on the database itself: damage, room on the disk, whether it takes a write."""

import asyncio
import shutil
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from bot.diagnostics.findings import Finding, fault
from bot.store.database import Database
from bot.store.health.errors import DatabaseDamagedError, unavailable_reason
from bot.store.health.sqlite_file import quick_check
from bot.store.startup import find_lost_transactions
from bot.store.tables.replicas import conditions

_LEAST_FREE_BYTES: Final = 100 * 1024 * 1024
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MEND: Final = "fix this first: until then no decision can be stored"
_RESTORE: Final = "stop the bot and restore a backup, see docs/operating.md"


async def wal_damage(database: Database) -> list[Finding]:
    """Return the damage of SQLite's write-ahead log; to be asked before the database is opened."""
    damage = await find_lost_transactions(database)
    return [fault("database", damage.path.name, str(damage), _RESTORE)] if damage is not None else []


async def file_damage(database: Database) -> list[Finding]:
    """Return what SQLite's own check finds, and a disk that is nearly full."""
    file = database.file
    if file is None:
        return []
    findings = []
    try:
        async with database.reading() as connection:
            await quick_check(connection)
    except DatabaseDamagedError as error:
        findings.append(fault("database", file.path.name, str(error), _RESTORE))
    free = (await asyncio.to_thread(shutil.disk_usage, file.path.absolute().parent)).free
    if free < _LEAST_FREE_BYTES:
        detail = f"{free // 1024**2} MiB are free on its disk"
        findings.append(
            fault("database", file.path.name, detail, "free some space before nothing can be stored")
        )
    return findings


async def writing(database: Database) -> list[Finding]:
    """Return why the database takes no write, if it does not; what is written is rolled back."""
    try:
        async with database.transaction(in_turn=False) as connection:
            written = await connection.begin_nested()
            await connection.execute(insert(conditions).values(name="doctor writes", since=_ANY_TIME))
            await written.rollback()
    except (SQLAlchemyError, OSError) as error:
        reason = unavailable_reason(error) or type(error).__name__
        return [fault("database", "DATABASE_URL", f"cannot be written: {reason}", _MEND)]
    return []
