"""What an agent may not do with its token: prove a kind, open a gate, or hide that it was the one."""

from typing import Any

import pytest
from sqlalchemy import select

from bot.deployments.actor import Actor
from bot.http.exemptions import MOST_WAITING
from bot.http.rights import AGENT_RIGHTS, ALL, UnknownRightError, read_rights
from bot.store.tables.core import outbox
from bot.store.tables.deployments import deployments
from tests.http.agents.callers import SERVICE, Callers
from tests.support.github import delivery
from tests.support.running_bot import TOKEN, start_bot

SECURITY = {"change": "PR-12", "kind": "security", "proof": "CVE-2026-1234"}
OUTAGE: dict[str, Any] = {"title": "Orders fail", "severity": "sev3", "services": [SERVICE], "key": "agent-1"}
DEPLOYED = {"service": SERVICE, "state": "succeeded", "commit": "3f1c2ab"}


def test_an_agents_token_has_no_right_by_which_it_could_open_a_gate() -> None:
    assert read_rights("all", Actor.AGENT) == AGENT_RIGHTS
    assert {str(right) for right in ALL - AGENT_RIGHTS} == {
        "events:write", "alerts:write", "incidents:read-private",
    }  # fmt: skip
    with pytest.raises(UnknownRightError, match=r"an agent's token cannot have events:write"):
        read_rights("gate:read,events:write", Actor.AGENT)


async def test_an_advisory_that_an_agent_names_proves_nothing(callers: Callers) -> None:
    await callers.freeze()
    refused = await callers.gate(callers.agent, **SECURITY)
    assert (refused["verdict"], refused["allow"]) == ("wait", False)
    assert "an agent cannot prove the kind of a change by itself" in str(refused["reasons"])
    assert (await callers.gate(callers.pipeline, **SECURITY))["verdict"] == "go"


async def test_an_incident_that_an_agent_opened_proves_nothing_until_somebody_acknowledges_it(
    callers: Callers,
) -> None:
    await callers.freeze()
    _, opened = await callers.call(callers.agent, "POST", "incidents", json=OUTAGE)
    named = {"change": "PR-12", "kind": "P0", "proof": f"incident {opened['id']}"}
    assert (await callers.gate(callers.agent, **named))["verdict"] == "wait"
    refused = await callers.gate(callers.pipeline, **named)
    assert refused["verdict"] == "wait"
    assert "an agent opened it" in str(refused["reasons"])
    status, problem = await callers.call(
        callers.agent, "PATCH", f"incidents/{opened['id']}", json={"status": "identified"}
    )
    assert (status, problem["detail"]) == (403, "agents open incidents; people and pipelines change them")
    acknowledged = {"status": "identified"}
    await callers.call(callers.pipeline, "PATCH", f"incidents/{opened['id']}", json=acknowledged)
    assert (await callers.gate(callers.pipeline, **named))["verdict"] == "go"
    assert (await callers.gate(callers.agent, **named))["verdict"] == "wait"


async def test_agents_ask_and_whoever_decides_sees_that_an_agent_did(callers: Callers) -> None:
    await callers.freeze()
    asked = {"service": SERVICE, "change": "PR-12", "reason": "fixes the leak"}
    status, waiting = await callers.call(callers.agent, "POST", "exemptions", json=asked)
    assert (status, waiting["state"], waiting["by"], waiting["by_agent"]) == (202, "pending", "coder", True)
    async with callers.bot.governor.database.reading() as connection:
        query = select(outbox.c.text).where(outbox.c.event_type == "exemption_requested")
        (text,) = (await connection.execute(query)).scalars()
    assert "An agent asks" in text
    for method, path in (("PATCH", f"exemptions/{waiting['id']}"), ("POST", f"exemptions/{waiting['id']}")):
        assert (await callers.call(callers.agent, method, path, json={"state": "granted"}))[0] in {404, 405}
    granted = asked | {"state": "granted"}
    assert (await callers.call(callers.agent, "POST", "exemptions", json=granted))[0] == 422


async def test_an_agent_cannot_call_people_without_end(callers: Callers) -> None:
    asked = {"service": SERVICE, "reason": "fixes the leak"}
    for number in range(MOST_WAITING):
        body = asked | {"change": f"PR-{number}"}
        assert (await callers.call(callers.agent, "POST", "exemptions", json=body))[0] == 202
    more = asked | {"change": "PR-99"}
    status, problem = await callers.call(callers.agent, "POST", "exemptions", json=more)
    assert (status, problem["detail"]) == (429, "20 requests of yours wait for a decision already")
    same = asked | {"change": "PR-0"}
    assert (await callers.call(callers.agent, "POST", "exemptions", json=same))[0] == 202
    assert (await callers.call(callers.pipeline, "POST", "exemptions", json=more))[0] == 202


async def test_what_an_agents_token_reports_an_agent_deployed(callers: Callers) -> None:
    said = DEPLOYED | {"actor": "person", "by": "U0SAM"}
    await callers.call(callers.agent, "POST", "deployments", json=said | {"key": "1"})
    await callers.call(
        callers.agent, "POST", "/webhooks/github", json=delivery(),
        headers={"X-GitHub-Event": "deployment_status"},
    )  # fmt: skip
    await callers.call(callers.pipeline, "POST", "deployments", json=said | {"key": "2"})
    async with callers.bot.governor.database.reading() as connection:
        query = select(deployments.c.deployment, deployments.c.actor)
        actors = {row.deployment: row.actor for row in await connection.execute(query)}
    assert set(actors.values()) == {"agent", "person"}
    assert [name for name, actor in actors.items() if actor == "person"] == ["api 2"]
    assert len(actors) == 3


async def test_tools_that_ship_step_by_step_take_no_agents_token(callers: Callers) -> None:
    address = f"/gates/kargo/{SERVICE}"
    assert (await callers.call(callers.agent, "GET", address, params={"change": "PR-1"}))[0] == 401
    assert (await callers.call(callers.pipeline, "GET", address, params={"change": "PR-1"}))[0] != 401


async def test_an_agents_rate_is_bounded_by_the_setting(tmp_path: Any) -> None:
    async with start_bot(tmp_path, agent_requests_per_minute="2") as bot:
        callers = Callers(bot)
        agent = await callers.token("coder", Actor.AGENT)
        pipeline = await callers.token("ci", Actor.PIPELINE)
        answers = [await callers.call(agent, "GET", "services") for _ in range(3)]
        assert [status for status, _ in answers] == [200, 200, 429]
        assert answers[-1][1]["detail"] == "the token coder may make 2 requests a minute"
        assert {(await callers.call(pipeline, "GET", "services"))[0] for _ in range(5)} == {200}
        assert (await callers.call(TOKEN, "GET", "services"))[0] == 200
