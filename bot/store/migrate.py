"""Migrates a database to the newest version of the tables, with Alembic.

Safe to run from several processes at once: the whole upgrade is one transaction, and the others wait
for it. A new version is drafted with `python -m bot.store.migrate "what changes"` and then reviewed.

An empty database gets the tables of the newest version at once. Alembic is imported only if there is
something to upgrade, to save memory and time at every other start.
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect, text

from bot.store.database import Database
from bot.store.health.errors import SchemaTooNewError
from bot.store.tables.core import metadata

if TYPE_CHECKING:
    from alembic.config import Config

log = structlog.get_logger(__name__)

_FOLDER = Path(__file__).parent / "migrations"
# Any number that no other program uses as an advisory lock in the same database.
_UPGRADE_LOCK = 0x60_7E_12_0A

# As Alembic makes it.
_VERSION_TABLE = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


Show = Callable[[int, int], None]
"""Told after each migration how many of how many are done."""


async def migrate(database: Database, show: Show | None = None) -> None:
    """Upgrade the database to the newest version; raises `SchemaTooNewError`."""
    async with database.transaction() as connection:
        if not database.is_sqlite:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        before, after = await connection.run_sync(_upgrade, show)
    if before != after:
        log.info("database_migrated", before=before, after=after)


async def upgrade(url: str) -> None:
    """Upgrade the database at `url` to the newest version."""
    async with Database(url) as database:
        await migrate(database)


async def version(database: Database) -> str | None:
    """Return the version of the database; None before the first migration."""
    async with database.reading() as connection:
        return await connection.run_sync(_version)


@cache
def newest_version() -> str:
    """Return the version of this program's tables: each migration's file name begins with its version."""
    return max(_versions())


def is_too_new(found: str | None) -> bool:
    """Return whether a database's version is not one of this program's: a newer program has upgraded it."""
    return found is not None and found not in _versions()


@cache
def _versions() -> frozenset[str]:
    return frozenset(file.name.partition("_")[0] for file in (_FOLDER / "versions").glob("[0-9]*_*.py"))


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version_num: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version_num


def _config(connection: Connection | None = None, show: Show | None = None) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see the module's docstring

    done, total = 0, 0 if connection is None else len(_versions() - _older(_version(connection)))

    def count(**_: object) -> None:
        nonlocal done
        done += 1
        if show is not None:
            show(done, total)

    config = Config(attributes={"connection": connection, "on_version_apply": count})
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def _older(found: str | None) -> set[str]:
    """Return the versions up to that of a database."""
    return {known for known in _versions() if found is not None and known <= found}


def _upgrade(connection: Connection, show: Show | None = None) -> tuple[str | None, str | None]:
    before = _version(connection)
    if before == newest_version():
        return before, before
    if is_too_new(before):
        raise SchemaTooNewError(
            f"the database is at version {before}, and this program knows versions up to {newest_version()}: "
            "start the program that upgraded it, or restore the backup from before the upgrade"
        )
    if before is None and not inspect(connection).get_table_names():
        _create(connection)
    else:
        upgrade_by_steps(connection, show)
    return before, _version(connection)


def _create(connection: Connection) -> None:
    """Make all tables of an empty database at once; a test compares them with those of the migrations."""
    metadata.create_all(connection, checkfirst=False)
    _VERSION_TABLE.create(connection)
    connection.execute(_VERSION_TABLE.insert().values(version_num=newest_version()))


def upgrade_by_steps(connection: Connection, show: Show | None = None) -> None:
    """Run the migrations that the database has not seen yet."""
    from alembic import command  # noqa: PLC0415 - see the module's docstring

    command.upgrade(_config(connection, show), "head")


async def _draft(message: str) -> None:
    """Write a new migration with the differences between the tables and what all migrations make."""
    with tempfile.TemporaryDirectory() as folder:
        async with Database(f"sqlite+aiosqlite:///{folder}/draft.db") as database:
            async with database.transaction() as connection:
                # Not made at once: it would have what is new already.
                await connection.run_sync(upgrade_by_steps)
            async with database.engine.connect() as connection:
                await connection.run_sync(_write_draft, message)


def _write_draft(connection: Connection, message: str) -> None:
    from alembic import command  # noqa: PLC0415 - see the module's docstring

    number = int(newest_version()) + 1
    command.revision(_config(connection), message, autogenerate=True, rev_id=f"{number:04d}")


if __name__ == "__main__":
    asyncio.run(_draft(" ".join(sys.argv[1:])))
