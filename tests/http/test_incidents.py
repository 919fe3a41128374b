"""Incidents over HTTP: the contract's calls, and Alertmanager's notifications."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.incidents.incident import Status
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from tests.support.incidents import IncidentsSetup, run_incidents

OPENING = {"title": "Checkout 500s", "severity": "sev2", "services": ["checkout"], "key": "pager-1"}
INCIDENTS = "/api/v1/incidents"
WEBHOOK = "/webhooks/alertmanager"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[IncidentsSetup]:
    async with run_incidents(tmp_path) as scene:
        yield scene


def at(scene: IncidentsSetup, minutes: float) -> str:
    """A time so many minutes ago."""
    return (scene.clock.now() - timedelta(minutes=minutes)).isoformat()


async def test_opening_answers_the_incident_with_its_channel(scene: IncidentsSetup) -> None:
    status, opened = await scene.api("POST", INCIDENTS, json=OPENING)
    assert status == 201
    (channel_id,) = scene.channels()
    assert opened["channel"] == {
        "id": channel_id, "name": f"inc-{scene.clock.now():%Y-%m-%d}-checkout-500s",
    }  # fmt: skip
    assert (opened["status"], opened["severity"], opened["impact"]) == ("investigating", "sev2", 1.0)
    assert (opened["ended_at"], opened["postmortem_channel"]) == (None, None)


async def test_the_same_key_answers_the_same_incident(scene: IncidentsSetup) -> None:
    _, first = await scene.api("POST", INCIDENTS, json=OPENING)
    status, again = await scene.api("POST", INCIDENTS, json=OPENING | {"title": "Other", "severity": "sev1"})
    assert status == 200
    assert (again["id"], again["title"], again["channel"]) == (first["id"], "Checkout 500s", first["channel"])
    assert len(scene.channels()) == 1


async def test_a_slack_that_is_slow_to_make_the_channel_does_not_keep_the_caller(
    scene: IncidentsSetup,
) -> None:
    for _ in range(3):
        scene.slack.faults.once(InjectedFault.SERVER_ERROR, "conversations.create")
    status, opened = await scene.api("POST", INCIDENTS, json=OPENING)
    assert (status, opened["channel"] is not None) == (201, True)


async def test_the_report_says_where_the_budget_went(scene: IncidentsSetup) -> None:
    # Both times before the opening, which takes its own.
    started, ended = at(scene, 20), {"status": "resolved", "ended_at": at(scene, 5)}
    _, opened = await scene.api("POST", INCIDENTS, json=OPENING | {"started_at": started})
    await scene.api("PATCH", f"{INCIDENTS}/{opened['id']}", json=ended)
    status, report = await scene.api("GET", f"{INCIDENTS}/report", params={"service": "checkout"})
    assert status == 200
    assert (report["incidents"], report["not_resolved"], report["not_classified"]) == (1, 0, [opened["id"]])
    assert report["severities"] == {"sev1": 0, "sev2": 1, "sev3": 0, "sev4": 0}
    assert report["spent"] == pytest.approx(15 / 10.08, rel=1e-3)
    restore: Any = report["time_to_restore"]
    assert (restore["median"], restore["incidents"]) == (pytest.approx(900, rel=1e-2), 1)
    status, _ = await scene.api("GET", f"{INCIDENTS}/report", params={"service": "nobody"})
    assert status == 404
    status, _ = await scene.api("GET", f"{INCIDENTS}/report", params={"since": "yesterday"})
    assert status == 400
    tomorrow = {"since": at(scene, -60 * 24)}
    _, nothing = await scene.api("GET", f"{INCIDENTS}/report", params=tomorrow)
    assert (nothing["incidents"], nothing["time_to_detect"]) == (0, None)


async def test_a_fifteen_minute_outage_overspends_a_week_by_4_92_minutes(scene: IncidentsSetup) -> None:
    started = at(scene, 20)
    ended = (datetime.fromisoformat(started) + timedelta(minutes=15)).isoformat()
    _, opened = await scene.api("POST", INCIDENTS, json=OPENING | {"started_at": started})
    path = f"{INCIDENTS}/{opened['id']}"
    status, resolved = await scene.api("PATCH", path, json={"status": "resolved", "ended_at": ended})
    assert (status, resolved["status"]) == (200, "resolved")
    cost = resolved["cost"]
    assert isinstance(cost, dict)
    assert cost["checkout/uptime"] == pytest.approx(15 / 10.08)
    budgets = (await scene.budgets())["checkout/uptime"]
    assert budgets.remaining_minutes == pytest.approx(-4.92)
    _, corrected = await scene.api("PATCH", path, json={"impact": 0.3})
    cost = corrected["cost"]
    assert isinstance(cost, dict)
    assert cost["checkout/uptime"] == pytest.approx(4.5 / 10.08)
    assert corrected["status"] == "resolved"


async def test_incidents_are_listed_newest_first_and_shown_alone(scene: IncidentsSetup) -> None:
    for key in ("a", "b"):
        await scene.api("POST", INCIDENTS, json=OPENING | {"key": key})
    await scene.api("PATCH", f"{INCIDENTS}/1", json={"status": "resolved"})
    _, listed = await scene.api("GET", INCIDENTS)
    assert [incident["key"] for incident in _incidents(listed)] == ["b", "a"]
    _, unresolved = await scene.api("GET", f"{INCIDENTS}?open=1&service=checkout")
    assert [incident["key"] for incident in _incidents(unresolved)] == ["b"]
    assert (await scene.api("GET", f"{INCIDENTS}/1"))[1]["key"] == "a"


async def test_the_postmortem_is_markdown(scene: IncidentsSetup) -> None:
    await scene.api("POST", INCIDENTS, json=OPENING)
    async with scene.http.get(f"{scene.url}{INCIDENTS}/1/postmortem.md") as answer:
        assert answer.content_type == "text/markdown"
        assert (await answer.text()).startswith("# Checkout 500s\n")


async def test_the_postmortem_names_people_as_slack_shows_them(scene: IncidentsSetup) -> None:
    opened = await scene.opened(by="U0DANA")
    async with scene.http.get(f"{scene.url}{INCIDENTS}/{opened.incident.id}/postmortem.md") as answer:
        text = await answer.text()
    assert "U0DANA" not in text
    assert "(dana)" in text.casefold()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"severity": "sev9"}, "severity"),
        ({"services": ["chekout"]}, "services.0"),
        ({"impact": 1.5}, "impact"),
        ({"impact": "all"}, "impact"),
        ({"started_at": "2126-01-01T00:00:00Z"}, "started_at"),
        ({"started_at": "9998-12-31T23:59:59Z"}, "started_at"),
        ({"private": "yes"}, "private"),
        ({"private": 1}, "private"),
        ({"started_at": "0001-01-01T00:00:00+14:00"}, "started_at"),
        ({"started_at": "2021-01-01T00:00:00Z"}, "started_at"),
        ({"started_at": "2026-01-01T00:00:00"}, "started_at"),
        ({"started_at": 1700000000}, "started_at"),
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"key": ""}, "key"),
        ({"surplus": 1}, "surplus"),
    ],
)
async def test_a_faulty_opening_is_refused_naming_the_field(
    scene: IncidentsSetup, change: dict[str, object], field: str
) -> None:
    status, problem = await scene.api("POST", INCIDENTS, json=OPENING | change)
    assert status == 422
    assert [error["field"] for error in _errors(problem)] == [field]
    assert (await scene.api("GET", INCIDENTS))[1] == {"incidents": []}


async def test_what_is_not_there_is_404_and_what_cannot_be_422(scene: IncidentsSetup) -> None:
    for method, path in (("GET", "/7"), ("GET", "/7/postmortem.md"), ("PATCH", "/7")):
        status, problem = await scene.api(method, INCIDENTS + path, json={"status": "resolved"})
        assert (status, problem["detail"]) == (404, "there is no incident 7")
    await scene.api("POST", INCIDENTS, json=OPENING)
    status, problem = await scene.api("PATCH", f"{INCIDENTS}/1", json={"ended_at": at(scene, 60)})
    assert (status, _errors(problem)[0]["field"]) == (422, "ended_at")


@pytest.mark.parametrize("path", [INCIDENTS, WEBHOOK])
async def test_nobody_enters_without_a_token(scene: IncidentsSetup, path: str) -> None:
    headers = {"Authorization": "Bearer nonsense"}
    status, problem = await scene.api("POST", path, json=OPENING, headers=headers)
    assert (status, problem["status"]) == (401, 401)


def alert(
    scene: IncidentsSetup, name: str = "HighErrors", *, resolved: bool = False, **labels: str
) -> dict[str, Any]:
    """An alert as Alertmanager writes it: firing for ten minutes, or resolved two minutes ago."""
    return {
        "status": "resolved" if resolved else "firing",
        "labels": {"alertname": name, "service": "checkout", "severity": "critical"} | labels,
        "annotations": {"summary": f"{name} on checkout"},
        "startsAt": scene.started.isoformat(),
        "endsAt": (scene.started + timedelta(minutes=8)).isoformat() if resolved else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": f"f{name}",
    }


def notification(*alerts: dict[str, Any]) -> dict[str, Any]:
    """A notification as Alertmanager writes it."""
    return {
        "version": "4",
        "groupKey": '{}:{service="checkout"}',
        "truncatedAlerts": 0,
        "status": "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved",
        "receiver": "governor",
        "groupLabels": {"service": "checkout"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
    }


async def test_a_group_of_alerts_becomes_one_incident(scene: IncidentsSetup) -> None:
    body = notification(alert(scene), alert(scene, "SlowCheckout", severity="warning"))
    for _ in range(3):
        assert await scene.api("POST", WEBHOOK, json=body) == (200, {"incidents": [1]})
    view = await scene.complete(1)
    assert (view.incident.severity, view.incident.services) == ("sev2", ("checkout",))
    assert view.incident.started_at == scene.started
    assert [entry.text for entry in view.timeline if entry.kind == "alert"] == [
        "HighErrors fires: HighErrors on checkout",
        "SlowCheckout fires: SlowCheckout on checkout",
    ]
    assert view.incident.acknowledged_at is None


async def test_an_alert_that_fires_since_years_opens_an_incident_as_old_as_can_be(
    scene: IncidentsSetup,
) -> None:
    ancient = alert(scene) | {"startsAt": "2019-01-01T00:00:00Z"}
    assert (await scene.api("POST", WEBHOOK, json=notification(ancient)))[0] == 200
    started = (await scene.complete(1)).incident.started_at
    assert timedelta(days=365) < scene.clock.now() - started < timedelta(days=367)
    resolved = ancient | {"status": "resolved", "endsAt": at(scene, 1)}
    assert (await scene.api("POST", WEBHOOK, json=notification(resolved)))[0] == 200
    assert (await scene.complete(1)).incident.status is Status.MITIGATED


async def test_the_impact_ends_when_the_last_alert_does(scene: IncidentsSetup) -> None:
    await scene.api("POST", WEBHOOK, json=notification(alert(scene), alert(scene, "Slow")))
    await scene.api("POST", WEBHOOK, json=notification(alert(scene, resolved=True), alert(scene, "Slow")))
    assert (await scene.complete(1)).incident.status is Status.INVESTIGATING
    resolved = notification(alert(scene, resolved=True), alert(scene, "Slow", resolved=True))
    for _ in range(2):
        await scene.api("POST", WEBHOOK, json=resolved)
    incident = (await scene.complete(1)).incident
    assert incident.status is Status.MITIGATED
    assert incident.ended_at == scene.started + timedelta(minutes=8)


async def test_a_new_firing_joins_the_open_incident_and_opens_another_after_it(scene: IncidentsSetup) -> None:
    await scene.api("POST", WEBHOOK, json=notification(alert(scene)))
    await scene.api("POST", WEBHOOK, json=notification(alert(scene, resolved=True)))
    again = alert(scene) | {"startsAt": at(scene, 1)}
    assert (await scene.api("POST", WEBHOOK, json=notification(again)))[1] == {"incidents": [1]}
    incident = (await scene.complete(1)).incident
    assert (incident.status, len(incident.impacts)) == (Status.INVESTIGATING, 2)
    await scene.api("PATCH", f"{INCIDENTS}/1", json={"status": "resolved"})
    # A notification that is repeated after people resolved it opens nothing.
    assert (await scene.api("POST", WEBHOOK, json=notification(again)))[1] == {"incidents": [1]}
    third = alert(scene) | {"startsAt": at(scene, 0.5)}
    assert (await scene.api("POST", WEBHOOK, json=notification(third)))[1] == {"incidents": [2]}


async def test_an_end_of_something_unknown_opens_nothing(scene: IncidentsSetup) -> None:
    body = notification(alert(scene, resolved=True))
    assert await scene.api("POST", WEBHOOK, json=body) == (200, {"incidents": []})
    status, problem = await scene.api("POST", WEBHOOK, json={"alerts": []})
    assert (status, _errors(problem)[0]["field"]) == (422, "groupKey")


def _incidents(listed: dict[str, object]) -> list[dict[str, Any]]:
    incidents = listed["incidents"]
    assert isinstance(incidents, list)
    return incidents


def _errors(problem: dict[str, object]) -> list[dict[str, Any]]:
    errors = problem["errors"]
    assert isinstance(errors, list)
    return errors


@pytest.mark.parametrize("path", ["/\u0661", "/\uff11", "/1\u00b2", "/\u0661/postmortem.md"])
async def test_only_ascii_digits_are_an_incidents_number(scene: IncidentsSetup, path: str) -> None:
    await scene.api("POST", INCIDENTS, json=OPENING)
    status, _ = await scene.api("GET", f"{INCIDENTS}{path}")
    assert status == 404


async def test_the_query_open_is_a_flag(scene: IncidentsSetup) -> None:
    await scene.api("POST", INCIDENTS, json=OPENING)
    for value in ("1", "true", "yes"):
        status, listed = await scene.api("GET", f"{INCIDENTS}?open={value}")
        assert status == 200
        assert listed["incidents"] != []
    status, _ = await scene.api("GET", f"{INCIDENTS}?open=perhaps")
    assert status == 400


async def test_title_and_services_are_changed(scene: IncidentsSetup) -> None:
    await scene.api("POST", INCIDENTS, json=OPENING)
    change = {"title": "Nobody can pay", "services": ["search", "checkout"]}
    status, changed = await scene.api("PATCH", f"{INCIDENTS}/1", json=change)
    assert (status, changed["title"], changed["services"]) == (200, change["title"], change["services"])
    for body, field in (
        ({"services": ["nothing"]}, "services.0"),
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
    ):
        status, problem = await scene.api("PATCH", f"{INCIDENTS}/1", json=body)
        assert (status, problem["errors"][0]["field"]) == (422, field)  # type: ignore[index]
    assert (await scene.api("GET", f"{INCIDENTS}/1"))[1]["title"] == "Nobody can pay"


async def test_an_incident_is_cancelled_and_reopened(scene: IncidentsSetup) -> None:
    await scene.api("POST", INCIDENTS, json=OPENING)
    status, cancelled = await scene.api("PATCH", f"{INCIDENTS}/1", json={"status": "cancelled"})
    assert (status, cancelled["status"], cancelled["cost"]) == (200, "cancelled", {})
    assert (await scene.api("GET", f"{INCIDENTS}?open=1"))[1] == {"incidents": []}
    _, again = await scene.api("POST", INCIDENTS, json=OPENING)
    assert (again["id"], again["status"]) == (1, "cancelled")
    _, reopened = await scene.api("PATCH", f"{INCIDENTS}/1", json={"status": "investigating"})
    assert (reopened["status"], reopened["ended_at"]) == ("investigating", None)


async def test_a_duplicate_is_merged(scene: IncidentsSetup) -> None:
    for key in ("one", "two"):
        await scene.api("POST", INCIDENTS, json=OPENING | {"key": key})
    status, problem = await scene.api("PATCH", f"{INCIDENTS}/2", json={"status": "merged"})
    assert (status, problem["errors"][0]["field"]) == (422, "merged_into")  # type: ignore[index]
    for change in ({"merged_into": 9}, {"merged_into": 2}, {"merged_into": 1, "title": "Other"}):
        status, problem = await scene.api("PATCH", f"{INCIDENTS}/2", json=change)
        assert (status, problem["errors"][0]["field"]) == (422, "merged_into")  # type: ignore[index]
    for _ in range(2):
        body = {"status": "merged", "merged_into": 1}
        status, merged = await scene.api("PATCH", f"{INCIDENTS}/2", json=body)
        assert (status, merged["status"], merged["merged_into"]) == (200, "merged", 1)
