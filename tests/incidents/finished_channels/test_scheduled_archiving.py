"""Channels of finished incidents are archived by themselves: announced a day before, once, and only then."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.app.incidents import Incidents
from bot.freezes.hold_registry import HoldRegistry
from bot.incidents.finished_channels.rules import (
    ArchivingStep,
    NextArchivingStep,
    finished_since,
    next_archiving_step,
)
from bot.incidents.incident import IncidentChange, Status
from bot.incidents.snapshot import IncidentSnapshot
from bot.sandbox.fake_slack.fault_injection import InjectedFault
from bot.sandbox.fake_slack.model import Channel
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.incidents.channels import IncidentChannels
from bot.slack.incidents.messages import ARCHIVED_SOON, NOT_ARCHIVED
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.store import audit
from bot.store.database import Database
from bot.store.leases import Lease
from tests.incidents.values import incident
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.incidents import PATIENCE, IncidentsSetup, channel_id_of

AFTER = 7 * DAY


async def resolved(setup: IncidentsSetup, status: Status = Status.RESOLVED, **fields: object) -> Channel:
    """Open an incident, end it, and return its channel."""
    archive_after(setup, AFTER)
    id_ = (await setup.opened(**fields)).incident.id  # type: ignore[arg-type]
    now = setup.clock.now()
    over = IncidentChange(status=status, ended_at=now if status is Status.RESOLVED else None)
    await setup.incidents.lifecycle.change(id_, over, by="U0SAM", now=now)
    return setup.slack.workspace.channels[channel_id_of(await setup.complete(id_))]


def archive_after(setup: IncidentsSetup, after: timedelta | None) -> None:
    policies = setup.current.catalog
    workspace = replace(policies.workspace, archive_incidents_after=after)
    setup.current.set(replace(policies, workspace=workspace))


async def tick(setup: IncidentsSetup, later: timedelta = timedelta()) -> IncidentSnapshot:
    setup.clock.ahead += later
    await setup.incidents.run_scheduled()
    return await setup.complete(1)


def announced(setup: IncidentsSetup, channel: Channel) -> int:
    return len(setup.messages(channel.id, ARCHIVED_SOON))


@pytest.mark.parametrize("status", [Status.RESOLVED, Status.CANCELLED])
async def test_a_finished_incident_is_announced_and_archived_once(
    incidents_setup: IncidentsSetup, status: Status
) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup, status)
    await tick(setup, 6 * DAY - HOUR)
    assert announced(setup, channel) == 0
    for _ in range(2):
        await tick(setup, HOUR)
        assert (announced(setup, channel), channel.is_archived) == (1, False)
    (told,) = setup.messages(channel.id, ARCHIVED_SOON)
    assert told.text.startswith("Incident 1 is over, so this channel is archived <!date^")
    assert told.text.endswith("write something here, and it stays for another 7\u00a0d.")
    await tick(setup, DAY - 2 * HOUR)
    assert not channel.is_archived
    for _ in range(2):
        view = await tick(setup, HOUR)
        assert channel.is_archived
    assert view.channels[next(iter(view.channels))].is_archived
    async with setup.database.reading() as connection:
        rows = [row.entry for row in await audit.read(connection)]
    archived = [row for row in rows if row.action == "incident.archived"]
    assert [(row.actor, row.subject) for row in archived] == [("governor", "incident 1")]


async def test_nothing_is_archived_unless_the_policies_say_so(incidents_setup: IncidentsSetup) -> None:
    channel = await resolved(incidents_setup)
    archive_after(incidents_setup, None)
    await tick(incidents_setup, 100 * DAY)
    assert (announced(incidents_setup, channel), channel.is_archived) == (0, False)


async def test_incidents_of_long_ago_are_told_a_day_before_too(incidents_setup: IncidentsSetup) -> None:
    channel = await resolved(incidents_setup)
    await tick(incidents_setup, 100 * DAY)
    assert (announced(incidents_setup, channel), channel.is_archived) == (1, False)
    await tick(incidents_setup, DAY)
    assert channel.is_archived


async def test_what_people_write_keeps_a_channel(incidents_setup: IncidentsSetup) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    await tick(setup, 6 * DAY)
    message = setup.slack.workspace.say(channel, "U0DANA", "still comparing graphs here")
    message.ts = f"{(setup.clock.now() + HOUR).timestamp():.6f}"
    await tick(setup, 2 * DAY)
    assert (announced(setup, channel), channel.is_archived) == (1, False)
    await tick(setup, 4 * DAY + HOUR)
    assert (announced(setup, channel), channel.is_archived) == (2, False)
    await tick(setup, DAY)
    assert channel.is_archived


@pytest.mark.parametrize("told", [True, False])
async def test_an_incident_that_comes_back_or_is_to_be_learned_from_keeps_its_channel(
    incidents_setup: IncidentsSetup, told: bool
) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    if told:
        await tick(setup, 6 * DAY)
    lifecycle = setup.incidents.lifecycle
    await lifecycle.reopen(1, by="U0SAM", now=setup.clock.now())
    await tick(setup, 20 * DAY)
    now = setup.clock.now()
    over = IncidentChange(status=Status.RESOLVED)
    await lifecycle.change(1, over, by="U0SAM", now=now)
    await lifecycle.request_postmortem(1, by="U0SAM", now=now)
    await tick(setup, 20 * DAY)
    assert (announced(setup, channel), channel.is_archived) == (int(told), False)


async def test_one_that_comes_back_while_slack_is_not_there_keeps_its_channel(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    await tick(setup, 6 * DAY)
    setup.clock.ahead += DAY
    for _ in range(40):
        setup.slack.faults.once(InjectedFault.SERVER_ERROR, "conversations.archive")
    await setup.incidents.run_scheduled()
    assert "archive" in await setup.pending()
    await setup.incidents.lifecycle.reopen(1, by="U0SAM", now=setup.clock.now())
    view = await setup.complete(1)
    assert (channel_id_of(view), channel.is_archived) == (channel.id, False)
    assert setup.messages(channel.id, NOT_ARCHIVED) == []


async def test_after_it_came_back_an_archived_one_has_a_new_channel(incidents_setup: IncidentsSetup) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    await tick(setup, 6 * DAY)
    await tick(setup, DAY)
    assert channel.is_archived
    await setup.incidents.lifecycle.reopen(1, by="U0SAM", now=setup.clock.now())
    view = await setup.complete(1)
    assert channel_id_of(view) != channel.id
    assert view.channels[next(iter(view.channels))].earlier_channel_id == channel.id


async def test_what_people_archived_or_opened_again_stays_so(incidents_setup: IncidentsSetup) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    channel.is_archived = True
    await tick(setup, 6 * DAY)
    await tick(setup, DAY)
    assert announced(setup, channel) == 0
    channel.is_archived = False
    await tick(setup, 100 * DAY)
    await tick(setup, DAY)
    assert (announced(setup, channel), channel.is_archived) == (0, False)


async def test_one_that_governor_archived_and_people_opened_again_stays_open(
    incidents_setup: IncidentsSetup,
) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    await tick(setup, 6 * DAY)
    await tick(setup, DAY)
    channel.is_archived = False
    await tick(setup, 100 * DAY)
    await tick(setup, DAY)
    assert (announced(setup, channel), channel.is_archived) == (1, False)


async def test_a_channel_that_the_policies_name_stays(incidents_setup: IncidentsSetup) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    policies = setup.current.catalog
    named = replace(policies.services["search"], channel=f"#{channel.name}")
    setup.current.set(replace(policies, services={**policies.services, "search": named}))
    await tick(setup, 6 * DAY)
    await tick(setup, DAY)
    assert (announced(setup, channel), channel.is_archived) == (0, False)


async def test_what_slack_refuses_is_said_once(incidents_setup: IncidentsSetup) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    setup.slack.faults.refuse("conversations.archive", "restricted_action")
    for _ in range(4):
        await tick(setup, 6 * DAY)
    (told,) = setup.messages(channel.id, NOT_ARCHIVED)
    assert told.text.endswith("(`restricted_action`). Next: archive it by hand.")


async def test_two_replicas_and_a_restart_repeat_nothing(incidents_setup: IncidentsSetup) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    async with Database(setup.database.url) as database:
        for later in (6 * DAY, DAY):
            setup.clock.ahead += later
            both = setup.incidents, another(setup, database)
            await asyncio.gather(*(one.run_scheduled() for one in both * 3))
            await another(setup, setup.database).run_scheduled()
            await setup.complete(1)
    assert (announced(setup, channel), channel.is_archived) == (1, True)
    assert [name for name, *_ in await setup.steps(1)].count("archive") == 1


def another(setup: IncidentsSetup, database: Database) -> Incidents:
    """Return the incident workflow as another replica, or the next process, has it."""
    return Incidents(
        database=database,
        ledger=setup.ledger,
        hold_registry=HoldRegistry(database, FreezeAnnouncer(setup.current)),
        client_of=lambda _team: setup.client,
        current=setup.current,
        edit_limits=EditRateLimits(60.0),
        clock=setup.clock,
        lease=Lease("incidents"),
        timing=PATIENCE,
    )


async def test_the_last_message_of_a_person_counts_and_no_others(incidents_setup: IncidentsSetup) -> None:
    setup, channel = incidents_setup, await resolved(incidents_setup)
    channels = IncidentChannels(lambda _team: setup.client, EditRateLimits(60.0))
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    assert (await channels.use(channel.id, long_ago)).last_written_at is None
    said = setup.slack.workspace.say(channel, "U0DANA", "hello")
    use = await channels.use(channel.id, long_ago)
    assert (use.name, use.is_archived) == (channel.name, False)
    assert use.last_written_at == datetime.fromtimestamp(float(said.ts), UTC)


def test_only_what_is_over_and_not_to_be_learned_from_is_finished() -> None:
    over = incident(status=Status.RESOLVED, resolved_at=NOW)
    assert finished_since(over) == NOW
    assert finished_since(replace(over, status=Status.CANCELLED, postmortem_at=NOW)) == NOW
    assert finished_since(replace(over, postmortem_at=NOW)) is None
    assert finished_since(replace(over, finished_at=NOW)) is None
    assert finished_since(replace(over, status=Status.MERGED)) is None
    assert finished_since(replace(over, status=Status.MITIGATED, resolved_at=None)) is None


def test_a_message_makes_what_was_announced_void() -> None:
    told, due = NOW + 6 * DAY, NOW + 7 * DAY
    assert next_archiving_step(NOW, None, AFTER, told - MINUTE) == NextArchivingStep(ArchivingStep.WAIT, told)
    assert next_archiving_step(NOW, None, AFTER, told) == NextArchivingStep(ArchivingStep.ANNOUNCE, due)
    assert next_archiving_step(NOW, told, AFTER, due).step is ArchivingStep.ARCHIVE
    written = told + HOUR
    again = NextArchivingStep(ArchivingStep.WAIT, written + 6 * DAY)
    assert next_archiving_step(written, told, AFTER, due) == again
