"""HCP Terraform run tasks: 200 at once, signs of life, one answer within the hour; on both stores."""

import hashlib
import hmac
import itertools
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import select

from bot.catalog.gates import GateSettings, TerraformWorkspace
from bot.freezes.verdict import VerdictAnswer
from bot.gates.terraform.run_tasks import RunTaskAnswers, RunTaskHook
from bot.gates.terraform.tokens import TokenForgetting, TokenHandler
from bot.gates.waits.answering import WaitAnswering
from bot.store.database import Database
from bot.store.tables.core import metadata
from bot.store.tables.gate_waits import gate_waits
from bot.tasks.runner import TaskRunner
from tests.gates.pipeline_gates import SetVerdicts, policies, serving
from tests.support.clock import HOUR, MINUTE, StoppedClock
from tests.support.stores import create_tables

KEY, TOKEN = "an-hmac-key", "the-token-of-one-run-task"


class TerraformServer:
    """Takes results as HCP Terraform documents; `faults` come first."""

    def __init__(self, clock: StoppedClock) -> None:
        self._clock = clock
        self.told: list[tuple[datetime, str, str]] = []
        self.faults: list[web.Response] = []
        self.loses_reply = False

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_patch("/api/v2/task-results/{id}/callback", self._take)
        return app

    @property
    def states(self) -> list[str]:
        return [status for _, status, _ in self.told]

    async def _take(self, request: web.Request) -> web.Response:
        if self.faults:
            return self.faults.pop(0)
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return web.json_response({"errors": [{"status": "401", "title": "unauthorized"}]}, status=401)
        if request.content_type != "application/vnd.api+json":
            return web.json_response({"errors": [{"status": "415"}]}, status=415)
        data = (await request.json())["data"]
        attributes = data["attributes"]
        if data["type"] != "task-results" or attributes["status"] not in {"running", "passed", "failed"}:
            return web.json_response({"errors": [{"status": "422"}]}, status=422)
        self.told.append((self._clock.time, attributes["status"], attributes["message"]))
        return web.Response(status=502 if self.loses_reply else 200)


class Rig:
    """The gate of HCP Terraform as the bot has it, on a clock that stands still."""

    def __init__(self, database: Database, session: aiohttp.ClientSession) -> None:
        self.database, self.session = database, session
        self.clock, self.verdicts = StoppedClock(), SetVerdicts()
        self.server, self.url = TerraformServer(self.clock), ""
        workspace = TerraformWorkspace("acme/checkout-production", ("checkout",), "production")
        self.current = policies(GateSettings(terraform=(workspace,)))
        self.restart()

    def restart(self) -> None:
        """Forget everything but what is stored."""
        self.answering = WaitAnswering(self.database, self.verdicts, self.clock)
        self.answering.register([RunTaskAnswers(self.session)])
        self.tasks = TaskRunner(self.database, self.clock)
        self.tasks.register([TokenHandler()])
        forgetting = TokenForgetting(self.database, self.clock)
        self.hook = RunTaskHook(self.answering.waits, self.current, (KEY,), self.url, forgetting.plan)

    async def works(self, after: timedelta = timedelta()) -> None:
        """Let time pass, half a minute at a time, and do what is due."""
        end = self.clock.time + after
        while True:
            self.clock.time = min(end, self.clock.time + timedelta(seconds=30))
            await self.tasks.tick()
            await self.answering.tick()
            if self.clock.time >= end:
                return

    def body(self, **changes: object) -> dict[str, Any]:
        """Return what the documentation shows."""
        return {
            "payload_version": 1, "stage": "pre_apply", "access_token": TOKEN, "is_speculative": False,
            "task_result_id": "taskrs-2nH5dncYoXaMVQmJ", "task_result_enforcement_level": "mandatory",
            "task_result_callback_url": f"{self.url}/api/v2/task-results/5ea8d46c/callback",
            "run_app_url": "https://app.terraform.io/app/acme/checkout-production/runs/run-1",
            "run_id": "run-i3Df5to9ELvibKpQ", "run_message": "Triggered via UI", "run_created_by": "dana",
            "organization_name": "acme", "workspace_id": "ws-1", "workspace_name": "checkout-production",
            "vcs_repo_url": "https://github.com/acme/infra", "vcs_branch": "main",
            "vcs_pull_request_url": "https://github.com/acme/infra/pull/12",
            "vcs_commit_url": "https://github.com/acme/infra/commit/3f1c2ab",
        } | changes  # fmt: skip

    async def sends(self, body: dict[str, Any], key: str = KEY) -> int:
        """Send a request as HCP Terraform does."""
        text = json.dumps(body).encode()
        signature = hmac.new(key.encode(), text, hashlib.sha512).hexdigest()
        app = web.Application()
        self.hook.add_routes(app)
        async with serving(app) as url:
            headers = {"X-TFC-Task-Signature": signature, "Content-Type": "application/json"}
            async with self.session.post(
                f"{url}/gates/terraform/run-tasks", data=text, headers=headers
            ) as response:
                return response.status

    async def stored(self) -> str:
        """Return everything that the database has, as text."""
        async with self.database.reading() as connection:
            rows = [
                str(row)
                for table in metadata.sorted_tables
                for row in await connection.execute(select(table))
            ]
        return "\n".join(rows)


