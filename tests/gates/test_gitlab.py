"""GitLab: freeze periods in step with freezes, status checks answered at once and at the lift."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.catalog.gates import GateSettings, GitLabProject
from bot.freezes.verdict import VerdictAnswer
from bot.gates.gitlab.adapter import GitLabGate
from bot.gates.gitlab.client import GitLabClient
from bot.gates.gitlab.freeze_periods import FreezePeriod, period_from, surplus
from bot.gates.gitlab.periods_handler import FreezePeriodsHandler
from bot.gates.gitlab.status_checks import StatusCheckAnswers, StatusCheckHook
from bot.gates.waits.answering import LOOK_EVERY, WaitAnswering
from bot.store.database import Database
from bot.tasks.runner import TaskRunner
from tests.gates.pipeline_gates import SetVerdicts, policies, serving
from tests.support.clock import DAY, MINUTE, StoppedClock
from tests.support.stores import create_tables

TOKEN, SECRET, PROJECT = "glpat-token", "a-shared-secret", "acme/shop/checkout"
SHA, LATER = "3f1c2ab" * 5 + "12345", "4f1c2ab" * 5 + "12345"
TEN_MINUTES = timedelta(minutes=10)
THEIRS = {"id": 1, "freeze_start": "0 23 * * 5", "freeze_end": "0 7 * * 1", "cron_timezone": "Europe/Berlin"}


class GitLabServer:
    """Answers as GitLab documents, and refuses what GitLab refuses; `faults` come first."""

    def __init__(self) -> None:
        self.periods: list[dict[str, Any]] = [dict(THEIRS)]
        self.answers: list[tuple[str, str]] = []
        self.faults: list[web.Response] = []
        self.calls = 0
        self.head, self.state = SHA, "opened"
        self.loses_reply = False
        self.other_checks = 0

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        periods = "/api/v4/projects/{project}/freeze_periods"
        app.router.add_get(periods, self._list)
        app.router.add_post(periods, self._add)
        app.router.add_delete(periods + "/{id}", self._delete)
        request = "/api/v4/projects/{project}/merge_requests/{iid}"
        app.router.add_get(request, self._request)
        app.router.add_get(request + "/status_checks", self._checks)
        app.router.add_post(request + "/status_check_responses", self._answer)
        return app

    @property
    def own(self) -> list[dict[str, Any]]:
        return [period for period in self.periods if period["id"] != THEIRS["id"]]

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls += 1
        if request.headers.get("PRIVATE-TOKEN") != TOKEN:
            return web.json_response({"message": "401 Unauthorized"}, status=401)
        if self.faults:
            return self.faults.pop(0)
        if request.match_info["project"] not in {PROJECT, "7"}:
            return web.json_response({"message": "404 Project Not Found"}, status=404)
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _list(self, request: web.Request) -> web.Response:
        page = int(request.query["page"])
        # One a page, so that a reader must follow.
        following = str(page + 1) if page < len(self.periods) else ""
        return web.json_response(self.periods[page - 1 : page], headers={"X-Next-Page": following})

    async def _add(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not {"freeze_start", "freeze_end"} <= body.keys():
            return web.json_response({"error": "freeze_start is missing"}, status=400)
        self.periods.append(body | {"id": 100 + self.calls})
        if self.loses_reply:
            self.loses_reply = False
            return web.Response(status=502, text="<html>")
        return web.json_response(self.periods[-1], status=201)

    async def _delete(self, request: web.Request) -> web.Response:
        left = [period for period in self.periods if str(period["id"]) != request.match_info["id"]]
        found = len(left) < len(self.periods)
        self.periods = left
        return web.Response(status=204 if found else 404)

    async def _request(self, _request: web.Request) -> web.Response:
        return web.json_response({"iid": 5, "state": self.state, "sha": self.head})

    async def _checks(self, request: web.Request) -> web.Response:
        status = self.answers[-1][1] if self.answers else "pending"
        others = [
            {"id": 100 + each, "name": "Another", "status": "passed"} for each in range(self.other_checks)
        ]
        checks = [*others, {"id": 3, "name": "Governor", "status": status}]
        return web.json_response(checks[: int(request.query.get("per_page", 20))])

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["status"] not in {"pending", "passed", "failed"} or body["external_status_check_id"] != 3:
            return web.json_response({"message": "400 Bad request"}, status=400)
        if body["sha"] != self.head:
            return web.json_response({"message": "409 SHA does not match HEAD"}, status=409)
        self.answers.append((body["sha"], body["status"]))
        if self.loses_reply:
            self.loses_reply = False
            return web.Response(status=502, text="<html>")
        return web.json_response({"id": 1, "external_status_check": {"id": 3}}, status=201)


class Rig:
    """The gate of GitLab as the bot has it, on a clock that stands still."""

    def __init__(
        self, database: Database, server: GitLabServer, url: str, session: aiohttp.ClientSession
    ) -> None:
        self.database, self.server, self.session = database, server, session
        self.clock, self.verdicts = StoppedClock(), SetVerdicts()
        project = GitLabProject(PROJECT, ("checkout", "search"), "production")
        self.current = policies(GateSettings(gitlab=(project,)))
        self.client = GitLabClient(session, url, TOKEN)
        self.restart()

    def restart(self) -> None:
        """Forget everything but what is stored."""
        self.answering = WaitAnswering(self.database, self.verdicts, self.clock)
        self.answering.register([StatusCheckAnswers(self.client)])
        self.tasks = TaskRunner(self.database, self.clock)
        self.hook = StatusCheckHook(self.answering.waits, self.current, (SECRET,), "gitlab")
        handler = FreezePeriodsHandler(self.client, self.verdicts, self.current)
        self.gate = GitLabGate(
            self.hook, handler, is_set_up=True, database=self.database, current=self.current, clock=self.clock
        )
        self.tasks.register(self.gate.task_handlers)

    async def works(self, after: timedelta = timedelta()) -> None:
        """Let time pass, then do what is due."""
        self.clock.time += after
        await self.gate.notice()
        await self.tasks.tick()
        await self.answering.tick()

    async def sends(self, body: dict[str, Any], secret: str = SECRET) -> int:
        """Send an event as GitLab does."""
        text = json.dumps(body).encode()
        signature = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        app = web.Application()
        self.hook.add_routes(app)
        async with serving(app) as url:
            headers = {"X-Gitlab-Signature": signature, "Content-Type": "application/json"}
            async with self.session.post(
                f"{url}/gates/gitlab/status-checks", data=text, headers=headers
            ) as response:
                return response.status


def event(sha: str = SHA, **attributes: object) -> dict[str, Any]:
    """Return an event with what GitLab's documentation shows that is read, and some of what is not."""
    return {
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": {"id": 1, "username": "dana"},
        "project": {"id": 7, "name": "checkout", "path_with_namespace": PROJECT},
        "object_attributes": {
            "id": 99, "iid": 5, "target_branch": "main", "source_branch": "fix", "state": "opened",
            "action": "open", "last_commit": {"id": sha, "message": "Fix"},
        } | attributes,
        "external_approval_rule": {"id": 3, "name": "Governor", "external_url": "https://g.example"},
    }  # fmt: skip


