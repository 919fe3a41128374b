"""What is checked before a database is used: damage that SQLite would pass over, its own quick check."""

import asyncio
import time

import structlog

from bot.store.database import Database
from bot.store.health.sqlite_file import quick_check
from bot.store.health.sqlite_wal import WalDamage

log = structlog.get_logger(__name__)


async def find_lost_transactions(database: Database) -> WalDamage | None:
    """Return what of SQLite's write-ahead log cannot be read; to be called before the database is opened.

    The damaged log is copied, because SQLite overwrites it. PostgreSQL looks after its own.
    """
    file = database.file
    if file is None or not await asyncio.to_thread(file.path.exists):
        return None
    damage = await asyncio.to_thread(file.find_wal_damage)
    if damage is not None:
        copy = await asyncio.to_thread(file.keep_damaged_wal, damage)
        log.error("database_log_damaged", problem=str(damage), copy=str(copy) if copy else None)
    return damage


async def check_before_use(database: Database) -> WalDamage | None:
    """Check SQLite's file before it is used; return what of its write-ahead log is lost.

    Raises `DatabaseDamagedError` where the file itself has errors.
    """
    damage = await find_lost_transactions(database)
    if database.file is None:
        return damage
    began_s = time.monotonic()
    async with database.reading() as connection:
        await quick_check(connection)
    log.info("database_checked", seconds=round(time.monotonic() - began_s, 3))
    return damage
