"""What a deployment carried, by GitHub's comparison with the one before it."""

from datetime import timedelta

import pytest
from aiohttp import web

from bot.deployments.change import TOLD, CarriedChange, ChangesState
from bot.deployments.changes.planner import ChangesPlanner
from bot.deployments.deployment import DeploymentState
from bot.deployments.history.reader import read_changes
from bot.tasks import records
from tests.deployments.github.conftest import GitHubSetup
from tests.support.clock import DAY, HOUR, MINUTE
from tests.support.github_api import FakeGitHub, sha


def merged_history(github: FakeGitHub) -> None:
    """Add a base, a pull request with two commits that is merged, and a squashed one."""
    github.commit("base")
    github.commit("branch-1", "base", message="Cache prices", written=3 * DAY)
    github.commit("branch-2", "branch-1", message="Cache them longer\n\nCo-authored-by: Mona <m@github.com>")
    github.commit("merge", "base", "branch-2", message="Merge pull request #12 from octocat/cache\n\nCache")
    github.commit("squashed", "merge", message="Round prices (#14)\n\n* wip", written=5 * HOUR)


async def changes_of(setup: GitHubSetup, key: str) -> dict[str, CarriedChange]:
    deployment = await setup.read(key)
    async with setup.database.reading() as connection:
        return {each.commit: each for each in await read_changes(connection, deployment)}


async def test_commits_count_from_when_they_were_written_and_from_when_they_were_merged(
    setup: GitHubSetup,
) -> None:
    merged_history(setup.github)
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v2", sha("squashed"), 10)
    assert (await setup.read("v2")).best_known.changes_state is ChangesState.PENDING
    await setup.finish()
    found, commits = await changes_of(setup, "v2"), setup.github.commits
    assert set(found) == {sha("branch-1"), sha("branch-2"), sha("squashed")}
    first, merge, squashed = found[sha("branch-1")], commits[sha("merge")], found[sha("squashed")]
    assert (first.title, first.change) == ("Cache prices", "PR-12")
    assert first.authored_at == commits[sha("branch-1")].authored_at
    assert first.merged_at == found[sha("branch-2")].merged_at == merge.committed_at
    assert (squashed.title, squashed.change) == ("Round prices (#14)", "PR-14")
    assert squashed.merged_at == commits[sha("squashed")].committed_at
    known = (await setup.read("v2")).best_known
    assert (known.changes_state, known.changes, known.lines_changed) == (ChangesState.KNOWN, 3, 3)
    assert known.previous_commit == sha("base")
    first_known = (await setup.read("v1")).best_known
    assert first_known.changes_state is ChangesState.UNAVAILABLE
    assert first_known.changes_note == "it is the first one to this environment that is known"


async def test_nobodys_name_is_kept(setup: GitHubSetup) -> None:
    merged_history(setup.github)
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v2", sha("squashed"), 10)
    await setup.finish()
    assert "octocat" not in str(await changes_of(setup, "v2"))
    assert "Mona" not in str(await changes_of(setup, "v2"))


async def test_reverts_name_what_they_take_back(setup: GitHubSetup) -> None:
    setup.github.commit("base")
    reverted = sha("bad")
    setup.github.commit("r1", "base", message=f'Revert "Bad"\n\nThis reverts commit {reverted}.')
    setup.github.commit("r2", "r1", message='Revert "Cache (#12)" (#13)\n\nReverts acme/checkout#12')
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v2", sha("r2"), 10)
    await setup.finish()
    found = await changes_of(setup, "v2")
    assert [found[sha(name)].reverts for name in ("r1", "r2")] == [reverted, "PR-12"]


async def test_rollbacks_diverging_and_repeated_commits_say_so(setup: GitHubSetup) -> None:
    merged_history(setup.github)
    setup.github.commit("hotfix", "base", message="Fix")
    for minutes, name in (
        (50, "base"),
        (40, "squashed"),
        (30, "base"),
        (20, "base"),
        (10, "hotfix"),
        (0, "squashed"),
    ):
        await setup.ship(f"{minutes}", sha(name), minutes)
    await setup.finish()
    notes = {}
    for minutes in (40, 30, 20, 10, 0):
        known = (await setup.read(f"{minutes}")).best_known
        notes[minutes] = (known.changes, known.changes_note)
    assert [(await setup.read(key)).last.undoes for key in ("50", "30", "20")] == [None, "40", None]
    assert notes == {
        40: (3, None),
        30: (0, "it went back 4 commits: a rollback"),
        20: (0, "it deployed what was deployed before it"),
        10: (1, None),
        0: (3, "1 commit of the one before it is not in it"),
    }


async def test_more_commits_than_one_page_are_all_read(setup: GitHubSetup) -> None:
    setup.github.commit(0)
    for number in range(1, 351):
        setup.github.commit(number, number - 1)
    await setup.ship("v1", sha(0), 60)
    await setup.ship("v2", sha(350), 10)
    await setup.finish()
    assert (await setup.read("v2")).changes == 350
    assert len(setup.github.asked) == 4


async def test_failed_deployments_are_no_base(setup: GitHubSetup) -> None:
    merged_history(setup.github)
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v2", sha("merge"), 30, state=DeploymentState.FAILED)
    await setup.ship("v3", sha("squashed"), 10)
    await setup.finish()
    assert [(await setup.read(key)).changes for key in ("v2", "v3")] == [2, 3]


