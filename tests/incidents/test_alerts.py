"""Notifications of alerts become incidents; the outcome does not depend on how they are divided."""

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.incidents.alert import Alert, Notification
from bot.incidents.alerts.receiver import MOST_FIRING
from bot.incidents.downtime import Impact
from bot.incidents.incident import Incident, IncidentChange, Severity, Status
from bot.incidents.snapshot import IncidentSnapshot
from tests.support.clock import MINUTE
from tests.support.incidents import IncidentsSetup, run_incidents

HISTORIES = 25


@pytest.fixture
async def recording(tmp_path: Path, url: str) -> AsyncIterator[IncidentsSetup]:
    """The incident workflow, whose steps are recorded and not taken."""
    async with run_incidents(tmp_path, url=url, works=False) as recording:
        yield recording


def alert(
    name: str,
    started_at: datetime,
    *,
    ended_at: datetime | None = None,
    service: str = "checkout",
    severity: str = "critical",
    fingerprint: str | None = None,
) -> Alert:
    """Describe an alert that fires, or is over."""
    labels = {"alertname": name, "service": service, "severity": severity}
    summary = {"summary": f"{name} on {service}"}
    return Alert(fingerprint or f"{name}-{service}-{severity}", started_at, ended_at, labels, summary)


async def tell(
    setup: IncidentsSetup, *alerts: Alert, group: str = "g", truncated: int = 0, at: datetime | None = None
) -> Sequence[int]:
    """Let the bot receive a notification."""
    notification = Notification(group, alerts, truncated)
    return await setup.incidents.alerts.take(notification, at or setup.clock.now())


async def view(setup: IncidentsSetup, id_: int = 1) -> IncidentSnapshot:
    return await setup.incidents.snapshots.of(id_)


async def downtime_minutes_left(setup: IncidentsSetup) -> float:
    left = (await setup.budgets())["checkout/uptime"].remaining_minutes
    assert left is not None
    return left


def alert_texts(snapshot: IncidentSnapshot) -> list[str]:
    return [entry.text for entry in snapshot.timeline if entry.kind == "alert"]


