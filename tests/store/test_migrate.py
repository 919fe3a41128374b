"""The migrations and the tables say the same, in both databases."""

import asyncio
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from alembic import command as alembic_command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, Table, insert, inspect, select

from bot.catalog.current import CurrentCatalog
from bot.deployments.records import add
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.incidents.records.channels import ChannelKind
from bot.incidents.records.steps import StepName, StepState
from bot.store import tables as tables_package
from bot.store.database import Database
from bot.store.migrate import (
    _FOLDER,
    _config,
    _draft,
    migrate,
    newest_version,
    upgrade,
    upgrade_by_steps,
    version,
)
from bot.store.retention.rules import RULES
from bot.store.tables import core
from bot.store.tables.core import metadata, slos
from bot.store.tables.deployments import deployments
from bot.store.tables.incidents import actions, incident_steps
from bot.tasks import records as tasks
from tests.deployments.test_records import deployed
from tests.support.clock import NOW
from tests.support.paths import ROOT
from tests.support.values import catalog

Bring = Callable[[Database], Awaitable[None]]

assert RULES, "which names every table, so that all of them are in the metadata"


def differences(connection: Connection) -> list[object]:
    """Return what the tables have and the database lacks, or the other way round."""
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return list(compare_metadata(context, metadata))


def tables(connection: Connection) -> set[str]:
    """Return the names of the tables in the database."""
    return set(inspect(connection).get_table_names())


async def migrate_by_steps(database: Database) -> None:
    """Run every migration, as a database of the first version has seen them."""
    async with database.transaction() as connection:
        await connection.run_sync(upgrade_by_steps)


@pytest.mark.parametrize("bring", [migrate, migrate_by_steps])
async def test_a_migrated_database_is_what_the_tables_say(url: str, bring: Bring) -> None:
    async with Database(url) as database:
        assert await version(database) is None
        await bring(database)
        assert await version(database) == newest_version()
        async with database.engine.connect() as connection:
            assert await connection.run_sync(differences) == []
            assert await connection.run_sync(tables) == {*metadata.tables, "alembic_version"}


async def test_a_draft_has_what_the_migrations_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(_FOLDER, folder)
    monkeypatch.setattr("bot.store.migrate._FOLDER", folder)
    known = set((folder / "versions").glob("*.py"))
    further = Table("further_rows", metadata, Column("id", Integer, primary_key=True))
    try:
        await _draft("Further rows")
    finally:
        metadata.remove(further)
    (drafted,) = set((folder / "versions").glob("*.py")) - known
    assert drafted.name.startswith(f"{int(newest_version()) + 1:04d}_")
    assert "op.create_table('further_rows'" in drafted.read_text()


