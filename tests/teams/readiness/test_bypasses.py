"""A first production deployment that went past an open launch checklist is told and audited, once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import LaunchRequirement, PolicyMode
from bot.deployments.changes.planner import ChangesPlanner
from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.recorder import DeploymentRecorder
from bot.deployments.undo_detector import UndoDetector
from bot.freezes.exemptions.proven_kinds import ProvenKinds
from bot.freezes.hold_registry import HoldRegistry
from bot.slack.announcements.deployments import DeploymentAnnouncer
from bot.slack.announcements.proven_kinds import proven_kind_messages
from bot.slack.readiness.messages import appeared_messages, changed_messages
from bot.store.database import Database
from bot.store.tables.core import audit, outbox
from bot.teams.readiness.checklist import LaunchItem
from bot.teams.readiness.launches import Launches
from tests.deployments.github.conftest import NobodyLinks
from tests.support.clock import HOUR, NOW
from tests.support.examples import POLICY, shop_service
from tests.support.values import catalog

REQUIRED = replace(POLICY, launch_requires=LaunchRequirement.READINESS)
CHECKOUT = replace(shop_service("checkout"), error_budget_policy=REQUIRED)
MINUTE = timedelta(minutes=1)


class Shipping:
    """A recorder and the launch checklists that it asks, for one service."""

    def __init__(self, database: Database, service: Service) -> None:
        self.database, self.service = database, service
        self.launches = Launches(database, appeared_messages, changed_messages)
        current = CurrentCatalog(catalog(service))
        self.recorder = DeploymentRecorder(
            database,
            current,
            DeploymentAnnouncer(current),
            ProvenKinds(database, proven_kind_messages),
            UndoDetector(NobodyLinks()),
            changes=ChangesPlanner(database, current, can_ask=False),
            read_unready=self.launches.unready_when_deployed,
        )

    async def tick(self, *items: LaunchItem, minutes: int = -10) -> None:
        for item in items:
            at = NOW + minutes * MINUTE
            await self.launches.tick(self.service, item, by="U0RILEY", is_done=True, now=at)

    async def ship(self, key: str = "d1", **fields: object) -> None:
        """Record a deployment that began now and ended a minute later."""
        deployment = Deployment(
            key, "production", "3f1c2ab", "U0SAM", DeploymentState.SUCCEEDED, NOW, NOW + MINUTE,
            is_production=True,
        )  # fmt: skip
        shipped = replace(deployment, **fields)  # type: ignore[arg-type]
        await self.recorder.record(shipped, [self.service], "github", NOW + HOUR)

    async def audited(self) -> Sequence[tuple[str, str]]:
        query = select(audit).where(audit.c.action.like("%.bypassed")).order_by(audit.c.id)
        async with self.database.reading() as connection:
            return [(row.action, row.reason) for row in await connection.execute(query)]

    async def told(self) -> Sequence[tuple[str, str]]:
        query = select(outbox).where(outbox.c.event_type == "gate_bypassed").order_by(outbox.c.id)
        async with self.database.reading() as connection:
            return [(row.channel, row.text) for row in await connection.execute(query)]


@pytest.fixture
def shipping(database: Database) -> Shipping:
    return Shipping(database, CHECKOUT)


async def test_the_first_one_is_told_with_what_was_open_and_later_ones_are_not(shipping: Shipping) -> None:
    await shipping.tick(*(item for item in LaunchItem if item is not LaunchItem.RUNBOOK))
    # It was ticked only while the deployment ran.
    await shipping.tick(LaunchItem.RUNBOOK, minutes=1)
    for key in ("d1", "d1", "d2"):
        await shipping.ship(key)
    assert await shipping.audited() == [
        ("readiness.bypassed", "its launch checklist is not complete; still open: a runbook")
    ]
    told = await shipping.told()
    assert len({channel for channel, _ in told}) == len(told) == 2
    for _, text in told:
        assert ":warning: *checkout* was deployed to production for the first time before" in text
        assert "There were open items on its launch checklist: a runbook" in text
        assert "`/governor readiness checkout`" in text


async def test_a_hold_and_an_open_checklist_are_told_together(shipping: Shipping) -> None:
    registry = HoldRegistry(shipping.database, lambda *_: ())
    await registry.place(
        shipping.service, by="U0SAM", reason="peak sale", until=None, request="r", now=NOW - HOUR
    )
    await shipping.ship()
    ((action, reason),) = await shipping.audited()
    assert action == "freeze.bypassed"
    assert reason.startswith("person hold: peak sale; its launch checklist is not complete")
    for _, text in await shipping.told():
        assert "1 hold was on *checkout*" in text
        assert "It was the first time, with open items on its launch checklist: SLOs agreed" in text


async def test_a_complete_checklist_and_policies_that_do_not_require_one_tell_nothing(
    shipping: Shipping, database: Database
) -> None:
    await shipping.tick(*LaunchItem)
    await shipping.ship()
    for name, policy in {"a": POLICY, "b": replace(REQUIRED, mode=PolicyMode.OBSERVE)}.items():
        await Shipping(database, replace(shop_service(name), error_budget_policy=policy)).ship()
    assert (await shipping.audited(), await shipping.told()) == ([], [])


@pytest.mark.parametrize(
    "fields",
    [
        {"state": DeploymentState.FAILED},
        {"environment": "staging", "is_production": False},
        {"environment": "production", "is_production": False},
    ],
    ids=["failed", "staging", "not production"],
)
async def test_what_did_not_reach_production_tells_nothing(
    shipping: Shipping, fields: dict[str, Any]
) -> None:
    await shipping.ship(**fields)
    assert (await shipping.audited(), await shipping.told()) == ([], [])
