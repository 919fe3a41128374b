"""What real incidents in a real database teach, and what a freeze says of them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import UnfreezeRequirement
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.transition import Spending
from bot.incidents.downtime import Impact
from bot.incidents.incident import CauseClass, IncidentChange, Status
from bot.incidents.lifecycle import NewIncident
from bot.incidents.records.actions import NewAction, unmet_requirements
from bot.slack.announcements.freezes import FreezeAnnouncer
from tests.support.clock import DAY, HOUR, MINUTE
from tests.support.incidents import UPTIME, IncidentsSetup
from tests.support.values import QUIET, budget


async def past(
    incidents_setup: IncidentsSetup,
    key: str,
    start: float,
    end: float,
    cause: CauseClass | None = None,
    **fields: object,
) -> int:
    """Record an outage from so many minutes ago until so many minutes ago; return its number."""
    now, lifecycle = incidents_setup.clock.now(), incidents_setup.incidents.lifecycle
    opening: NewIncident = incidents_setup.opening(key, started_at=now - start * MINUTE, **fields)
    id_ = (await lifecycle.open(opening, now)).incident.id
    ended = IncidentChange(status=Status.RESOLVED, ended_at=now - end * MINUTE)
    await lifecycle.change(id_, ended, by="U0SAM", now=now)
    if cause is not None:
        await lifecycle.classify(id_, cause, by="U0SAM", now=now)
    return id_


def checkout(incidents_setup: IncidentsSetup) -> Service:
    return incidents_setup.policies.services["checkout"]


async def where_it_went(incidents_setup: IncidentsSetup) -> Spending | None:
    uptime = (await incidents_setup.budgets())[UPTIME.key]
    return await incidents_setup.incidents.reports.where_it_went(
        checkout(incidents_setup), uptime, incidents_setup.clock.now()
    )


async def test_overlapping_incidents_are_not_counted_twice_in_a_report(
    incidents_setup: IncidentsSetup,
) -> None:
    one = await past(incidents_setup, "one", 40, 20, CauseClass.CAPACITY)
    two = await past(incidents_setup, "two", 30, 10, CauseClass.SOFTWARE_BUG)
    now = incidents_setup.clock.now()
    report, _ = await incidents_setup.incidents.reports.report(now - DAY, now, "checkout")
    assert report.spent == pytest.approx(30 / 10.08, rel=1e-3)
    assert [(share.cause, share.ids) for share in report.shares] == [
        (CauseClass.CAPACITY, (one,)),
        (CauseClass.SOFTWARE_BUG, (two,)),
    ]
    assert [share.share for share in report.shares] == pytest.approx([2 / 3, 1 / 3], rel=1e-3)
    costs = [(await incidents_setup.incidents.snapshots.of(id_)).cost[UPTIME.key] for id_ in (one, two)]
    assert costs == pytest.approx([20 / 10.08] * 2, rel=1e-3)


async def test_measured_budgets_are_divided_among_incidents_that_overlap(
    incidents_setup: IncidentsSetup,
) -> None:
    now = incidents_setup.clock.now().replace(second=0, microsecond=0)
    orders = checkout(incidents_setup).slos[0]
    before = [PushedEvent(orders, 980_000, 0, now - 5 * HOUR, None)]
    during = [PushedEvent(orders, 900, 100, now - minutes * MINUTE, None) for minutes in (35, 25, 15)]
    await incidents_setup.ledger.push([*before, *during], now)
    one, two = await past(incidents_setup, "one", 40, 20), await past(incidents_setup, "two", 30, 10)
    for id_, (start, end) in {one: (40, 20), two: (30, 10)}.items():
        whole = IncidentChange(started_at=now - start * MINUTE, ended_at=now - end * MINUTE)
        await incidents_setup.incidents.lifecycle.change(
            id_, whole, by="U0SAM", now=incidents_setup.clock.now()
        )
    incidents = [(await incidents_setup.incidents.snapshots.of(id_)).incident for id_ in (one, two)]
    charges = await incidents_setup.incidents.costs.charges(incidents, incidents_setup.clock.now())
    spent = [charges[id_][orders.key].spent for id_ in (one, two)]
    assert sum(spent) == pytest.approx(300 / 983, rel=1e-2)
    assert spent[0] == pytest.approx(2 * spent[1], rel=1e-2)


async def test_what_the_ledger_no_longer_holds_is_not_known(incidents_setup: IncidentsSetup) -> None:
    id_ = await past(incidents_setup, "old", 60 * 24 * 40, 60 * 24 * 40 - 10)
    cost = (await incidents_setup.incidents.snapshots.of(id_)).cost
    assert set(cost) == {UPTIME.key}


async def test_private_incidents_count_for_those_who_may_see_them(incidents_setup: IncidentsSetup) -> None:
    id_ = await past(incidents_setup, "secret", 40, 30, private=True)
    now, reports = incidents_setup.clock.now(), incidents_setup.incidents.reports
    hidden, nobody = await reports.report(now - DAY, now)
    shown, seen = await reports.report(now - DAY, now, may_see=lambda _: True)
    assert (hidden.count, hidden.spent, nobody) == (0, 0, [])
    assert (shown.count, [one.id for one in seen]) == (1, [id_])
    assert await where_it_went(incidents_setup) is None


async def test_a_freeze_is_told_where_the_budget_went(incidents_setup: IncidentsSetup) -> None:
    assert await where_it_went(incidents_setup) is None
    first = await past(incidents_setup, "one", 60, 40, CauseClass.CAPACITY)
    second = await past(incidents_setup, "two", 30, 25, CauseClass.SOFTWARE_BUG)
    spending = await where_it_went(incidents_setup)
    assert spending is not None
    assert spending.share == pytest.approx(1.0)
    assert (spending.incidents, spending.cause, spending.work, spending.is_open) == (
        (first, second),
        "capacity",
        "load tests and tuning",
        False,
    )


async def test_a_freeze_during_an_outage_names_the_incident_that_lasts(
    incidents_setup: IncidentsSetup,
) -> None:
    await past(incidents_setup, "one", 60, 55, CauseClass.CAPACITY)
    view = await incidents_setup.opened(started_at=incidents_setup.clock.now() - 20 * MINUTE)
    spending = await where_it_went(incidents_setup)
    assert spending is not None
    assert (spending.incidents[0], spending.is_open, spending.cause) == (view.incident.id, True, None)


async def test_a_budget_that_burned_outside_of_incidents_says_so(incidents_setup: IncidentsSetup) -> None:
    await past(incidents_setup, "old", 300, 295, CauseClass.CAPACITY)
    now = incidents_setup.clock.now()
    orders = checkout(incidents_setup).slos[0]
    await incidents_setup.ledger.push([PushedEvent(orders, 99_000, 1_000, now - 30 * MINUTE, None)], now)
    spent = (await incidents_setup.budgets())[orders.key]
    assert await incidents_setup.incidents.reports.where_it_went(
        checkout(incidents_setup), spent, now
    ) == Spending(0.0, ())


async def test_the_announcement_of_a_freeze_carries_it(incidents_setup: IncidentsSetup) -> None:
    id_ = await past(incidents_setup, "one", 60, 40, CauseClass.CAPACITY)
    announce = FreezeAnnouncer(CurrentCatalog(incidents_setup.policies))
    judge = BudgetJudge(
        incidents_setup.database, announce, explain=incidents_setup.incidents.reports.where_it_went
    )
    now = incidents_setup.clock.now()
    service = replace(checkout(incidents_setup), slos=(UPTIME,))
    uptime = (await incidents_setup.budgets())[UPTIME.key]
    await judge.judge(service, [uptime], now)
    await incidents_setup.complete(id_)
    (told,) = incidents_setup.messages("#checkout", "service_frozen")
    line = f"Where it went: 100% in incident {id_}, put down to capacity: load tests and tuning first."
    assert line in told.text.replace("\u00a0", " ").splitlines()


async def test_a_hold_that_only_actions_keep_is_told_once_without_what_is_private(
    incidents_setup: IncidentsSetup,
) -> None:
    strict = replace(QUIET, dwell=timedelta(), unfreeze_requires=UnfreezeRequirement.ACTIONS_OWNED)
    service = replace(checkout(incidents_setup), error_budget_policy=strict)
    announce = FreezeAnnouncer(CurrentCatalog(incidents_setup.policies))
    judge = BudgetJudge(incidents_setup.database, announce, unmet_requirements)
    now, book = incidents_setup.clock.now(), incidents_setup.incidents.actions
    id_ = await past(incidents_setup, "secret", 40, 30, private=True)
    await book.add(NewAction("Rotate the leaked key", "checkout", id_, is_p0=True), by="U0DANA", now=now)
    for left in (-0.1, 0.9, 0.9, 0.9):
        await judge.judge(service, [budget(left)], now)
    await incidents_setup.complete(id_)
    (told,) = await incidents_setup.slack.until(lambda: incidents_setup.messages("#checkout", "hold_kept"))
    assert "1. of a private incident — needs an owner and a due date" in told.text
    assert "leaked" not in told.text
    assert incidents_setup.messages("#releases", "hold_kept") == []


async def test_the_cards_say_which_actions_are_missing(incidents_setup: IncidentsSetup) -> None:
    strict = replace(QUIET, unfreeze_requires=UnfreezeRequirement.ACTIONS_OWNED)
    service = replace(checkout(incidents_setup), error_budget_policy=strict)
    incidents_setup.policies.services["checkout"] = service  # type: ignore[index]
    id_ = await past(incidents_setup, "one", 40, 20)
    view = await incidents_setup.complete(id_)
    assert view.lacks_p0
    assert view.held_until_owned == ("checkout",)
    now, book = incidents_setup.clock.now(), incidents_setup.incidents.actions
    action = await book.add(NewAction("Limit the pool", "checkout", id_, is_p0=True), by="U0DANA", now=now)
    view = await incidents_setup.incidents.snapshots.of(id_)
    assert not view.lacks_p0
    assert list(view.not_owned) == [action]
    await book.change(action.id, by="U0DANA", now=now, owner="U0SAM", due=now.date())
    assert not (await incidents_setup.incidents.snapshots.of(id_)).not_owned
    cheap = Impact(now - 40 * MINUTE, now - 20 * MINUTE, 0.0)
    await incidents_setup.incidents.lifecycle.record_impact(id_, cheap, by="U0SAM", now=now)
    assert not (await incidents_setup.incidents.snapshots.of(id_)).asks_p0