@pytest.fixture
async def rig(url: str) -> AsyncIterator[Rig]:
    server = GitLabServer()
    async with (
        Database(url) as database,
        serving(server.app()) as gitlab,
        aiohttp.ClientSession() as session,
    ):
        await create_tables(database)
        yield Rig(database, server, gitlab, session)


def test_own_periods_are_known_by_their_shape_in_every_minute_of_any_year() -> None:
    at = datetime(2026, 12, 31, tzinfo=UTC)
    # Among them midnight at the beginning of each 1 March, with a 29 February before it and without.
    for minutes in range(0, 3 * 366 * 24 * 60, 720):
        period = period_from(at + timedelta(minutes=minutes, seconds=30))
        assert period.is_own
        assert period.start != period.end
    theirs = FreezePeriod("0 23 * * 5", "0 7 * * 1", "Europe/Berlin", 1)
    assert not theirs.is_own
    assert not FreezePeriod("5 9 23 11 *", "6 9 23 11 *").is_own
    assert not FreezePeriod("5 9 31 2 *", "4 9 31 2 *").is_own
    own = FreezePeriod("0 0 1 1 *", "59 23 31 12 *", "UTC", 2)
    assert own.is_own
    assert surplus([theirs, own], is_held=True) == []
    assert surplus([theirs, own, own], is_held=True) == [own]
    assert surplus([theirs, own], is_held=False) == [own]


