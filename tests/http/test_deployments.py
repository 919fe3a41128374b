"""Deployments by the API, and where they stand on an incident's timeline."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.http.serializers import instant
from tests.support.github import api, deliver, delivery
from tests.support.running_bot import Whole, whole_bot

BODY = {"service": "checkout", "key": "build-42", "state": "succeeded", "commit": "v1.2.3-rc1"}
INCIDENT = {"title": "Down", "severity": "sev3", "services": ["checkout"], "key": "k"}


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_bot(tmp_path) as whole:
        yield whole


async def lines_of_deployments(whole: Whole) -> list[str]:
    _, incident = await api(whole, "POST", "incidents", json=INCIDENT)
    _, document = await api(whole, "GET", f"incidents/{incident['id']}/postmortem.md")
    return [line for line in document.splitlines() if "· deploy ·" in line]


async def test_a_deployment_is_kept_once_for_its_key_and_state(whole: Whole) -> None:
    answers = [await api(whole, "POST", "deployments", json=BODY) for _ in range(2)]
    assert answers == [
        (201, {"recorded": ["checkout"], "ignored": None}),
        (200, {"recorded": [], "ignored": None}),
    ]
    assert (await api(whole, "POST", "deployments", json=BODY | {"state": "failed"}))[0] == 201
    rows = await whole.rows()
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
        ({"finished_at": "0001-01-01T00:00:00+14:00"}, "finished_at"),
        ({"color": "red"}, "color"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    whole: Whole, change: dict[str, object], field: str
) -> None:
    status, problem = await api(whole, "POST", "deployments", json=BODY | change)
    assert (status, [one["field"] for one in problem["errors"]]) == (422, [field])
    assert (await whole.rows())["deployments"] == 0


async def test_a_deployment_stands_on_the_timeline_at_its_own_time_however_late_and_often_it_is_told(
    whole: Whole,
) -> None:
    ended = whole.governor.clock.now() - timedelta(minutes=40)
    late = delivery(created_at=f"{ended:%Y-%m-%dT%H:%M:%SZ}")
    assert await lines_of_deployments(whole) == []
    for _ in range(2):
        await deliver(whole, late)
    (line,) = await lines_of_deployments(whole)
    assert line.startswith(f"- {ended:%Y-%m-%d %H:%M}")
    assert "6113728 to production: deployment succeeded — checkout, main of Acme/Checkout" in line
    assert line.endswith("(Codertocat at GitHub) [details](https://ci.example/42)")


async def test_what_ended_long_before_an_incident_or_after_it_is_not_on_its_timeline(whole: Whole) -> None:
    now = whole.governor.clock.now()
    _, incident = await api(whole, "POST", "incidents", json=INCIDENT)
    await api(whole, "PATCH", f"incidents/{incident['id']}", json={"status": "resolved"})
    for key, ended in ("before", now - timedelta(hours=2)), ("after", now + timedelta(minutes=10)):
        body = BODY | {"key": key, "finished_at": instant(ended)}
        assert (await api(whole, "POST", "deployments", json=body))[0] == 201
    await api(whole, "POST", "deployments", json=BODY | {"finished_at": instant(now - timedelta(minutes=5))})
    (line,) = await lines_of_deployments(whole)
    assert "v1.2.3-rc1 to production" in line