async def test_an_alert_that_fires_again_with_the_same_start_is_a_second_outage(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, start = incidents_setup, incidents_setup.started
    first = alert("Errors", start)
    over = alert("Errors", start, ended_at=start + 2 * MINUTE)
    for told in (first, over):
        await tell(setup, told)
    assert (await setup.complete(1)).incident.status is Status.MITIGATED
    assert not await setup.hold_registry.holds(setup.clock.now())
    before = await downtime_minutes_left(setup)
    back_at = setup.clock.now()
    for _ in range(2):
        assert await tell(setup, first, at=back_at) == [1]
    snapshot = await setup.complete(1)
    assert snapshot.incident.status is Status.INVESTIGATING
    assert len(await setup.hold_registry.holds(setup.clock.now())) == 1
    assert alert_texts(snapshot).count("Errors fires again: Errors on checkout") == 1
    assert [(each.start, each.end) for each in snapshot.incident.impacts] == [
        (start, start + 2 * MINUTE),
        (back_at, None),
    ]
    setup.clock.ahead = 5 * MINUTE
    assert await downtime_minutes_left(setup) == pytest.approx(before - 5, abs=0.1)
    await tell(setup, alert("Errors", start, ended_at=back_at + 4 * MINUTE))
    snapshot = await setup.complete(1)
    assert (snapshot.incident.status, snapshot.incident.ended_at) == (Status.MITIGATED, back_at + 4 * MINUTE)


async def test_an_alert_that_fires_again_after_people_resolved_it_opens_another_incident(
    recording: IncidentsSetup,
) -> None:
    start = recording.started
    await tell(recording, alert("Errors", start))
    await tell(recording, alert("Errors", start, ended_at=start + MINUTE))
    change = IncidentChange(status=Status.RESOLVED)
    await recording.incidents.lifecycle.change(1, change, by="U0SAM", now=recording.clock.now())
    for _ in range(2):
        assert await tell(recording, alert("Errors", start)) == [2]
    snapshot = await view(recording, 2)
    assert (snapshot.incident.status, snapshot.incident.services) == (Status.INVESTIGATING, ("checkout",))
    assert snapshot.incident.started_at > start + MINUTE
    assert (await view(recording)).incident.status is Status.RESOLVED
    assert await tell(recording, alert("Errors", start, ended_at=recording.clock.now())) == [2]
    assert (await view(recording, 2)).incident.status is Status.MITIGATED


async def test_an_alert_that_is_only_told_again_leaves_what_people_mitigated(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, start = incidents_setup, incidents_setup.started
    firing = [alert("Errors", start), alert("Latency", start + MINUTE)]
    await tell(setup, *firing)
    change = IncidentChange(status=Status.MITIGATED)
    mitigated = await setup.incidents.lifecycle.change(1, change, by="U0SAM", now=setup.clock.now())
    for told in (firing, firing[:1], firing[1:]):
        assert await tell(setup, *told) == [1]
    over = alert("Latency", start + MINUTE, ended_at=setup.clock.now())
    await tell(setup, firing[0], over)
    snapshot = await setup.complete(1)
    assert (snapshot.incident.status, snapshot.incident.impacts) == (Status.MITIGATED, mitigated.impacts)
    assert not await setup.hold_registry.holds(setup.clock.now())
    await tell(setup, firing[0], firing[1])
    assert (await setup.complete(1)).incident.status is Status.INVESTIGATING


async def test_a_new_alert_brings_back_what_people_mitigated(recording: IncidentsSetup) -> None:
    await tell(recording, alert("Errors", recording.started))
    change = IncidentChange(status=Status.MITIGATED)
    await recording.incidents.lifecycle.change(1, change, by="U0SAM", now=recording.clock.now())
    await tell(recording, alert("Errors", recording.started), alert("Latency", recording.clock.now()))
    assert (await view(recording)).incident.status is Status.INVESTIGATING


async def test_an_end_that_was_never_told_is_concluded_from_the_next_firing(
    recording: IncidentsSetup,
) -> None:
    start = recording.started
    await tell(recording, alert("Errors", start))
    await tell(recording, alert("Errors", start + 3 * MINUTE))
    # A second Alertmanager that is late tells of the first firing.
    await tell(recording, alert("Errors", start))
    await tell(recording, alert("Errors", start + 3 * MINUTE, ended_at=start + 4 * MINUTE))
    incident = (await view(recording)).incident
    assert (incident.status, incident.ended_at) == (Status.MITIGATED, start + 4 * MINUTE)


async def test_an_end_with_a_start_that_was_never_told_ends_the_firing_before_it(
    recording: IncidentsSetup,
) -> None:
    start = recording.started
    await tell(recording, alert("Errors", start))
    assert await tell(recording, alert("Errors", start + MINUTE, ended_at=start + 2 * MINUTE)) == [1]
    incident = (await view(recording)).incident
    assert (incident.status, incident.ended_at) == (Status.MITIGATED, start + 2 * MINUTE)


async def test_a_critical_alert_of_another_service_joins_with_all_that_belongs_to_it(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, start = incidents_setup, incidents_setup.started
    await tell(setup, alert("Disk", start, service="search", severity="warning"))
    snapshot = await setup.complete(1)
    assert (snapshot.incident.severity, snapshot.incident.services) == (Severity.SEV3, ("search",))
    assert not await setup.hold_registry.holds(setup.clock.now())
    critical = alert("Errors", start + MINUTE)
    for _ in range(2):
        await tell(setup, critical, alert("Disk", start, service="search", severity="warning"))
    snapshot = await setup.complete(1)
    assert (snapshot.incident.severity, snapshot.incident.services) == (Severity.SEV2, ("checkout", "search"))
    holds = await setup.hold_registry.holds(setup.clock.now())
    assert sorted(hold.service for hold in holds) == ["checkout", "search"]
    (channel,) = setup.channels()
    assert {"U0DANA", "U0SAM"} <= set(setup.slack.workspace.channels[channel].members)
    assert snapshot.incident.title == "Disk on search and 1 more"
    assert "checkout is affected too" in [entry.text for entry in snapshot.timeline]


async def test_a_severity_that_people_lowered_is_raised_only_by_an_alert_that_is_new(
    recording: IncidentsSetup,
) -> None:
    start = recording.started
    await tell(recording, alert("Errors", start))
    change = IncidentChange(severity=Severity.SEV4)
    await recording.incidents.lifecycle.change(1, change, by="U0SAM", now=recording.clock.now())
    await tell(recording, alert("Errors", start))
    await tell(recording, alert("Errors", start, ended_at=start + MINUTE))
    await tell(recording, alert("Errors", start))
    assert (await view(recording)).incident.severity is Severity.SEV4
    await tell(recording, alert("Errors", start), alert("Slow", start, severity="warning"))
    assert (await view(recording)).incident.severity is Severity.SEV3


def outcome(incident: Incident, steps: Sequence[tuple[str, str, str | None]]) -> dict[str, object]:
    """Return what an incident comes to, whichever way it took."""
    return {
        "title": incident.title,
        "severity": incident.severity,
        "status": incident.status,
        "services": incident.services,
        "impacts": united(incident.impacts),
        "steps": {name for name, _, _ in steps if name.startswith(("hold", "invite"))},
    }


def united(impacts: Sequence[Impact]) -> list[tuple[datetime, datetime | None]]:
    """Return the times that at least one impact covers."""
    merged: list[tuple[datetime, datetime | None]] = []
    for impact in sorted(impacts, key=lambda each: each.start):
        start, end = merged[-1] if merged else (impact.start, impact.start)
        if merged and (end is None or impact.start <= end):
            later = None if end is None or impact.end is None else max(end, impact.end)
            merged[-1] = (start, later)
        else:
            merged.append((impact.start, impact.end))
    return [(start, end) for start, end in merged if start != end]


def some_alerts(rng: random.Random, start: datetime, *, ending: bool) -> list[Alert]:
    """Describe some alerts of the last ten minutes, of which some end."""
    found: dict[str, Alert] = {}
    for number in range(rng.randrange(2, 7)):
        started_at = start + timedelta(seconds=rng.randrange(300))
        ended_at = (
            started_at + timedelta(seconds=rng.randrange(10, 250)) if ending and rng.random() < 0.8 else None
        )
        made = alert(
            rng.choice(["Errors", "Slow", "Disk"]),
            started_at,
            ended_at=ended_at,
            service=rng.choice(["checkout", "search", "unknown", ""]),
            severity=rng.choice(["critical", "warning", "info", "sev1", "?"]),
            fingerprint=f"{number}",
        )
        found[made.fingerprint] = made
    return list(found.values())


async def told_in(
    setup: IncidentsSetup, group: str, parts: Sequence[tuple[datetime, Sequence[Alert]]]
) -> dict[str, object]:
    """Tell the parts one after another, the last twice; return what they come to."""
    for at, part in (*parts, parts[-1]):
        ids = await tell(setup, *part, group=group, at=at)
    (id_,) = ids
    return outcome((await view(setup, id_)).incident, await setup.steps(id_))


@pytest.mark.parametrize("seed", range(2))
async def test_any_split_of_firing_alerts_gives_the_same_incident(
    recording: IncidentsSetup, seed: int
) -> None:
    rng, now = random.Random(seed), recording.clock.now()  # noqa: S311 - the same cases each time
    for number in range(HISTORIES):
        alerts = some_alerts(rng, recording.started, ending=False)
        whole = await told_in(
            recording, f"whole {number}", [(now, [_of_group("whole", number, each) for each in alerts])]
        )
        rng.shuffle(alerts)
        cuts = sorted(rng.sample(range(1, len(alerts)), rng.randrange(1, len(alerts))))
        parts = [alerts[a:b] for a, b in zip([0, *cuts], [*cuts, len(alerts)], strict=True)]
        parted = [[_of_group("parts", number, each) for each in part] for part in parts]
        assert await told_in(recording, f"parts {number}", [(now, part) for part in parted]) == whole


@pytest.mark.parametrize("seed", range(2))
async def test_alertmanagers_timing_does_not_matter(recording: IncidentsSetup, seed: int) -> None:
    rng, end = random.Random(seed), recording.clock.now()  # noqa: S311
    for number in range(HISTORIES):
        alerts = some_alerts(rng, recording.started, ending=True)
        moments = sorted({at for each in alerts for at in (each.started_at, each.ended_at) if at} | {end})
        fine = _flushes([_of_group("fine", number, each) for each in alerts], moments)
        expected = await told_in(recording, f"fine {number}", fine)
        chosen = {moment for moment in moments if rng.random() < 0.3} | {end}
        chosen |= {
            each.started_at
            for each in alerts
            if not any(each.started_at <= at < (each.ended_at or end + MINUTE) for at in chosen)
        }
        coarse = _flushes([_of_group("coarse", number, each) for each in alerts], sorted(chosen))
        assert await told_in(recording, f"coarse {number}", coarse) == expected


def _of_group(group: str, number: int, one: Alert) -> Alert:
    """Return the alert by a fingerprint that no other group has: it belongs to one incident."""
    return Alert(
        f"{group} {number} {one.fingerprint}", one.started_at, one.ended_at, one.labels, one.annotations
    )


def _flushes(alerts: Sequence[Alert], moments: Sequence[datetime]) -> list[tuple[datetime, Sequence[Alert]]]:
    """Return what Alertmanager tells at these moments: what has begun, until its end was told once."""
    flushes: list[tuple[datetime, Sequence[Alert]]] = []
    over: set[str] = set()
    for at in moments:
        part = []
        for one in alerts:
            if one.started_at <= at and one.fingerprint not in over:
                is_over = one.ended_at is not None and one.ended_at <= at
                over |= {one.fingerprint} if is_over else set()
                part.append(replace(one, ended_at=one.ended_at if is_over else None))
        if part:
            flushes.append((at, part))
    return flushes


def crowd(setup: IncidentsSetup, count: int, *, ended: bool = False) -> list[Alert]:
    """Describe so many alerts of one name."""
    end = setup.started + 2 * MINUTE if ended else None
    return [
        alert("PodDown", setup.started, ended_at=end, severity="warning", fingerprint=f"p{number}")
        for number in range(count)
    ]


async def test_of_more_than_a_thousand_alerts_the_worst_are_kept_and_the_rest_counted(
    recording: IncidentsSetup,
) -> None:
    worst = alert("Errors", recording.started + MINUTE, service="search")
    alerts = [*crowd(recording, MOST_FIRING + 500), worst]
    for _ in range(2):
        assert await tell(recording, *alerts) == [1]
    snapshot = await view(recording)
    assert snapshot.incident.severity is Severity.SEV2
    assert snapshot.incident.services == ("checkout", "search")
    assert snapshot.incident.title == "PodDown on checkout and 1,500 more"
    texts = alert_texts(snapshot)
    assert len([text for text in texts if " fires: " in text]) == MOST_FIRING
    assert "Errors fires: Errors on search" in texts
    assert "and 501 more alerts that are not listed here" in texts
    # What was left out still fires when what is listed is over.
    listed_over = [
        *crowd(recording, MOST_FIRING, ended=True),
        *crowd(recording, MOST_FIRING + 500)[MOST_FIRING:],
    ]
    await tell(recording, *listed_over, worst)
    assert (await view(recording)).incident.status is Status.INVESTIGATING
    over = alert("Errors", worst.started_at, ended_at=recording.started + 2 * MINUTE, service="search")
    await tell(recording, *crowd(recording, MOST_FIRING + 500, ended=True), over)
    assert (await view(recording)).incident.status is Status.MITIGATED


async def test_alerts_too_many_to_be_recorded_leave_what_people_mitigated(recording: IncidentsSetup) -> None:
    alerts = crowd(recording, MOST_FIRING + 5)
    await tell(recording, *alerts)
    change = IncidentChange(status=Status.MITIGATED)
    await recording.incidents.lifecycle.change(1, change, by="U0SAM", now=recording.clock.now())
    await tell(recording, *alerts)
    assert (await view(recording)).incident.status is Status.MITIGATED
    recording.clock.ahead = 5 * MINUTE
    await tell(recording, *alerts, alert("Errors", recording.clock.now()))
    assert (await view(recording)).incident.status is Status.INVESTIGATING


async def test_alerts_that_alertmanager_left_out_are_counted_and_keep_the_incident_open(
    recording: IncidentsSetup,
) -> None:
    start = recording.started
    await tell(recording, alert("Errors", start), truncated=1_499)
    assert (await view(recording)).incident.title == "Errors on checkout and 1,499 more"
    over = alert("Errors", start, ended_at=start + MINUTE)
    for _ in range(2):
        await tell(recording, over, truncated=40)
    snapshot = await view(recording)
    assert snapshot.incident.status is Status.INVESTIGATING
    (unknown,) = [text for text in alert_texts(snapshot) if "not known" in text]
    assert "40 were left out" in unknown
    await tell(recording, over)
    assert (await view(recording)).incident.ended_at == start + MINUTE


async def test_alerts_leave_the_title_that_a_person_gave(recording: IncidentsSetup) -> None:
    await tell(recording, alert("Errors", recording.started))
    change = IncidentChange(title="Nobody can pay")
    await recording.incidents.lifecycle.change(1, change, by="U0SAM", now=recording.clock.now())
    await tell(recording, alert("Latency", recording.started - MINUTE))
    assert (await view(recording)).incident.title == "Nobody can pay"
