"""How big the database is after a year: the rows that a thousand services make, and what retention leaves.

Every month's rows are written as the bot writes them, then retention runs on a clock at the month's end.
Buckets are written as they stand at the end, since their number does not depend on what came before. Run by
itself, it prints each table: `python -m bench.year --services 1000`.
"""

import argparse
import asyncio
import json
import logging
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Table

from bot.budgets.ledger.rollups import DAY, FIVE_MINUTES, HOUR, LEAST_HISTORY, MINUTE
from bot.store.database import Database
from bot.store.migrate import migrate
from bot.store.retention.deletion import delete_expired
from bot.store.tables import (
    core,
    deployments,
    flags,
    forecasts,
    incidents,
    replicas,
    tasks,
    webhooks,
)
from bot.store.tables.threads import threads
from tests.support.table_rows import filled

_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_A_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MONTHS: Final = 12
_DAYS_A_MONTH: Final = 30
_HASH: Final = "5f" * 32
_TEXT: Final = (
    "*Checkout* is frozen: 3.2% of its error budget is left, and it burns 4 times as fast as it may."
)
_WHY: Final = "3.2% of the error budget of availability is left"

DEPLOYMENTS: Final = 5
"""A week and service, each with `CHANGES` commits."""
CHANGES: Final = 4
HOLDS: Final = 1
"""A month and service, each told in the service's channel and in that of announcements."""
FLAG_CHANGES: Final = 4
"""A month and service."""
HORIZONS: Final = 3

_WIDTHS: Final = ((MINUTE, 13 * HOUR), (FIVE_MINUTES, 4 * DAY + HOUR))


@dataclass(frozen=True, slots=True)
class TableSize:
    """Rows of a table, and bytes of it with its indexes."""

    rows: int
    size: int


@dataclass(slots=True)
class YearOfHistory:
    """The database after a year: bytes of the file, and of those that are free in it; each table."""

    services: int
    file: int = 0
    free: int = 0
    deletion_p99_ms: float = 0.0
    took_s: float = 0.0
    tables: dict[str, TableSize] = field(default_factory=dict)


