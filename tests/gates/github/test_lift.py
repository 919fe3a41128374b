"""After a lift what waits at GitHub is answered as fast as its limits allow, merge queue first, each once."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import aiohttp
import pytest
from aiohttp import web

from bot.catalog.catalog import Catalog
from bot.catalog.gates import GateSettings, GitHubGateSettings, PullRequestChecks
from bot.freezes.verdict import Change, VerdictAnswer
from bot.gates.github.answerer import DEPLOYMENT, GITHUB, MERGE_GROUP, PULL_REQUEST, GitHubAnswerer
from bot.gates.github.client import GitHubApp
from bot.gates.waits.answering import WaitAnswering
from bot.gates.waits.wait import Question
from bot.store.database import Database
from tests.gates.github.deliveries import pull
from tests.gates.github.server import (
    APP_ID,
    REPOSITORY,
    REPOSITORY_ID,
    GitHubServer,
    private_key,
    problem,
    secondary_limit,
    serving_github,
)
from tests.gates.waits.test_answering import Questions
from tests.support.clock import MINUTE, StoppedClock
from tests.support.values import catalog, in_force

EACH = 200


class Waiting:
    """Two hundred deployments and as many merge groups that wait for one service."""

    def __init__(
        self, database: Database, github: GitHubServer, clock: StoppedClock, session: aiohttp.ClientSession
    ) -> None:
        self.github = github
        self.clock = clock
        self.questions = Questions()
        self._database = database
        self._session = session
        self.current = in_force(catalog().workspace)
        self.answering = self.start()

    def start(self) -> WaitAnswering:
        """Start another process, which knows nothing but what is stored."""
        answering = WaitAnswering(self._database, self.questions, self.clock)
        app = GitHubApp(self._session, self.github.url, APP_ID, private_key(), self.clock)
        answering.register([GitHubAnswerer(app, self.current)])
        return answering

    async def ask(self, most: int = EACH) -> None:
        place = {"repository": REPOSITORY, "repository_id": REPOSITORY_ID}
        asked = partial(Question, platform=GITHUB, account="1", services=("checkout",))
        for number in range(most):
            self.github.pending[number] = ["production"]
            sha = f"{number:040x}"
            ref = f"refs/heads/gh-readonly-queue/main/pr-{number}-{sha}"
            self.github.refs.add(ref)
            run = {"run": number, "environment": "production"}
            deployment = asked(
                key=f"{DEPLOYMENT} {number}", kind=DEPLOYMENT, changes=(Change(f"{number}"),),
                place=place | run, priority=10, begins=True,
            )  # fmt: skip
            group = asked(
                key=f"{MERGE_GROUP} {number}", kind=MERGE_GROUP, changes=(Change(f"PR-{number}"),),
                place=place | {"head_sha": sha, "head_ref": ref, "name": "Governor"}, priority=0,
            )  # fmt: skip
            assert await self.answering.waits.ask(deployment)
            assert await self.answering.waits.ask(group)

    async def pass_time(self, time: timedelta) -> None:
        """Let the process work for a time, from one thing to do to the next."""
        end = self.clock.time + time
        while self.clock.time < end:
            again = await self.answering.tick()
            self.clock.time = min(max(self.clock.time + timedelta(milliseconds=100), again), end)

    def lift(self) -> datetime:
        self.questions.answers["checkout"] = VerdictAnswer.GO
        return self.clock.time


@pytest.fixture
async def waiting(database: Database) -> AsyncIterator[Waiting]:
    clock = StoppedClock()
    async with (
        serving_github(GitHubServer(now=clock.now)) as github,
        aiohttp.ClientSession() as session,
    ):
        waiting = Waiting(database, github, clock, session)
        waiting.questions.answers["checkout"] = VerdictAnswer.WAIT
        yield waiting


async def test_a_lift_is_told_as_fast_as_the_limits_allow(waiting: Waiting) -> None:
    github = waiting.github
    await waiting.ask()
    await waiting.pass_time(10 * MINUTE)
    # Each was told once that it waits, at 80 new contents a minute.
    assert all(github.notes(run) and not github.states(run) for run in range(EACH))
    assert [run["status"] for run in github.checks.values()] == ["in_progress"] * EACH
    assert github.limited == 0
    lifted_at, told = waiting.lift(), len(github.posts)
    await waiting.pass_time(4 * MINUTE)
    assert [each.split()[0] for each in github.final] == ["check"] * EACH + ["deployment"] * EACH
    assert len(set(github.final)) == 2 * EACH
    # 400 answers at 180 a minute: the last one may not be sent before two minutes are over.
    took = github.posts[-1] - lifted_at
    assert len(github.posts) - told == 2 * EACH
    assert 2 * MINUTE <= took <= 2 * MINUTE + timedelta(seconds=1)
    assert github.limited == 0
    assert {run["conclusion"] for run in github.checks.values()} == {"success"}
    assert all(github.states(run) == ["approved"] for run in range(EACH))
    assert await waiting.answering.waits.waiting(GITHUB) == []


async def test_what_was_sent_before_a_restart_counts_after_it(waiting: Waiting) -> None:
    await waiting.ask(110)
    await waiting.pass_time(10 * MINUTE)
    waiting.lift()
    for _ in range(8):
        await waiting.pass_time(timedelta(seconds=20))
        waiting.answering = waiting.start()
    assert len(set(waiting.github.final)) == len(waiting.github.final) == 220
    assert waiting.github.limited == 0


async def test_each_is_answered_once_through_errors_limits_and_restarts(waiting: Waiting) -> None:
    most, dice = 40, random.Random(4)  # noqa: S311 - dice of a test
    github = waiting.github

    faults = ("lost", "cut", "limit", "unicorn", "broken")

    def fault(_method: str, _path: str) -> web.Response | str | None:
        found = dice.choice(faults) if dice.random() < 0.25 else None
        if found == "limit":
            return secondary_limit(15) if dice.random() < 0.5 else too_many()
        if found == "unicorn":
            return web.Response(text="<html>Unicorn!</html>")
        return problem(502, "Server Error") if found == "broken" else found

    await waiting.ask(most)
    github.fault = fault
    await waiting.pass_time(10 * MINUTE)
    waiting.lift()
    for _ in range(12):
        await waiting.pass_time(5 * MINUTE)
        waiting.answering = waiting.start()
    assert sorted(github.final) == sorted(set(github.final))
    assert len(github.final) == 2 * most
    assert len(github.checks) == most
    assert all(len(github.notes(run)) <= 9 for run in range(most))
    assert await waiting.answering.waits.waiting(GITHUB) == []


def too_many() -> web.Response:
    return problem(429, "API rate limit exceeded", **{"X-RateLimit-Remaining": "0"})


async def test_an_administrator_who_was_quicker_ends_the_wait(waiting: Waiting) -> None:
    await waiting.ask(2)
    await waiting.pass_time(MINUTE)
    waiting.github.pending[0].clear()
    waiting.github.refs.clear()
    waiting.lift()
    waiting.github.pending[1].append("staging")
    await waiting.pass_time(MINUTE)
    assert waiting.github.states(0) == []
    assert waiting.github.states(1) == ["approved"]
    assert await waiting.answering.waits.waiting(GITHUB) == []


@pytest.mark.parametrize("state", ["open", "closed", "pushed", "gone"])
async def test_a_pull_request_waits_while_it_is_open_at_its_commit(waiting: Waiting, state: str) -> None:
    place = {"repository": REPOSITORY, "repository_id": REPOSITORY_ID, "number": 12, "head_sha": "d" * 40}
    waiting.current.set(held_pull_requests())
    question = Question(
        platform=GITHUB, account="1", services=("checkout",), key=f"{PULL_REQUEST} 12", kind=PULL_REQUEST,
        changes=(Change("PR-12"),), place=place | {"name": "Governor"},
    )  # fmt: skip
    await waiting.answering.waits.ask(question)
    head = "e" * 40 if state == "pushed" else "d" * 40
    if state != "gone":
        waiting.github.pulls[12] = pull(12, head) | {"state": "closed" if state == "closed" else "open"}
    await waiting.pass_time(20 * MINUTE)
    left = await waiting.answering.waits.waiting(GITHUB)
    assert [wait.question.key for wait in left] == ([question.key] if state == "open" else [])


def held_pull_requests() -> Catalog:
    settings = GitHubGateSettings(pull_requests=PullRequestChecks.WAIT)
    workspace = replace(catalog().workspace, gates=GateSettings(github=settings))
    return catalog(workspace=workspace)


async def test_what_github_says_is_gone_is_dropped(waiting: Waiting) -> None:
    await waiting.ask(2)
    await waiting.pass_time(MINUTE)
    waiting.github.pending.pop(0)
    waiting.github.refs = {ref for ref in waiting.github.refs if "/pr-1-" in ref}
    await waiting.pass_time(20 * MINUTE)
    left = await waiting.answering.waits.waiting(GITHUB)
    assert {wait.question.key for wait in left} == {f"{DEPLOYMENT} 1", f"{MERGE_GROUP} 1"}