async def test_a_freeze_writes_one_period_and_its_end_deletes_it(rig: Rig) -> None:
    await rig.gate.follow(rig.current.catalog)
    await rig.works()
    assert rig.server.own == []
    rig.verdicts.freeze("search")
    await rig.works()
    (period,) = rig.server.own
    assert (period["freeze_start"], period["freeze_end"]) == ("0 9 23 11 *", "59 8 23 11 *")
    assert period["cron_timezone"] == "UTC"
    rig.verdicts.freeze("checkout")
    await rig.works(MINUTE)
    rig.verdicts.open("search")
    await rig.works(MINUTE)
    assert len(rig.server.own) == 1
    rig.verdicts.open("checkout")
    await rig.works(MINUTE)
    assert rig.server.periods == [THEIRS]


async def test_faults_of_gitlab_delay_and_double_nothing(rig: Rig) -> None:
    await rig.gate.follow(rig.current.catalog)
    rig.verdicts.freeze()
    rig.server.faults = [
        web.json_response({"message": "429 Too Many Requests"}, status=429, headers={"Retry-After": "30"}),
        web.Response(status=503, text="<html>"),
        web.Response(status=200, text="{nonsense"),
        web.json_response([{"id": 1}]),
    ]
    await rig.works()
    calls = rig.server.calls
    await rig.works(29 * timedelta(seconds=1))
    assert rig.server.calls == calls
    rig.server.loses_reply = True
    for _ in range(8):
        rig.restart()
        await rig.works(MINUTE)
    assert len(rig.server.own) == 1
    rig.verdicts.open()
    await rig.works(MINUTE)
    assert rig.server.own == []


async def test_what_somebody_deletes_or_doubles_is_put_right(rig: Rig) -> None:
    await rig.gate.follow(rig.current.catalog)
    rig.verdicts.freeze()
    await rig.works()
    rig.server.periods.clear()
    await rig.works(TEN_MINUTES)
    (own,) = rig.server.own
    rig.server.periods.append(own | {"id": 4711})
    await rig.works(TEN_MINUTES)
    assert len(rig.server.own) == 1


async def test_a_project_that_leaves_the_policies_loses_its_period(rig: Rig) -> None:
    await rig.gate.follow(rig.current.catalog)
    rig.verdicts.freeze()
    await rig.works()
    assert rig.server.own
    rig.current.set(policies(GateSettings()).catalog)
    await rig.gate.follow(rig.current.catalog)
    await rig.works()
    assert rig.server.periods == [THEIRS]
    calls = rig.server.calls
    await rig.works(DAY)
    assert rig.server.calls == calls


async def test_nothing_is_written_before_anything_is_known(rig: Rig) -> None:
    await rig.gate.follow(rig.current.catalog)
    rig.verdicts.is_unmeasured = True
    await rig.works()
    assert rig.server.calls == 0
    rig.verdicts.is_unmeasured = False
    rig.verdicts.freeze()
    await rig.works(5 * timedelta(seconds=1))
    assert len(rig.server.own) == 1


async def test_a_check_is_answered_at_once_where_the_service_is_open(rig: Rig) -> None:
    assert await rig.sends(event()) == 202
    await rig.works()
    assert rig.server.answers == [(SHA, "passed")]
    assert rig.verdicts.let == [("gitlab", "!5", False)] * 2
    assert {(change.commit, change.environment) for change in rig.verdicts.asked} == {
        (SHA, "production"), (None, "production"),
    }  # fmt: skip
    await rig.works(LOOK_EVERY)
    assert len(rig.server.answers) == 1


