"""The history of deployments at GitHub: whole, once, through rate limits and crashes."""

from collections import Counter
from datetime import timedelta

import pytest
from aiohttp import web

from bot.deployments.backfill.imports import repositories_named
from bot.deployments.change import ChangesState
from bot.deployments.deployment import DeploymentState
from bot.store import audit
from bot.tasks.task import TaskState
from tests.deployments.github.conftest import GitHubSetup
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.github_api import FakeGitHub
from tests.support.values import catalog

CLAUDE = {"login": "claude[bot]", "id": 2, "type": "Bot"}


def history(github: FakeGitHub, count: int) -> None:
    """Add so many deployments in the last 80 days, each of the next commit; every tenth one failed."""
    github.commit(0)
    for number in range(1, count + 1):
        commit = github.commit(number, number - 1)
        began = NOW - 80 * DAY + number * (80 * DAY / (count + 2))
        states = ("in_progress", "failure" if number % 10 == 0 else "success", "inactive")
        github.deploy(2 * number, commit, began, *states)


async def audited(setup: GitHubSetup) -> list[audit.AuditEntry]:
    async with setup.database.reading() as connection:
        return [row.entry for row in await audit.read(connection)]


@pytest.mark.parametrize("server", [None], ids=["sqlite"])
async def test_two_thousand_deployments_come_once_through_rate_limits_and_a_crash(setup: GitHubSetup) -> None:
    history(setup.github, 2_000)
    setup.current.set(catalog(setup.current.catalog.services["checkout"]))
    setup.github.limit = 1_500

    def refuse(number: int, path: str) -> web.Response | None:
        del path
        if number in {90, 700}:
            body = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}
            return web.json_response(body, status=429 if number == 90 else 403, headers={"Retry-After": "60"})
        return web.json_response({}, status=502) if number == 400 else None

    setup.github.refuse = refuse
    await setup.imports.follow(setup.current.catalog, NOW)
    setup.tasks = setup.new_runner(compares=False)
    for _ in range(12):
        await setup.tasks.tick()
    crashed_after = len(await setup.history())
    assert 0 < crashed_after < 2_000
    setup.tasks = setup.new_runner(compares=False)
    for _ in range(9):
        await setup.finish()
        setup.clock.time += 30 * MINUTE
    found = await setup.history()
    assert len(found) == len({each.id for each in found}) == 2_000
    assert sum(each.state is DeploymentState.FAILED for each in found) == 200
    statuses = [path for path in setup.github.asked if "/statuses" in path]
    assert len(statuses) <= 2_000 + 3, "statuses are asked for once, but for requests that were refused"
    (entry,) = await audited(setup)
    assert (entry.actor, entry.action, entry.subject) == ("governor", "deployments.imported", "acme/checkout")
    assert entry.reason == "2,000 deployments since 2026-08-25"
    states = Counter(each.best_known.changes_state for each in found)
    assert states == {ChangesState.PENDING: 1_999, ChangesState.UNAVAILABLE: 1}


async def test_an_import_keeps_what_is_known_and_brings_other_services_what_they_lack(
    setup: GitHubSetup,
) -> None:
    history(setup.github, 3)
    await setup.ship("github 4", "f" * 40, 5, repository="acme/checkout")
    await setup.imports.follow(setup.current.catalog, NOW)
    await setup.finish()
    assert {each.id for each in await setup.history()} == {"github 2", "github 4", "github 6"}
    assert (await setup.read("github 4")).commit == "f" * 40
    assert not any("/deployments/4/statuses" in path for path in setup.github.asked)
    rows = await setup.counts()
    assert rows == {"cart": 3, "checkout": 3}


async def test_only_what_ended_in_production_within_the_time_is_imported(setup: GitHubSetup) -> None:
    commit = setup.github.commit(0)
    setup.github.deploy(2, commit, NOW - 100 * DAY, "success")
    setup.github.deploy(4, commit, NOW - 9 * DAY, "success", environment="staging")
    setup.github.deploy(6, commit, NOW - 8 * DAY, "in_progress")
    setup.github.deploy(8, commit, NOW - 7 * DAY, "failure", "success", creator=CLAUDE)
    await setup.imports.follow(setup.current.catalog, NOW)
    await setup.finish()
    (found,) = await setup.history()
    assert (found.id, found.state, found.last.run) == ("github 8", DeploymentState.SUCCEEDED, "github 4")
    assert len(found.outcomes) == 2
    assert [path for path in setup.github.asked if "/deployments/4/" in path] == []


async def test_an_import_is_planned_once_on_its_own_and_again_when_it_is_asked_for(
    setup: GitHubSetup,
) -> None:
    history(setup.github, 3)
    for _ in range(2):
        await setup.imports.follow(setup.current.catalog, setup.clock.now())
        await setup.finish()
    assert len(await audited(setup)) == 1
    wanted = repositories_named(setup.current.catalog, service="cart")
    assert wanted == repositories_named(setup.current.catalog, repository="Acme/Checkout")
    await setup.imports.begin(setup.current.catalog, wanted, NOW - 10 * DAY, "U0SAM", setup.clock.now())
    await setup.finish()
    first, second = await audited(setup)
    assert (second.actor, second.reason) == ("U0SAM", "0 deployments since 2026-11-13")
    assert repositories_named(setup.current.catalog, service="mail") == []
    assert first.action == second.action


async def test_progress_says_how_far_it_is_and_what_it_waits_for(setup: GitHubSetup) -> None:
    history(setup.github, 60)
    setup.github.limit = 31
    await setup.imports.follow(setup.current.catalog, NOW)
    await setup.finish()
    (progress,) = await setup.imports.progress(setup.current.catalog, setup.clock.now())
    assert (progress.repository, progress.state) == ("acme/checkout", TaskState.PENDING)
    assert progress.waits_until == NOW + HOUR
    assert progress.recorded == progress.read == 29
    setup.clock.time += HOUR
    setup.github.limit = 5_000
    await setup.finish()
    (progress,) = await setup.imports.progress(setup.current.catalog, setup.clock.now())
    assert (progress.state, progress.recorded, progress.waits_until) == (TaskState.DONE, 60, None)


async def test_an_environment_that_no_column_holds_is_no_answer_of_githubs(setup: GitHubSetup) -> None:
    history(setup.github, 1)
    setup.github.statuses[2][-1]["environment"] = "p" * 256
    await setup.imports.follow(setup.current.catalog, NOW)
    await setup.finish()
    (progress,) = await setup.imports.progress(setup.current.catalog, NOW)
    assert progress.state is TaskState.PENDING
    assert "GitHub answered without a list of deployments" in (progress.error or "")
    assert await setup.history() == []


@pytest.mark.parametrize("status", [404, 403])
async def test_a_repository_that_may_not_be_read_is_given_up_with_its_reason(
    setup: GitHubSetup, status: int
) -> None:
    setup.github.refuse = lambda *_: web.json_response({"message": "Not Found"}, status=status)
    await setup.imports.follow(setup.current.catalog, NOW)
    await setup.finish()
    (progress,) = await setup.imports.progress(setup.current.catalog, NOW + timedelta(minutes=1))
    assert (progress.state, progress.error) == (TaskState.GIVEN_UP, f"GitHub answered {status}: Not Found")
    (entry,) = await audited(setup)
    assert entry.action == "deployments.import_failed"
