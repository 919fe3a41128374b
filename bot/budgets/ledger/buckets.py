"""The rows of the ledger's `buckets` table: reading them, adding to them, summing over them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

import msgspec
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.budgets.budget import NO_EVENTS, EventCounts
from bot.budgets.ledger.rollups import DAY, HOUR, MINUTE, Segment, floor, seconds
from bot.budgets.source import Bucket, BucketColumns, Cell
from bot.store.database import Database
from bot.store.tables.core import buckets as table
from bot.store.value_lists import is_one_of

Row = tuple[int, int, int, float, float]
"""A cell to add: ledger, width and start, bad and total."""

_NO_EVENTS = (0.0, 0.0)
_SKEW_SHARE = 0.01
_SKEW_EVENTS = 2.0
"""Counters that are read one after the other may differ by this share, or by so many events."""


@dataclass(frozen=True, slots=True)
class SumRequest:
    """Sums to form for one ledger: each span as the segments that cover it."""

    slo_id: int
    spans: tuple[tuple[Segment, ...], ...]


def cells(buckets: Iterable[Bucket], width: int) -> Mapping[int, Cell]:
    """Return cells by their start in seconds; buckets with the same start are added up."""
    if isinstance(buckets, BucketColumns) and buckets.width == timedelta(seconds=width):
        return buckets.cells
    cells_by_start: dict[int, Cell] = {}
    for bucket in buckets:
        start = floor(seconds(bucket.start), width)
        bad, total = cells_by_start.get(start, (0.0, 0.0))
        cells_by_start[start] = (bad + bucket.bad, total + bucket.total)
    return cells_by_start


def differences(old: Mapping[int, Cell], new: Mapping[int, Cell], start: int, end: int) -> dict[int, Cell]:
    """Return what must be added within [start, end) to make the old cells the new ones."""
    if not old:
        return {at: cell for at, cell in new.items() if start <= at < end and cell != _NO_EVENTS}
    changes: dict[int, Cell] = {}
    for at in {**old, **new}:
        before, cell = old.get(at, _NO_EVENTS), new.get(at, _NO_EVENTS)
        if before != cell and start <= at < end:
            changes[at] = (cell[0] - before[0], cell[1] - before[1])
    return changes


def add_up(parts: Iterable[Cell], whole: Cell) -> bool:
    """Return whether the parts add up to the whole, within the skew of counters read one after the other."""
    cells = list(parts)
    return all(
        abs(sum(part[kind] for part in cells) - whole[kind])
        <= max(_SKEW_EVENTS, _SKEW_SHARE * abs(whole[kind]))
        for kind in (0, 1)
    )


def rows_of(slo_id: int, changes: Mapping[int, Cell], width: int, wider: Sequence[int] = ()) -> list[Row]:
    """Return the changes of buckets of a width, and the same of the wider ones, in order."""
    rows = [(slo_id, width, at, bad, total) for at, (bad, total) in changes.items()]
    return rows + spread(slo_id, changes, wider)


def spread(slo_id: int, changes: Mapping[int, Cell], widths: Sequence[int]) -> list[Row]:
    """Return the same changes for each of the widths, which are in order, narrowest first."""
    rows: list[Row] = []
    narrower = changes
    # Each width divides the next one: what was added up once is not added up again.
    for width in widths:
        sums: dict[int, Cell] = {}
        for at, (bad, total) in narrower.items():
            start = at - at % width
            other_bad, other_total = sums.get(start, _NO_EVENTS)
            sums[start] = (other_bad + bad, other_total + total)
        rows += [(slo_id, width, start, bad, total) for start, (bad, total) in sums.items()]
        narrower = sums
    return rows


_ON_CONFLICT = """
ON CONFLICT (slo_id, width, start)
DO UPDATE SET bad = buckets.bad + excluded.bad, total = buckets.total + excluded.total
"""

_ROWS_AT_ONCE = 500
_INTO_SQLITE = "INSERT INTO buckets (slo_id, width, start, bad, total) VALUES "
_ADD_SQLITE = f"{_INTO_SQLITE} {', '.join(['(?, ?, ?, ?, ?)'] * _ROWS_AT_ONCE)} {_ON_CONFLICT}"
_ADD_ONE_SQLITE = f"{_INTO_SQLITE} (?, ?, ?, ?, ?) {_ON_CONFLICT}"

# One bound parameter for all rows: thousands are added at each evaluation.
_INTO_POSTGRESQL = """
INSERT INTO buckets (slo_id, width, start, bad, total)
SELECT CAST(value->>0 AS bigint), CAST(value->>1 AS integer), CAST(value->>2 AS bigint),
       CAST(value->>3 AS double precision), CAST(value->>4 AS double precision)
