"""The database of DATABASE_URL for a command; errors in one line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError

from bot.cli.console import configure_logs, fail
from bot.settings import read_settings
from bot.store.database import Database
from bot.store.migrate import migrate, newest_version, version


@asynccontextmanager
async def opened_database(*, migrating: bool = False) -> AsyncIterator[Database]:
    """Open the database; with `migrating`, migrate it first, as `run` does."""
    settings = read_settings()
    configure_logs(settings)
    try:
        async with Database(settings.database_url) as database:
            if migrating:
                await migrate(database)
            elif await version(database) != newest_version():
                fail("the database is not at this program's version: run `governor migrate`")
            yield database
    except (SQLAlchemyError, OSError) as error:
        fail(f"the database of DATABASE_URL cannot be used: {first_line(error)}")


async def migrate_database() -> None:
    """Migrate the database to this program's version."""
    async with opened_database(migrating=True):
        pass


def first_line(error: Exception) -> str:
    """Return the first line of the driver's message: the full one has the statement and its values in it."""
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__
