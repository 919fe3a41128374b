"""Deployments reported to the API, and their place on an incident's timeline."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.http.serializers import instant
from tests.support.github import api, deliver, delivery
from tests.support.running_bot import RunningBot, start_bot

BODY = {"service": "checkout", "key": "build-42", "state": "succeeded", "commit": "v1.2.3-rc1"}
INCIDENT = {"title": "Down", "severity": "sev3", "services": ["checkout"], "key": "k"}


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with start_bot(tmp_path) as running_bot:
        yield running_bot


async def deployment_lines(running_bot: RunningBot) -> list[str]:
    _, incident = await api(running_bot, "POST", "incidents", json=INCIDENT)
    _, document = await api(running_bot, "GET", f"incidents/{incident['id']}/postmortem.md")
    return [line for line in document.splitlines() if "· deploy ·" in line]


async def test_a_deployment_is_stored_once_for_its_key_and_state(running_bot: RunningBot) -> None:
    answers = [await api(running_bot, "POST", "deployments", json=BODY) for _ in range(2)]
    assert answers == [
        (201, {"recorded": ["checkout"], "ignored": None}),
        (200, {"recorded": [], "ignored": None}),
    ]
    assert (await api(running_bot, "POST", "deployments", json=BODY | {"state": "failed"}))[0] == 201
    rows = await running_bot.rows()
    assert (rows["deployments"], rows["audit"]) == (2, 2)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"service": "cart"}, "service"),
        ({"commit": " "}, "commit"),
        ({"key": "a\nb"}, "key"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "https://ci.example/a|b>"}, "url"),
        ({"started_at": "2026-11-23T09:00:01Z", "finished_at": "2026-11-23T09:00:00Z"}, "finished_at"),
        ({"finished_at": 1_700_000_000}, "finished_at"),
        ({"finished_at": "9998-01-01T00:00:00Z"}, "finished_at"),
        ({"started_at": "9998-01-01T00:00:00Z"}, "started_at"),
        ({"started_at": "1970-01-01T00:00:00Z"}, "started_at"),
        ({"finished_at": "0001-01-01T00:00:00+14:00"}, "finished_at"),
        ({"color": "red"}, "color"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    running_bot: RunningBot, change: dict[str, object], field: str
) -> None:
    status, problem = await api(running_bot, "POST", "deployments", json=BODY | change)
    assert (status, [fault["field"] for fault in problem["errors"]]) == (422, [field])
    assert (await running_bot.rows())["deployments"] == 0


async def test_a_deployment_is_on_the_timeline_at_its_own_time_however_late_and_often_it_is_reported(
    running_bot: RunningBot,
) -> None:
    ended = running_bot.governor.clock.now() - timedelta(minutes=40)
    late = delivery(created_at=f"{ended:%Y-%m-%dT%H:%M:%SZ}")
    assert await deployment_lines(running_bot) == []
    for _ in range(2):
        await deliver(running_bot, late)
    (line,) = await deployment_lines(running_bot)
    assert line.startswith(f"- {ended:%Y-%m-%d %H:%M}")
    assert "6113728 to production: deployment succeeded — checkout, main of Acme/Checkout" in line
    assert line.endswith("(Codertocat at GitHub) [details](https://ci.example/42)")


async def test_what_ended_long_before_an_incident_or_after_it_is_not_on_its_timeline(
    running_bot: RunningBot,
) -> None:
    now = running_bot.governor.clock.now()
    _, incident = await api(running_bot, "POST", "incidents", json=INCIDENT)
    await api(running_bot, "PATCH", f"incidents/{incident['id']}", json={"status": "resolved"})
    for key, ended in ("before", now - timedelta(hours=2)), ("after", now + timedelta(minutes=10)):
        body = BODY | {"key": key, "finished_at": instant(ended)}
        assert (await api(running_bot, "POST", "deployments", json=body))[0] == 201
    await api(
        running_bot, "POST", "deployments", json=BODY | {"finished_at": instant(now - timedelta(minutes=5))}
    )
    (line,) = await deployment_lines(running_bot)
    assert "v1.2.3-rc1 to production" in line