FROM json_array_elements(CAST(:rows AS json)) AS given(value)
"""
_ADD_POSTGRESQL = text(f"{_INTO_POSTGRESQL} {_ON_CONFLICT}")


async def add(database: Database, connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Add to the buckets and insert missing ones; concurrent additions are not lost.

    No two of the rows are of the same bucket.
    """
    if not rows:
        return
    # In a fixed order, so that two writers cannot deadlock.
    ordered = sorted(rows)
    if not database.is_sqlite:
        await connection.execute(_ADD_POSTGRESQL, {"rows": msgspec.json.encode(ordered).decode()})
        return
    # The text of the statement never changes, so that it is prepared once.
    whole = len(ordered) - len(ordered) % _ROWS_AT_ONCE
    for first in range(0, whole, _ROWS_AT_ONCE):
        values = tuple(chain.from_iterable(ordered[first : first + _ROWS_AT_ONCE]))
        await connection.exec_driver_sql(_ADD_SQLITE, values)
    if rest := ordered[whole:]:
        await connection.exec_driver_sql(_ADD_ONE_SQLITE, rest)


async def between(
    connection: AsyncConnection, slo_id: int, width: int, start: int, end: int
) -> dict[int, Cell]:
    """Return the cells of one width that begin in [start, end)."""
    return (await between_of_many(connection, [slo_id], width, start, end)).get(slo_id, {})


async def between_of_many(
    connection: AsyncConnection, slo_ids: Sequence[int], width: int, start: int, end: int
) -> dict[int, dict[int, Cell]]:
    """Return for each ledger the cells of one width that begin in [start, end)."""
    query = select(table.c.slo_id, table.c.start, table.c.bad, table.c.total).where(
        is_one_of(table.c.slo_id, slo_ids),
        table.c.width == width,
        table.c.start >= start,
        table.c.start < end,
    )
    cells_by_ledger: dict[int, dict[int, Cell]] = defaultdict(dict)
    for slo_id, at, bad, total in (await connection.execute(query)).all():
        cells_by_ledger[slo_id][at] = (bad, total)
    return cells_by_ledger


async def delete_below_minute(connection: AsyncConnection, slo_ids: Sequence[int]) -> None:
    """Delete ledgers' buckets narrower than a minute; the minutes hold the same events."""
    await connection.execute(delete(table).where(is_one_of(table.c.slo_id, slo_ids), table.c.width < MINUTE))


async def delete_from(database: Database, connection: AsyncConnection, slo_id: int, hour: int) -> None:
    """Delete a ledger's buckets from a whole hour (seconds) on; its day keeps the hours before."""
    day = floor(hour, DAY)
    later = (table.c.width <= HOUR) & (table.c.start >= hour)
    days = (table.c.width == DAY) & (table.c.start >= day)
    await connection.execute(delete(table).where(table.c.slo_id == slo_id, later | days))
    hours = await between(connection, slo_id, HOUR, day, hour)
    await add(database, connection, spread(slo_id, hours, (DAY,)))


