"""Incidents that are cancelled as false alarms, and reopened ones: what counts them and what does not."""

import pytest

from bot.incidents.incident import IllegalChangeError, IncidentChange, Severity, Status
from bot.incidents.postmortem_closing import NotClosableError
from bot.incidents.records.actions import NewAction, unmet_requirements
from bot.slack.incidents.messages import CARD, NOTICE
from bot.store import audit
from tests.incidents.test_alerts import alert, tell
from tests.support.clock import HOUR, MINUTE
from tests.support.incidents import IncidentsSetup, channel_id_of


async def test_a_false_alarm_holds_costs_and_counts_nothing(incidents_setup: IncidentsSetup) -> None:
    setup, lifecycle = incidents_setup, incidents_setup.incidents.lifecycle
    await setup.opened(started_at=setup.started)
    assert (await setup.budgets())["checkout/uptime"].remaining_minutes == pytest.approx(0.08, abs=0.2)
    await lifecycle.cancel(1, "a test of the pager", by="U0SAM", now=setup.clock.now())
    cancelled = await setup.complete(1)
    assert (cancelled.incident.status, cancelled.cost) == (Status.CANCELLED, {})
    assert (await setup.budgets())["checkout/uptime"].remaining_minutes == pytest.approx(10.08)
    assert not await setup.hold_registry.holds(setup.clock.now())
    report, counted = await setup.incidents.reports.report(setup.started - HOUR, setup.clock.now())
    assert (report.count, counted) == (0, [])
    texts = [entry.text for entry in cancelled.timeline]
    assert {"investigating → cancelled", "a false alarm: a test of the pager"} <= set(texts)
    async with setup.database.reading() as connection:
        rows = await audit.read(connection)
    (row,) = [row.entry for row in rows if row.entry.action == "incident.cancelled"]
    assert (row.actor, row.after and row.after["status"]) == ("U0SAM", "cancelled")
    (card,) = setup.messages(channel_id_of(cancelled), CARD)
    (notice,) = setup.messages("#incidents", NOTICE)
    await setup.incidents.step_runner._cards.refresh()
    assert "A false alarm" in str(card.blocks)
    assert "A false alarm" in notice.text


async def test_what_was_cancelled_by_mistake_goes_on_as_if_nothing_had_been(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, lifecycle = incidents_setup, incidents_setup.incidents.lifecycle
    before = await setup.opened(started_at=setup.started)
    await lifecycle.cancel(1, "", by="U0SAM", now=setup.clock.now())
    await setup.complete(1)
    setup.clock.ahead = 3 * MINUTE
    await lifecycle.reopen(1, by="U0SAM", now=setup.clock.now())
    after = await setup.complete(1)
    assert (after.incident.status, after.incident.impacts) == (Status.INVESTIGATING, before.incident.impacts)
    assert after.incident.resolved_at is None
    assert len(await setup.hold_registry.holds(setup.clock.now())) == 1
    with pytest.raises(IllegalChangeError, match="it is open: investigating"):
        await lifecycle.reopen(1, by="U0SAM", now=setup.clock.now())


async def test_a_resolved_incident_that_is_reopened_begins_a_new_impact(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, lifecycle = incidents_setup, incidents_setup.incidents.lifecycle
    await setup.opened(started_at=setup.started)
    change = IncidentChange(status=Status.RESOLVED)
    await lifecycle.change(1, change, by="U0SAM", now=setup.clock.now())
    setup.clock.ahead = HOUR
    reopened = await lifecycle.reopen(1, by="U0SAM", now=setup.clock.now())
    assert [impact.end is None for impact in reopened.impacts] == [False, True]


async def test_a_false_alarm_has_no_postmortem_and_its_actions_hold_nothing(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, lifecycle, now = incidents_setup, incidents_setup.incidents.lifecycle, incidents_setup.clock.now()
    await setup.opened()
    await lifecycle.request_postmortem(1, by="U0SAM", now=now)
    action = NewAction("test it", incident_id=1, service="checkout", is_p0=True)
    await setup.incidents.actions.add(action, by="U0SAM", now=now)
    async with setup.database.reading() as connection:
        assert len(await unmet_requirements(connection, "checkout")) == 1
    await lifecycle.cancel(1, "", by="U0SAM", now=now)
    async with setup.database.reading() as connection:
        assert not await unmet_requirements(connection, "checkout")
    with pytest.raises(NotClosableError, match="false alarm"):
        await setup.incidents.closing.close(1, by="U0SAM")
    with pytest.raises(IllegalChangeError, match="cancelled"):
        await lifecycle.request_postmortem(1, by="U0SAM", now=now)


async def test_an_alert_of_a_false_alarm_opens_nothing_until_it_fires_anew(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, start = incidents_setup, incidents_setup.started
    await tell(setup, alert("Errors", start))
    await setup.incidents.lifecycle.cancel(1, "noise", by="U0SAM", now=setup.clock.now())
    for _ in range(2):
        assert await tell(setup, alert("Errors", start)) == [1]
    await tell(setup, alert("Errors", start, ended_at=start + MINUTE))
    assert (await setup.complete(1)).incident.status is Status.CANCELLED
    assert await tell(setup, alert("Errors", start + 2 * MINUTE)) == [2]
    assert (await setup.incidents.snapshots.of(2)).incident.severity is Severity.SEV2
