"""Deployments are counted once, however many jobs and outcomes were reported, on both stores."""

from datetime import datetime

import pytest

from bot.deployments import records
from bot.deployments.change import CarriedChange, ChangesState
from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.history.past_deployment import PastDeployment
from bot.deployments.history.reader import (
    HistoryPage,
    read_changes,
    read_followers,
    read_history,
    read_one,
    read_page,
    read_success_before,
)
from bot.store.database import Database
from tests.deployments.test_records import deployed
from tests.support.clock import HOUR, MINUTE, NOW

FAILED = DeploymentState.FAILED


async def store(database: Database, *told: Deployment, service: str = "checkout") -> None:
    async with database.transaction() as connection:
        for each in told:
            await records.add(database, connection, service, each)


async def ids(database: Database, since: datetime | None = None, until: datetime | None = None) -> list[str]:
    async with database.reading() as connection:
        found = await read_history(connection, ["checkout"], since, until)
    return [f"{each.id.removeprefix('api ')} {each.state}" for each in found]


async def one(database: Database, id_: str) -> PastDeployment:
    async with database.reading() as connection:
        found = await read_one(connection, "checkout", id_)
    assert found is not None
    return found


async def test_jobs_of_one_run_are_one_deployment_and_the_last_finish_counts(database: Database) -> None:
    await store(
        database,
        deployed("web", NOW - 30 * MINUTE, run="api 7"),
        deployed("worker", NOW - 10 * MINUTE, run="api 7", state=FAILED),
        deployed("mail", NOW - 20 * MINUTE, run="api 7"),
        deployed("staging", NOW - 5 * MINUTE, run="api 7", environment="staging", is_production=False),
        deployed("other", NOW - 25 * MINUTE, run="api 8"),
    )
    assert await ids(database) == ["other succeeded", "web failed", "staging succeeded"]
    found = await one(database, "api mail")
    assert (found.started_at, found.ended_at) == (NOW - 31 * MINUTE, NOW - 10 * MINUTE)
    assert (found.id, found.commit) == ("api web", "worker")


async def test_all_outcomes_of_one_deployment_are_one_however_their_run_came_to_be_known(
    database: Database,
) -> None:
    await store(
        database,
        deployed("a", NOW - 30 * MINUTE, state=FAILED),
        deployed("a", NOW - 20 * MINUTE, run="api 7"),
        deployed("b", NOW - 10 * MINUTE, run="api 7"),
        deployed("b", NOW, state=FAILED),
    )
    assert await ids(database) == ["a failed"]


async def test_no_range_of_times_divides_a_run(database: Database) -> None:
    failed = deployed("b", NOW - HOUR, run="api 7", state=FAILED)
    await store(database, deployed("a", NOW - 2 * HOUR, run="api 7"), failed)
    assert await ids(database, since=NOW - 90 * MINUTE) == ["a failed"]
    assert await ids(database, until=NOW - 90 * MINUTE) == []
    assert await ids(database, since=NOW - HOUR, until=NOW - HOUR) == ["a failed"]


async def test_pages_give_every_deployment_once_newest_first(database: Database) -> None:
    same_time = [deployed(f"v{number}", NOW - (number // 3) * MINUTE) for number in range(10)]
    await store(database, *same_time)
    await store(database, *same_time[:4], service="search")
    found: list[PastDeployment] = []
    after: HistoryPage | None = None
    while True:
        async with database.reading() as connection:
            page, after = await read_page(
                connection, service=None, since=None, until=None, after=after, limit=4
            )
        found += page
        if after is None:
            break
    assert len({(each.service, each.id) for each in found}) == len(found) == 14
    assert [each.ended_at for each in found] == sorted((each.ended_at for each in found), reverse=True)


async def test_the_one_before_is_the_last_success_in_the_same_environment(database: Database) -> None:
    await store(
        database,
        deployed("v1", NOW - 50 * MINUTE),
        *(deployed(f"failed-{n}", NOW - 40 * MINUTE, state=FAILED) for n in range(25)),
        deployed("staging", NOW - 30 * MINUTE, environment="staging", is_production=False),
        deployed("v2", NOW - 20 * MINUTE, run="api 7"),
        deployed("v2-b", NOW - 19 * MINUTE, run="api 7"),
        deployed("v3", NOW - 10 * MINUTE),
        deployed("v4", NOW),
    )
    await store(database, deployed("elsewhere", NOW - 21 * MINUTE), service="search")
    found = await one(database, "api v2-b")
    async with database.reading() as connection:
        before = await read_success_before(connection, found)
        assert before is not None
        assert before.id == "api v1"
        assert [each.id for each in await read_followers(connection, found)] == ["api v3"]
        followers = await read_followers(connection, before)
        assert len(followers) == 26
        assert followers[-1].id == "api v2"
        assert await read_success_before(connection, before) is None
        assert await read_followers(connection, await one(database, "api v4")) == []


async def test_changes_that_were_told_are_kept_without_anybodys_name(database: Database) -> None:
    changes = (
        CarriedChange("a" * 40, "Cache prices (#12)", "PR-12", NOW - 2 * HOUR, NOW - HOUR),
        CarriedChange("b" * 40, 'Revert "Cache"', None, NOW - HOUR, NOW - MINUTE, "a" * 40),
    )
    await store(database, deployed("v1", NOW, changes=changes, lines_changed=40, previous_commit="v0"))
    found = await one(database, "api v1")
    assert (found.changes, found.last.lines_changed, found.last.previous_commit) == (2, 40, "v0")
    assert found.last.changes_state is ChangesState.KNOWN
    async with database.reading() as connection:
        assert await read_changes(connection, found) == [changes[1], changes[0]]


@pytest.mark.parametrize("missing", ["api nothing"])
async def test_what_is_not_there_is_not_found(database: Database, missing: str) -> None:
    async with database.reading() as connection:
        assert await read_one(connection, "checkout", missing) is None
