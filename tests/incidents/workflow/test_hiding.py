"""An incident that becomes private: what was told of it elsewhere is edited, whatever Slack does."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Row, select

from bot.freezes.hold import HoldKind
from bot.incidents.incident import IncidentChange, Severity, Status
from bot.incidents.postmortem import PostmortemPart
from bot.incidents.records.actions import NewAction
from bot.incidents.records.channels import ChannelKind
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.slack.incidents.messages import CARD, NOTICE, POSTMORTEM_CLOSED
from bot.store.tables.core import holds, outbox
from tests.support.incidents import IncidentsSetup, channel_id_of

SECRET = "Customer data on a public bucket"
TOLD_IN = ("#incidents", "#releases", "#checkout")


def told(setup: IncidentsSetup) -> str:
    """Return all that the channels show in which incidents are told of."""
    return str([(message.text, message.blocks) for name in TOLD_IN for message in setup.slack.messages(name)])


async def make_private(setup: IncidentsSetup, id_: int = 1) -> None:
    await setup.incidents.lifecycle.change(
        id_, IncidentChange(private=True), by="U0DANA", now=setup.clock.now()
    )


async def test_what_was_told_elsewhere_is_edited(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened(title=SECRET)
    assert told(incidents_setup).count(SECRET) >= 3
    await make_private(incidents_setup)
    await incidents_setup.complete(view.incident.id)
    assert SECRET not in told(incidents_setup)
    (notice,) = incidents_setup.messages("#incidents", NOTICE)
    assert notice.text == "Incident 1 is private now: what was posted about it here is removed."
    for channel in ("#checkout", "#releases"):
        (announced,) = incidents_setup.messages(channel, "hold_placed")
        assert "sev2 private incident" in announced.text
        assert ":snowflake: *checkout* is frozen" in announced.text
    (card,) = incidents_setup.messages(channel_id_of(view), CARD)
    assert SECRET in card.text


async def test_the_notice_of_a_private_incident_does_not_live_on(incidents_setup: IncidentsSetup) -> None:
    view = await incidents_setup.opened(title=SECRET)
    await make_private(incidents_setup)
    await incidents_setup.complete(view.incident.id)
    (before,) = incidents_setup.messages("#incidents", NOTICE)
    before_text, before_blocks = before.text, before.blocks
    lifecycle, now = incidents_setup.incidents.lifecycle, incidents_setup.clock.now()
    await lifecycle.change(1, IncidentChange(severity=Severity.SEV1), by="U0DANA", now=now)
    await lifecycle.change(1, IncidentChange(status=Status.RESOLVED), by="U0DANA", now=now)
    await incidents_setup.complete(1)
    snapshot = await incidents_setup.incidents.snapshots.of(1)
    await incidents_setup.incidents.step_runner._cards.show(snapshot, ChannelKind.INCIDENT)
    (after,) = incidents_setup.messages("#incidents", NOTICE)
    assert (after.text, after.blocks) == (before_text, before_blocks)


@pytest.mark.parametrize("fault", [InjectedFault.SERVER_ERROR, InjectedFault.CUT])
async def test_what_was_not_sent_yet_is_not_sent_or_edited_at_once(
    incidents_setup: IncidentsSetup, fault: InjectedFault
) -> None:
    setup, faults = incidents_setup, incidents_setup.slack.faults
    for _ in range(500):
        faults.once(fault, "chat.postMessage")
    await setup.incidents.lifecycle.open(setup.opening(title=SECRET), setup.clock.now())
    async with asyncio.timeout(60):
        while len({row.channel for row in await elsewhere(setup) if SECRET in row.text}) < len(TOLD_IN):  # noqa: ASYNC110 - another task works
            await asyncio.sleep(0.02)
    await make_private(setup)
    faults.clear()
    await setup.complete(1)
    assert SECRET not in told(setup)
    assert SECRET not in str(await elsewhere(setup))
    assert [message.text for message in setup.messages("#incidents", NOTICE)] == [
        "Incident 1 is private now: what was posted about it here is removed."
    ]


async def elsewhere(setup: IncidentsSetup) -> Sequence[Row[Any]]:
    """Return the outbox's rows for the channels in which incidents are told of."""
    async with setup.database.reading() as connection:
        return (await connection.execute(select(outbox).where(outbox.c.channel.in_(TOLD_IN)))).all()