# One bound parameter for each list, so that the statement's text never changes and is prepared once. CROSS
# JOIN fixes SQLite's order of the loops: each segment is one search in the primary key.
_SUMS_SQLITE = text("""
WITH ledger AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS slo_id, json_extract(value, '$[1]') AS kind
    FROM json_each(:ledgers)
), segment AS MATERIALIZED (
    SELECT json_extract(value, '$[0]') AS kind, json_extract(value, '$[1]') AS span,
           json_extract(value, '$[2]') AS width, json_extract(value, '$[3]') AS first,
           json_extract(value, '$[4]') AS past, json_extract(value, '$[5]') AS share
    FROM json_each(:segments)
)
SELECT ledger.slo_id, ledger.kind, segment.span, SUM(buckets.bad * segment.share),
       SUM(buckets.total * segment.share)
FROM ledger
CROSS JOIN segment ON segment.kind = ledger.kind
CROSS JOIN buckets ON buckets.slo_id = ledger.slo_id AND buckets.width = segment.width
    AND buckets.start >= segment.first AND buckets.start < segment.past
GROUP BY ledger.slo_id, ledger.kind, segment.span
""")

_SUMS_POSTGRESQL = text("""
WITH ledger AS MATERIALIZED (
    SELECT CAST(value->>0 AS bigint) AS slo_id, CAST(value->>1 AS integer) AS kind
    FROM json_array_elements(CAST(:ledgers AS json)) AS given(value)
), segment AS MATERIALIZED (
    SELECT CAST(value->>0 AS integer) AS kind, CAST(value->>1 AS integer) AS span,
           CAST(value->>2 AS integer) AS width, CAST(value->>3 AS bigint) AS first,
           CAST(value->>4 AS bigint) AS past, CAST(value->>5 AS double precision) AS share
    FROM json_array_elements(CAST(:segments AS json)) AS given(value)
)
SELECT ledger.slo_id, ledger.kind, segment.span, SUM(buckets.bad * segment.share),
       SUM(buckets.total * segment.share)
FROM ledger
JOIN segment ON segment.kind = ledger.kind
JOIN buckets ON buckets.slo_id = ledger.slo_id AND buckets.width = segment.width
    AND buckets.start >= segment.first AND buckets.start < segment.past
GROUP BY ledger.slo_id, ledger.kind, segment.span
""")


async def sums(
    database: Database, connection: AsyncConnection, requests: Sequence[SumRequest]
) -> list[list[EventCounts]]:
    """Return the events of each span, in the order of the requests, as stored; see `without_skew`."""
    if not requests:
        return []
    # Ledgers whose spans have the same cover share one tuple of segments, recognised by its identity.
    kinds: dict[int, int] = {}
    covers: list[tuple[tuple[Segment, ...], ...]] = []
    for request in requests:
        if kinds.setdefault(id(request.spans), len(covers)) == len(covers):
            covers.append(request.spans)
    segments = [
        (kind, index, segment.width, segment.start, segment.end, segment.share)
        for kind, spans in enumerate(covers)
        for index, span in enumerate(spans)
        for segment in span
    ]
    ledgers = sorted({(request.slo_id, kinds[id(request.spans)]) for request in requests})
    counts = {(slo_id, kind): [NO_EVENTS] * len(covers[kind]) for slo_id, kind in ledgers}
    statement = _SUMS_SQLITE if database.is_sqlite else _SUMS_POSTGRESQL
    parameters = {"ledgers": json.dumps(ledgers), "segments": json.dumps(segments)}
    for slo_id, kind, index, bad, total in (await connection.execute(statement, parameters)).all():
        counts[slo_id, kind][index] = EventCounts(bad, total)
    return [counts[request.slo_id, kinds[id(request.spans)]] for request in requests]


def without_skew(events: EventCounts) -> EventCounts:
    """Return sums corrected for rounding and for counters that were read one after the other.

    Numbers that are further off than that stay as they are, so that they are seen to be invalid.
    """
    bad, total = events.bad, events.total
    if 0 <= bad <= total:
        return events
    slack = max(_SKEW_EVENTS, _SKEW_SHARE * abs(total))
    if -slack <= total < 0:
        total = 0.0
    if -slack <= bad < 0:
        bad = 0.0
    return EventCounts(total if total < bad <= total + slack else bad, total)
