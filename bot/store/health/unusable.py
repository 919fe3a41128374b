"""Why a database cannot be opened or used, in one line for the person who set DATABASE_URL."""

import re
from pathlib import Path

from sqlalchemy import make_url

_CLASS = re.compile(r"^<class '[^']*'>: ")
_MEMORY = frozenset({"", ":memory:"})


def why_unusable(url: str, error: BaseException) -> str:
    """Return what is wrong with the database at `url`, as the error and the file system tell; no password."""
    address = make_url(url)
    line = first_line(error)
    if url.startswith("sqlite"):
        if address.database in {None, *_MEMORY}:
            return line
        return _file_fault(Path(str(address.database))) or f"{line}: {address.database}"
    if isinstance(error, OSError | TimeoutError):
        where = f"{address.host or 'localhost'}:{address.port or 5432}"
        return f"PostgreSQL cannot be reached at {where}: {line}"
    return line


def first_line(error: BaseException) -> str:
    """Return the first line of the driver's message: the full one has the statement and its values in it."""
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return _CLASS.sub("", lines[0]) if lines else type(error).__name__


def _file_fault(path: Path) -> str | None:
    if path.is_dir():
        return f"{path} is a folder: name a file in it, such as sqlite:///{path}/governor.db"
    if not path.parent.exists():
        return f"there is no folder {path.parent}: make it, or name another file"
    if not path.parent.is_dir():
        return f"{path.parent} is not a folder"
    return None