async def definitions(database: Database) -> set[tuple[str, ...]]:
    """Return the words of the database's own definitions: conditions of indexes and kinds of tables too.

    Sorted, because a table's constraints come in any order, and without quotes: SQLite puts them around the
    name of a table that was made anew.
    """
    query = (
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
        if database.is_sqlite
        else "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    )
    async with database.reading() as connection:
        found = (await connection.exec_driver_sql(query)).scalars()
        return {tuple(sorted(sql.replace(",", " ").replace('"', "").split())) for sql in found}


async def test_migrated_tables_and_indexes_are_defined_like_those_made_at_once(url: str) -> None:
    async with Database(url) as database:
        await migrate_by_steps(database)
        migrated = await definitions(database)
        async with database.transaction() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.run_sync(metadata.create_all)
        assert migrated == await definitions(database)


async def test_a_difference_between_tables_and_migrations_is_seen(url: str) -> None:
    async with Database(url) as database:
        await migrate(database)
        async with database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE standings")
            await connection.exec_driver_sql("ALTER TABLE holds ADD COLUMN surplus TEXT")
        async with database.engine.connect() as connection:
            assert len(await connection.run_sync(differences)) == 2


async def test_migrating_twice_or_from_several_processes_at_once_does_no_harm(url: str) -> None:
    await asyncio.gather(*(upgrade(url) for _ in range(3)))
    await upgrade(url)
    async with Database(url) as database, database.reading() as connection:
        assert (await connection.execute(select(slos))).all() == []


async def test_a_migration_that_fails_leaves_the_database_as_it_was(url: str) -> None:
    async with Database(url) as database:
        async with database.transaction() as connection:
            await connection.exec_driver_sql("CREATE TABLE standings (in_the_way INTEGER)")
        with pytest.raises(Exception, match="already exists"):
            await migrate(database)
        async with database.engine.connect() as connection:
            assert await connection.run_sync(tables) == {"standings"}
        assert await version(database) is None


def before_0023(connection: Connection) -> None:
    """Take the database back to the version before deployments to production were marked."""
    alembic_command.downgrade(_config(connection), "0022")


async def test_stored_deployments_are_to_production_by_the_name_of_the_environment(url: str) -> None:
    async with Database(url) as database:
        await migrate(database)
        async with database.transaction() as connection:
            for environment in ("Production", "staging"):
                told = deployed(environment, NOW, environment=environment, is_production=False)
                await add(database, connection, "checkout", told)
            await connection.run_sync(before_0023)
        await migrate(database)
        async with database.reading() as connection:
            found = await connection.execute(select(deployments.c.environment, deployments.c.production))
            assert {row.environment: row.production for row in found} == {
                "Production": True,
                "staging": False,
            }


def before_0011(connection: Connection) -> None:
    """Take the database back to the version before what was told of private incidents was edited."""
    alembic_command.downgrade(_config(connection), "0010")


async def test_what_was_told_of_incidents_that_are_private_already_is_edited(url: str) -> None:
    async with Database(url) as database:
        await migrate(database)
        lifecycle = IncidentLifecycle(database, CurrentCatalog(catalog()))
        for key, private in (("told", False), ("secret", True)):
            opening = NewIncident(key, "It is slow", Severity.SEV3, (), "U0DANA", private=private)
            await lifecycle.open(opening, NOW)
        async with database.transaction() as connection:
            await connection.run_sync(before_0011)
        await migrate(database)
        async with database.reading() as connection:
            planned = select(incident_steps).where(incident_steps.c.name == StepName.HIDE)
            steps = (await connection.execute(planned)).all()
    assert [(row.incident_id, row.room, row.state, row.attempts) for row in steps] == [
        (2, ChannelKind.INCIDENT, StepState.PENDING, 0)
    ]


async def test_what_was_due_before_there_were_tasks_has_one(url: str) -> None:
    """Holds with an end, timed flags, open incidents and owned actions of an older version."""
    async with Database(url) as database:
        await migrate(database)
        async with database.transaction() as connection:
            await connection.run_sync(lambda sync: alembic_command.downgrade(_config(sync), "0027"))
        hold = {"service": "checkout", "kind": "person", "reason": "x", "by": "U1", "since": NOW}
        action = {"service": "checkout", "text": "x", "is_p0": False, "created_by": "U1", "created_at": NOW}
        async with database.transaction() as connection:
            await connection.execute(insert(core.holds).values(**hold, id=7, until=NOW))
            await connection.execute(insert(core.holds).values(**hold, id=8))
            await connection.execute(insert(actions).values(**action, id=3, owner="U1", due=NOW.date()))
            await connection.execute(insert(actions).values(**action, id=4, due=NOW.date()))
        await migrate(database)
        async with database.reading() as connection:
            holds = await tasks.read_pending(connection, "hold expiry")
            due = await tasks.read_pending(connection, "action due")
        assert [(task.key, task.due_at, task.payload) for task in holds] == [
            ("7", NOW, {"service": "checkout"})
        ]
        midnight = NOW.replace(hour=0)
        assert [(task.key, task.due_at, task.payload) for task in due] == [("3", midnight, {})]


def test_whoever_migrates_knows_every_table() -> None:
    """Keep a module of tables from being imported by its users alone: nobody would make its tables."""
    modules = {module.name for module in pkgutil.iter_modules(tables_package.__path__)}
    script = "import sys, bot.store.migrate; print(*sys.modules)"
    known = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert modules <= {
        name.rpartition(".")[2] for name in known.stdout.split() if name.startswith("bot.store.tables.")
    }
