"""What Alertmanager and programs that speak like it may leave out, leave blank or send too much of."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.incidents.alerts.receiver import MOST_FIRING
from tests.support.incidents import IncidentsSetup, run_incidents

WEBHOOK = "/webhooks/alertmanager"


@pytest.fixture
async def recording(tmp_path: Path, url: str) -> AsyncIterator[IncidentsSetup]:
    async with run_incidents(tmp_path, url=url, works=False) as recording:
        yield recording


def body(setup: IncidentsSetup, *changes: dict[str, Any], **group: object) -> dict[str, Any]:
    """Return a notification with an alert for each of the changes to an ordinary one."""
    ordinary = {
        "status": "firing",
        "labels": {"alertname": "Errors", "service": "checkout", "severity": "critical"},
        "annotations": {"summary": "Errors on checkout"},
        "startsAt": setup.started.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "f1",
    }
    return {"groupKey": "g", "truncatedAlerts": 0, "alerts": [ordinary | each for each in changes]} | group


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"annotations": {"summary": ""}}, "Errors"),
        ({"annotations": {"summary": " \n\t\x00"}}, "Errors"),
        ({"annotations": {"summary": None}}, "Errors"),
        ({"annotations": {}}, "Errors"),
        ({"annotations": None}, "Errors"),
        ({"labels": None}, "Errors on checkout"),
        ({"labels": {"alertname": " "}, "annotations": None}, "alert"),
        ({"labels": None, "annotations": None}, "alert"),
        ({"labels": {"alertname": "E", "service": None, "pod": 3, "ready": False}}, "Errors on checkout"),
        ({"endsAt": None}, "Errors on checkout"),
        ({"endsAt": ""}, "Errors on checkout"),
        ({"fingerprint": None}, "Errors on checkout"),
        ({"fingerprint": ""}, "Errors on checkout"),
        ({"startsAt": "0001-01-01T00:00:00Z"}, "Errors on checkout"),
        ({"startsAt": "9999-12-31T23:59:59Z"}, "Errors on checkout"),
        ({"endsAt": "9999-12-31T23:59:59-23:00"}, "Errors on checkout"),
        ({"annotations": {"summary": "a\x1b[31mb\x07 \ud800"}}, "a[31mb \ufffd"),
    ],
)
async def test_what_is_null_blank_or_out_of_range_opens_an_incident_all_the_same(
    recording: IncidentsSetup, change: dict[str, Any], title: str
) -> None:
    for _ in range(2):
        assert await recording.api("POST", WEBHOOK, json=body(recording, change)) == (200, {"incidents": [1]})
    assert (await recording.incidents.snapshots.of(1)).incident.title == title
    over = body(recording, {"endsAt": recording.clock.now().isoformat()} | change | {"status": "resolved"})
    assert await recording.api("POST", WEBHOOK, json=over) == (200, {"incidents": [1]})


async def test_a_group_without_alerts_or_counts_changes_nothing(recording: IncidentsSetup) -> None:
    nothing: tuple[list[object] | None, ...] = (None, [])
    for alerts in nothing:
        told = body(recording, alerts=alerts, truncatedAlerts=None, commonLabels=None, receiver=None)
        assert await recording.api("POST", WEBHOOK, json=told) == (200, {"incidents": []})


async def test_alerts_without_a_fingerprint_are_told_apart_by_their_labels(recording: IncidentsSetup) -> None:
    changes = [{"fingerprint": None, "labels": {"alertname": name}} for name in ("A", "B", "A")]
    assert (await recording.api("POST", WEBHOOK, json=body(recording, *changes)))[0] == 200
    snapshot = await recording.incidents.snapshots.of(1)
    assert len([entry for entry in snapshot.timeline if entry.kind == "alert"]) == 2


async def test_an_id_that_cannot_be_stored_is_refused_by_name(recording: IncidentsSetup) -> None:
    status, problem = await recording.api("POST", WEBHOOK, json=body(recording, {"fingerprint": "f\x00"}))
    assert status == 422
    assert problem["errors"] == [
        {
            "field": "alerts.0.fingerprint",
            "message": "Value error, must have no control characters and no lone surrogates",
        }
    ]


async def test_a_body_of_ten_thousand_alerts_is_taken(recording: IncidentsSetup) -> None:
    padding = {"annotations": {"summary": "Errors", "description": "x" * 800}}
    changes = [padding | {"fingerprint": f"f{number}"} for number in range(10_000)]
    told = body(recording, *changes, truncatedAlerts=7)
    sent = io.BytesIO(json.dumps(told).encode())
    assert sent.getbuffer().nbytes > 10_000_000
    assert await recording.api("POST", WEBHOOK, data=sent) == (200, {"incidents": [1]})
    snapshot = await recording.incidents.snapshots.of(1)
    assert snapshot.incident.title == "Errors and 10,006 more"
    assert len([entry for entry in snapshot.timeline if entry.mark]) == MOST_FIRING + 1
