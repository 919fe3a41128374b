"""The tools with the official client over both transports: what they answer, and to whom."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

import aiohttp
import pytest
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import TextResourceContents

from bot.deployments.actor import Actor
from bot.http.mcp import endpoint
from bot.http.mcp.tools import TOOLS
from tests.http.agents.callers import SERVICE, Callers
from tests.http.agents.clients import INITIALIZE, call, over_http, over_stdio, refusal

Connect = Callable[[str, str], AbstractAsyncContextManager[ClientSession]]
ACCEPT = {"Accept": "application/json, text/event-stream"}


async def test_every_tool_says_what_it_takes_and_returns(callers: Callers) -> None:
    async with over_http(callers.bot.url, callers.agent) as session:
        listed = (await session.list_tools()).tools
    assert [tool.name for tool in listed] == [
        "may_i_ship", "why_frozen", "budget", "request_exemption", "record_deployment", "open_incident",
        "flags",
    ]  # fmt: skip
    for tool in listed:
        assert tool.description
        assert tool.output_schema is not None
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is not TOOLS[tool.name].changes
        described = tool.input_schema["properties"]
        for name, schema in described.items():
            options = [schema, *schema.get("anyOf", ())]
            assert any("description" in option for option in options), f"{tool.name} {name}"


@pytest.mark.parametrize("connect", [over_http, over_stdio], ids=["http", "stdio"])
async def test_a_refusal_of_the_gate_is_an_answer_and_no_error(callers: Callers, connect: Connect) -> None:
    await callers.freeze()
    async with connect(callers.bot.url, callers.agent) as session:
        verdict = await call(session, "may_i_ship", service=SERVICE, change="PR-12")
        assert (verdict["verdict"], verdict["allow"]) == ("wait", False)
        assert "request_exemption" in verdict["next_step"]
        frozen = await call(session, "why_frozen", service=SERVICE)
        assert (frozen["frozen"], frozen["holds"][0]["kind"]) == (True, "budget")
        left = await call(session, "budget", service=SERVICE)
        assert (left["state"], left["slos"][0]["remaining"] < 0) == ("frozen", True)
        proven = {"kind": "security", "proof": "CVE-2026-1234"}
        again = await call(session, "may_i_ship", service=SERVICE, change="PR-12", **proven)
        assert "an agent cannot prove the kind" in str(again["reasons"])
        asked = await call(session, "request_exemption", service=SERVICE, change="PR-12", reason="leak")
        assert asked["state"] == "pending"
        same = await call(session, "request_exemption", service=SERVICE, change="PR-12", reason="again")
        assert (same["id"], same["commit"]) == (asked["id"], None)
        bound = {"change": "PR-13", "commit": "3f1c2ab9", "reason": "leak"}
        assert (await call(session, "request_exemption", service=SERVICE, **bound))["commit"] == "3f1c2ab9"


@pytest.mark.parametrize("connect", [over_http, over_stdio], ids=["http", "stdio"])
async def test_what_agents_report_is_recorded_once_as_theirs(callers: Callers, connect: Connect) -> None:
    async with connect(callers.bot.url, callers.agent) as session:
        report = {"service": SERVICE, "key": "run-1", "state": "succeeded", "commit": "3f1c2ab"}
        assert (await call(session, "record_deployment", **report))["recorded"] == [SERVICE]
        assert (await call(session, "record_deployment", **report))["recorded"] == []
        outage = {"title": "Orders fail", "severity": "sev3", "services": [SERVICE], "key": "o-1"}
        opened = await call(session, "open_incident", **outage)
        assert (await call(session, "open_incident", **outage))["id"] == opened["id"]
        assert opened["channel"].startswith("inc-")
        assert (await call(session, "flags"))["flags"] == []
    _, listed = await callers.call(callers.pipeline, "GET", "deployments")
    assert [(each["by"], each["actor"]) for each in listed["deployments"]] == [("coder", "agent")]


@pytest.mark.parametrize("connect", [over_http, over_stdio], ids=["http", "stdio"])
async def test_what_a_model_can_put_right_is_a_result_that_it_reads(
    callers: Callers, connect: Connect
) -> None:
    async with connect(callers.bot.url, callers.agent) as session:
        assert "did you mean checkout" in await refusal(session, "budget", service="chekout")
        assert "Field required" in await refusal(session, "may_i_ship", service=SERVICE)
        assert "Extra inputs" in await refusal(
            session, "request_exemption", service=SERVICE, change="x", reason="y", state="granted"
        )
        assert await refusal(session, "budget", service="../audit")
        assert "control characters" in await refusal(
            session, "may_i_ship", service=SERVICE, change="PR\x1b[31m"
        )
        report = {"service": SERVICE, "key": "1", "state": "failed", "commit": "3f1c2ab"}
        wrong = await refusal(session, "record_deployment", **report, started_at="yesterday")
        assert wrong.startswith("one fault; nothing was changed; started_at: ")
        asked = {"service": SERVICE, "change": "PR-1", "reason": "leak", "until": "2020-01-01T00:00:00Z"}
        wrong = await refusal(session, "request_exemption", **asked)
        assert wrong == "`until` is not within the next year; until: a time within the next year"
        outage = {"title": "Orders fail", "severity": "sev3", "services": ["nope"], "key": "1"}
        assert await refusal(session, "open_incident", **outage) == "there is no service nope"
        with pytest.raises(MCPError, match="there is no tool"):
            await session.call_tool("approve", {"id": 1})


@pytest.mark.parametrize("connect", [over_http, over_stdio], ids=["http", "stdio"])
async def test_the_policy_in_words_is_a_resource(callers: Callers, connect: Connect) -> None:
    async with connect(callers.bot.url, callers.agent) as session:
        (resource,) = (await session.list_resources()).resources
        (template,) = (await session.list_resource_templates()).resource_templates
        read = await session.read_resource(str(resource.uri))
        assert (str(resource.uri), template.uri_template) == (
            "governor://policy/checkout", "governor://policy/{service}",
        )  # fmt: skip
        (contents,) = read.contents
        assert isinstance(contents, TextResourceContents)
        assert "orders: 99% of events are good" in contents.text
        for uri in ("governor://policy/", "governor://policy/nope", "file:///etc/passwd"):
            with pytest.raises(MCPError):
                await session.read_resource(uri)


async def test_a_tool_needs_the_right_of_the_call_that_it_makes(callers: Callers) -> None:
    reader = await callers.token("reader", Actor.AGENT, "gate:read")
    async with over_http(callers.bot.url, reader) as session:
        assert (await call(session, "may_i_ship", service=SERVICE, change="PR-1"))["verdict"] == "go"
        missing = await refusal(session, "request_exemption", service=SERVICE, change="PR-1", reason="leak")
        assert missing == "the token reader does not have the right exemptions:write"


async def test_only_tokens_are_answered_and_only_under_known_host_names(callers: Callers) -> None:
    async def ask(token: str, **headers: str) -> tuple[int, object]:
        asked = callers.call(token, "POST", "/mcp", json=INITIALIZE, headers=ACCEPT | headers)
        return await asked

    assert (await ask(callers.agent))[0] == 200
    assert (await ask("guessed"))[0] == 401
    status, problem = await ask(callers.agent, Host="evil.example")
    assert (status, problem["detail"]) == (  # type: ignore[index]
        421, "/mcp does not answer under this host name: add it to MCP_HOSTS",
    )  # fmt: skip
    assert (await ask(callers.agent, Origin="https://evil.example"))[0] == 403
    assert (await ask(callers.agent, **{"Content-Type": "text/plain"}))[0] == 400
    assert (await callers.call(callers.agent, "GET", "/mcp"))[0] == 405


async def test_calls_count_once_against_the_rate_of_the_token(callers: Callers) -> None:
    slow = await callers.token("slow", Actor.AGENT, "gate:read", per_minute=2)
    body = {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "may_i_ship", "arguments": {"service": SERVICE, "change": "PR-1"}},
    }  # fmt: skip
    answers = [await callers.call(slow, "POST", "/mcp", json=body, headers=ACCEPT) for _ in range(3)]
    assert [status for status, _ in answers] == [200, 200, 429]
    assert answers[0][1]["result"]["structuredContent"]["verdict"] == "go"


async def test_without_the_sdk_the_answer_says_what_to_install(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> ModuleSpec | None:
        return None if name == "mcp" else find_spec(name)

    monkeypatch.setattr(endpoint, "find_spec", missing)
    status, problem = await callers.call(callers.agent, "POST", "/mcp", json=INITIALIZE, headers=ACCEPT)
    assert (status, problem["detail"]) == (
        404, "MCP is not installed: install Governor's extra `mcp` where the bot runs",
    )  # fmt: skip


def test_the_bot_itself_does_not_load_the_sdk_before_it_is_asked() -> None:
    program = "import sys, bot.app.http, bot.cli.main; sys.exit('mcp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_where_to_begin_is_read_without_a_token(callers: Callers) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{callers.bot.url}/llms.txt") as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/plain")
    assert text.startswith("# Governor\n\n> ")
    assert all(f"`{name}`" in text for name in ("may_i_ship", "request_exemption", "record_deployment"))
