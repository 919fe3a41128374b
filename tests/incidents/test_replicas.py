"""Two replicas on one PostgreSQL: what both are told to do at once is done once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app.incidents import Incidents
from bot.catalog.current import CurrentCatalog
from bot.freezes.hold_registry import HoldRegistry
from bot.incidents.alert import Alert, Notification
from bot.incidents.incident import IncidentChange, Status
from bot.incidents.lifecycle import IncidentLifecycle
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.webapi.edit_rate_limits import EditRateLimits
from bot.store.database import Database
from bot.store.leases import Lease
from tests.support.incidents import PATIENCE, TIMING, IncidentsSetup, run_incidents
from tests.support.servers import running_postgresql


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with running_postgresql() as postgresql:
        yield await postgresql.new_database()


async def test_two_that_work_at_once_make_one_complete_incident(url: str, tmp_path: Path) -> None:
    async with run_incidents(tmp_path, url=url) as incidents_setup, Database(url) as database:
        other = twin(incidents_setup, database)
        working = asyncio.create_task(other.step_runner.run())
        try:
            now = incidents_setup.clock.now()
            both = incidents_setup.incidents.lifecycle, other.lifecycle
            opened = await asyncio.gather(*(one.open(incidents_setup.opening(), now) for one in both * 4))
            assert [one.is_new for one in opened].count(True) == 1
            view = await incidents_setup.complete(opened[0].incident.id)
            incidents_setup.assert_one_complete_incident(people={"U0DANA", "U0SAM"})
            assert len(await incidents_setup.hold_registry.holds(incidents_setup.clock.now())) == 1
            await asyncio.gather(*(_resolve(one, view.incident.id, incidents_setup) for one in both))
            view = await incidents_setup.complete(view.incident.id)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        assert len([one for one in view.timeline if one.kind == "status"]) == 1


async def test_a_pair_of_alertmanagers_opens_one_incident(url: str, tmp_path: Path) -> None:
    async with run_incidents(tmp_path, url=url) as incidents_setup, Database(url) as database:
        other = twin(incidents_setup, database)
        labels = {"alertname": "HighErrors", "service": "checkout", "severity": "critical"}
        notification = Notification("group", (Alert("f1", incidents_setup.started, None, labels, {}),))
        desks = (incidents_setup.incidents.alerts, other.alerts) * 4
        answers = await asyncio.gather(
            *(desk.take(notification, incidents_setup.clock.now()) for desk in desks)
        )
        assert {tuple(answer) for answer in answers} == {tuple(answers[0])}
        view = await incidents_setup.complete(answers[0][0])
        assert len([one for one in view.timeline if one.kind == "alert"]) == 1
        incidents_setup.assert_one_complete_incident(people={"U0DANA", "U0SAM"})


def twin(incidents_setup: IncidentsSetup, database: Database) -> Incidents:
    """Return another replica's incident workflow, whose messages the first one's dispatcher sends."""
    return Incidents(
        database=database,
        ledger=incidents_setup.ledger,
        hold_registry=HoldRegistry(database, FreezeAnnouncer(CurrentCatalog(incidents_setup.policies))),
        client_of=lambda _team: incidents_setup.client,
        edit_limits=EditRateLimits(TIMING.minute_s),
        current=CurrentCatalog(incidents_setup.policies),
        clock=incidents_setup.clock,
        lease=Lease("incidents"),
        timing=PATIENCE,
    )


async def _resolve(lifecycle: IncidentLifecycle, id_: int, incidents_setup: IncidentsSetup) -> None:
    await lifecycle.change(
        id_, IncidentChange(status=Status.RESOLVED), by="U0SAM", now=incidents_setup.clock.now()
    )
