"""ClickHouse as a source: the query of the guide, bound parameters, and errors by ClickHouse's codes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bot.budgets.source import (
    AnswerTooLargeError,
    BucketColumns,
    NoSeriesError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.clickhouse import ClickHouseSource
from bot.budgets.sources.counts import instant
from bot.catalog.source_slis import SqlSli
from bot.catalog.sources import ClickHouseSettings
from bot.catalog.window import Span
from bot.policy.loader import load
from bot.policy.secrets import secrets_of
from tests.budgets.sources.test_sql import documented
from tests.policy.conftest import SERVICE, WORKSPACE, Write, indented, texts_of, write
from tests.support.clock import HOUR, MINUTE
from tests.support.monitoring.clickhouse import ClickHouse
from tests.support.monitoring.serving import serving

__all__ = ["write"]

START = 1_790_002_800
SPAN = Span(instant(START), instant(START) + 5 * MINUTE)
SLI = SqlSli("events", documented("ClickHouse"))


@asynccontextmanager
async def asking(clickhouse: ClickHouse, user: str = "reader") -> AsyncIterator[ClickHouseSource]:
    async with serving(clickhouse.answer) as (url, session):
        yield ClickHouseSource(ClickHouseSettings(url, basic_auth=(user, "pass")), session)


@pytest.fixture
def clickhouse() -> ClickHouse:
    found = ClickHouse()
    for at, is_bad in (
        (1, False),
        (59, True),
        (60, False),
        (61, False),
        (299, True),
        (300, True),
        (-1, True),
    ):
        found.rows.append((START + at, is_bad))
    return found


async def test_rows_are_counted_in_their_bucket(clickhouse: ClickHouse) -> None:
    counted = BucketColumns({START: (1, 2), START + 60: (0, 2), START + 240: (1, 1)}, MINUTE)
    async with asking(clickhouse) as source:
        await source.check()
        assert await source.read_together([SLI], SPAN, MINUTE) == [counted]
        hour = Span(instant(START - 3600), instant(START + 3600))
        (wide,) = await source.read_together([SLI], hour, HOUR)
        assert wide == BucketColumns({START - 3600: (1, 1), START: (3, 6)}, HOUR)
        inspection = await source.inspect(SLI, SPAN, MINUTE)
        assert inspection.queries[0].parameters["start"] == str(START)
        assert inspection.newest == SPAN.end


async def test_an_hour_without_rows_is_missing_data(clickhouse: ClickHouse) -> None:
    async with asking(clickhouse) as source:
        half = Span(instant(START) + 30 * MINUTE, instant(START) + 31 * MINUTE)
        assert await source.read_together([SLI], half, MINUTE) == [BucketColumns({}, MINUTE)]
        later = Span(instant(START) + 2 * HOUR, instant(START) + 2 * HOUR + MINUTE)
        (answer,) = await source.read_together([SLI], later, MINUTE)
        assert isinstance(answer, NoSeriesError)


@pytest.mark.parametrize(
    ("sql", "kind", "says"),
    [
        (
            "SELECT 1 FROM nothing",
            SourceRefusedError,
            "refuses the query: Code: 60. DB::Exception: Unknown table",
        ),
        ("DROP TABLE requests", SourceRefusedError, "Cannot execute query in readonly mode"),
        ("SELECT sleep(3) FROM requests", SourceUnavailableError, "cannot answer now: Code: 159"),
        ("SELECT 1 AS bucket FROM requests GROUP BY at", AnswerTooLargeError, "group them by time"),
    ],
)
async def test_errors_are_told_apart_by_their_codes(
    clickhouse: ClickHouse, sql: str, kind: type[Exception], says: str
) -> None:
    clickhouse.rows += [(START + second, False) for second in range(20)]
    async with asking(clickhouse) as source:
        inspection = await source.inspect(SqlSli("events", sql), SPAN, MINUTE)
        assert type(inspection.answer) is kind
        assert says in str(inspection.answer)


async def test_a_wrong_password_is_told(clickhouse: ClickHouse) -> None:
    async with asking(clickhouse, "nobody") as source:
        with pytest.raises(SourceRefusedError, match="refuses the credentials: Code: 516"):
            await source.check()


NAMED = WORKSPACE + (
    '    rows: {type: clickhouse, url: "http://ch:8123", database: shop, '
    'basicAuth: {username: a, password: "${P}"}}\n'
)


def asks(sql: str) -> str:
    return SERVICE.replace("{events: {}}", "\n        rows:\n          sql: |\n" + indented(sql, 12).rstrip())


def test_policies_name_a_database_and_a_query(write: Write) -> None:
    catalog = load(write(w=NAMED, s=asks(documented("ClickHouse"))), {"P": "s3cret"})
    assert catalog.workspace.sources["rows"] == ClickHouseSettings(
        "http://ch:8123", basic_auth=("a", "s3cret"), database="shop"
    )
    sli = catalog.slos[0].sli
    assert isinstance(sli, SqlSli)
    assert sli.sql.split() == SLI.sql.split()
    assert secrets_of(catalog) == ("s3cret",)


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DROP TABLE a", "this is not a query"),
        ("SELECT a FROM b WHERE c < {end:DateTime}", "the query has no `{start:DateTime}`"),
        ("SELECT a FROM b WHERE c > {start:DateTime} AND d = {x:String}", "there is no parameter `x`"),
        ("SELECT 1; SELECT 2", "more than one statement"),
        ("SELECT a FROM b WHERE c > :start AND c < :end", "the query has no `{start:DateTime}`"),
    ],
)
def test_what_is_no_query_by_time_is_refused_at_its_key(write: Write, sql: str, says: str) -> None:
    texts = texts_of(write(w=NAMED, s=asks(sql)), P="x")
    assert any(says in each and "spec.slos[0].sli.rows.sql" in each for each in texts), texts
