"""Brings a database to the newest version of the tables, by Alembic.

Safe to run from several processes at once: the whole upgrade is one transaction, and the others wait
for it. A new version is drafted with `python -m bot.store.migrate "what changes"` and then read by a person.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from bot.store.database import Database

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
    """Answer the version that the database has; None before the first migration."""
    async with database.reading() as connection:
        return await connection.run_sync(_version)


def newest_version() -> str | None:
    """Answer the version that this program's tables have."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> tuple[str | None, str | None]:
    before = _version(connection)
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
    number = len(list(ScriptDirectory.from_config(_config()).walk_revisions())) + 1
    command.revision(_config(connection), what, autogenerate=True, rev_id=f"{number:04d}")


if __name__ == "__main__":
    asyncio.run(_draft(" ".join(sys.argv[1:])))
