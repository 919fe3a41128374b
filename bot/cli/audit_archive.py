"""`governor audit archive`: moves the beginning of the log into a file."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bot.cli.console import NO, fail, out, print_json, run_async
from bot.cli.database import opened_database
from bot.durations import DurationError, parse_duration
from bot.store.api_tokens import OPERATOR
from bot.store.audit_archives.archive_file import ArchiveFileError
from bot.store.audit_archives.archiving import Archived, ArchiveError, NothingToArchive
from bot.store.audit_archives.archiving import archive as archive_log
from bot.store.retention.deletion import delete_expired
from bot.store.tables.core import audit
from bot.webhooks.audit_needs import first_needed_row

YOUNGEST: Final = timedelta(days=90)
"""Younger rows stay: budgets, timelines and digests look at them."""


def archive(before: str, path: Path, *, as_json: bool) -> None:
    """Archive, and print what was archived; fail with a reason."""
    now = datetime.now(UTC)
    try:
        time = _parse_before(before, now)
        outcome = run_async(_archive(time, path, now))
    except (ValueError, ArchiveError, ArchiveFileError) as error:
        fail(str(error), NO if isinstance(error, ArchiveError) else 2)
    if as_json:
        print_json(_as_json(outcome, path))
    elif isinstance(outcome, Archived):
        verb = "were moved" if outcome.is_new else "had been moved"
        out.print(f"{outcome.rows} rows, up to {outcome.head}, {verb} to {path}", markup=False)
    else:
        out.print(_why_nothing(outcome, time), markup=False)
    sys.exit(0)


def _why_nothing(outcome: NothingToArchive, before: datetime) -> str:
    if outcome.held_back_from is None:
        return f"No row is from before {before:%Y-%m-%d %H:%M} UTC: nothing was archived"
    return (
        f"Webhooks still need row {outcome.held_back_from} and all later ones: nothing was archived. "
        "`governor webhooks list` shows their deliveries, which are kept for 30 days"
    )


def _parse_before(text: str, now: datetime) -> datetime:
    try:
        time = now - parse_duration(text.strip())
    except DurationError:
        try:
            time = datetime.fromisoformat(text.strip())
            time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise ValueError(
                f"`--before {text}` is neither a day (2026-01-01) nor a duration (400d)"
            ) from None
    if time > now - YOUNGEST:
        raise ValueError(
            f"`--before {text}` is too young: the last {YOUNGEST.days} days stay in the database"
        )
    return time


async def _archive(before: datetime, path: Path, now: datetime) -> Archived | NothingToArchive:
    async with opened_database() as database:
        async with database.reading() as connection:
            needed = await first_needed_row(connection, now)
        outcome = await archive_log(database, path, before, needed_from=needed, by=OPERATOR, now=now)
        await delete_expired(database, now, only=[audit])
    return outcome


def _as_json(outcome: Archived | NothingToArchive, path: Path) -> dict[str, object]:
    if isinstance(outcome, NothingToArchive):
        return {"rows": 0, "needed_from": outcome.held_back_from}
    return {
        "rows": outcome.rows,
        "head": str(outcome.head),
        "until": outcome.until.isoformat(),
        "file": str(path),
        "is_new": outcome.is_new,
    }
