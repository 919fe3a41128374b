"""The bot's own flags: who may write, what other processes see, what PostgreSQL makes of it."""

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.flags.backend import (
    AppliedChange,
    FlagConflictError,
    FlagNotFoundError,
    MisconfiguredError,
    UnsupportedError,
)
from bot.flags.backends.local import LocalBackend, LocalSettings
from bot.flags.backends.settings import read_settings
from bot.flags.change import Kill, SetExposure, TurnOn
from bot.store.database import Database
from tests.support.servers import running_postgresql
from tests.support.stores import create_tables

DECLARED = ("new-checkout", "new-search")


def backend(database: Database, declared: Collection[str] = DECLARED) -> LocalBackend:
    return LocalBackend(
        database,
        SystemClock(),
        environments=lambda: ("production", "staging"),
        declared=lambda: declared,
    )


async def test_flags_of_a_service_exist_in_every_environment_from_the_start(database: Database) -> None:
    local = backend(database)
    for environment in ("production", "staging"):
        states = await local.list(environment)
        assert [(state.flag, state.is_off, state.stale) for state in states] == [
            ("new-checkout", True, False),
            ("new-search", True, False),
        ]
        assert list(local.served(environment) or ()) == list(DECLARED)


async def test_environments_do_not_share_their_flags(database: Database) -> None:
    local = backend(database)
    await local.apply("new-checkout", "staging", TurnOn(), version="0", note="U1")
    assert (await local.read("new-checkout", "staging")).exposure == 1
    assert (await local.read("new-checkout", "production")).is_off


async def test_a_flag_that_no_service_names_any_more_is_stale_and_still_served(database: Database) -> None:
    await backend(database).apply("new-search", "production", TurnOn(), version="0", note="U1")
    local = backend(database, declared=("new-checkout",))
    await local.refresh()
    assert (await local.read("new-search", "production")).stale
    flag = local.served_flag("production", "new-search")
    assert flag is not None
    assert flag.enabled
    with pytest.raises(FlagNotFoundError):
        await backend(database, declared=("new-checkout",)).read("newsearch", "production")


async def test_a_change_is_served_at_once(database: Database) -> None:
    local = backend(database)
    for version, change, served in (("0", TurnOn(), True), ("1", Kill(), False)):
        await local.apply("new-checkout", "production", change, version=version, note="U1")
        flag = local.served_flag("production", "new-checkout")
        assert flag is not None
        assert flag.enabled is served


async def test_another_process_sees_a_change_after_its_next_refresh(database: Database) -> None:
    here, there = backend(database), backend(database)
    await here.apply("new-checkout", "production", SetExposure(1.0), version="0", note="U1")
    before = there.served_flag("production", "new-checkout")
    await there.refresh()
    after = there.served_flag("production", "new-checkout")
    assert before is not None
    assert after is not None
    assert (before.enabled, after.enabled) == (False, True)


async def test_a_restart_keeps_the_flags(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/restart.db"
    async with Database(url) as database:
        await create_tables(database)
        await backend(database).apply("new-checkout", "production", SetExposure(0.25), version="0", note="")
    async with Database(url) as database:
        assert (await backend(database).read("new-checkout", "production")).exposure == 0.25


async def test_the_history_is_in_the_audit_log(database: Database) -> None:
    with pytest.raises(UnsupportedError, match="audit log"):
        await backend(database).history("new-checkout", "production")


async def test_on_postgresql_one_of_many_writers_wins_each_version() -> None:
    async with running_postgresql() as postgresql:
        url = await postgresql.new_database()
        async with Database(url) as one, Database(url) as other:
            await create_tables(one)
            for version in ("0", "1", "2"):
                outcomes = await asyncio.gather(
                    *(
                        backend(database).apply(
                            "new-checkout", "production", change, version=version, note="U1"
                        )
                        for database in (one, other)
                        for change in (SetExposure(0.25), Kill(), TurnOn())
                    ),
                    return_exceptions=True,
                )
                won = [outcome for outcome in outcomes if isinstance(outcome, AppliedChange)]
                assert len(won) == 1
                assert all(isinstance(outcome, AppliedChange | FlagConflictError) for outcome in outcomes)
                assert won[0].after == await backend(one).read("new-checkout", "production")


@pytest.mark.parametrize(
    "origin", ["shop.example", "https://shop.example/path", "ftp://shop.example", "https://"]
)
def test_an_address_that_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(MisconfiguredError, match="write an origin such as"):
        read_settings(LocalSettings, "local", {"origins": [origin]})


def test_origins_are_compared_as_browsers_send_them() -> None:
    read = read_settings(LocalSettings, "local", {"origins": ["HTTPS://Shop.example/", "*"]})
    assert read.origins == ("https://shop.example", "*")
