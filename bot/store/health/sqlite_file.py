"""SQLite's file on disk: whether it is still the one that was opened, and what is damaged in it."""

import shutil
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.health.errors import DatabaseDamagedError, DatabaseFileLostError
from bot.store.health.sqlite_wal import WalDamage, find_damage

# https://www.sqlite.org/rescode.html: SQLITE_CORRUPT, SQLITE_NOTADB
_DAMAGED = (11, 26)
_QUICK_CHECK = text("PRAGMA quick_check(3)")


class SqliteFile:
    """The file of one database. `note` remembers the file that was opened, `check` compares.

    A file that was deleted or replaced stays open: what is written to it is gone with the process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None

    @property
    def is_known(self) -> bool:
        """Whether a file was opened."""
        return self._identity is not None

    @property
    def existing_uri(self) -> str:
        """The URI that opens the file and never makes a new one."""
        return f"file:{quote(str(self.path))}?mode=rw"

    def note(self) -> None:
        """Remember which file was opened, the first time."""
        if self._identity is None:
            self._identity = self._look()

    def check(self) -> None:
        """Raise `DatabaseFileLostError` if another file or none has the name now."""
        if self._identity is not None and self._look() != self._identity:
            raise DatabaseFileLostError(
                f"the file {self.path.name} was deleted or replaced while the bot runs, so changes made "
                "now would be lost; put it back and restart the bot"
            )

    def find_wal_damage(self) -> WalDamage | None:
        """Return the damage of the write-ahead log; blocks, and is to be asked before the file is opened."""
        damage = find_damage(self.path)
        # Another program may be writing just there: what is damage is found twice.
        again = None if damage is None else find_damage(self.path)
        return damage if damage is not None and again is not None and again.offset == damage.offset else None

    def keep_damaged_wal(self, damage: WalDamage) -> Path | None:
        """Copy a damaged log, which SQLite will overwrite; return the copy, None if there is no log."""
        if not damage.path.exists():
            return None
        copy = damage.path.with_name(f"{damage.path.name}.damaged-{damage.path.stat().st_mtime_ns}")
        shutil.copy2(damage.path, copy)
        return copy

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


async def quick_check(connection: AsyncConnection) -> None:
    """Let SQLite look through its file; raises `DatabaseDamagedError` with what it found first."""
    try:
        found = [str(row[0]) for row in await connection.execute(_QUICK_CHECK)]
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", None) not in _DAMAGED:
            raise
        found = [str(error.orig)]
    if found != ["ok"]:
        raise DatabaseDamagedError(f"the database's file is damaged: {'; '.join(found)}")
