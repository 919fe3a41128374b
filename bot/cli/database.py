"""The database of DATABASE_URL for a command; errors in one line."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy.exc import SQLAlchemyError

from bot.cli.console import fail
from bot.cli.progress import progress
from bot.settings import read_settings
from bot.store.database import Database
from bot.store.health.errors import StoreError
from bot.store.health.unusable import why_unusable
from bot.store.migrate import is_too_new, migrate, newest_version, version
from bot.store.startup import check_before_use, find_lost_transactions


@asynccontextmanager
async def opened_database(
    *,
    migrating: bool = False,
    show: Callable[[int, int], None] | None = None,
    found: Callable[[str | None], None] | None = None,
) -> AsyncIterator[Database]:
    """Open the database; with `migrating`, migrate it first, as `run` does.

    `show` is told how many migrations of how many are done, `found` the version from before them.
    """
    settings = read_settings()
    try:
        async with Database(settings.database_url) as database:
            if migrating:
                await check_before_use(database)
                if found is not None:
                    found(await version(database))
                await migrate(database, show)
            else:
                await _refuse_missing_file(database)
                await find_lost_transactions(database)
                _refuse_other_versions(await version(database))
            yield database
    except StoreError as error:
        fail(str(error))
    except (SQLAlchemyError, OSError) as error:
        fail(f"the database of DATABASE_URL cannot be used: {why_unusable(settings.database_url, error)}")


async def _refuse_missing_file(database: Database) -> None:
    """Refuse a file that SQLite would make: what is then asked or written is in no bot's database."""
    if database.file is None:
        return
    path = database.file.path
    if await asyncio.to_thread(path.parent.is_dir) and not await asyncio.to_thread(path.exists):
        fail(
            f"there is no database at {path.absolute()}: let DATABASE_URL name the bot's, "
            "or make one there with `governor migrate`"
        )


def _refuse_other_versions(found: str | None) -> None:
    if is_too_new(found):
        fail(f"the database is at version {found}, newer than this program, which has {newest_version()}")
    if found != newest_version():
        fail("the database is not at this program's version: run `governor migrate`")


async def migrate_database() -> tuple[str | None, str]:
    """Migrate the database to this program's version; return the version before and the one after."""
    before: str | None = None

    def note(found: str | None) -> None:
        nonlocal before
        before = found

    with progress("migrating the database") as show:
        async with opened_database(migrating=True, show=show, found=note):
            return before, newest_version()
