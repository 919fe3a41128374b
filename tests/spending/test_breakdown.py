"""Where budgets went adds up to the whole, to the last event, in figures and as they are shown."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.budget import Budget, EventCounts, assess
from bot.budgets.exact import exact
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import RollingWindow, Span
from bot.deployments import records as deployment_records
from bot.deployments.deployment import DeploymentState
from bot.incidents.cost import Downtime
from bot.incidents.downtime import bad_seconds
from bot.incidents.incident import Incident, Status
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.incidents.records import incidents as incident_records
from bot.spending.attribution import Cause, CauseKind, claims, stretches
from bot.spending.breakdown import SpendingBreakdown, apportioned, as_seen, breakdown, shortened
from bot.spending.event_reader import ServiceEventReader
from bot.spending.reader import SpendingReader
from bot.spending.service_events import ServiceEvents
from bot.store import audit
from bot.store.audit import AuditEntry
from bot.store.database import Database
from tests.spending.happenings import deployed, happened, moved
from tests.support.clock import DAY, HOUR, MINUTE, NOW, StoppedClock
from tests.support.values import QUIET, catalog, service, slo

SHORT = slo(window=RollingWindow(6 * HOUR))
WITHIN = 40 * MINUTE
CHECKOUT = replace(
    service(slos=(SHORT,), policy=replace(QUIET, attribute_within=WITHIN)), flags=("new-checkout",)
)


def window_of(budget: Budget) -> Span:
    assert budget.as_of is not None
    return budget.slo.window.span(budget.as_of)


def divided_evenly(bad: float, parts: list[float]) -> SpendingBreakdown:
    """Divide a budget among as many deployments as there are sums at the ends of their times."""
    budget = assess(slo(), events=EventCounts(bad, max(bad, 1.0) * 2_000), recent={}, as_of=NOW)
    window = window_of(budget)
    length = window.length / len(parts)
    divided = [
        (
            Span(window.start + length * number, window.start + length * (number + 1)),
            Cause(CauseKind.DEPLOYMENT, deployed(str(number), window.start + length * number)),
        )
        for number in range(len(parts))
    ]
    return breakdown(budget, window, divided, parts, DAY)


@given(st.data())
def test_whatever_the_sums_are_the_rows_add_up_to_the_whole(data: st.DataObject) -> None:
    bad = data.draw(st.one_of(st.integers(0, 10**9).map(float), st.floats(0, 1e9)))
    sums = sorted(data.draw(st.lists(st.floats(0, 1e9), min_size=1, max_size=30)))
    found = divided_evenly(bad, sums)
    assert sum((row.spent for row in found.rows), Decimal(0)) == found.spent == exact(bad)
    assert all(row.spent > 0 for row in found.rows)
    assert sum(found.tenths) == (found.spent_tenths if found.rows else 0)
    brief, others = shortened(found, 5)
    assert sum((row.spent for row in brief.rows), Decimal(0)) == found.spent
    assert sum(brief.tenths) == sum(found.tenths)
    assert len(brief.rows) <= 6
    assert others == max(0, len(found.rows) - 5)


@given(st.lists(st.integers(0, 10**6).map(Decimal), min_size=1, max_size=20), st.integers(0, 100_000))
def test_rounded_parts_add_up_and_none_is_off_by_one(parts: list[Decimal], whole: int) -> None:
    rounded = apportioned(parts, whole)
    if not sum(parts):
        assert set(rounded) == {0}
        return
    assert sum(rounded) == whole
    assert all(
        abs(number - part * whole / sum(parts)) < 1 for number, part in zip(rounded, parts, strict=True)
    )


class Shop:
    """A service with what happened around it, in a real database."""

    def __init__(self, database: Database, of: Service = CHECKOUT) -> None:
        self.database, self.of, self.clock = database, of, StoppedClock()
        current = CurrentCatalog(catalog(of))
        self.ledger = Ledger(database, Downtime(database).bad_seconds)
        self.lifecycle = IncidentLifecycle(database, current)
        self.reader = SpendingReader(self.ledger, ServiceEventReader(database, current), self.clock)

    async def happen(self, events: ServiceEvents) -> None:
        """Store what happened."""
        for incident in events.incidents:
            await self.open(incident)
        async with self.database.transaction() as connection:
            for deployment in events.deployments:
                await deployment_records.add(self.database, connection, "checkout", deployment)
            for move in events.flags:
                before, after = (0.0, 0.5) if move.raises else (0.5, 0.0)
                entry = AuditEntry(
                    "U0DANA", "flag.changed", f"{move.flag} in {move.environment}", "", None,
                    {"exposure": before}, {"exposure": after},
                )  # fmt: skip
                await audit.record(connection, entry, move.at)

    async def open(self, incident: Incident) -> int:
        """Store an incident as it is, but for its number."""
        opening = NewIncident(
            incident.key, incident.title, incident.severity, incident.services, incident.opened_by,
            is_person=True, private=incident.private,
        )  # fmt: skip
        id_ = (await self.lifecycle.open(opening, incident.opened_at)).incident.id
        async with self.database.transaction() as connection:
            stored = await incident_records.read(connection, id_)
            final = replace(stored, status=incident.status, impacts=incident.impacts)
            await incident_records.write(connection, stored, final, NOW)
        return id_

    async def budgets(self) -> list[Budget]:
        requests = [AssessmentRequest(each) for each in self.of.slos]
        return await assess_all(self.ledger, requests, self.clock.now(), MINUTE)

    async def where(self) -> SpendingBreakdown:
        (found,) = await self.reader.where(self.of, await self.budgets())
        return found


def random_happenings(draw: random.Random) -> ServiceEvents:
    """Return what happened in the last hours, each at a whole minute."""

    def minute() -> timedelta:
        return draw.randrange(1, 420) * MINUTE

    incidents = []
    for number in range(1, draw.randrange(5)):
        start, end = sorted((NOW - minute(), NOW - minute()))
        incidents.append(happened(number, start, None if draw.random() < 0.2 else end + MINUTE))
    return ServiceEvents(
        tuple(incidents),
        tuple(deployed(f"{number:07x}", NOW - minute()) for number in range(draw.randrange(6))),
        tuple(
            moved("new-checkout", NOW - minute(), raises=draw.random() < 0.7)
            for _ in range(draw.randrange(6))
        ),
    )


@pytest.mark.parametrize("seed", range(12))
async def test_each_minute_of_a_random_history_is_counted_for_its_owner(
    database: Database, seed: int
) -> None:
    draw, shop = random.Random(seed), Shop(database)  # noqa: S311 - reproducible, not secret
    events = random_happenings(draw)
    await shop.happen(events)
    bad = {number: draw.choice([0, 0, 1, 3, 250]) for number in range(1, 400)}
    await shop.ledger.push(
        [PushedEvent(SHORT, 1_000, failed, NOW - number * MINUTE) for number, failed in bad.items()], NOW
    )
    found = await shop.where()
    (budget,) = await shop.budgets()
    assert budget.events is not None
    assert sum((row.spent for row in found.rows), Decimal(0)) == found.spent == exact(budget.events.bad)
    expected: Counter[str] = Counter()
    for span, cause in stretches(found.window, claims(events, found.window, WITHIN)):
        for number, failed in bad.items():
            if span.start <= NOW - number * MINUTE < span.end:
                expected[_name(cause)] += failed
    assert {_name(row.causes[0]): row.spent for row in found.rows} == {
        name: Decimal(failed) for name, failed in expected.items() if failed
    }


def _name(cause: Cause) -> str:
    """Return a name that an incident has before and after it is stored."""
    return str(getattr(cause.subject, "title", cause.subject))


@pytest.mark.parametrize("seed", range(4))
async def test_a_month_of_which_only_hours_are_kept_adds_up_too(database: Database, seed: int) -> None:
    draw, of = random.Random(seed), slo()  # noqa: S311 - reproducible, not secret
    shop = Shop(database, service(slos=(of,)))
    moments = sorted(NOW - timedelta(seconds=draw.randrange(30 * 86_400)) for _ in range(12))
    await shop.happen(
        ServiceEvents(
            tuple(happened(number, moments[number], moments[number + 1]) for number in (1, 4)),
            tuple(deployed(f"{number:07x}", moments[number]) for number in (0, 3, 6, 9)),
        )
    )
    await shop.ledger.push(
        [
            PushedEvent(of, 1_000, draw.randrange(20), NOW - timedelta(seconds=draw.randrange(35 * 86_400)))
            for _ in range(600)
        ],
        NOW,
    )
    found = await shop.where()
    (budget,) = await shop.budgets()
    assert budget.events is not None
    assert sum((row.spent for row in found.rows), Decimal(0)) == exact(budget.events.bad)
    assert {row.kind for row in found.rows} == {CauseKind.INCIDENT, CauseKind.DEPLOYMENT, CauseKind.REST}
    assert sum(found.tenths) == found.spent_tenths


async def test_downtime_is_divided_by_the_second(database: Database) -> None:
    of = slo(window=RollingWindow(7 * DAY), sli=DowntimeSli())
    shop = Shop(database, service(slos=(of,)))
    first = happened(1, NOW - 5 * HOUR, NOW - 5 * HOUR + 4 * MINUTE)
    second = happened(2, NOW - 5 * HOUR + 2 * MINUTE, NOW - 5 * HOUR + 7 * MINUTE)
    await shop.happen(ServiceEvents((first, second)))
    found = await shop.where()
    assert [row.spent for row in found.rows] == [Decimal(240), Decimal(180)]
    assert found.unit == "seconds"
    assert sum(row.spent for row in found.rows) == Decimal(
        int(bad_seconds([*first.impacts, *second.impacts], found.window))
    )


async def test_what_nothing_is_counted_of_is_left_out_and_nothing_spent_has_no_rows(
    database: Database,
) -> None:
    shop = Shop(database)
    assert await shop.reader.where(shop.of, await shop.budgets()) == []
    await shop.ledger.push([PushedEvent(SHORT, 1_000, 0, NOW - HOUR)], NOW)
    found = await shop.where()
    assert (found.spent, found.rows, found.tenths) == (Decimal(0), (), ())


async def test_staging_failures_cancelled_incidents_and_other_services_claim_nothing(
    database: Database,
) -> None:
    shop = Shop(database)
    at = NOW - HOUR
    async with database.transaction() as connection:
        for name, deployment in (
            ("checkout", deployed("a", at, environment="staging")),
            ("checkout", deployed("b", at, state=DeploymentState.FAILED)),
            ("search", deployed("c", at)),
        ):
            await deployment_records.add(database, connection, name, deployment)
    cancelled = happened(1, at, None)
    await shop.open(replace(cancelled, status=Status.CANCELLED))
    await shop.happen(ServiceEvents(flags=(moved("other-flag", at),)))
    await shop.ledger.push([PushedEvent(SHORT, 1_000, 5, NOW - HOUR / 2)], NOW)
    found = await shop.where()
    assert [(row.kind, row.spent) for row in found.rows] == [(CauseKind.REST, Decimal(5))]


async def test_incidents_that_the_reader_may_not_know_of_are_one_row(database: Database) -> None:
    shop = Shop(database)
    await shop.happen(
        ServiceEvents(
            (
                happened(1, NOW - 5 * HOUR, NOW - 4 * HOUR, private=True),
                happened(2, NOW - 3 * HOUR, NOW - 2 * HOUR, private=True),
                happened(3, NOW - 90 * MINUTE, NOW - HOUR),
            )
        )
    )
    await shop.ledger.push(
        [PushedEvent(SHORT, 1_000, 10, NOW - hours * HOUR) for hours in (0.5, 1.25, 2.5, 4.5)], NOW
    )
    found = as_seen(await shop.where(), lambda incident: not incident.private)
    assert [(row.kind, row.is_hidden, row.spent) for row in found.rows] == [
        (CauseKind.INCIDENT, False, Decimal(10)),
        (CauseKind.INCIDENT, True, Decimal(20)),
        (CauseKind.REST, False, Decimal(10)),
    ]
    assert "Trouble 1" not in str(found)
    assert sum(row.spent for row in found.rows) == found.spent


def test_a_slo_of_another_objective_has_another_budget() -> None:
    of: Slo = slo(objective="0.99")
    budget = assess(of, events=EventCounts(50, 10_000), recent={}, as_of=NOW)
    window = window_of(budget)
    found = breakdown(budget, window, [(window, Cause(CauseKind.REST))], [50.0], DAY)
    assert (found.spent, found.budget, found.spent_tenths) == (Decimal(50), Decimal(100), 500)
