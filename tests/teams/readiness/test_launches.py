"""Launch checklists: once for each service that appears, ticked by name and time, asked for by policies."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select

from bot.catalog.catalog import Catalog, Service
from bot.catalog.error_budget_policy import LaunchRequirement, PolicyMode
from bot.deployments import records as deployments
from bot.deployments.deployment import Deployment, DeploymentState
from bot.freezes.verdict import UnreadyLaunch
from bot.slack.readiness.messages import appeared_messages, changed_messages
from bot.store.database import Database
from bot.store.tables.core import audit, outbox
from bot.teams.readiness.checklist import LaunchItem, Tick
from bot.teams.readiness.launches import MOST_AT_ONCE, Launches
from tests.support.clock import HOUR, NOW
from tests.support.examples import POLICY, WORKSPACE, shop_service

REQUIRED = replace(POLICY, launch_requires=LaunchRequirement.READINESS)


def of(*names: str, channel: str | None = None) -> Catalog:
    services = {name: shop_service(name, channel=channel) for name in names}
    return Catalog(WORKSPACE, services, " ".join(names))


def launches(database: Database) -> Launches:
    return Launches(database, appeared_messages, changed_messages)


def requiring(name: str = "checkout", **policy: object) -> Service:
    return replace(shop_service(name), error_budget_policy=replace(REQUIRED, **policy))  # type: ignore[arg-type]


async def told(database: Database) -> Sequence[tuple[str, str]]:
    """Return the channel of each message and what it is, edits left out."""
    query = select(outbox.c.channel, outbox.c.event_type).where(outbox.c.is_edit.is_(False))
    async with database.reading() as connection:
        return [
            (row.channel, row.event_type) for row in await connection.execute(query.order_by(outbox.c.id))
        ]


async def deploy(
    database: Database, service: str, state: DeploymentState, *, production: bool = True
) -> None:
    deployment = Deployment(
        f"d {state} {production}", "production", "3f1c2ab", "U0SAM", state, NOW, NOW, is_production=production
    )
    async with database.transaction() as connection:
        await deployments.add(database, connection, service, deployment)


async def test_services_that_are_there_at_first_get_none_and_later_ones_one_each(database: Database) -> None:
    await launches(database).follow(of("checkout", "search"), NOW)
    assert await told(database) == []
    await launches(database).follow(of("checkout", "search", "payments"), NOW)
    assert await told(database) == [("#payments", "launch_checklist")]
    # Restarted, left out of the policies and back again.
    await launches(database).follow(of("checkout"), NOW)
    await launches(database).follow(of("checkout", "search", "payments"), NOW + HOUR)
    assert len(await told(database)) == 1


async def test_an_installation_that_begins_without_services_asks_for_its_first(database: Database) -> None:
    await launches(database).follow(of(), NOW)
    await launches(database).follow(of("checkout"), NOW)
    assert await told(database) == [("#checkout", "launch_checklist")]


async def test_replicas_that_see_a_service_together_ask_once(database: Database) -> None:
    await launches(database).follow(of("checkout"), NOW)
    seen = of("checkout", "search", "payments")
    await asyncio.gather(*(launches(database).follow(seen, NOW) for _ in range(4)))
    assert sorted(await told(database)) == [
        ("#payments", "launch_checklist"),
        ("#search", "launch_checklist"),
    ]


async def test_many_new_services_of_one_channel_are_told_in_one_message(database: Database) -> None:
    await launches(database).follow(of(), NOW)
    names = [f"service-{number}" for number in range(MOST_AT_ONCE + 1)]
    await launches(database).follow(of(*names, channel="#shop"), NOW)
    assert await told(database) == [("#shop", "launch_checklists")]


async def test_a_tick_has_a_name_and_a_time_and_the_first_one_stays(database: Database) -> None:
    checkout, lists = shop_service(), launches(database)
    await lists.tick(checkout, LaunchItem.RUNBOOK, by="U0RILEY", is_done=True, now=NOW)
    again = await lists.tick(checkout, LaunchItem.RUNBOOK, by="U0SAM", is_done=True, now=NOW + HOUR)
    assert again.ticks == {LaunchItem.RUNBOOK: Tick("U0RILEY", NOW)}
    without = await lists.tick(checkout, LaunchItem.RUNBOOK, by="U0SAM", is_done=False, now=NOW + HOUR)
    assert without.ticks == {}
    await lists.tick(checkout, LaunchItem.RUNBOOK, by="U0SAM", is_done=False, now=NOW + HOUR)
    async with database.reading() as connection:
        rows = await connection.execute(select(audit).order_by(audit.c.id))
        entries = [(row.actor, row.action, row.reason) for row in rows]
    assert entries == [
        ("U0RILEY", "readiness.ticked", "A runbook"),
        ("U0SAM", "readiness.unticked", "A runbook"),
    ]


async def test_only_what_a_policy_asks_for_keeps_a_service_from_production(database: Database) -> None:
    lists, first = launches(database), requiring("checkout")
    assert await lists.unready([shop_service("search")]) == {}
    unready = (await lists.unready([first, shop_service("search")]))["checkout"]
    assert (len(unready.lacks), unready.is_enforced) == (6, True)
    for item in LaunchItem:
        await lists.tick(first, item, by="U0SAM", is_done=True, now=NOW)
    assert await lists.unready([first]) == {}


async def test_a_service_that_only_observes_is_not_kept_from_it(database: Database) -> None:
    observing = requiring(mode=PolicyMode.OBSERVE)
    assert not (await launches(database).unready([observing]))["checkout"].is_enforced


@pytest.mark.parametrize(
    ("state", "production", "is_asked"),
    [
        (DeploymentState.SUCCEEDED, True, False),
        (DeploymentState.SUCCEEDED, False, True),
        (DeploymentState.FAILED, True, True),
    ],
)
async def test_only_a_deployment_that_reached_production_makes_a_service_launched(
    database: Database, state: DeploymentState, production: bool, is_asked: bool
) -> None:
    await deploy(database, "checkout", state, production=production)
    assert ("checkout" in await launches(database).unready([requiring()])) is is_asked


def test_the_reason_names_what_is_open() -> None:
    assert UnreadyLaunch(("a runbook", "SLOs agreed with the business")).reason == (
        "its launch checklist is not complete; still open: a runbook, SLOs agreed with the business"
    )


def test_a_message_names_only_the_first_of_hundreds_of_services() -> None:
    services = [shop_service(f"service-{number}", channel="#shop") for number in range(300)]
    (message,) = appeared_messages(services)
    assert "280 more" in message.text
    assert message.text.count("service-") == 20
