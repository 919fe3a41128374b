"""The list of deployments: the fields of its contract, pages, rights and private incidents."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from bot.http.rights import read_rights
from bot.http.serializers import instant
from bot.store import api_tokens
from bot.store.tables.deployments import deployment_incidents
from tests.http.deployments.test_reports import BODY
from tests.support.github import SHA, api, deliver, delivery
from tests.support.running_bot import RunningBot, start_bot

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with start_bot(tmp_path) as running_bot:
        yield running_bot


async def tell(running_bot: RunningBot, **fields: Any) -> None:
    assert (await api(running_bot, "POST", "deployments", json=BODY | fields))[0] == 201


async def listed(
    running_bot: RunningBot, token: str | None = None, **query: str | None
) -> list[dict[str, Any]]:
    options = {} if token is None else {"token": token}
    status, body = await api(running_bot, "GET", "deployments", params=query, **options)
    assert (status, sorted(body)) == (200, ["deployments", "next"])
    found: list[dict[str, Any]] = body["deployments"]
    return found


async def token_for(running_bot: RunningBot, rights: str) -> str:
    async with running_bot.governor.database.transaction() as connection:
        now = running_bot.governor.clock.now()
        return await api_tokens.create(connection, f"token-{len(rights)}", read_rights(rights), 600, now)


async def test_a_deployment_is_listed_as_the_contract_has_it(running_bot: RunningBot) -> None:
    ended = running_bot.governor.clock.now() - 5 * MINUTE
    await tell(
        running_bot,
        by="U0DANA",
        actor="person",
        started_at=instant(ended - MINUTE),
        finished_at=instant(ended),
        changes=[{"commit": "a1", "title": "Cache prices", "authored_at": instant(ended)}, {"commit": "b2"}],
    )
    assert await listed(running_bot, service="checkout") == [
        {
            "id": "api build-42",
            "service": "checkout",
            "environment": "production",
            "commit": "v1.2.3-rc1",
            "state": "succeeded",
            "started_at": instant(ended - MINUTE),
            "ended_at": instant(ended),
            "by": "U0DANA",
            "actor": "person",
            "changes": 2,
            "changes_state": "known",
            "changes_note": "as whoever reported it said",
            "incidents": [],
        }
    ]
    assert await listed(running_bot, service="search") == []
    assert await listed(running_bot, since=instant(ended + MINUTE)) == []
    assert await listed(running_bot, until=instant(ended - MINUTE)) == []
    assert len(await listed(running_bot, since=instant(ended), until=instant(ended))) == 1


async def test_the_list_says_why_nobody_knows_what_a_deployment_carried(running_bot: RunningBot) -> None:
    ended = running_bot.governor.clock.now() - 9 * MINUTE
    await tell(running_bot, key="first", commit="v1", finished_at=instant(ended))
    await tell(running_bot, key="second", commit="v2")
    found = await listed(running_bot)
    assert [(each["changes"], each["changes_state"], each["changes_note"]) for each in found] == [
        (None, "unavailable", "GITHUB_TOKEN is not set"),
        (None, "unavailable", "it is the first one to this environment that is known"),
    ]


async def test_jobs_of_one_run_are_listed_as_one(running_bot: RunningBot) -> None:
    ended = running_bot.governor.clock.now() - 9 * MINUTE
    for index, (key, state) in enumerate((("web", "succeeded"), ("worker", "failed"), ("web", "failed"))):
        finished = instant(ended + index * MINUTE)
        await tell(running_bot, key=key, state=state, run="7", finished_at=finished)
    (found,) = await listed(running_bot)
    assert (found["id"], found["state"]) == ("api web", "failed")
    assert found["ended_at"] == instant(ended + 2 * MINUTE)


def crafted(at: int, service: str) -> str:
    """Return a cursor as only somebody who makes one up has it."""
    return base64.urlsafe_b64encode(json.dumps([at, service, "production", "api"]).encode()).decode()


async def test_pages_follow_each_other(running_bot: RunningBot) -> None:
    for number in range(103):
        await tell(running_bot, key=str(number), finished_at=instant(running_bot.governor.clock.now()))
    _, first = await api(running_bot, "GET", "deployments")
    _, second = await api(running_bot, "GET", "deployments", params={"cursor": first["next"]})
    assert (len(first["deployments"]), len(second["deployments"]), second["next"]) == (100, 3, None)
    assert len({each["id"] for each in first["deployments"] + second["deployments"]}) == 103
    made_up = [crafted(1, "check\x00out"), crafted(1, "\ud800"), crafted(10**30, "checkout")]
    cursors = [{"cursor": text} for text in ("x", "WzFd", *made_up)]
    for query in (*cursors, {"since": "yesterday"}, {"until": "soon"}):
        assert (await api(running_bot, "GET", "deployments", params=query))[0] == 400


async def test_incidents_are_shown_to_those_who_may_see_them(running_bot: RunningBot) -> None:
    await tell(running_bot)
    numbers = []
    for key, private in (("a", False), ("b", True), ("c", False)):
        incident: dict[str, Any] = {"title": "Down", "severity": "sev3", "services": ["checkout"]}
        incident |= {"key": key, "private": private}
        numbers.append((await api(running_bot, "POST", "incidents", json=incident))[1]["id"])
    now = running_bot.governor.clock.now()
    link = {"service": "checkout", "deployment": "api build-42", "by_means": "person", "by": "U0SAM"}
    async with running_bot.governor.database.transaction() as connection:
        for number, removed in zip(numbers, (None, None, now), strict=True):
            row = link | {"incident_id": number, "at": now, "removed_at": removed}
            await connection.execute(insert(deployment_incidents).values(row))
    seen = {
        "deployments:read,incidents:read,incidents:read-private": numbers[:2],
        "deployments:read,incidents:read": numbers[:1],
        "deployments:read": [],
    }
    for rights, expected in seen.items():
        (found,) = await listed(running_bot, await token_for(running_bot, rights))
        assert found["incidents"] == expected
    other = await token_for(running_bot, "deployments:write")
    assert (await api(running_bot, "GET", "deployments", other))[0] == 403


@pytest.mark.parametrize(
    ("status", "of", "run", "actor"),
    [
        ({}, {}, None, "person"),
        ({"creator": {"login": "github-actions[bot]", "type": "Bot"}}, {}, None, "pipeline"),
        ({}, {"performed_via_github_app": {"id": 15368}}, None, "pipeline"),
        ({}, {}, 42, "pipeline"),
        ({"creator": {"login": "Claude[bot]", "type": "Bot"}}, {}, 42, "agent"),
        ({"creator": {"login": "devin-ai-integration", "type": "User"}}, {}, None, "agent"),
        ({"creator": None}, {}, None, "pipeline"),
    ],
)
async def test_github_says_who_or_what_deployed(
    running_bot: RunningBot, status: dict[str, Any], of: dict[str, Any], run: int | None, actor: str
) -> None:
    body = delivery(of=of, **status) | ({} if run is None else {"workflow_run": {"id": run}})
    assert (await deliver(running_bot, body))[1]["recorded"] == ["checkout"]
    (found,) = await listed(running_bot)
    assert (found["actor"], found["commit"]) == (actor, SHA)


async def test_jobs_of_one_workflow_run_at_github_are_one_deployment(running_bot: RunningBot) -> None:
    for number, run in ((1, 42), (2, 42), (3, 43)):
        body = delivery(of={"id": number}) | {"workflow_run": {"id": run}}
        assert (await deliver(running_bot, body))[1]["recorded"] == ["checkout"]
    assert [each["id"] for each in await listed(running_bot)] == ["github 1", "github 3"]
