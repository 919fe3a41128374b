"""One strange answer, or one damaged incident: the others get all their steps, and nobody asks for ever."""

import asyncio

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from bot.incidents.incident import IncidentChange, Severity
from bot.incidents.records.steps import StepState
from bot.slack.incidents.messages import CARD
from bot.store.tables.incidents import incident_steps, incidents
from tests.incidents.workflow.test_channel_creation import CALLS, TEAMS
from tests.support.incidents import IncidentsSetup


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("body", ['{"ok": true}', "null", '{"ok": true, "channels": [{}], "channel": {}}'])
async def test_any_call_may_be_answered_with_nonsense(
    incidents_setup: IncidentsSetup, method: str, body: str
) -> None:
    faults = incidents_setup.slack.faults
    faults.answer(method, body)
    opened = await incidents_setup.incidents.lifecycle.open(
        incidents_setup.opening(by="U0RILEY"), incidents_setup.clock.now()
    )
    # What was done before its answer got lost is not done again; other steps go on meanwhile.
    await incidents_setup.slack.until(
        lambda: any(call.method == method for call in incidents_setup.slack.calls)
    )
    faults.stop_answering(method)
    await incidents_setup.complete(opened.incident.id)
    incidents_setup.assert_one_complete_incident(people={*TEAMS, "U0RILEY"})


async def test_an_answer_that_stays_strange_is_asked_for_less_and_less_often(
    incidents_setup: IncidentsSetup,
) -> None:
    incidents_setup.slack.faults.answer("users.conversations", '{"ok": true}')
    now = incidents_setup.clock.now()
    opened = await incidents_setup.incidents.lifecycle.open(incidents_setup.opening(), now)
    with capture_logs() as logs:
        await _until_attempted(incidents_setup, 4)
    assert {entry["event"] for entry in logs} & {"incidents_tick_failed", "step_failed_unexpectedly"} == set()
    assert ("channel", "pending", "incomplete_answer") in await incidents_setup.steps()
    assert [hold.service for hold in await incidents_setup.hold_registry.holds(now)] == ["checkout"]
    incidents_setup.slack.faults.clear()
    await incidents_setup.complete(opened.incident.id)


async def test_a_card_whose_blocks_are_refused_is_updated_as_plain_text(
    incidents_setup: IncidentsSetup,
) -> None:
    opened = await incidents_setup.opened()
    (channel,), slack = incidents_setup.channels(), incidents_setup.slack
    slack.faults.refuse("chat.update", "invalid_blocks")
    for severity in (Severity.SEV1, Severity.SEV3):
        await incidents_setup.incidents.lifecycle.change(
            opened.incident.id,
            IncidentChange(severity=severity),
            by="U0DANA",
            now=incidents_setup.clock.now(),
        )

        def tells(word: str = severity.value) -> bool:
            return word in incidents_setup.messages(channel, CARD)[0].text

        await slack.until(tells)
    updates = [call for call in slack.calls if call.method == "chat.update"]
    refused = next(number for number, call in enumerate(updates) if call.error == "invalid_blocks")
    again = next(call for call in updates[refused + 1 :] if call.args["ts"] == updates[refused].args["ts"])
    assert (bool(updates[refused].args.get("blocks")), bool(again.args.get("blocks"))) == (True, False)
    # A later change shows the blocks again.
    await slack.until(lambda: bool(incidents_setup.messages(channel, CARD)[0].blocks))


async def test_an_incident_that_cannot_be_read_delays_no_other(incidents_setup: IncidentsSetup) -> None:
    damaged = await incidents_setup.opened("damaged")
    async with incidents_setup.database.transaction() as connection:
        await connection.execute(
            update(incident_steps)
            .where(incident_steps.c.incident_id == damaged.incident.id)
            .values(state=StepState.PENDING)
        )
        await connection.execute(
            update(incidents).where(incidents.c.id == damaged.incident.id).values(status="nowhere")
        )
    with capture_logs() as logs:
        sound = await incidents_setup.incidents.lifecycle.open(
            incidents_setup.opening("sound"), incidents_setup.clock.now()
        )
        async with asyncio.timeout(20):
            while await _pending(incidents_setup, sound.incident.id):  # noqa: ASYNC110 - another task works
                await asyncio.sleep(0.02)
    _, channel = incidents_setup.channels()
    await incidents_setup.slack.until(lambda: len(incidents_setup.messages(channel, CARD)) == 1)
    failed = [entry for entry in logs if entry["event"] == "step_failed_unexpectedly"]
    assert failed
    assert {entry["incident"] for entry in failed} == {damaged.incident.id}
    # Each step is tried again after twice the time, so the log does not fill up.
    steps = {entry["step"] for entry in failed}
    assert max(entry["attempts"] for entry in failed) <= 12
    assert len(steps) > 1


async def _pending(incidents_setup: IncidentsSetup, id_: int) -> bool:
    query = select(incident_steps.c.id).where(
        incident_steps.c.incident_id == id_, incident_steps.c.state == StepState.PENDING
    )
    async with incidents_setup.database.reading() as connection:
        return (await connection.execute(query.limit(1))).first() is not None


async def _until_attempted(incidents_setup: IncidentsSetup, times: int) -> None:
    query = select(incident_steps.c.attempts).where(incident_steps.c.name == "channel")
    async with asyncio.timeout(20):
        while True:
            async with incidents_setup.database.reading() as connection:
                if (await connection.execute(query)).scalar_one() >= times:
                    return
            await asyncio.sleep(0.02)
