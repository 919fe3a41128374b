"""The database of DATABASE_URL for a command; errors in one line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError

from bot.cli.console import fail
from bot.settings import read_settings
from bot.store.database import Database
from bot.store.health.errors import StoreError
from bot.store.migrate import is_too_new, migrate, newest_version, version
from bot.store.startup import check_before_use, find_lost_transactions


@asynccontextmanager
async def opened_database(*, migrating: bool = False) -> AsyncIterator[Database]:
    """Open the database; with `migrating`, migrate it first, as `run` does."""
    settings = read_settings()
    try:
        async with Database(settings.database_url) as database:
            if migrating:
                await check_before_use(database)
                await migrate(database)
            else:
                await find_lost_transactions(database)
                _refuse_other_versions(await version(database))
            yield database
    except StoreError as error:
        fail(str(error))
    except (SQLAlchemyError, OSError) as error:
        fail(f"the database of DATABASE_URL cannot be used: {first_line(error)}")


def _refuse_other_versions(found: str | None) -> None:
    if is_too_new(found):
        fail(f"the database is at version {found}, newer than this program, which has {newest_version()}")
    if found != newest_version():
        fail("the database is not at this program's version: run `governor migrate`")


async def migrate_database() -> None:
    """Migrate the database to this program's version."""
    async with opened_database(migrating=True):
        pass


def first_line(error: Exception) -> str:
    """Return the first line of the driver's message: the full one has the statement and its values in it."""
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__
