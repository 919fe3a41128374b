"""Two replicas on one PostgreSQL: what both are told to do at once is done once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app.incidents import Incidents
from bot.catalog.current import CurrentCatalog
from bot.freezes.hold_registry import HoldRegistry
from bot.incidents.alerts import Alert, Notification
from bot.incidents.incident import IncidentChange, Status
from bot.incidents.lifecycle import IncidentLifecycle
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.store.database import Database
from bot.store.leases import Lease
from tests.support.incidents import PATIENCE, Scene, staged
from tests.support.servers import running_postgresql


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with running_postgresql() as postgresql:
        yield await postgresql.new_database()


async def test_two_that_work_at_once_make_one_complete_incident(url: str, tmp_path: Path) -> None:
    async with staged(tmp_path, url=url) as scene, Database(url) as database:
        other = twin(scene, database)
        working = asyncio.create_task(other.step_runner.run())
        try:
            now = scene.clock.now()
            both = scene.response.lifecycle, other.lifecycle
            opened = await asyncio.gather(*(one.open(scene.opening(), now) for one in both * 4))
            assert [one.is_new for one in opened].count(True) == 1
            view = await scene.complete(opened[0].incident.id)
            scene.assert_one_complete_incident(people={"U0DANA", "U0SAM"})
            assert len(await scene.hold_registry.holds(scene.clock.now())) == 1
            await asyncio.gather(*(_resolve(one, view.incident.id, scene) for one in both))
            view = await scene.complete(view.incident.id)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        assert len([one for one in view.timeline if one.kind == "status"]) == 1


async def test_a_pair_of_alertmanagers_opens_one_incident(url: str, tmp_path: Path) -> None:
    async with staged(tmp_path, url=url) as scene, Database(url) as database:
        other = twin(scene, database)
        labels = {"alertname": "HighErrors", "service": "checkout", "severity": "critical"}
        notification = Notification("group", (Alert("f1", scene.started, None, labels, {}),))
        desks = (scene.response.alerts, other.alerts) * 4
        answers = await asyncio.gather(*(desk.take(notification, scene.clock.now()) for desk in desks))
        assert {tuple(answer) for answer in answers} == {tuple(answers[0])}
        view = await scene.complete(answers[0][0])
        assert len([one for one in view.timeline if one.kind == "alert"]) == 1
        scene.assert_one_complete_incident(people={"U0DANA", "U0SAM"})


def twin(scene: Scene, database: Database) -> Incidents:
    """Return another replica's incident room, whose messages the first one's courier sends."""
    return Incidents(
        database=database,
        ledger=scene.ledger,
        hold_registry=HoldRegistry(database, FreezeAnnouncer(CurrentCatalog(scene.policies))),
        client_of=lambda _team: scene.client,
        current=CurrentCatalog(scene.policies),
        clock=scene.clock,
        lease=Lease("incidents"),
        timing=PATIENCE,
    )


async def _resolve(lifecycle: IncidentLifecycle, id_: int, scene: Scene) -> None:
    await lifecycle.change(id_, IncidentChange(status=Status.RESOLVED), by="U0SAM", now=scene.clock.now())