async def test_a_frozen_one_is_pending_and_passes_at_the_lift_through_a_restart(rig: Rig) -> None:
    rig.verdicts.freeze()
    await rig.sends(event())
    # GitLab may deliver it twice.
    await rig.sends(event())
    await rig.works()
    await rig.works(5 * MINUTE)
    assert rig.server.answers == [(SHA, "pending")]
    rig.restart()
    rig.verdicts.open()
    rig.server.faults = [web.Response(status=429, headers={"Retry-After": "10"}), web.Response(status=500)]
    for _ in range(6):
        await rig.works(15 * timedelta(seconds=1))
    assert rig.server.answers == [(SHA, "pending"), (SHA, "passed")]


async def test_an_answer_whose_reply_is_lost_is_not_given_twice(rig: Rig) -> None:
    rig.server.loses_reply = True
    await rig.sends(event())
    for _ in range(4):
        await rig.works(MINUTE)
    assert rig.server.answers == [(SHA, "passed")]


async def test_a_check_is_found_among_many(rig: Rig) -> None:
    rig.server.other_checks = 30
    rig.verdicts.freeze()
    await rig.sends(event())
    await rig.works()
    await rig.works(LOOK_EVERY)
    rig.verdicts.open()
    await rig.works(MINUTE)
    assert rig.server.answers == [(SHA, "pending"), (SHA, "passed")]


async def test_a_change_that_does_harm_fails(rig: Rig) -> None:
    rig.verdicts.freeze(answer=VerdictAnswer.BACK)
    await rig.sends(event())
    await rig.works()
    assert rig.server.answers == [(SHA, "failed")]
    # Somebody retries it at GitLab.
    rig.verdicts.open()
    rig.clock.time += MINUTE
    await rig.sends(event())
    await rig.works()
    assert rig.server.answers[-1] == (SHA, "passed")


async def test_only_the_newest_commit_is_answered(rig: Rig) -> None:
    rig.verdicts.freeze()
    await rig.sends(event())
    await rig.works()
    rig.server.head = LATER
    await rig.sends(event(LATER, action="update", oldrev=SHA))
    rig.verdicts.open()
    await rig.works(MINUTE)
    assert rig.server.answers == [(SHA, "pending"), (LATER, "passed")]


async def test_a_closed_merge_request_is_answered_no_more(rig: Rig) -> None:
    rig.verdicts.freeze()
    await rig.sends(event())
    await rig.works()
    await rig.sends(event(state="closed", action="close"))
    rig.verdicts.open()
    await rig.works(MINUTE)
    assert rig.server.answers == [(SHA, "pending")]
    # Where the notice of that is lost, GitLab is asked.
    rig.verdicts.freeze()
    await rig.sends(event(action="reopen"))
    await rig.works(MINUTE)
    rig.server.state = "merged"
    await rig.works(LOOK_EVERY)
    rig.verdicts.open()
    await rig.works(MINUTE)
    assert [status for _, status in rig.server.answers] == ["pending", "pending"]


async def test_what_is_sent_again_after_an_answer_waits_once(rig: Rig) -> None:
    await rig.sends(event())
    await rig.works()
    rig.verdicts.freeze()
    for title in ("Fix", "Fix it", "Fix it well"):
        await rig.sends(event(title=title))
        await rig.works(MINUTE)
    assert rig.server.answers == [(SHA, "passed"), (SHA, "pending")]
    assert len(await rig.answering.waits.waiting("gitlab")) == 1
    await rig.sends(event(state="closed", action="close"))
    assert await rig.answering.waits.waiting("gitlab") == []


async def test_what_is_forged_or_malformed_is_refused_and_answers_nothing(rig: Rig) -> None:
    assert await rig.sends(event(), secret="another") == 401
    assert await rig.sends({"project": 5}) == 400
    assert await rig.sends(event(iid="5")) == 400
    assert await rig.sends(event("a\u0000b")) == 400
    assert await rig.sends(event() | {"project": {"id": 8, "path_with_namespace": "acme/other"}}) == 202
    await rig.works()
    assert rig.server.answers == []
