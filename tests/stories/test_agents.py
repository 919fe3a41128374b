"""An agent ships through a freeze once, at any of three replicas, because a person said so in Slack."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest
from mcp.client.session import ClientSession
from sqlalchemy import select

from bot.deployments.actor import Actor
from bot.http.rights import read_rights
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.approvals.buttons import APPROVE
from bot.slack.manifest import manifest
from bot.store import api_tokens
from bot.store.database import Database
from bot.store.tables.deployments import deployments
from tests.http.agents.clients import call, over_http, over_stdio, refusal
from tests.stories.conftest import POLICIES
from tests.stories.test_flags import occasions
from tests.support.clock import NOW
from tests.support.running import Bot, eventually, running_governor, write_policies
from tests.support.servers import running_postgresql

Connect = Callable[[str, str], AbstractAsyncContextManager[ClientSession]]
CHANGE = {"service": "checkout", "change": "PR-12"}


class ReplicasAndSlack:
    """Three replicas on one PostgreSQL, and the Slack that all of them talk to."""

    def __init__(self, replicas: list[Bot], slack: FakeSlackServer, database: str) -> None:
        self.replicas = replicas
        self.slack = slack
        self.database = database

    async def agents_token(self) -> str:
        async with Database(self.database) as database, database.transaction() as connection:
            rights = read_rights("all", Actor.AGENT)
            return await api_tokens.create(connection, "coder", rights, 600, NOW, actor=Actor.AGENT.value)


@pytest.fixture
async def replicated(tmp_path: Path) -> AsyncIterator[ReplicasAndSlack]:
    text = POLICIES.replace("permissions: {", "permissions: {exempt: everyone, ")
    policies = write_policies(tmp_path, text)
    async with AsyncExitStack() as stack:
        postgresql = await stack.enter_async_context(running_postgresql())
        slack = await stack.enter_async_context(
            FakeSlackServer(manifest=manifest("https://governor.example"), ack_s=30)
        )
        database = await postgresql.new_database()
        replicas = []
        for number in range(3):
            folder = tmp_path / str(number)
            folder.mkdir()
            running = running_governor(policies=policies, slack=slack, folder=folder, DATABASE_URL=database)
            replicas.append(await stack.enter_async_context(running))
        yield ReplicasAndSlack(replicas, slack, database)


@pytest.mark.parametrize("connect", [over_http, over_stdio], ids=["http", "stdio"])
async def test_an_agent_is_refused_asks_and_ships_once_after_a_person_approved(
    replicated: ReplicasAndSlack, connect: Connect
) -> None:
    first, second, third = replicated.replicas
    token = await replicated.agents_token()
    spent = {"service": "checkout", "slo": "orders", "good": 100, "bad": 100}
    assert (await first.api("POST", "events", json=spent))[0] == 202
    for replica in replicated.replicas:
        await replica.until_state("checkout", "frozen")

    async with connect(second.url, token) as session:
        refused = await call(session, "may_i_ship", **CHANGE)
        assert refused["verdict"] == "wait"
        asked = await call(session, "request_exemption", **CHANGE, reason="fixes the leak")
        assert asked["state"] == "pending"
        assert (await call(session, "may_i_ship", **CHANGE))["verdict"] == "wait"

    await _approve(replicated)

    async with connect(third.url, token) as session:

        async def ask() -> str:
            return str((await call(session, "may_i_ship", **CHANGE))["verdict"])

        await eventually(ask, "go".__eq__)
        again = await call(session, "request_exemption", **CHANGE, reason="again")
        assert (again["id"], again["state"], again["decided_by"]) == (asked["id"], "granted", "U0SAM")
        shipped = {"state": "succeeded", "commit": "3f1c2ab", **CHANGE}
        assert (await call(session, "record_deployment", key="run-1", **shipped))["recorded"] == ["checkout"]

    async with connect(first.url, token) as session:
        refused = await call(session, "may_i_ship", **CHANGE)
        assert (refused["verdict"], refused["exemption"]) == ("wait", None)
        other = await call(session, "may_i_ship", service="checkout", change="PR-13")
        assert other["verdict"] == "wait"
    async with Database(replicated.database) as database, database.reading() as connection:
        actors = (await connection.execute(select(deployments.c.actor))).scalars().all()
    assert list(actors) == ["agent"]


async def _approve(replicated: ReplicasAndSlack) -> None:
    """Press Approve below the request, which says that an agent asks."""
    slack = replicated.slack
    await slack.until(lambda: bool(occasions(slack, "exemption_requested")))
    (asked,) = occasions(slack, "exemption_requested")
    assert "An agent asks, by its API token." in str(asked.blocks)
    ack = await slack.person("sam").acts(asked, "#checkout", APPROVE)
    assert ack.error is None


async def test_an_agent_finds_no_tool_that_decides(replicated: ReplicasAndSlack) -> None:
    token = await replicated.agents_token()
    async with over_http(replicated.replicas[0].url, token) as session:
        names = {tool.name for tool in (await session.list_tools()).tools}
        assert not {name for name in names if "approve" in name or "grant" in name or "lift" in name}
        sneaky = {"state": "granted", "by": "U0SAM", "decided_by": "U0SAM"}
        assert await refusal(session, "request_exemption", **CHANGE, reason="x", **sneaky)
