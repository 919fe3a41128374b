"""`governor audit`: lists the log through a running bot, exports and verifies it in the database."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.boundary import CommandGroup
from bot.cli.console import NO, Json, Url, err, fail, out, print_json, run_async

audit = typer.Typer(cls=CommandGroup, help="Print the audit log of a running bot, oldest first.")

_COLUMNS = ("id", "at", "actor", "action", "service", "subject", "reason", "before", "after", "hash")
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="How far back: 7d, or a time such as 2026-11-23T09:00Z.")
]


class ExportFormat(StrEnum):
    """How an export is written."""

    JSONL = "jsonl"
    CSV = "csv"


@audit.callback(invoke_without_command=True)
def listing(  # noqa: PLR0917 - the command's own options
    context: typer.Context,
    since: Since = None,
    service: Annotated[str | None, typer.Option(metavar="SERVICE", help="Only this service.")] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="WHO", help="Only this Slack user id, `governor` or token name.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Print the audit log of a running bot, oldest first."""
    if context.invoked_subcommand is not None:
        return
    from bot.cli import tables  # noqa: PLC0415 - the other commands need none of it
    from bot.cli.api_client import get_from_bot  # noqa: PLC0415

    start = _start(since)
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = get_from_bot(url, "audit", since=start, service=service, actor=actor, cursor=cursor)
        rows += page["rows"]
        cursor = page["next"]
        if cursor is None:
            break
    if as_json:
        print_json(rows)
    else:
        out.print(tables.audit(rows))


@audit.command()
def export(
    since: Since = None,
    with_private: Annotated[
        bool, typer.Option("--with-private", help="Also what rows say about private incidents.")
    ] = False,
    export_format: Annotated[
        ExportFormat, typer.Option("--format", help="One JSON object a line, or CSV.")
    ] = ExportFormat.JSONL,
    as_json: Json = False,
) -> None:
    """Print the log of DATABASE_URL with the hash of each row.

    Oldest first.

    Example: `governor audit export --since 90d --format csv > audit.csv`.
    """
    rows = run_async(_read_rows(_start(since), with_private=with_private))
    if as_json:
        print_json(rows)
    elif export_format is ExportFormat.CSV:
        _write_csv(rows)
    else:
        sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@audit.command()
def archive(
    before: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Rows from before this day are moved: 2026-01-01, or 400d for how long ago."
        ),
    ],
    to: Annotated[
        Path, typer.Option(metavar="FILE", help="A new file of JSON lines; gzipped if it ends with .gz.")
    ],
    as_json: Json = False,
) -> None:
    """Move the beginning of the log of DATABASE_URL into a file.

    `verify` follows the chain across both. If it is interrupted, run it once more with the same file.

    Example: `governor audit archive --before 400d --to audit-2026.jsonl.gz`.
    """
    from bot.cli import audit_archive  # noqa: PLC0415 - the other commands need none of it

    audit_archive.archive(before, to, as_json=as_json)


@audit.command()
def verify(
    archives: Annotated[
        list[Path] | None,
        typer.Option(
            "--archive", metavar="FILE", help="Verify this archive too: all of them, or the last ones."
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="ROW:HASH", help="Where the chain ended before: what an earlier `verify` printed."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Follow the chain of the log of DATABASE_URL.

    Exit 0 if it is intact; else exit 1 and name the first row that was tampered with.
    """
    from bot.formatting import counted  # noqa: PLC0415 - the other commands need none of it
    from bot.store.audit_archives.archive_file import ArchiveFileError  # noqa: PLC0415

    try:
        verdict = run_async(_verify(head, archives or []))
    except (ValueError, ArchiveFileError) as error:
        fail(str(error))
    if as_json:
        print_json(verdict)
    elif verdict["ok"]:
        intact = counted(verdict["rows"], "row is", "rows are")
        out.print(f"{intact} intact; the chain ends at {verdict['head']}", markup=False)
        if verdict["after"]:
            out.print(
                f"Rows up to {verdict['after']} are archived and were not verified: name them by --archive"
            )
        if verdict["unchained"]:
            older = counted(verdict["unchained"], "row is", "rows are")
            out.print(f"{older} older than the chain and not covered by it")
    else:
        err.print(f"row {verdict['row']} was tampered with: {verdict['why']}", markup=False)
    sys.exit(0 if verdict["ok"] else NO)


def _start(since: str | None) -> str | None:
    from bot.cli.gate import parse_since  # noqa: PLC0415

    try:
        return parse_since(since, datetime.now(UTC))
    except ValueError as error:
        fail(str(error))


def _write_csv(rows: Iterable[Mapping[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in _COLUMNS])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


async def _read_rows(since: str | None, *, with_private: bool) -> list[dict[str, Any]]:
    from bot.cli.database import opened_database  # noqa: PLC0415
    from bot.http.serializers import audit_json  # noqa: PLC0415
    from bot.incidents import audit_view  # noqa: PLC0415
    from bot.incidents.visibility import ANYBODY, OPERATOR  # noqa: PLC0415

    start = datetime.fromisoformat(since).astimezone(UTC) if since else None
    exported: list[dict[str, Any]] = []
    async with opened_database() as database, database.reading() as connection:
        after, viewer = 0, OPERATOR if with_private else ANYBODY
        while rows := await audit_view.read(connection, viewer, since=start, after_id=after):
            exported += [audit_json(row) | {"hash": row.hash} for row in rows]
            after = rows[-1].id
    return exported


async def _verify(head: str | None, archives: Sequence[Path]) -> dict[str, Any]:
    from bot.cli.database import opened_database  # noqa: PLC0415
    from bot.store.audit_archives.archive_file import rows_of  # noqa: PLC0415
    from bot.store.audit_chain import ChainTampered, verify_chain, verify_with_archives  # noqa: PLC0415

    async with opened_database() as database:
        if archives:
            result = await verify_with_archives(database, rows_of(archives), earlier=head)
        else:
            async with database.reading() as connection:
                result = await verify_chain(connection, earlier=head)
    if isinstance(result, ChainTampered):
        return {"ok": False, "row": result.row, "why": result.why}
    return {
        "ok": True,
        "rows": result.rows,
        "unchained": result.unchained,
        "after": result.after,
        "head": str(result.head),
    }
