"""Brings a database to the newest version of the tables, by Alembic.

Safe to run from several processes at once: the whole upgrade is one transaction, and the others wait
for it. A new version is drafted with `python -m bot.store.migrate "what changes"` and then read by a person.

Alembic is loaded only where there is something to upgrade: a bot that starts on its own database needs
neither its memory nor its time.
"""

import asyncio
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection, inspect, text

from bot.store.database import Database

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger(__name__)

_FOLDER = Path(__file__).parent / "migrations"
# Any number will do, so long as nobody else takes this advisory lock in the same database.
_UPGRADE_LOCK = 0x60_7E_12_0A


async def migrate(database: Database) -> None:
    """Upgrade the database to the newest version."""
    async with database.transaction() as connection:
        if not database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        before, after = await connection.run_sync(_upgrade)
    if before != after:
        log.info("database_migrated", before=before, after=after)


async def upgrade(url: str) -> None:
    """Upgrade the database at `url` to the newest version."""
    async with Database(url) as database:
        await migrate(database)


async def version(database: Database) -> str | None:
    """Return the version that the database has; None before the first migration."""
    async with database.reading() as connection:
        return await connection.run_sync(_version)


@cache
def newest_version() -> str:
    """Return the version that this program's tables have: each file's name begins with its own."""
    return max(file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _config(connection: Connection | None = None) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see the module's docstring

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> tuple[str | None, str | None]:
    before = _version(connection)
    if before == newest_version():
        return before, before
    from alembic import command  # noqa: PLC0415 - see the module's docstring

    command.upgrade(_config(connection), "head")
    return before, _version(connection)


async def _draft(what: str) -> None:
    """Write a new version: what the tables have and a database of the newest version lacks."""
    with tempfile.TemporaryDirectory() as folder:
        async with Database(f"sqlite+aiosqlite:///{folder}/draft.db") as database:
            await migrate(database)
            async with database.engine.connect() as connection:
                await connection.run_sync(_write_draft, what)


def _write_draft(connection: Connection, what: str) -> None:
    from alembic import command  # noqa: PLC0415 - see the module's docstring

    number = int(newest_version()) + 1
    command.revision(_config(connection), what, autogenerate=True, rev_id=f"{number:04d}")


if __name__ == "__main__":
    asyncio.run(_draft(" ".join(sys.argv[1:])))
