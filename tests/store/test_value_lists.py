"""Conditions on values: right for any of them, one statement for all lists of them, and quick."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select, text
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from bot.store.database import Database
from bot.store.migrate import migrate
from bot.store.tables.core import buckets, slos
from bot.store.tables.replicas import conditions
from bot.store.value_lists import begins_with, is_one_of

NAMES = [
    "checkout",
    "o'brien",
    'a "quoted" one',
    "with, comma",
    "{brace}",
    "schön",
    "back\\slash",
    "NULL",
    "",
]


async def keep(database: Database, names: Sequence[str]) -> None:
    rows = [{"name": name, "since": datetime(2026, 1, 1, tzinfo=UTC)} for name in names]
    async with database.transaction() as connection:
        await connection.execute(insert(conditions), rows)


async def found(database: Database, names: Sequence[str]) -> list[str]:
    query = select(conditions.c.name).where(is_one_of(conditions.c.name, names), conditions.c.name != "other")
    async with database.reading() as connection:
        return sorted(await connection.scalars(query))


async def test_texts_are_found_as_they_are(database: Database) -> None:
    await keep(database, [*NAMES, "other"])
    assert await found(database, NAMES) == sorted(NAMES)
    for name in NAMES:
        assert await found(database, [name]) == [name]
    assert await found(database, ["checkou", "checkout,", "'checkout'", "other"]) == []
    assert await found(database, []) == []


async def test_a_beginning_is_compared_letter_by_letter(database: Database) -> None:
    names = [
        "new-ui in a",
        "New-UI in a",
        "new-ui2 in a",
        "new-ui in ",
        "new_ui in a",
        "new-ui in \U0001f680",
    ]
    await keep(database, [*names, *NAMES, "100% in a", "1000 in a"])

    async def beginning(text: str) -> set[str]:
        async with database.reading() as connection:
            query = select(conditions.c.name).where(begins_with(conditions.c.name, text))
            return set(await connection.scalars(query))

    assert await beginning("new-ui in ") == {"new-ui in a", "new-ui in ", "new-ui in \U0001f680"}
    assert await beginning("new_ui") == {"new_ui in a"}
    assert await beginning("100% ") == {"100% in a"}
    assert await beginning("") == {*names, *NAMES, "100% in a", "1000 in a"}
    async with database.reading() as connection:
        query = select(conditions.c.name).where(~begins_with(conditions.c.name, "new"))
        assert set(await connection.scalars(query)) == {*NAMES, "New-UI in a", "100% in a", "1000 in a"}


async def test_more_values_than_a_statement_takes_parameters(database: Database) -> None:
    await keep(database, ["name-70000", "name-7"])
    assert await found(database, [f"name-{number}" for number in range(70_001)]) == ["name-7", "name-70000"]


async def test_numbers_beyond_32_bits_are_found(database: Database) -> None:
    numbers = [1, 2**31, 2**53]
    async with database.transaction() as connection:
        rows = [{"slo_id": 1, "width": 60, "start": at, "bad": 0.0, "total": 1.0} for at in (*numbers, 3)]
        ledger = {"id": 1, "service": "checkout", "name": "availability", "fingerprint": ""}
        await connection.execute(insert(slos), ledger)
        await connection.execute(insert(buckets), rows)
    query = select(buckets.c.start).where(is_one_of(buckets.c.start, {*numbers, 4})).order_by(buckets.c.start)
    async with database.reading() as connection:
        assert list(await connection.scalars(query)) == numbers


async def test_the_statement_is_the_same_for_any_number_of_values(database: Database) -> None:
    dialect = database.engine.dialect
    few, many = (
        str(select(buckets.c.total).where(is_one_of(buckets.c.slo_id, range(count))).compile(dialect=dialect))
        for count in (2, 900)
    )
    assert few == many


async def test_sqlite_searches_its_index_for_each_value(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path}/governor.db") as database:
        await migrate(database)
        query = select(buckets.c.total).where(is_one_of(buckets.c.slo_id, [1, 2]), buckets.c.width == 60)
        statement = query.compile(dialect=SQLiteDialect(), compile_kwargs={"literal_binds": True})
        async with database.reading() as connection:
            plan = await connection.execute(text(f"EXPLAIN QUERY PLAN {statement}"))
            assert "SEARCH buckets USING PRIMARY KEY (slo_id=? AND width=?)" in [row.detail for row in plan]
