"""SQL databases as sources: rows are counted by bound times, nothing is written, faults are told apart."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bot.budgets.source import (
    AnswerTooLargeError,
    BucketColumns,
    InvalidAnswerError,
    LateReading,
    NoSeriesError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
    buckets_of,
)
from bot.budgets.sources.rows import events_of
from bot.budgets.sources.sql import SqlSource
from bot.catalog.source_slis import SqlSli
from bot.catalog.sources import SqlSettings
from bot.catalog.window import Span
from bot.policy.loader import load
from bot.policy.secrets import secrets_of
from tests.policy.conftest import SERVICE, WORKSPACE, Write, indented, texts_of, write
from tests.support.clock import HOUR, MINUTE
from tests.support.paths import DOCS
from tests.support.servers import PostgreSQL

__all__ = ["write"]

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
ZERO = int(START.timestamp())
SPAN = Span(START, START + 5 * MINUTE)
ROWS = [(1, 200), (59, 500), (60, 200), (61, 200), (299, 503), (300, 500), (-1, 500)]
"""Requests: seconds after the start, and the status."""


def documented(database: str) -> str:
    """Return the query that the guide shows for a database."""
    guide = (DOCS / "sources.md").read_text()
    block = guide.split(f"```yaml\n# {database}")[1].split("```")[0]
    return block.split("sql: |\n")[1]


def query_for(url: str) -> str:
    return documented("SQLite" if url.startswith("sqlite") else "PostgreSQL")


async def fill(url: str, rows: list[tuple[int, int]], kind: str = "timestamptz") -> None:
    engine = create_async_engine(url)
    is_sqlite = url.startswith("sqlite")
    async with engine.begin() as connection:
        kind = "text" if is_sqlite else kind
        await connection.execute(text(f"CREATE TABLE requests (placed_at {kind}, status integer)"))
        for after, status in rows:
            at: object = START + timedelta(seconds=after)
            if is_sqlite or kind == "timestamp":
                at = (START + timedelta(seconds=after)).replace(tzinfo=None)
            if is_sqlite:
                at = str(at)
            await connection.execute(
                text("INSERT INTO requests VALUES (:at, :status)"), {"at": at, "status": status}
            )
    await engine.dispose()


async def read(url: str, sql: str, span: Span = SPAN, step: timedelta = MINUTE) -> object:
    """Return the answer, or the error whether raised or in its place."""
    try:
        (answer,) = await source_of(url).read_together([SqlSli("orders", sql)], span, step)
    except SourceError as error:
        return error
    return answer


def source_of(url: str, timeout: timedelta = 20 * timedelta(seconds=1)) -> SqlSource:
    return SqlSource(SqlSettings(url, timeout))


async def test_the_documented_query_counts_each_row_in_its_bucket(url: str) -> None:
    await fill(url, ROWS)
    await source_of(url).check()
    assert await read(url, query_for(url)) == BucketColumns(
        {ZERO: (1, 2), ZERO + 60: (0, 2), ZERO + 240: (1, 1)}, MINUTE
    )
    hour = Span(START - HOUR, START + HOUR)
    assert await read(url, query_for(url), hour, HOUR) == BucketColumns(
        {ZERO - 3600: (1, 1), ZERO: (3, 6)}, HOUR
    )


async def test_a_column_without_a_zone_is_in_utc(postgresql: PostgreSQL) -> None:
    url = await postgresql.new_database()
    await fill(url, ROWS, "timestamp")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        name = await connection.scalar(text("SELECT current_database()"))
        await connection.execute(text(f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Kolkata'"))
    await engine.dispose()
    assert await read(url, documented("PostgreSQL")) == BucketColumns(
        {ZERO: (1, 2), ZERO + 60: (0, 2), ZERO + 240: (1, 1)}, MINUTE
    )
    await postgresql.drop(url)


async def test_nothing_can_be_written(url: str) -> None:
    await fill(url, ROWS)
    if url.startswith("postgresql"):
        sql = (
            "WITH gone AS (DELETE FROM requests RETURNING 1) "
            "SELECT :start AS bucket, count(*) AS total, 0 AS bad FROM gone WHERE :start < :end"
        )
        says = "read-only transaction"
    else:
        sql, says = "DELETE FROM requests WHERE :start < :end", "readonly database"
    error = await read(url, sql)
    assert isinstance(error, SourceRefusedError)
    assert says in str(error)
    assert await read(url, query_for(url)) == BucketColumns(
        {ZERO: (1, 2), ZERO + 60: (0, 2), ZERO + 240: (1, 1)}, MINUTE
    )


async def test_a_query_that_never_ends_is_ended(url: str) -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT :start_s AS bucket, count(*) AS total, 0 AS bad FROM n WHERE :end_s > 0"
    )
    source = source_of(url, timedelta(milliseconds=300))
    with pytest.raises(SourceUnavailableError, match=r"did not answer within 0\.3 s"):
        await source.read_together([SqlSli("orders", endless)], SPAN, MINUTE)


async def test_what_is_wrong_with_a_query_is_told(url: str) -> None:
    await fill(url, ROWS)
    where = "FROM requests WHERE placed_at >= :start AND placed_at < :end"
    for sql, kind, says in (
        (
            f"SELECT placed_at AS bucket, 1 AS total, 0 AS bad {where} AND nothing = 1",
            SourceRefusedError,
            "nothing",
        ),
        (f"SELECT 1 AS a, 2 AS b {where}", SourceRefusedError, "returns a, b and not `bucket`, `total`"),
        (
            f"SELECT placed_at AS bucket, 1 AS total, 0 AS bad {where}, x",
            SourceRefusedError,
            "refuses the query",
        ),
        (f"SELECT 'soon' AS bucket, 1 AS total, 0 AS bad {where}", InvalidAnswerError, "no time as `bucket`"),
        (
            f"SELECT placed_at AS bucket, 1 AS total, 2 AS bad {where}",
            InvalidAnswerError,
            "more bad events than",
        ),
        (f"SELECT placed_at AS bucket, -1 AS total, 0 AS bad {where}", InvalidAnswerError, "negative"),
        (f"SELECT 7 AS bucket, 1 AS total, 0 AS bad {where}", InvalidAnswerError, "1970-01-01T00:00:07"),
    ):
        error = await read(url, sql)
        assert type(error) is kind, (sql, error)
        assert says in str(error)


async def test_more_rows_than_time_has_minutes_are_not_read(url: str) -> None:
    await fill(url, [(second, 200) for second in range(20)])
    sql = (
        "SELECT placed_at AS bucket, 1 AS total, 0 AS bad FROM requests "
        "WHERE placed_at >= :start AND placed_at < :end"
    )
    error = await read(url, sql)
    assert isinstance(error, AnswerTooLargeError)
    assert str(error) == "the answer has more than 5 rows: group them by time"


async def test_an_hour_without_rows_is_missing_data(url: str) -> None:
    await fill(url, [(0, 200)])
    half = Span(START + 30 * MINUTE, START + 31 * MINUTE)
    assert await read(url, query_for(url), half) == BucketColumns({}, MINUTE)
    later = Span(START + 90 * MINUTE, START + 91 * MINUTE)
    assert isinstance(await read(url, query_for(url), later), NoSeriesError)


async def test_somebody_who_asks_sees_the_query_and_its_times(url: str) -> None:
    await fill(url, ROWS)
    sql = query_for(url)
    inspection = await source_of(url).inspect(SqlSli("orders", sql), SPAN, MINUTE)
    assert inspection.queries[0].parameters["sql"] == sql
    assert inspection.queries[0].parameters["width_s"] == "60"
    assert inspection.newest == SPAN.end


async def test_a_database_that_is_away_may_be_tried_again_and_a_wrong_one_not(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    sql = documented("PostgreSQL")
    for url, kind, says in (
        (f"sqlite:///{tmp_path}/no/such/folder.db", SourceUnavailableError, "does not answer"),
        ("postgresql://reader@127.0.0.1:9/shop", SourceUnavailableError, "cannot be reached"),
        (
            f"postgresql://reader:s3cret@127.0.0.1:{postgresql.port}/nowhere",
            SourceRefusedError,
            "credentials",
        ),
        (f"postgresql://a:s3cret@127.0.0.1:{postgresql.port}/x?sslmode=what", SourceRefusedError, "refuses"),
        (f"postgresql://nobody:s3cret@127.0.0.1:{postgresql.port}/x", SourceRefusedError, "credentials"),
    ):
        error = await read(url, sql)
        assert type(error) is kind, error
        assert says in str(error)
        assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("url", "says"),
    [("oracle+nothing://a:s3cret@b/c", "wrong address"), ("mysql+asyncmy://a:s3cret@b/c", "not installed")],
)
def test_a_database_without_a_driver_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(SourceRefusedError, match=says) as refused:
        source_of(url)
    assert "s3cret" not in str(refused.value)


@given(
    rows=st.dictionaries(st.integers(0, 59), st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60),
    unknown=st.integers(0, 60),
    is_good=st.booleans(),
)
def test_every_row_is_counted_and_what_is_null_at_the_end_is_late(
    rows: dict[int, tuple[int, int]], unknown: int, is_good: bool
) -> None:
    span = Span(START, START + HOUR)
    whole = [
        (START + minute * MINUTE, None if minute >= unknown else bad + good, good if is_good else bad)
        for minute, (bad, good) in rows.items()
    ]
    answer = events_of(["bucket", "total", "good" if is_good else "bad"], whole, span, 5 * MINUTE)
    known = {minute: each for minute, each in rows.items() if minute < unknown}
    late = [minute for minute in rows if minute >= unknown]
    # A bucket that also has known rows is known.
    last = max((minute // 5 for minute in known), default=-1)
    hidden = [minute // 5 * 5 for minute in late if minute // 5 > last]
    assert sum(bucket.bad for bucket in buckets_of(answer)) == sum(bad for bad, _ in known.values())
    assert sum(bucket.total for bucket in buckets_of(answer)) == sum(map(sum, known.values()))
    assert isinstance(answer, LateReading) == bool(hidden)
    if isinstance(answer, LateReading):
        assert answer.newest == START + min(hidden) * MINUTE


@pytest.mark.parametrize(
    ("value", "is_read"),
    [
        *((ZERO, True), (str(ZERO), True), (START, True), (START.replace(tzinfo=None), True)),
        *((START.isoformat(), True), ("2026-11-23 09:00:00", True)),
        *((True, False), ("", False), (None, False), (1e400, False)),
    ],
)
def test_times_are_read_as_databases_write_them(value: object, is_read: bool) -> None:
    if is_read:
        answer = events_of(["Bucket", "TOTAL", "bad"], [(value, 3, 1)], SPAN, MINUTE)
        assert answer == BucketColumns({ZERO: (1, 3)}, MINUTE)
    else:
        with pytest.raises(InvalidAnswerError, match="no time"):
            events_of(["bucket", "total", "bad"], [(value, 3, 1)], SPAN, MINUTE)


NAMED = WORKSPACE + '    orders: {type: sql, url: "${DATABASE}", delay: 1m}\n'
ADDRESS = "postgresql://reader:s3cret@db/shop"


def asks(sql: str) -> str:
    return SERVICE.replace(
        "{events: {}}", "\n        orders:\n          sql: |\n" + indented(sql, 12).rstrip()
    )


def test_policies_name_a_database_and_a_query(write: Write) -> None:
    catalog = load(write(w=NAMED, s=asks(documented("PostgreSQL"))), {"DATABASE": ADDRESS})
    assert catalog.workspace.sources["orders"] == SqlSettings(ADDRESS, delay=MINUTE)
    assert isinstance(catalog.slos[0].sli, SqlSli)
    assert "s3cret" not in repr(catalog)
    assert secrets_of(catalog) == (ADDRESS, "s3cret")


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DELETE FROM a WHERE b > :start AND b < :end", "this is not a query"),
        ("SELECT a FROM b", "the query has no `:start`: it would read the whole table"),
        ("SELECT a FROM b WHERE c > :start_s", "the query has no `:end`"),
        ("SELECT a FROM b WHERE c > :start AND c < :end AND d = :x", "there is no parameter `:x`"),
        ("SELECT a FROM b WHERE c > :start AND c < :end; DROP TABLE b", "more than one statement"),
        ("SELECT a FROM b WHERE c BETWEEN :start AND :end AND d = '%{team}'", "%{team}"),
    ],
)
def test_what_is_no_query_by_time_is_refused_at_its_key(write: Write, sql: str, says: str) -> None:
    texts = texts_of(write(w=NAMED, s=asks(sql)), DATABASE=ADDRESS)
    assert any(says in each and "spec.slos[0].sli.orders.sql" in each for each in texts), texts


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a::int, 'it''s; fine' FROM b WHERE c > :start AND c < :end;",
        "-- by minute\nWITH x AS (SELECT 1) SELECT '12\\:30' FROM x WHERE c > :start_s AND c < :end_s",
    ],
)
def test_colons_and_semicolons_that_mean_something_else_are_left_alone(write: Write, sql: str) -> None:
    sli = load(write(w=NAMED, s=asks(sql)), {"DATABASE": ADDRESS}).slos[0].sli
    assert isinstance(sli, SqlSli)
    assert not re.search(r";\s*$", sli.sql)


def test_an_address_of_something_else_is_refused(write: Write) -> None:
    folder = write(w=NAMED, s=SERVICE)
    (fault,) = texts_of(folder, DATABASE="http://db/s3cret")
    assert "spec.sources.orders.url: this is not the address of an SQL database" in fault
    assert "s3cret" not in fault