@pytest.fixture
async def rig(url: str) -> AsyncIterator[Rig]:
    async with Database(url) as database, aiohttp.ClientSession() as session:
        await create_tables(database)
        made = Rig(database, session)
        async with serving(made.server.app()) as made.url:
            made.restart()
            yield made


async def test_an_open_service_passes_at_once_and_the_token_is_forgotten(rig: Rig) -> None:
    assert await rig.sends(rig.body()) == 200
    assert await rig.sends(rig.body()) == 200
    assert rig.server.told == []
    await rig.works()
    assert rig.server.states == ["passed"]
    assert rig.verdicts.let == [("terraform", "PR-12", True)]
    assert rig.verdicts.asked[0].commit == "3f1c2ab"
    assert TOKEN not in await rig.stored()
    await rig.works(HOUR)
    assert rig.server.states == ["passed"]


async def test_a_frozen_one_hears_of_it_and_passes_at_the_lift_through_restarts(rig: Rig) -> None:
    rig.verdicts.freeze()
    await rig.sends(rig.body())
    for _ in range(4):
        await rig.works(6 * MINUTE)
        rig.restart()
    assert set(rig.server.states) == {"running"}
    assert rig.server.told[0][2] == "it is wait"
    rig.verdicts.open()
    await rig.works()
    assert rig.server.states[-1] == "passed"
    times = [at for at, _, _ in rig.server.told]
    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 10 * MINUTE
    assert rig.server.states.count("passed") == 1


async def test_a_longer_freeze_fails_within_the_hour_with_its_reason(rig: Rig) -> None:
    rig.verdicts.freeze()
    began = rig.clock.time
    await rig.sends(rig.body())
    await rig.works(2 * HOUR)
    at, status, message = rig.server.told[-1]
    assert (status, at - began < HOUR) == ("failed", True)
    assert message == "still frozen after 55 minutes: it is wait"
    assert rig.server.states.count("failed") == 1
    rig.verdicts.open()
    await rig.works(HOUR)
    assert rig.server.states[-1] == "failed"


async def test_faults_delay_the_answer_and_the_token_is_forgotten_whatever_happens(rig: Rig) -> None:
    rig.server.faults = [
        web.Response(status=429, headers={"Retry-After": "5"}),
        web.Response(status=503),
        web.Response(status=200, text="<nonsense>"),
    ]
    await rig.sends(rig.body())
    await rig.works(3 * MINUTE)
    assert rig.server.states == ["passed"]
    rig.server.faults = [web.json_response({"errors": []}, status=401) for _ in range(100)]
    await rig.sends(rig.body(task_result_id="taskrs-2"))
    await rig.works(HOUR / 2)
    assert TOKEN in await rig.stored()
    await rig.works(HOUR)
    assert TOKEN not in await rig.stored()
    async with rig.database.reading() as connection:
        states = list(await connection.scalars(select(gate_waits.c.state).order_by(gate_waits.c.id)))
    assert states == ["answered", "gone"]


async def test_a_task_that_is_over_there_is_over_here(rig: Rig) -> None:
    rig.server.faults = [web.json_response({"errors": [{"status": "404"}]}, status=404)]
    await rig.sends(rig.body())
    await rig.works(10 * MINUTE)
    assert rig.server.told == []


async def test_a_change_that_does_harm_and_an_unknown_workspace_fail(rig: Rig) -> None:
    rig.verdicts.freeze(answer=VerdictAnswer.BACK)
    await rig.sends(rig.body())
    await rig.sends(rig.body(task_result_id="taskrs-2", workspace_name="other"))
    await rig.works()
    assert sorted((status, message) for _, status, message in rig.server.told) == [
        ("failed", "it is back"), ("failed", "the policies name no workspace acme/other"),
    ]  # fmt: skip


async def test_the_question_whether_anybody_answers_is_answered(rig: Rig) -> None:
    assert await rig.sends(rig.body(access_token="test-token")) == 200
    await rig.works()
    assert rig.server.told == []


async def test_what_is_forged_or_malformed_is_refused(rig: Rig) -> None:
    assert await rig.sends(rig.body(), key="another") == 401
    assert await rig.sends(rig.body(payload_version=2)) == 400
    assert await rig.sends(rig.body(run_id=5)) == 400
    assert await rig.sends(rig.body(workspace_name="a\u0000b")) == 400
    elsewhere = "http://127.0.0.1:9/api/v2/task-results/1/callback"
    assert await rig.sends(rig.body(task_result_callback_url=elsewhere)) == 400
    assert await rig.sends(rig.body(task_result_callback_url="http://[")) == 400
    await rig.works()
    assert rig.server.told == []
