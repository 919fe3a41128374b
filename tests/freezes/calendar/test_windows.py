"""Freeze windows hold, announce and end by themselves, and are followed when they are edited; both stores."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from bot.app.freezes.freezes import Freezes
from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.freeze_window import FreezeWindow
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.calendar.handler import FreezeWindows
from bot.freezes.calendar.holds import UNKNOWN
from bot.freezes.hold import Hold, HoldKind
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.tasks.hold_expiry import HoldExpiry
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.core import holds as hold_rows
from bot.store.tables.core import outbox
from bot.tasks.runner import TaskRunner
from tests.support.clock import NOW, StoppedClock
from tests.support.stores import create_tables
from tests.support.values import QUIET, budget, catalog, service

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BEGIN = NOW + 2 * DAY


def sale(**changes: object) -> FreezeWindow:
    of = FreezeWindow(
        "black-friday",
        BEGIN.replace(tzinfo=None),
        "UTC",
        4 * HOUR,
        "The biggest sale of the year.",
        ("checkout", "search"),
    )
    return replace(of, **changes)  # type: ignore[arg-type] # the fields by name


@dataclass
class Calendar:
    """Windows in force, the runner that does what is due, and what comes of it."""

    database: Database
    clock: StoppedClock
    current: CurrentCatalog
    windows: FreezeWindows
    registry: HoldRegistry
    runner: TaskRunner
    judge: BudgetJudge

    async def bring(self, *windows: FreezeWindow, mode: PolicyMode = PolicyMode.ENFORCE) -> None:
        """Bring policies with these windows into force."""
        policies = with_windows(*windows, mode=mode)
        self.current.set(policies)
        await self.windows.follow(policies, self.clock.time)

    async def at(self, when: datetime) -> None:
        """Let the time come, and do what is due by then."""
        self.clock.time = when
        while await self.runner.tick():
            pass

    async def evaluate(self) -> None:
        """Judge the budget of checkout, of which much is left."""
        checkout = self.current.catalog.services["checkout"]
        await self.judge.judge(checkout, [budget(0.9)], self.clock.time)

    async def spoil(self) -> None:
        """Make the holds real and lose their windows' names, as earlier versions did at an evaluation."""
        async with self.database.transaction() as connection:
            for hold in await self.held():
                is_it = hold_rows.c.id == hold.id
                values = {"request": f"freeze enforced {hold.id}", "observed": False}
                await connection.execute(update(hold_rows).where(is_it).values(values))

    async def held(self) -> list[Hold]:
        return list(await self.registry.current(self.clock.time))

    async def told(self, event_type: str) -> list[tuple[str, str]]:
        async with self.database.reading() as connection:
            query = select(outbox.c.channel, outbox.c.text).where(outbox.c.event_type == event_type)
            return [(row.channel, row.text) for row in await connection.execute(query.order_by(outbox.c.id))]

    async def audited(self) -> list[str]:
        async with self.database.reading() as connection:
            return [f"{row.entry.action} {row.entry.service}" for row in await audit.read(connection)]


def with_windows(*windows: FreezeWindow, mode: PolicyMode = PolicyMode.ENFORCE) -> Catalog:
    policy = replace(QUIET, mode=mode)
    services = catalog(service("checkout", policy=policy), service("search", policy=policy))
    return replace(services, freeze_windows={each.name: each for each in windows})


@pytest.fixture
async def calendar(url: str) -> AsyncIterator[Calendar]:
    async with Database(url) as database:
        await create_tables(database)
        current, clock = CurrentCatalog(with_windows()), StoppedClock()
        announcer = FreezeAnnouncer(current)
        freezes = Freezes(database, current, announcer)
        registry, windows = freezes.registry, freezes.windows
        runner = TaskRunner(database, clock)
        runner.register([windows, HoldExpiry(registry, lambda name: current.catalog.services[name])])
        judge = BudgetJudge(database, announcer, follow=freezes.follow)
        yield Calendar(database, clock, current, windows, registry, runner, judge)


async def test_a_window_is_told_ahead_put_on_and_taken_off_by_itself(calendar: Calendar) -> None:
    await calendar.bring(sale())
    assert await calendar.held() == []
    await calendar.at(BEGIN - DAY)
    notices = await calendar.told("freeze_window_ahead")
    assert [channel for channel, _ in notices] == ["#checkout", "#releases", "#search"]
    assert "The freeze window `black-friday` holds *checkout* and *search* from" in notices[1][1]
    await calendar.at(BEGIN - HOUR)
    assert len(await calendar.told("freeze_window_ahead")) == 6
    await calendar.at(BEGIN)
    holds = await calendar.held()
    assert {(hold.service, hold.kind, hold.until) for hold in holds} == {
        ("checkout", HoldKind.CALENDAR, BEGIN + 4 * HOUR),
        ("search", HoldKind.CALENDAR, BEGIN + 4 * HOUR),
    }
    await calendar.at(BEGIN + 4 * HOUR)
    assert await calendar.held() == []
    assert sorted(await calendar.audited()) == [
        "hold.expired checkout",
        "hold.expired search",
        "hold.placed checkout",
        "hold.placed search",
    ]


async def test_a_window_that_recurs_comes_again(calendar: Calendar) -> None:
    await calendar.bring(sale(rule="FREQ=DAILY;COUNT=3"))
    for days in range(3):
        await calendar.at(BEGIN + days * DAY)
        assert len(await calendar.held()) == 2, days
        await calendar.at(BEGIN + days * DAY + 4 * HOUR)
        assert await calendar.held() == []
    await calendar.at(BEGIN + 3 * DAY)
    assert await calendar.held() == []
    assert len([each for each in await calendar.audited() if each.startswith("hold.placed")]) == 6


