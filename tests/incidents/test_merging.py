"""Duplicates that are merged: what follows them, what counts, and what cannot be merged."""

import pytest

from bot.incidents.incident import IllegalChangeError, IncidentChange, Severity, Status
from bot.incidents.records.actions import NewAction
from bot.slack.incidents.messages import MERGED
from bot.store import audit
from tests.incidents.test_alerts import alert, tell
from tests.support.clock import HOUR, MINUTE
from tests.support.incidents import IncidentsSetup, channel_id_of


async def merge(setup: IncidentsSetup, id_: int, into: int) -> None:
    await setup.incidents.merging.merge(id_, into, by="U0SAM", now=setup.clock.now())


async def test_a_duplicate_becomes_part_of_the_other_and_one_counts(incidents_setup: IncidentsSetup) -> None:
    setup, lifecycle, now = incidents_setup, incidents_setup.incidents.lifecycle, incidents_setup.clock.now()
    await setup.opened("one", severity=Severity.SEV3, services=("search",), started_at=setup.started)
    await setup.opened("two", title="Carts fail", started_at=now - 5 * MINUTE)
    await lifecycle.note(2, "the cache is full", by="U0DANA", now=now)
    await setup.incidents.actions.add(NewAction("fix it", incident_id=2), by="U0DANA", now=now)
    spent = (await setup.budgets())["checkout/uptime"].remaining_minutes
    for _ in range(2):
        await merge(setup, 2, 1)
    duplicate, target = await setup.complete(2), await setup.complete(1)
    assert (duplicate.incident.status, duplicate.incident.merged_into) == (Status.MERGED, 1)
    assert (target.incident.services, target.incident.severity) == (("search", "checkout"), Severity.SEV2)
    assert (duplicate.cost, target.cost["checkout/uptime"] > 0) == ({}, True)
    assert (await setup.budgets())["checkout/uptime"].remaining_minutes == pytest.approx(spent, abs=0.5)
    held = await setup.hold_registry.holds(setup.clock.now())
    assert sorted(hold.service for hold in held) == ["checkout", "search"]
    texts = [entry.text for entry in target.timeline]
    assert texts.count("the cache is full") == 1
    assert "incident 2 was merged into this one: Carts fail" in texts
    assert "merged into incident 1" in [entry.text for entry in duplicate.timeline]
    assert [action.text for action in target.actions] == ["fix it"]
    report, _ = await setup.incidents.reports.report(setup.started - HOUR, setup.clock.now())
    assert report.count == 1
    (told,) = setup.messages(channel_id_of(target), MERGED)
    assert "*Carts fail*, was merged into this one by <@U0SAM>" in told.text
    async with setup.database.reading() as connection:
        rows = await audit.read(connection)
    assert [row.entry.subject for row in rows if row.entry.action == "incident.merged"] == ["incident 2"]
    assert [row.entry.subject for row in rows if row.entry.action == "incident.absorbed"] == ["incident 1"]


async def test_what_comes_later_for_a_duplicate_goes_to_the_other(incidents_setup: IncidentsSetup) -> None:
    setup, lifecycle, start = incidents_setup, incidents_setup.incidents.lifecycle, incidents_setup.started
    await setup.opened()
    assert await tell(setup, alert("Errors", start)) == [2]
    await merge(setup, 2, 1)
    assert await tell(setup, alert("Errors", start)) == [1]
    assert await tell(setup, alert("Errors", start), alert("Latency", start)) == [1]
    now = setup.clock.now()
    await lifecycle.note(2, "seen in its channel", by="U0DANA", now=now, mark="C1 1")
    assert "seen in its channel" in [entry.text for entry in (await setup.complete(1)).timeline]
    assert await lifecycle.unnote(2, "C1 1", by="U0DANA", now=now)
    with pytest.raises(IllegalChangeError, match="merged into incident 1; change that one"):
        await lifecycle.change(2, IncidentChange(status=Status.RESOLVED), by="U0SAM", now=now)
    assert (await setup.complete(1)).incident.title == "Checkout 500s"
    reopened = await lifecycle.reopen(2, by="U0SAM", now=setup.clock.now())
    assert (reopened.status, reopened.merged_into) == (Status.INVESTIGATING, None)


async def test_what_cannot_be_merged_is_said(incidents_setup: IncidentsSetup) -> None:
    setup, lifecycle = incidents_setup, incidents_setup.incidents.lifecycle
    for key in ("one", "two", "three"):
        await lifecycle.open(setup.opening(key), setup.clock.now())
    await lifecycle.open(setup.opening("secret", private=True), setup.clock.now())
    await lifecycle.change(3, IncidentChange(status=Status.RESOLVED), by="U0SAM", now=setup.clock.now())
    for id_, into, why in (
        (1, 1, "cannot be a duplicate of itself"),
        (1, 3, "incident 3 is resolved"),
        (4, 1, "Make incident 1 private first"),
    ):
        with pytest.raises(IllegalChangeError, match=why):
            await merge(setup, id_, into)
    await merge(setup, 3, 1)
    with pytest.raises(IllegalChangeError, match="incident 3 is merged into incident 1 already"):
        await merge(setup, 2, 3)
    await merge(setup, 2, 4)
    assert (await setup.incidents.snapshots.of(2)).incident.private