class _TimedDatabase(Database):
    """A database that notes how long its transactions took."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.times_s: list[float] = []

    def transaction(self, *, in_turn: bool = True) -> Any:
        """Open a transaction, and time it."""
        return _Timed(self, super().transaction(in_turn=in_turn))


class _Timed:
    def __init__(self, database: _TimedDatabase, transaction: Any) -> None:
        self._database, self._transaction = database, transaction

    async def __aenter__(self) -> Any:
        connection = await self._transaction.__aenter__()
        self._began = time.perf_counter()
        return connection

    async def __aexit__(self, *error: Any) -> Any:
        ended = await self._transaction.__aexit__(*error)
        self._database.times_s.append(time.perf_counter() - self._began)
        return ended


async def measure(folder: Path, services: int) -> YearOfHistory:
    """Simulate a year of so many services with one SLO each, on SQLite."""
    file, began = folder / "year.db", time.perf_counter()
    database = _TimedDatabase(f"sqlite+aiosqlite:///{file}")
    async with database:
        await migrate(database)
        found = YearOfHistory(services)
        with sqlite3.connect(file) as writer:
            _write(writer, core.slos, (_slo(number) for number in range(services)))
            for name in ("standings", "known_services"):
                known = ({"service": _name(each)} for each in range(services))
                _write(writer, core.metadata.tables[name], known)
        for month in range(_MONTHS):
            with sqlite3.connect(file) as writer:
                for table, rows in _month(services, month):
                    _write(writer, table, rows)
            await delete_expired(database, _START + (month + 1) * _DAYS_A_MONTH * _A_DAY)
        found.deletion_p99_ms = 1_000 * sorted(database.times_s)[len(database.times_s) * 99 // 100]
        with sqlite3.connect(file) as writer:
            for first in range(0, services, 50):
                _write(writer, core.buckets, _buckets(range(first, min(first + 50, services))))
    _sizes(file, found)
    found.took_s = time.perf_counter() - began
    return found


def _name(number: int) -> str:
    return f"service-{number:04}"


def _slo(number: int) -> dict[str, Any]:
    return {
        "id": number + 1,
        "service": _name(number),
        "name": "availability",
        "fingerprint": _HASH,
        "filled_from": _START,
        "filled_to": _START,
        "base": 60,
        "seen_at": _START,
        "read_at": _START,
    }


def _buckets(numbers: Iterable[int]) -> Iterator[dict[str, Any]]:
    end = int((_START + _MONTHS * _DAYS_A_MONTH * _A_DAY).timestamp())
    history = int(LEAST_HISTORY.total_seconds())
    for number in numbers:
        for width, kept in (*_WIDTHS, (HOUR, history), (DAY, history)):
            for start in range(end - kept, end, width):
                yield {"slo_id": number + 1, "width": width, "start": start, "bad": 3.0, "total": 8_640.0}


def _month(services: int, month: int) -> Iterator[tuple[Table, Iterator[dict[str, Any]]]]:
    """Return the rows of a month, each table's by themselves."""
    first = month * _DAYS_A_MONTH
    days = [_START + (first + day) * _A_DAY for day in range(_DAYS_A_MONTH)]
    names = [_name(number) for number in range(services)]

    def each(times: int) -> Iterator[tuple[str, int, datetime]]:
        """Return so many events a month of each service, with a number that no other has."""
        for at in range(times):
            for place, name in enumerate(names):
                number = (month * times + at) * services + place
                yield name, number, days[at * _DAYS_A_MONTH // times] + timedelta(seconds=place)

    shipped = DEPLOYMENTS * _DAYS_A_MONTH // 7
    yield (
        core.holds,
        (
            {
                "service": name,
                "kind": "budget",
                "reason": _WHY,
                "by": "governor",
                "since": at,
                "lifted_at": at + _A_DAY,
                "lifted_by": "governor",
                "lift_reason": _WHY,
                "request": f"hold {number}",
            }
            for name, number, at in each(HOLDS)
        ),
    )
    yield (
        threads,
        (
            {
                "subject": f"budget {name}",
                "channel": f"#{name}",
                "channel_id": "C0123456789",
                "ts": "1767225600.000100",
                "began": _WHY,
                "opened_at": at,
                "touched_at": at,
                "ended_at": at + _A_DAY,
            }
            for name, _, at in each(HOLDS)
        ),
    )
    # A message a day in each channel (the digest among them), and three of each hold.
    yield (
        core.outbox,
        (
            {
                "key": f"{number:036}",
                "channel": f"#{name}",
                "event_type": "governor_digest",
                "text": _TEXT,
                "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": _TEXT * 6}}],
                "created_at": at,
                "sent_at": at,
                "state": "sent",
                "channel_id": "C0123456789",
                "ts": "1767225600.000100",
            }
            for name, number, at in each(_DAYS_A_MONTH + 3 * HOLDS)
        ),
    )
    # Of each digest, hold and page a task, and for each event that goes out.
    events = 2 * HOLDS + shipped + 2 * FLAG_CHANGES
    for kind, times in (("digest", _DAYS_A_MONTH), ("hold expiry", HOLDS), ("webhook portal", events)):
        yield (
            tasks.due_tasks,
            (
                {
                    "kind": kind,
                    "key": f"{name} {number}",
                    "due_at": at,
                    "next_attempt_at": at,
                    "state": "done",
                    "created_at": at,
                    "ended_at": at,
                }
                for name, number, at in each(times)
            ),
        )
    yield (
        core.audit,
        (
            {
                "at": at,
                "actor": "governor",
                "action": "deployment.succeeded",
                "service": name,
                "subject": f"deployment {number}",
                "reason": _WHY,
                "before": {},
                "after": {},
                "hash": _HASH,
            }
            for name, number, at in each(events)
        ),
    )
    yield (
        webhooks.webhook_deliveries,
        (
            {
                "endpoint": "portal",
                "audit_id": number,
                "event_id": f"evt_{number}",
                "event": "deployment.succeeded",
                "service": name,
                "state": "delivered",
                "attempts": 1,
                "created_at": at,
                "attempted_at": at,
                "delivered_at": at,
                "status": 204,
            }
            for name, number, at in each(events)
        ),
    )
    yield (
        deployments.deployments,
        (
            {
                "service": name,
                "deployment": f"github {number}",
                "state": "succeeded",
                "repository": f"acme/{name}",
                "environment": "production",
                "commit": _HASH[:40],
                "ref": "main",
                "by": "dana",
                "url": f"https://github.com/acme/{name}/actions/runs/{number}",
                "started_at": at,
                "finished_at": at,
                "actor": "pipeline",
                "changes_state": "known",
            }
            for name, number, at in each(shipped)
        ),
    )
    yield (
        deployments.deployment_changes,
        (
            {"service": name, "deployment": f"github {number}", "commit": f"{number:036}{change:04}"}
            for name, number, at in each(shipped)
            for change in range(CHANGES)
        ),
    )
    yield (
        deployments.begun_changes,
        (
            {"service": name, "change": _HASH[:36] + str(number), "began_at": at}
            for name, number, at in each(shipped)
        ),
    )
    yield (
        flags.flag_changes,
        (
            {
                "request": f"flag {number}",
                "flag": f"{name}-flag",
                "environment": "production",
                "state": "done",
                "cause": "person",
                "by": "U0DANA",
                "reason": _WHY,
                "service": name,
                "created_at": at,
                "settled_at": at,
            }
            for name, number, at in each(FLAG_CHANGES)
        ),
    )
    yield (
        forecasts.forecasts,
        (
            {
                "service": name,
                "slo": "availability",
                "promise": _HASH,
                "made_on": at,
                "horizon_days": horizon,
                "due_at": at,
                "remaining": 0.4,
                "scored_at": at,
            }
            for name, _, at in each(_DAYS_A_MONTH)
            for horizon in range(HORIZONS)
        ),
    )
    yield (
        replicas.requests,
        ({"id": f"request {number}", "at": at} for _, number, at in each(_DAYS_A_MONTH)),
    )
    yield from _incidents(names, month, days)


