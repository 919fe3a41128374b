"""The weekly line of a policy that only observes: what would have been stopped, and what followed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.digests import DigestSettings
from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.window import Span
from bot.deployments import records as deployment_records
from bot.deployments.deployment import Deployment, DeploymentState
from bot.freezes.budget_judge import BudgetJudge
from bot.incidents.incident import Severity
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.incidents.spending.observed_week import incidents_after, observed_week
from bot.incidents.spending.weekly_observation import WeeklyObservation, last_due
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.announcements.observed_week import observed_week_message
from bot.store.database import Database
from bot.store.tables.core import outbox
from tests.incidents.values import incident
from tests.support.clock import DAY, HOUR, NOW, StoppedClock
from tests.support.values import QUIET, budget, catalog, service

OBSERVING = replace(QUIET, mode=PolicyMode.OBSERVE)
CHECKOUT = replace(service(policy=OBSERVING), digests=DigestSettings(None))


def deployment(commit: str, at: datetime, **fields: object) -> Deployment:
    values: dict[str, object] = {
        "id": f"ci {commit}",
        "environment": "production",
        "commit": commit.ljust(40, "0"),
        "by": "octocat",
        "state": DeploymentState.SUCCEEDED,
        "started_at": at,
        "finished_at": at + timedelta(minutes=5),
        "is_production": fields.get("environment", "production") == "production",
    }
    return Deployment(**(values | fields))  # type: ignore[arg-type]


class Shop:
    """A service that observes, on real tables, and a clock that the test sets."""

    def __init__(self, database: Database, of: Service = CHECKOUT) -> None:
        self.database, self.clock = database, StoppedClock()
        self.current = CurrentCatalog(catalog(of))
        self.judge = BudgetJudge(database, FreezeAnnouncer(self.current))
        self.weekly = WeeklyObservation(database, self.current, observed_week_message, self.clock)
        self.lifecycle = IncidentLifecycle(database, self.current)

    async def evaluate(self, left: float, at: datetime) -> None:
        await self.judge.judge(self.current.catalog.services["checkout"], [budget(left)], at)

    async def deploy(self, *deployments: Deployment) -> None:
        async with self.database.transaction() as connection:
            for each in deployments:
                await deployment_records.add(self.database, connection, "checkout", each)

    async def open_incident(self, key: str, at: datetime, **fields: object) -> int:
        opening = NewIncident(key, "Checkout 500s", Severity.SEV3, ("checkout",), "U0DANA", is_person=True)
        opening = replace(opening, started_at=at, **fields)  # type: ignore[arg-type]
        return (await self.lifecycle.open(opening, at)).incident.id

    async def lines(self) -> list[str]:
        async with self.database.reading() as connection:
            query = select(outbox.c.text).where(outbox.c.event_type == "observed_week").order_by(outbox.c.id)
            return list((await connection.execute(query)).scalars())


async def test_the_line_says_what_would_have_been_stopped_and_what_followed(database: Database) -> None:
    shop = Shop(database)
    await shop.weekly.tick()
    monday = NOW
    assert monday.weekday() == 0
    await shop.evaluate(-0.1, monday + DAY)
    await shop.evaluate(0.5, monday + DAY + 10 * HOUR)
    await shop.evaluate(0.5, monday + DAY + 12 * HOUR)
    await shop.deploy(
        deployment("aaaaaaa", monday + HOUR),
        deployment("bbbbbbb", monday + DAY + HOUR),
        deployment("ccccccc", monday + DAY + 2 * HOUR),
        deployment("ddddddd", monday + DAY + 3 * HOUR, environment="staging"),
        deployment("eeeeeee", monday + 4 * DAY, state=DeploymentState.FAILED),
    )
    number = await shop.open_incident("k", monday + DAY + 3 * HOUR)
    shop.clock.time = monday + 7 * DAY
    await shop.weekly.tick()
    (line,) = await shop.lines()
    assert "would have frozen *checkout* once, for 12\u00a0h in all" in line
    assert "2 deployments would have been stopped: `bbbbbbb` and `ccccccc`." in line
    assert f"an incident followed 1 of them: `ccccccc` (`/incident show {number}`)" in line
    assert "Of 1 other deployment, none was followed by an incident." in line
    assert "`mode: enforce` in policy quiet makes it real" in line


async def test_the_line_comes_once_a_week_from_whichever_replica(database: Database) -> None:
    shop, other = Shop(database), Shop(database)
    await shop.weekly.tick()
    for days in (1, 6.9):
        shop.clock.time = NOW + days * DAY
        await shop.weekly.tick()
    assert await shop.lines() == []
    for hours in (0, 1, 100):
        shop.clock.time = other.clock.time = NOW + 7 * DAY + hours * HOUR
        await shop.weekly.tick()
        await other.weekly.tick()
    (line,) = await shop.lines()
    assert "would not have frozen *checkout*" in line
    shop.clock.time = NOW + 14 * DAY
    await shop.weekly.tick()
    assert len(await shop.lines()) == 2


async def test_an_enforced_policy_has_no_line(database: Database) -> None:
    shop = Shop(database)
    await shop.weekly.tick()
    shop.current.set(catalog(service()))
    shop.clock.time = NOW + 8 * DAY
    await shop.weekly.tick()
    shop.current.set(catalog(CHECKOUT))
    await shop.weekly.tick()
    assert await shop.lines() == []


async def test_private_incidents_are_not_counted_where_everybody_reads(database: Database) -> None:
    shop = Shop(database)
    await shop.weekly.tick()
    await shop.evaluate(-0.1, NOW + HOUR)
    await shop.deploy(deployment("aaaaaaa", NOW + 2 * HOUR))
    await shop.open_incident("k", NOW + 3 * HOUR, private=True)
    shop.clock.time = NOW + 7 * DAY
    await shop.weekly.tick()
    (line,) = await shop.lines()
    assert "No incident followed" in line


def test_an_incident_follows_the_last_deployment_before_it_and_not_one_long_ago() -> None:
    first, second = deployment("aaaaaaa", NOW), deployment("bbbbbbb", NOW + HOUR)
    soon = incident(id=3, opened_at=NOW + 2 * HOUR, impacts=())
    late = incident(id=4, opened_at=NOW + 30 * HOUR, impacts=())
    followed = incidents_after([first, second], [late, soon], DAY)
    assert followed == {second.id: 3}


def test_times_that_overlap_are_one_freeze() -> None:
    frozen = [Span(NOW, NOW + 2 * HOUR), Span(NOW + HOUR, NOW + 3 * HOUR), Span(NOW - DAY, NOW - HOUR)]
    week = observed_week(Span(NOW, NOW + 7 * DAY), "quiet", frozen, [], [], within=DAY)
    assert (week.times, week.frozen_for) == (1, 3 * HOUR)


def test_lines_are_due_on_mondays_at_nine() -> None:
    assert last_due(NOW) == NOW
    assert last_due(NOW - timedelta(seconds=1)) == NOW - 7 * DAY
    assert last_due(datetime(2026, 11, 29, 23, 0, tzinfo=UTC)) == NOW


async def test_a_service_with_a_weekly_digest_gets_no_line_of_its_own(database: Database) -> None:
    shop = Shop(database, service(policy=OBSERVING))
    await shop.weekly.tick()
    await shop.evaluate(-0.1, NOW + HOUR)
    shop.clock.time = NOW + 7 * DAY
    await shop.weekly.tick()
    assert await shop.lines() == []