async def test_edits_that_slack_fails_for_a_while_come_later(
    incidents_setup: IncidentsSetup,
) -> None:
    view = await incidents_setup.opened(title=SECRET)
    for _ in range(5):
        incidents_setup.slack.faults.once(InjectedFault.SERVER_ERROR, "chat.update")
    await make_private(incidents_setup)
    await incidents_setup.complete(view.incident.id)
    assert SECRET not in told(incidents_setup)


async def test_a_message_that_somebody_deleted_keeps_no_other(
    incidents_setup: IncidentsSetup,
) -> None:
    view = await incidents_setup.opened(title=SECRET)
    (announced,) = incidents_setup.messages("#checkout", "hold_placed")
    await incidents_setup.client.chat_delete(
        channel=incidents_setup.slack.workspace.channel("#checkout").id, ts=announced.ts
    )
    await make_private(incidents_setup)
    await incidents_setup.complete(view.incident.id)
    assert SECRET not in told(incidents_setup)
    assert "hide" not in " ".join(await incidents_setup.pending())


async def test_a_closed_postmortem_and_unowned_actions_are_taken_back_too(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, now = incidents_setup, incidents_setup.clock.now()
    lifecycle = setup.incidents.lifecycle
    await setup.opened(title=SECRET)
    await setup.incidents.actions.add(
        NewAction("rotate the leaked keys", "checkout", 1, "U0DANA", now.date(), is_p0=True, request="a"),
        by="U0SAM",
        now=now,
    )
    await lifecycle.change(1, IncidentChange(status=Status.RESOLVED), by="U0DANA", now=now)
    await lifecycle.request_postmortem(1, by="U0DANA", now=now)
    await lifecycle.write_part(1, PostmortemPart.SUMMARY, "It was open", by="U0DANA", now=now)
    await setup.complete(1)
    await setup.incidents.closing.close(1, by="U0DANA")
    await setup.complete(1)
    (closed,) = setup.messages("#incidents", POSTMORTEM_CLOSED)
    assert SECRET in closed.text
    await make_private(setup)
    await setup.complete(1)
    assert SECRET not in told(setup)
    (closed,) = setup.messages("#incidents", POSTMORTEM_CLOSED)
    assert closed.text.startswith("Incident 1 is private now")


async def test_lifted_holds_and_those_who_quote_them_lose_the_title(incidents_setup: IncidentsSetup) -> None:
    setup, now = incidents_setup, incidents_setup.clock.now()
    await setup.opened(title=SECRET)
    await setup.incidents.lifecycle.change(1, IncidentChange(status=Status.MITIGATED), by="U0DANA", now=now)
    await setup.complete(1)
    await make_private(setup)
    async with setup.database.reading() as connection:
        rows = (await connection.execute(select(holds).where(holds.c.kind == HoldKind.INCIDENT))).all()
    assert [row.reason for row in rows] == ["sev2 private incident"]
    assert rows[0].lifted_at is not None


async def test_what_was_told_of_another_incident_stays(
    incidents_setup: IncidentsSetup,
) -> None:
    setup = incidents_setup
    await setup.opened("secret", title="Data")
    await setup.opened("public", title="Databases slow")
    await make_private(setup)
    await setup.complete(1)
    assert "incident: Databases slow" in told(setup)
    assert "incident: Data\\n" not in told(setup)
    notices = [message.text for message in setup.messages("#incidents", NOTICE)]
    assert "Databases slow" in notices[1]
    assert "private now" in notices[0]