def _incidents(
    names: list[str], month: int, days: list[datetime]
) -> Iterator[tuple[Table, Iterator[dict[str, Any]]]]:
    """Return the rows of an incident a year of each service."""
    opened = [(number, name) for number, name in enumerate(names) if number % _MONTHS == month]
    at = days[_DAYS_A_MONTH // 2]
    yield (
        incidents.incidents,
        (
            {
                "id": number + 1,
                "key": f"inc-{number}",
                "marker": f"inc-{number}",
                "title": _WHY,
                "severity": "sev2",
                "status": "closed",
                "opened_by": "U0DANA",
                "opened_at": at,
                "updated_at": at,
            }
            for number, _ in opened
        ),
    )
    for table, times, values in (
        (incidents.incident_services, 1, {}),
        (incidents.incident_entries, 25, {"text": _TEXT, "kind": "note", "by": "U0DANA"}),
        (incidents.incident_roles, 3, {}),
        (incidents.incident_rooms, 2, {}),
        (incidents.incident_steps, 12, {"name": "create_channel", "state": "done"}),
        (incidents.incident_alerts, 3, {"name": "HighBurn", "summary": _TEXT}),
        (incidents.actions, 3, {"text": _TEXT, "owner": "U0DANA"}),
    ):
        yield (
            table,
            (
                values | _of_incident(table, number, name, each, at)
                for number, name in opened
                for each in range(times)
            ),
        )


def _of_incident(table: Table, number: int, name: str, each: int, at: datetime) -> dict[str, Any]:
    """Return what tells a row of an incident from its others."""
    values = {
        "incident_id": number + 1,
        "service": name,
        "at": at,
        "role": f"role {each}",
        "subject": f"{each}",
        "fingerprint": f"{number} {each}",
        "name": f"inc-{number}-{each}",
        "room": f"{each}",
        "mark": None,
        "started_at": at,
        "created_at": at,
    }
    kept = {key: value for key, value in values.items() if key in table.columns}
    if table is incidents.incident_rooms:
        kept["kind"] = f"kind {each}"
    return kept


def _write(writer: sqlite3.Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    """Write the rows of a table, thousands a call; what they do not say is as in any row."""
    batch: list[tuple[Any, ...]] = []
    statement, usual = "", {}
    for row in rows:
        if not statement:
            usual = {name: _stored(value) for name, value in filled(table, **row).items()}
            names = ", ".join(f'"{name}"' for name in usual)
            marks = ", ".join("?" for _ in usual)
            statement = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608
        batch.append(tuple((usual | {name: _stored(value) for name, value in row.items()}).values()))
        if len(batch) == 10_000:
            writer.executemany(statement, batch)
            batch.clear()
    if batch:
        writer.executemany(statement, batch)
    writer.commit()


def _stored(value: Any) -> Any:
    """Return a value as SQLite stores it; objects are as long as those of a flag or a hold."""
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    if value == {}:
        return '{"state": "on", "exposure": 0.25, "version": "17"}'
    return json.dumps(value) if isinstance(value, dict | list) else value


def _sizes(file: Path, found: YearOfHistory) -> None:
    with sqlite3.connect(file) as reader:
        (page,) = reader.execute("PRAGMA page_size").fetchone()
        (pages,) = reader.execute("PRAGMA page_count").fetchone()
        (free,) = reader.execute("PRAGMA freelist_count").fetchone()
        found.file, found.free = page * pages, page * free
        sizes = dict(
            reader.execute(
                "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name "
                "GROUP BY m.tbl_name"
            )
        )
        for name in core.metadata.tables:
            (rows,) = reader.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608
            found.tables[name] = TableSize(rows, sizes.get(name, 0))


def main() -> None:
    """Measure, and print each table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1_000, help="how many, with one SLO each")
    services = parser.parse_args().services
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(measure(Path(name), services))
    print("| table | rows | MB | bytes a row |")
    print("|---|---|---|---|")
    for name, table in sorted(found.tables.items(), key=lambda item: -item[1].size):
        if table.rows:
            print(f"| `{name}` | {table.rows:,} | {table.size / 1e6:.1f} | {table.size / table.rows:.0f} |")
    print(
        f"\n{found.file / 1e6:.0f} MB, {found.free / 1e6:.0f} MB of them free; 99 in 100 deletions took "
        f"at most {found.deletion_p99_ms:.0f} ms; simulated in {found.took_s:.0f} s"
    )


if __name__ == "__main__":
    main()
