"""Errors of the database as a whole, and what any error of a statement says about it.

StoreError
├── SchemaTooNewError          a newer program has changed the tables
├── DatabaseDamagedError       the file has errors
└── DatabaseUnavailableError   (also OSError) try again later
    ├── DatabaseFileLostError  SQLite's file was deleted or replaced under the running program
    └── DatabaseBusyError      other transactions take too long
"""

from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout

_SQLITE_CODE: Final = 0xFF
"""The primary code is in the lowest byte: https://www.sqlite.org/rescode.html."""
_SQLITE: Final = {
    3: "the database's file is read-only",
    5: "the database is locked by another program",
    6: "the database is locked by another transaction",
    8: "the database is read-only",
    10: "the disk of the database has errors",
    11: "the database's file is damaged",
    13: "the disk of the database is full",
    14: "the database's file cannot be opened",
    26: "the database's file is damaged",
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html: codes and their first two characters.
_POSTGRESQL: Final = {
    "08": "the database does not answer",
    "25006": "the database is read-only",
    "28": "the database refuses this program's login",
    "3D000": "the database does not exist",
    "40": "other transactions interfered",
    "53": "the database is at its limits",
    "53100": "the disk of the database is full",
    "53300": "the database has too many connections",
    "55": "the database is locked",
    "55000": "the database does not accept connections",
    "57": "the database is being stopped or started",
    "58": "the database server's system has errors",
}
_NO_ANSWER: Final = "the database does not answer"


class StoreError(Exception):
    """The database cannot be used. The message is for the person who operates it."""


class SchemaTooNewError(StoreError):
    """The tables are those of a newer program, which this one would misread."""


class DatabaseDamagedError(StoreError):
    """The database's own check has found errors in the file."""


class DatabaseUnavailableError(StoreError, OSError):
    """Nothing can be kept now. The message completes "nothing was changed: …"."""


class DatabaseFileLostError(DatabaseUnavailableError):
    """What is written now would go to a file that the next start does not find."""


class DatabaseBusyError(DatabaseUnavailableError):
    """A transaction has waited too long for the one before it."""


def unavailable_reason(error: BaseException) -> str | None:
    """Return why the database cannot be used, for a person; None if the error says nothing of the kind.

    A statement that is at fault itself (a constraint, a value, a table) is not: it fails again.
    """
    if isinstance(error, DatabaseUnavailableError):
        return str(error)
    if isinstance(error, DBAPIError):
        return _statement_reason(error)
    if isinstance(error, SQLAlchemyTimeout):
        return "too many requests wait for the database"
    return _NO_ANSWER if isinstance(error, OSError | TimeoutError) else None


def is_away(error: BaseException) -> bool:
    """Return whether the error means that the database cannot be used now, rather than a faulty statement."""
    return unavailable_reason(error) is not None


def _statement_reason(error: DBAPIError) -> str | None:
    sqlite_code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(sqlite_code, int):
        return _SQLITE.get(sqlite_code & _SQLITE_CODE)
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return _POSTGRESQL.get(state) or _POSTGRESQL.get(state[:2])
    is_lost = error.connection_invalidated or isinstance(error, InterfaceError | OperationalError)
    return _NO_ANSWER if is_lost or isinstance(error.orig, OSError | TimeoutError) else None
