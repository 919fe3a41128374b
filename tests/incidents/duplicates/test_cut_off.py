"""Merging that is cut off anywhere, or asked of two replicas at once: done whole and once, or not at all."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from bot.incidents.incident import IllegalChangeError, Severity, Status
from bot.incidents.records.actions import NewAction
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.core import metadata
from tests.incidents.test_replicas import twin
from tests.support.clock import MINUTE
from tests.support.incidents import IncidentsSetup, run_incidents

_WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE)", re.IGNORECASE)


class CutOffError(Exception):
    """The process ended here."""


@contextmanager
def cut_off(database: Database, after: int) -> Iterator[list[str]]:
    """Let a statement fail once `after` statements that write were carried out; gives those that were."""
    written: list[str] = []

    def count(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if _WRITES.match(statement):
            if len(written) == after:
                raise CutOffError
            written.append(statement)

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        yield written
    finally:
        event.remove(engine, "before_cursor_execute", count)


@pytest.fixture
async def idle(tmp_path: Path, url: str) -> AsyncIterator[IncidentsSetup]:
    """Incidents whose steps nobody carries out but the test."""
    async with run_incidents(tmp_path, url=url, works=False) as setup:
        yield setup


async def two_incidents(setup: IncidentsSetup, name: str) -> tuple[int, int]:
    """Open a duplicate with a note and an action, and the incident that it is a duplicate of."""
    lifecycle, now = setup.incidents.lifecycle, setup.clock.now()
    target = await lifecycle.open(
        setup.opening(f"{name} 1", severity=Severity.SEV3, services=("search",)), now - MINUTE
    )
    duplicate = await lifecycle.open(setup.opening(f"{name} 2", title="Carts fail"), now)
    id_, into = duplicate.incident.id, target.incident.id
    await lifecycle.note(id_, "the cache is full", by="U0DANA", now=now)
    await setup.incidents.actions.add(NewAction("fix it", incident_id=id_), by="U0DANA", now=now)
    return id_, into


async def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of all tables but those that replicas keep."""
    async with database.reading() as connection:
        return {
            table.name: sorted(map(tuple, await connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if "replica" not in table.name and "lease" not in table.name
        }


async def assert_merged_once(setup: IncidentsSetup, id_: int, into: int) -> None:
    """Assert what the incidents, the holds, the audit log and Slack say."""
    duplicate, target = await setup.incidents.snapshots.of(id_), await setup.incidents.snapshots.of(into)
    assert (duplicate.incident.status, duplicate.incident.merged_into) == (Status.MERGED, into)
    assert (target.incident.services, target.incident.severity) == (("search", "checkout"), Severity.SEV2)
    texts = [entry.text for entry in target.timeline]
    assert texts.count("the cache is full") == 1
    assert texts.count(f"incident {id_} was merged into this one: Carts fail") == 1
    assert [entry.text for entry in duplicate.timeline].count(f"merged into incident {into}") == 1
    assert [action.text for action in target.actions] == ["fix it"]
    async with setup.database.reading() as connection:
        rows = [(row.entry.action, row.entry.subject) for row in await audit.read(connection)]
    assert rows.count(("incident.merged", f"incident {id_}")) == 1
    assert rows.count(("incident.absorbed", f"incident {into}")) == 1


async def test_merging_that_fails_at_any_statement_changes_nothing(idle: IncidentsSetup) -> None:
    id_, into = await two_incidents(idle, "pair")
    before = await everything(idle.database)
    for after in range(100):
        try:
            with cut_off(idle.database, after) as written:
                await idle.incidents.merging.merge(id_, into, by="U0SAM", now=idle.clock.now())
        except CutOffError:
            assert await everything(idle.database) == before, f"after {written[-1:]}"
        else:
            break
    assert len(written) > 10, "it was cut off at too few statements to prove anything"
    await assert_merged_once(idle, id_, into)


async def test_two_replicas_that_merge_at_once_do_it_once(idle: IncidentsSetup) -> None:
    id_, into = await two_incidents(idle, "pair")
    async with Database(idle.database.url) as other:
        both = idle.incidents.merging, twin(idle, other).merging
        now = idle.clock.now()
        await asyncio.gather(*(one.merge(id_, into, by="U0SAM", now=now) for one in both * 4))
    await assert_merged_once(idle, id_, into)


async def test_two_replicas_that_merge_each_into_the_other_do_one_of_both(idle: IncidentsSetup) -> None:
    ids = await two_incidents(idle, "pair")
    async with Database(idle.database.url) as other:
        here, there = idle.incidents.merging, twin(idle, other).merging
        now = idle.clock.now()
        outcomes = await asyncio.gather(
            here.merge(ids[0], ids[1], by="U0SAM", now=now),
            there.merge(ids[1], ids[0], by="U0DANA", now=now),
            return_exceptions=True,
        )
    refused = [outcome for outcome in outcomes if isinstance(outcome, IllegalChangeError)]
    assert ["already" in str(fault) for fault in refused] == [True]
    found = [(await idle.incidents.snapshots.of(id_)).incident for id_ in ids]
    assert sorted(incident.status is Status.MERGED for incident in found) == [False, True]
