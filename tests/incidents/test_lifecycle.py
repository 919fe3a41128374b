"""What follows an incident: its cost, its postmortem with both sides, reminders, actions."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.error_budget_policy import UnfreezeRequirement
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold import HoldKind
from bot.freezes.transition import HoldRetained
from bot.incidents.downtime import Impact
from bot.incidents.incident import IllegalChangeError, IncidentChange, Role, Severity, Status
from bot.incidents.postmortem import PostmortemPart
from bot.incidents.records.actions import NewAction, UnknownActionError, unmet_requirements
from bot.incidents.records.channels import ChannelKind
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.visibility import OPERATOR
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.incidents.messages import ACTION_DUE, DOCUMENT, POSTMORTEM_OPENED, REMINDER
from bot.store import audit
from tests.support.clock import HOUR, MINUTE
from tests.support.incidents import IncidentsSetup, channel_id_of
from tests.support.values import QUIET, budget


async def outage(
    incidents_setup: IncidentsSetup, minutes: float, key: str = "k", **fields: object
) -> IncidentSnapshot:
    """Play an outage that lasted so many minutes and was resolved now."""
    now = incidents_setup.clock.now()
    opening = incidents_setup.opening(key, started_at=now - minutes * MINUTE, **fields)
    opened = await incidents_setup.incidents.lifecycle.open(opening, now)
    await incidents_setup.incidents.lifecycle.change(
        opened.incident.id, IncidentChange(status=Status.RESOLVED, ended_at=now), by="U0SAM", now=now
    )
    return await incidents_setup.complete(opened.incident.id)


async def test_a_measured_budget_is_charged_with_what_was_spent_meanwhile(
    incidents_setup: IncidentsSetup,
) -> None:
    now = incidents_setup.clock.now().replace(second=0, microsecond=0)
    orders = incidents_setup.policies.services["checkout"].slos[0]
    before = [PushedEvent(orders, 980_000, 100, now - 5 * HOUR, None)]
    during = [PushedEvent(orders, 19_560, 340, now - minutes * MINUTE, None) for minutes in (12,)]
    await incidents_setup.ledger.push([*before, *during], now)
    view = await incidents_setup.opened(started_at=now - 20 * MINUTE)
    change = IncidentChange(status=Status.RESOLVED, ended_at=now - 5 * MINUTE)
    await incidents_setup.incidents.lifecycle.change(
        view.incident.id, change, by="U0SAM", now=incidents_setup.clock.now()
    )
    cost = (await incidents_setup.incidents.snapshots.of(view.incident.id)).cost
    assert cost["checkout/orders"] == pytest.approx(0.34, rel=1e-6)
    assert cost["checkout/uptime"] == pytest.approx(15 / 10.08, rel=1e-6)


async def test_overlapping_outages_spend_the_budget_once(incidents_setup: IncidentsSetup) -> None:
    one = await outage(incidents_setup, 10, "one", severity=Severity.SEV3, share=1.0)
    two = await outage(incidents_setup, 10, "two", severity=Severity.SEV3, share=1.0)
    first, second = one.incident, two.incident
    assert first.ended_at
    assert second.ended_at
    assert first.started_at < second.started_at < first.ended_at < second.ended_at
    down = (second.ended_at - first.started_at) / MINUTE
    remaining = (await incidents_setup.budgets())["checkout/uptime"].remaining_minutes
    assert remaining == pytest.approx(10.08 - down, abs=1e-6)


async def test_a_costly_incident_gets_its_postmortem_by_itself(incidents_setup: IncidentsSetup) -> None:
    view = await outage(incidents_setup, 3)
    await incidents_setup.do_due_tasks()
    view = await incidents_setup.complete(view.incident.id)
    pm = channel_id_of(view, ChannelKind.POSTMORTEM)
    channel = incidents_setup.slack.workspace.channels[pm]
    assert channel.name.startswith("pm-")
    assert {"U0DANA", "U0SAM"} <= set(channel.members)
    (document,) = incidents_setup.messages(pm, DOCUMENT)
    assert [ts for ts, _ in channel.pins] == [document.ts]
    assert len(incidents_setup.messages(channel_id_of(view), POSTMORTEM_OPENED)) == 1
    assert view.incident.roles == {
        Role.FACILITATOR_DEVELOPMENT: "U0DANA",
        Role.FACILITATOR_RELIABILITY: "U0SAM",
    }
    await incidents_setup.do_due_tasks()
    await incidents_setup.complete(view.incident.id)
    assert len(incidents_setup.channels("pm-")) == 1


async def test_a_cheap_incident_gets_one_when_somebody_asks(incidents_setup: IncidentsSetup) -> None:
    view = await outage(incidents_setup, 1.5)
    await incidents_setup.do_due_tasks()
    assert incidents_setup.channels("pm-") == []
    incidents_setup.slack.faults.once(InjectedFault.CUT, "conversations.create")
    for _ in range(2):
        await incidents_setup.incidents.lifecycle.request_postmortem(
            view.incident.id, by="U0SAM", now=incidents_setup.clock.now()
        )
    await incidents_setup.complete(view.incident.id)
    assert len(incidents_setup.channels("pm-")) == 1


async def test_facilitators_take_turns(incidents_setup: IncidentsSetup) -> None:
    for group in incidents_setup.slack.workspace.groups.values():
        if group.handle == "checkout-devs":
            group.users = ["U0DANA", "U0OMAR"]
        if group.handle == "sre":
            group.users = ["U0MORGAN", "U0SAM"]
    led = []
    for key in ("one", "two", "three"):
        view = await outage(incidents_setup, 1, key)
        now = incidents_setup.clock.now()
        await incidents_setup.incidents.lifecycle.request_postmortem(view.incident.id, by="U0SAM", now=now)
        view = await incidents_setup.complete(view.incident.id)
        roles = view.incident.roles
        led.append((roles[Role.FACILITATOR_DEVELOPMENT], roles[Role.FACILITATOR_RELIABILITY]))
    assert led == [("U0DANA", "U0MORGAN"), ("U0OMAR", "U0SAM"), ("U0DANA", "U0MORGAN")]


async def test_the_document_follows_what_people_write(incidents_setup: IncidentsSetup) -> None:
    view = await outage(incidents_setup, 3)
    id_, now = view.incident.id, incidents_setup.clock.now()
    lifecycle = incidents_setup.incidents.lifecycle
    await lifecycle.request_postmortem(id_, by="U0SAM", now=now)
    view = await incidents_setup.complete(id_)
    (document,) = incidents_setup.messages(channel_id_of(view, ChannelKind.POSTMORTEM), DOCUMENT)
    await lifecycle.write_part(id_, PostmortemPart.SUMMARY, "The pool was <empty>.", by="U0DANA", now=now)
    await incidents_setup.incidents.actions.add(
        NewAction("Limit the pool", "checkout", id_, is_p0=True), by="U0DANA", now=now
    )
    await incidents_setup.slack.until(lambda: "The pool was &lt;empty&gt;" in str(document.blocks))
    await incidents_setup.slack.until(lambda: "Limit the pool" in str(document.blocks))
    markdown = (await incidents_setup.incidents.snapshots.of(id_)).postmortem.markdown()
    assert "The pool was \\<empty\\>." in markdown
    assert "**P0** Limit the pool — no owner yet, no date yet" in markdown


async def test_corrections_are_audited(incidents_setup: IncidentsSetup) -> None:
    view = await outage(incidents_setup, 15)
    now = incidents_setup.clock.now()
    ended = view.incident.impacts[0].end
    stated = Impact(view.incident.started_at, ended, 0.3)
    await incidents_setup.incidents.lifecycle.record_impact(view.incident.id, stated, by="U0SAM", now=now)
    cost = (await incidents_setup.incidents.snapshots.of(view.incident.id)).cost["checkout/uptime"]
    assert cost == pytest.approx(0.3 * 15 / 10.08, rel=1e-6)
    async with incidents_setup.database.reading() as connection:
        rows = [row.entry for row in await audit.read(connection, actor="U0SAM")]
    correction = next(entry for entry in rows if entry.action == "incident.impact_stated")
    assert correction.before is not None
    assert correction.after is not None
    assert [one["share"] for one in correction.before["impacts"]] == [1.0]
    assert [one["share"] for one in correction.after["impacts"]] == [0.3]


async def test_a_pinned_message_stands_on_the_timeline_until_it_is_taken_off(
    incidents_setup: IncidentsSetup,
) -> None:
    view = await incidents_setup.opened()
    id_, now = view.incident.id, incidents_setup.clock.now()
    lifecycle = incidents_setup.incidents.lifecycle
    said = {"by": "U0DANA", "now": now, "mark": "C1 1.0"}
    assert await lifecycle.note(id_, "pool is full", **said) is True  # type: ignore[arg-type]
    assert await lifecycle.note(id_, "pool is full", **said) is False  # type: ignore[arg-type]
    assert [
        one.text for one in (await incidents_setup.incidents.snapshots.of(id_)).timeline if one.kind == "pin"
    ] == ["pool is full"]
    assert await lifecycle.unnote(id_, "C1 1.0", by="U0DANA", now=now) is True
    assert not [
        one for one in (await incidents_setup.incidents.snapshots.of(id_)).timeline if one.kind == "pin"
    ]


async def test_holds_stand_on_the_timeline(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened()
    resolved = IncidentChange(status=Status.RESOLVED)
    await incidents_setup.incidents.lifecycle.change(
        view.incident.id, resolved, by="U0SAM", now=incidents_setup.clock.now()
    )
    await incidents_setup.complete(view.incident.id)
    # What happens after the incident is resolved is no part of it: its hold is lifted a moment later.
    view = await incidents_setup.incidents.snapshots.of(view.incident.id)
    held = [one.text for one in view.timeline if one.kind == "hold"]
    assert held == ["checkout: hold placed — sev2 incident: Checkout 500s"]


async def test_reminders_are_told_once_and_can_be_snoozed(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened()
    channel = channel_id_of(view)
    for minutes, told in ((11, 1), (11, 1), (22, 2)):
        incidents_setup.clock.ahead = timedelta(minutes=minutes)
        await incidents_setup.do_due_tasks()
        await incidents_setup.complete(view.incident.id)
        assert len(incidents_setup.messages(channel, REMINDER)) == told
    now = incidents_setup.clock.now()
    await incidents_setup.incidents.lifecycle.snooze(view.incident.id, now + HOUR, by="U0SAM", now=now)
    incidents_setup.clock.ahead = timedelta(minutes=80)
    await incidents_setup.do_due_tasks()
    await incidents_setup.complete(view.incident.id)
    assert len(incidents_setup.messages(channel, REMINDER)) == 2


async def test_the_owner_of_an_action_is_told_when_it_is_due(incidents_setup: IncidentsSetup) -> None:
    now, book = incidents_setup.clock.now(), incidents_setup.incidents.actions
    wanted = NewAction("Limit the pool", "checkout", is_p0=True, request="r1")
    first = await book.add(wanted, by="U0DANA", now=now)
    assert await book.add(wanted, by="U0DANA", now=now) == first
    assert await book.not_owned("checkout") == (first,)
    await book.change(first.id, by="U0DANA", now=now, owner="U0SAM", due=now.date())
    assert await book.not_owned("checkout") == ()
    for _ in range(2):
        await incidents_setup.do_due_tasks()
    await incidents_setup.slack.until(lambda: _direct(incidents_setup, "U0SAM"))
    assert len(_direct(incidents_setup, "U0SAM")) == 1
    await book.done(first.id, by="U0SAM", now=now)
    assert await book.of_service("checkout", OPERATOR) == []
    with pytest.raises(UnknownActionError):
        await book.done(99, by="U0SAM", now=now)


def _direct(incidents_setup: IncidentsSetup, user: str) -> list[str]:
    channels = incidents_setup.slack.workspace.channels.values()
    return [
        message.text
        for channel in channels
        if channel.kind == "im" and user in channel.members
        for message in channel.messages
        if (message.metadata or {}).get("event_type") == ACTION_DUE
    ]


async def test_a_budget_hold_stays_until_the_p0_actions_are_owned(incidents_setup: IncidentsSetup) -> None:
    policy = replace(QUIET, dwell=timedelta(), unfreeze_requires=UnfreezeRequirement.ACTIONS_OWNED)
    checkout = replace(incidents_setup.policies.services["checkout"], error_budget_policy=policy)
    judge = BudgetJudge(incidents_setup.database, lambda _: (), unmet_requirements)
    book, now = incidents_setup.incidents.actions, incidents_setup.clock.now()
    action = await book.add(NewAction("Limit the pool", "checkout", is_p0=True), by="U0DANA", now=now)
    await judge.judge(checkout, [budget(-0.1)], now)
    (kept,) = await judge.judge(checkout, [budget(0.9)], now)
    assert isinstance(kept, HoldRetained)
    assert [(one.action, one.lacks) for one in kept.missing] == [(action.id, ("an owner", "a due date"))]
    for _ in range(2):
        assert await judge.judge(checkout, [budget(0.9)], now) == ()
    assert len(await incidents_setup.hold_registry.holds(now)) == 1
    await book.change(action.id, by="U0DANA", now=now, owner="U0SAM", due=now.date())
    assert len(await judge.judge(checkout, [budget(0.9)], now)) == 1
    assert await incidents_setup.hold_registry.holds(now) == ()


async def test_a_service_that_is_added_or_removed_takes_holds_and_cost_along(
    incidents_setup: IncidentsSetup,
) -> None:
    setup = incidents_setup
    lifecycle, now = setup.incidents.lifecycle, setup.clock.now()
    opened = await setup.opened(services=("search",), started_at=now - 5 * MINUTE)
    assert "checkout/uptime" not in opened.cost
    await lifecycle.change_services(1, add=["checkout"], by="U0SAM", now=now)
    added = await setup.complete(1)
    assert added.incident.services == ("search", "checkout")
    held = {hold.service for hold in await setup.hold_registry.holds(setup.clock.now())}
    assert held == {"search", "checkout"}
    assert added.cost["checkout/uptime"] >= 5 / 10.08
    assert len(setup.messages("#checkout", "hold_placed")) == 1
    members = setup.slack.workspace.channels[channel_id_of(added)].members
    assert {"U0DANA", "U0SAM"} <= set(members)
    assert "checkout" in setup.slack.workspace.channels[channel_id_of(added)].topic
    await lifecycle.change_services(1, remove=["checkout"], by="U0SAM", now=setup.clock.now())
    removed = await setup.complete(1)
    assert {hold.service for hold in await setup.hold_registry.holds(setup.clock.now())} == {"search"}
    assert "checkout/uptime" not in removed.cost
    assert (await setup.budgets())["checkout/uptime"].remaining_minutes == pytest.approx(10.08)
    assert [entry.text for entry in removed.timeline if entry.kind == "service"] == [
        "checkout is affected too",
        "checkout is not affected",
    ]


async def test_services_are_not_taken_from_under_the_only_stated_impact(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, now = incidents_setup, incidents_setup.clock.now()
    await setup.opened(services=("checkout", "search"))
    impact = Impact(now - 5 * MINUTE, now, 0.3, "search")
    await setup.incidents.lifecycle.record_impact(1, impact, by="U0SAM", now=setup.clock.now())
    with pytest.raises(IllegalChangeError, match="stated for search alone"):
        await setup.incidents.lifecycle.change_services(
            1, remove=["search"], by="U0SAM", now=setup.clock.now()
        )


async def test_a_renamed_incident_renames_no_hold_of_another_request(incidents_setup: IncidentsSetup) -> None:
    setup = incidents_setup
    await setup.opened(title="Down")
    await setup.hold_registry.place(
        setup.current.catalog.services["checkout"], by="governor", reason="another", until=None,
        request="Incident:1:checkout", now=setup.clock.now(), kind=HoldKind.INCIDENT,
    )  # fmt: skip
    changed = IncidentChange(title="Slow pages")
    await setup.incidents.lifecycle.change(1, changed, by="U0SAM", now=setup.clock.now())
    await setup.complete(1)
    reasons = {hold.reason for hold in await setup.hold_registry.holds(setup.clock.now())}
    assert reasons == {"sev2 incident: Slow pages", "another"}


async def test_a_renamed_incident_has_its_title_everywhere_and_leaks_no_former_one(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, secret = incidents_setup, "Customer data on a public bucket"
    lifecycle = setup.incidents.lifecycle
    view = await setup.opened(title=secret)
    await lifecycle.change(1, IncidentChange(title=" Slow  pages "), by="U0SAM", now=setup.clock.now())
    renamed = await setup.complete(1)
    assert renamed.incident.title == "Slow pages"
    assert "Slow pages" in setup.slack.workspace.channels[channel_id_of(view)].topic
    (hold,) = await setup.hold_registry.holds(setup.clock.now())
    assert hold.reason == "sev2 incident: Slow pages"
    async with setup.database.reading() as connection:
        rows = await audit.read(connection)
    assert [row.entry.before for row in rows if row.entry.action == "incident.renamed"] == [{"title": secret}]
    await lifecycle.change(1, IncidentChange(private=True), by="U0SAM", now=setup.clock.now())
    await setup.complete(1)
    told = [*setup.slack.messages("#checkout"), *setup.slack.messages("#incidents")]
    assert not [message for message in told if secret in str((message.text, message.blocks))]
