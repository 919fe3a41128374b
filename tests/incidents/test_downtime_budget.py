"""SLOs that are counted from recorded downtime: what is left, and how it shrank."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import insert

from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, CountsAs
from bot.budgets.adjustments.records import row_values
from bot.budgets.assessment import AssessmentRequest, assess_all
from bot.budgets.downtime import equal_parts
from bot.budgets.ledger.ledger import Ledger
from bot.catalog.current import CurrentCatalog
from bot.catalog.window import CalendarUnit, CalendarWindow, Span
from bot.incidents.cost import Costs
from bot.incidents.downtime import Impact, bad_seconds
from bot.store.database import Database
from bot.store.tables.adjustments import adjustments
from tests.incidents.values import incident
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.incidents import UPTIME, IncidentsSetup
from tests.support.values import catalog, service


def recorded(*impacts: Impact) -> Ledger:
    """Return a ledger beside which these impacts were recorded."""

    async def answer(_service: str, spans: Sequence[Span]) -> Sequence[float]:
        return [bad_seconds(impacts, span) for span in spans]

    return Ledger(Database("sqlite+aiosqlite://"), answer)


async def test_the_parts_of_a_window_add_up_to_its_downtime(incidents_setup: IncidentsSetup) -> None:
    outage = Impact(NOW - 2 * DAY, NOW - 2 * DAY + 15 * MINUTE)
    ledger = Ledger(incidents_setup.database, recorded(outage).downtime)
    parts = await equal_parts(ledger.downtime_counts, UPTIME, UPTIME.window.span(NOW), 7)
    assert [events.bad for _, events in parts] == [0, 0, 0, 0, 0, 900, 0]
    assert parts[-1][0] == NOW


async def test_an_outage_over_the_windows_edge_counts_what_lies_within(
    incidents_setup: IncidentsSetup,
) -> None:
    edge = NOW - 7 * DAY
    ledger = Ledger(incidents_setup.database, recorded(Impact(edge - HOUR, edge + 5 * MINUTE)).downtime)
    (left,) = await assess_all(ledger, [AssessmentRequest(UPTIME)], NOW, MINUTE)
    assert left.remaining_minutes == pytest.approx(10.08 - 5)
    assert left.events is not None
    assert left.events.bad == 300


async def test_a_calendar_window_has_the_whole_periods_budget_from_the_start(
    incidents_setup: IncidentsSetup,
) -> None:
    month = replace(UPTIME, window=CalendarWindow(CalendarUnit.MONTH, "Europe/London"))
    ledger = Ledger(
        incidents_setup.database, recorded(Impact(NOW - HOUR, NOW - HOUR + 10 * MINUTE, 0.5)).downtime
    )
    (left,) = await assess_all(ledger, [AssessmentRequest(month)], NOW, MINUTE)
    assert left.remaining_minutes == pytest.approx(43.2 - 5)


async def test_an_incident_within_maintenance_costs_nothing_there(incidents_setup: IncidentsSetup) -> None:
    start = NOW - DAY
    out = incident(opened_at=start, impacts=(Impact(start, start + 30 * MINUTE),))
    ledger = Ledger(incidents_setup.database, recorded(*out.impacts).downtime)
    shop = CurrentCatalog(catalog(service(slos=(UPTIME,))))
    costs = Costs(shop, ledger.counts, ledger.left_out)
    seconds = 7 * DAY.total_seconds()
    assert (await costs.of(out, NOW))[UPTIME.key] == pytest.approx(1_800 / (seconds * 0.001))
    window = Span(start, start + 20 * MINUTE)
    planned = Adjustment(
        0, "checkout", None, AdjustmentKind.MAINTENANCE, CountsAs.DROPPED, window, "move", "governor", NOW
    )
    async with incidents_setup.database.transaction() as connection:
        await connection.execute(insert(adjustments).values(row_values(planned, "planned")))
    left = (seconds - 1_200) * 0.001
    assert (await costs.of(out, NOW))[UPTIME.key] == pytest.approx(600 / left)
    assert (await costs.charges([out], NOW))[1][UPTIME.key].spent == pytest.approx(600 / left)
    assert await costs.spent_within_window([out], UPTIME, NOW) == {1: 600}
    (budget,) = await assess_all(ledger, [AssessmentRequest(UPTIME)], NOW, MINUTE)
    assert budget.remaining is not None
    assert float(budget.remaining) == pytest.approx(1 - 600 / left)