async def test_one_that_is_reported_late_takes_its_part_of_the_next_ones_changes(setup: GitHubSetup) -> None:
    merged_history(setup.github)
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v3", sha("squashed"), 10)
    await setup.finish()
    assert set(await changes_of(setup, "v3")) == {sha("branch-1"), sha("branch-2"), sha("squashed")}
    await setup.ship("v2", sha("merge"), 30)
    await setup.finish()
    assert set(await changes_of(setup, "v3")) == {sha("squashed")}
    assert [(await setup.read(key)).changes for key in ("v2", "v3")] == [2, 1]


async def test_jobs_of_one_run_are_compared_once(setup: GitHubSetup) -> None:
    merged_history(setup.github)
    await setup.ship("v1", sha("base"), 60)
    for minutes in (12, 11, 10):
        await setup.ship(f"job-{minutes}", sha("squashed"), minutes, run="api 7")
    await setup.finish()
    await setup.ship("job-9", sha("squashed"), 9, run="api 7")
    await setup.finish()
    assert len(setup.github.asked) == 1
    assert (await setup.read("job-9")).changes == 3


async def test_changes_that_were_reported_are_not_asked_for(setup: GitHubSetup) -> None:
    merged_history(setup.github)
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v2", sha("squashed"), 10, changes=(CarriedChange("a1"),))
    await setup.finish()
    known = (await setup.read("v2")).best_known
    assert (known.changes, known.changes_note, setup.github.asked) == (1, TOLD, [])


async def test_a_base_that_was_pushed_over_makes_them_unavailable_and_says_so(setup: GitHubSetup) -> None:
    setup.github.commit("head")
    await setup.ship("v1", sha("gone"), 60)
    await setup.ship("v2", sha("head"), 10)
    await setup.finish()
    known = (await setup.read("v2")).best_known
    assert known.changes_state is ChangesState.UNAVAILABLE
    note = f"acme/checkout at GitHub has no {sha('gone')[:7]} or {sha('head')[:7]}, or it may not be read"
    assert known.changes_note == note
    assert len(setup.github.asked) == 1


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (403, {"Retry-After": "90"}, timedelta(seconds=90)),
        (429, {"Retry-After": "120"}, timedelta(seconds=120)),
        (429, {}, MINUTE),
        (403, {"message": "You have exceeded a secondary rate limit"}, MINUTE),
    ],
)
async def test_secondary_limits_are_waited_out_and_nothing_is_asked_meanwhile(
    setup: GitHubSetup, status: int, headers: dict[str, str], wait: timedelta
) -> None:
    merged_history(setup.github)
    message = headers.get("message", "slow down")
    headers = {name: value for name, value in headers.items() if name != "message"}

    def refuse(number: int, path: str) -> web.Response | None:
        del path
        return (
            web.json_response({"message": message}, status=status, headers=headers) if number == 1 else None
        )

    setup.github.refuse = refuse
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v2", sha("merge"), 30)
    await setup.ship("v3", sha("squashed"), 10)
    await setup.finish()
    setup.clock.time += wait - timedelta(seconds=1)
    await setup.finish()
    assert len(setup.github.asked) == 1
    setup.clock.time += timedelta(seconds=1)
    await setup.finish()
    assert [(await setup.read(key)).changes for key in ("v2", "v3")] == [2, 1]


async def test_the_primary_limit_is_waited_out_by_githubs_own_clock(setup: GitHubSetup) -> None:
    merged_history(setup.github)
    setup.github.now = lambda: setup.clock.now() + 7 * HOUR
    setup.github.limit = 1
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v2", sha("merge"), 30)
    await setup.ship("v3", sha("squashed"), 10)
    await setup.finish()
    assert [(await setup.read(key)).changes for key in ("v2", "v3")] == [2, None]
    assert len(setup.github.asked) == 1, "the answer said that no request remains"
    setup.clock.time += HOUR
    await setup.finish()
    assert (await setup.read("v3")).changes == 1


async def test_what_goes_by_is_tried_again_and_what_stays_is_given_up(setup: GitHubSetup) -> None:
    merged_history(setup.github)
    setup.github.refuse = lambda *_: web.json_response({"message": "Bad credentials"}, status=401)
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v2", sha("merge"), 30)
    for wait in (MINUTE, HOUR, 2 * DAY, timedelta()):
        await setup.finish()
        setup.clock.time += wait
    known = (await setup.read("v2")).best_known
    assert known.changes_state is ChangesState.UNAVAILABLE
    assert known.changes_note == "GitHub answered 401: Bad credentials"
    async with setup.database.reading() as connection:
        assert await records.read_pending(connection, "deployment changes") == []


async def test_without_a_token_nothing_is_planned(setup: GitHubSetup) -> None:
    setup.planner = ChangesPlanner(setup.database, setup.current, can_ask=False)
    await setup.ship("v1", sha("base"), 60)
    await setup.ship("v2", sha("merge"), 30)
    assert not await setup.tasks.tick()
    known = (await setup.read("v2")).best_known
    assert (known.changes_state, known.changes_note) == (ChangesState.UNAVAILABLE, "GITHUB_TOKEN is not set")