async def test_after_downtime_what_is_in_force_is_put_on_and_what_is_over_is_not(calendar: Calendar) -> None:
    await calendar.bring(sale(rule="FREQ=DAILY"))
    await calendar.at(BEGIN + 2 * DAY + HOUR)
    assert {hold.until for hold in await calendar.held()} == {BEGIN + 2 * DAY + 4 * HOUR}
    # Notices of what has begun long ago say nothing true any more.
    assert await calendar.told("freeze_window_ahead") == []


async def test_following_the_same_policies_again_changes_nothing(calendar: Calendar) -> None:
    await calendar.bring(sale())
    await calendar.at(BEGIN)
    before = await calendar.audited()
    for _ in range(3):
        await calendar.bring(sale())
        await calendar.at(BEGIN + HOUR)
    assert await calendar.audited() == before


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"duration": 6 * HOUR}, {("checkout", 6, False), ("search", 6, False)}),
        ({"services": ("checkout",)}, {("checkout", 4, False)}),
        ({"mode": PolicyMode.OBSERVE}, {("checkout", 4, True), ("search", 4, True)}),
        ({"start": (BEGIN + DAY).replace(tzinfo=None)}, set()),
    ],
    ids=["longer", "fewer services", "observes", "moved"],
)
async def test_a_window_that_is_edited_while_in_force_is_followed_at_once(
    calendar: Calendar, changes: dict[str, object], left: set[tuple[str, int, bool]]
) -> None:
    await calendar.bring(sale())
    await calendar.at(BEGIN)
    calendar.clock.time = BEGIN + HOUR
    await calendar.bring(sale(**changes))
    holds = await calendar.held()
    assert {(hold.service, (hold.until or BEGIN) - BEGIN, hold.observed) for hold in holds} == {
        (name, hours * HOUR, observed) for name, hours, observed in left
    }
    # What was taken off for it is in the audit log, with the reason.
    async with calendar.database.reading() as connection:
        entries = [row.entry for row in await audit.read(connection)]
    ended = [entry for entry in entries if entry.action == "hold.lifted"]
    assert {entry.service for entry in ended} == (
        {"search"} if changes.get("services") else {"checkout", "search"}
    )
    assert all("freeze window" in entry.reason for entry in ended)


async def test_a_window_that_is_removed_holds_no_more(calendar: Calendar) -> None:
    await calendar.bring(sale())
    await calendar.at(BEGIN)
    await calendar.bring()
    assert await calendar.held() == []
    await calendar.bring(sale())
    assert len(await calendar.held()) == 2


async def test_windows_that_overlap_hold_until_the_last_is_over(calendar: Calendar) -> None:
    later = sale(name="audit", start=(BEGIN + 2 * HOUR).replace(tzinfo=None), services=("checkout",))
    await calendar.bring(sale(), later)
    await calendar.at(BEGIN)
    await calendar.at(BEGIN + 2 * HOUR)
    assert [hold.service for hold in await calendar.held()].count("checkout") == 2
    await calendar.at(BEGIN + 4 * HOUR)
    assert {(hold.service, hold.until) for hold in await calendar.held()} == {("checkout", BEGIN + 6 * HOUR)}
    await calendar.at(BEGIN + 6 * HOUR)
    assert await calendar.held() == []


async def test_a_window_that_only_observes_holds_nothing_whatever_is_evaluated_meanwhile(
    calendar: Calendar,
) -> None:
    observing = sale(mode=PolicyMode.OBSERVE)
    await calendar.bring(observing)
    await calendar.at(BEGIN)
    before = await calendar.held()
    for _ in range(2):
        await calendar.evaluate()
        await calendar.bring(observing)
    assert await calendar.held() == before
    assert [hold.observed for hold in before] == [True, True]
    await calendar.bring()
    assert await calendar.held() == []


@pytest.mark.parametrize("evaluated_first", [True, False])
async def test_the_holds_of_a_window_follow_the_mode_of_the_services_policy(
    calendar: Calendar, evaluated_first: bool
) -> None:
    await calendar.bring(sale(), mode=PolicyMode.OBSERVE)
    await calendar.at(BEGIN)
    assert [hold.observed for hold in await calendar.held()] == [True, True]
    for mode in (PolicyMode.ENFORCE, PolicyMode.OBSERVE, PolicyMode.ENFORCE):
        if evaluated_first:
            # An evaluation may see the policies before the windows are kept.
            calendar.current.set(with_windows(sale(), mode=mode))
            await calendar.evaluate()
        await calendar.bring(sale(), mode=mode)
        await calendar.evaluate()
        assert [hold.observed for hold in await calendar.held()] == [mode is PolicyMode.OBSERVE] * 2
    await calendar.at(BEGIN + 4 * HOUR)
    assert await calendar.held() == []


async def test_holds_whose_window_was_lost_are_ended(calendar: Calendar) -> None:
    observing = sale(mode=PolicyMode.OBSERVE)
    await calendar.bring(observing)
    await calendar.at(BEGIN)
    await calendar.spoil()
    await calendar.bring(observing)
    assert [(hold.service, hold.observed) for hold in await calendar.held()] == [
        ("checkout", True),
        ("search", True),
    ]
    await calendar.spoil()
    await calendar.bring()
    assert await calendar.held() == []
    async with calendar.database.reading() as connection:
        ended = [row.entry for row in await audit.read(connection) if row.entry.action == "hold.lifted"]
    assert [entry.reason for entry in ended] == [UNKNOWN] * 4
