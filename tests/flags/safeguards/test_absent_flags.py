"""A flag that is gone when it is to go back: waited for, told, and given up in the end."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from bot.app.flag_readiness import FlagReadiness
from bot.store.tables.core import flags as local_flags
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import (
    FLAG,
    audited,
    evaluated,
    later,
    raised,
    run_slack_app_with_flags,
    told,
)


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        yield slack_app


async def deleted(slack_app: RunningSlackApp) -> None:
    """Take the flag out of the policies and out of its system."""
    policies = slack_app.shop.catalog
    services = {name: replace(service, flags=()) for name, service in policies.services.items()}
    slack_app.shop.catalog = replace(policies, services=services)
    async with slack_app.database.transaction() as connection:
        await connection.execute(delete(local_flags))


async def ticks_for(slack_app: RunningSlackApp, length: timedelta) -> None:
    for _ in range(int(length / timedelta(minutes=20))):
        later(slack_app, timedelta(minutes=20))
        await slack_app.tick()


async def left_alone(slack_app: RunningSlackApp) -> list[str]:
    return [text for _, event_type, text in await told(slack_app) if event_type == "flag_left_alone"]


async def not_reverted(slack_app: RunningSlackApp) -> object:
    check = await FlagReadiness(slack_app.database).flags()
    assert check.ok is not bool(check.detail["count"])
    assert not check.vital
    return check.detail["count"]


async def test_a_revert_of_a_deleted_flag_ends_after_a_day(slack_app: RunningSlackApp) -> None:
    await slack_app.types("riley", f"/flag on {FLAG} staging for 2h a demo")
    assert await not_reverted(slack_app) == 0
    await deleted(slack_app)
    await ticks_for(slack_app, timedelta(hours=3))
    (first,) = await left_alone(slack_app)
    assert first.endswith("It is tried again. Next: `/flag show new-checkout staging`.")
    assert await not_reverted(slack_app) == 1
    await ticks_for(slack_app, timedelta(hours=24))
    _, last = await left_alone(slack_app)
    assert "There is no flag new-checkout; that has been so for 1\u00a0d" in last
    assert "It stays as it is." in last
    assert await not_reverted(slack_app) == 0
    await ticks_for(slack_app, timedelta(hours=24))
    assert len(await left_alone(slack_app)) == 2
    assert [entry.action for entry in await audited(slack_app)].count("flag.left_alone") == 2


async def test_a_flag_that_comes_back_within_the_day_is_restored(slack_app: RunningSlackApp) -> None:
    await slack_app.types("riley", f"/flag on {FLAG} staging for 2h a demo")
    policies = slack_app.shop.catalog
    workspace = replace(policies.workspace, flags=replace(policies.workspace.flags, environments=()))
    slack_app.shop.catalog = replace(policies, workspace=workspace)
    await ticks_for(slack_app, timedelta(hours=20))
    slack_app.shop.catalog = policies
    await ticks_for(slack_app, timedelta(hours=1))
    assert (await slack_app.types("riley", f"/flag show {FLAG} staging")).text.startswith("*off*")
    assert await not_reverted(slack_app) == 0


async def test_a_watch_over_a_deleted_flag_ends_with_its_time(slack_app: RunningSlackApp) -> None:
    await raised(slack_app)
    async with slack_app.database.transaction() as connection:
        await connection.execute(delete(local_flags))
    catalog = slack_app.shop.catalog
    flags = replace(catalog.workspace.flags, environments=())
    slack_app.shop.catalog = replace(catalog, workspace=replace(catalog.workspace, flags=flags))
    later(slack_app, timedelta(hours=1))
    await evaluated(slack_app, 20.0)
    slack_app.shop.catalog = catalog
    shown = await slack_app.types("riley", f"/flag show {FLAG}")
    assert "Watched for" not in shown.text
    assert not await left_alone(slack_app)
