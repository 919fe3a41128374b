"""Pages begin and end at the paging systems as the burn alerts do: once, in order, whatever fails between."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from sqlalchemy import select

from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.paging import PagingDestination, PagingVendor
from bot.freezes.budget_judge import BudgetJudge
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.notices.undelivered_pages import UndeliveredPages
from bot.store.database import Database
from bot.store.tables.core import audit, outbox
from bot.tasks.runner import TaskRunner
from bot.teams.paging.client import PagingClient
from bot.teams.paging.follower import PageFollower
from bot.teams.paging.handler import GIVE_UP_AFTER, PagingHandler
from tests.support.clock import HOUR, MINUTE, NOW, StoppedClock
from tests.support.values import STANDARD, budget, catalog, service
from tests.teams.paging.paging_system import API_KEY, ROUTING_KEY, PagingSystem, paging_system

KEY = "governor:checkout/availability"
FAST = {HOUR: 20.0, 5 * MINUTE: 20.0, 6 * HOUR: 7.0, 30 * MINUTE: 20.0}
PAGERDUTY, OPSGENIE, ALERTMANAGER = PagingVendor


class PagedShop:
    """A service whose burn alerts are handed over, as the bot does it, on a clock that stands still."""

    def __init__(self, database: Database, system: PagingSystem, session: aiohttp.ClientSession) -> None:
        self.database, self.system = database, system
        self.clock = StoppedClock()
        destinations = {
            PAGERDUTY: PagingDestination(PAGERDUTY, system.url, ROUTING_KEY),
            OPSGENIE: PagingDestination(OPSGENIE, system.url, API_KEY),
            ALERTMANAGER: PagingDestination(ALERTMANAGER, system.url),
        }
        self.destinations = destinations
        self.current = CurrentCatalog(catalog(service(policy=STANDARD)))
        self.judge = BudgetJudge(
            database, FreezeAnnouncer(self.current), follow_alerts=PageFollower(database)
        )
        self.tasks = TaskRunner(database, self.clock)
        client, announce = PagingClient(session), UndeliveredPages(self.current)
        self.tasks.register(
            PagingHandler(vendor, client, self.current, announce, lambda name: f"https://g.example/{name}")
            for vendor in PagingVendor
        )

    @property
    def service(self) -> Service:
        return self.current.catalog.services["checkout"]

    def hands_over_to(self, *vendors: PagingVendor, **changes: str) -> None:
        """Put the vendors into the policies in force; `changes` are of their settings."""
        paging = tuple(replace(self.destinations[vendor], **changes) for vendor in vendors)  # type: ignore[arg-type]
        self.current.set(catalog(replace(service(policy=STANDARD), paging=paging)))

    async def burns(self, *, fast: bool) -> None:
        """Judge a budget that burns fast, or not at all; then do what is due."""
        await self.judge.judge(self.service, [budget(0.6, burn=FAST if fast else {})], self.clock.time)
        await self.tasks.tick()

    async def works(self, for_: timedelta = timedelta(), every: timedelta = timedelta(seconds=10)) -> None:
        """Let time go on, and do what is due."""
        end = self.clock.time + for_
        while self.clock.time < end:
            self.clock.time = min(end, self.clock.time + every)
            await self.tasks.tick()

    async def audited(self) -> list[tuple[str, str]]:
        query = select(audit.c.action, audit.c.reason).where(audit.c.action.like("page.%"))
        async with self.database.reading() as connection:
            return [(row.action, row.reason) for row in await connection.execute(query.order_by(audit.c.id))]

    async def said(self) -> list[tuple[str, list[str]]]:
        """Return what was said of pages that were not delivered, and whom it mentions."""
        query = select(outbox.c.text, outbox.c.mentions).where(outbox.c.event_type.like("page_%"))
        async with self.database.reading() as connection:
            return [(row.text, row.mentions) for row in await connection.execute(query.order_by(outbox.c.id))]


@pytest.fixture
async def paged(database: Database) -> AsyncIterator[PagedShop]:
    async with paging_system() as system, aiohttp.ClientSession() as session:
        yield PagedShop(database, system, session)


@pytest.mark.parametrize("vendor", [PAGERDUTY, OPSGENIE])
async def test_a_page_is_told_once_and_resolved_when_the_alert_ends(
    paged: PagedShop, vendor: PagingVendor
) -> None:
    paged.hands_over_to(vendor)
    for _ in range(3):
        await paged.burns(fast=True)
    assert paged.system.told == [("trigger", KEY)]
    page = paged.system.open[KEY]
    text = page["summary"] if vendor is PAGERDUTY else page["message"]
    assert text == "checkout: the availability budget burns 20.0× over 1 h, 60.0% is left"
    paged.clock.time += HOUR
    for _ in range(3):
        await paged.burns(fast=False)
    assert paged.system.told == [("trigger", KEY), ("resolve", KEY)]
    assert paged.system.open == {}
    assert await paged.audited() == [("page.trigger", str(vendor)), ("page.resolve", str(vendor))]
    assert await paged.said() == []


async def test_a_slow_burn_wakes_nobody_and_becomes_a_page_when_it_is_fast(paged: PagedShop) -> None:
    paged.hands_over_to(PAGERDUTY)
    slow = budget(0.6, burn={3 * 24 * HOUR: 2.0, 6 * HOUR: 2.0})
    await paged.judge.judge(paged.service, [slow], NOW)
    await paged.tasks.tick()
    assert paged.system.told == []
    await paged.burns(fast=True)
    assert paged.system.told == [("trigger", KEY)]


async def test_each_vendor_is_told_and_none_waits_for_another(paged: PagedShop) -> None:
    paged.hands_over_to(PAGERDUTY, OPSGENIE, ALERTMANAGER)
    await paged.burns(fast=True)
    assert sorted(paged.system.told) == [
        ("ErrorBudgetBurn", "checkout/availability"), ("trigger", KEY), ("trigger", KEY)
    ]  # fmt: skip


async def test_an_alertmanager_is_told_each_minute_until_the_page_ends(paged: PagedShop) -> None:
    paged.hands_over_to(ALERTMANAGER)
    await paged.burns(fast=True)
    began = paged.clock.time
    await paged.works(15 * MINUTE)
    starts, ends = paged.system.open["checkout/availability"]
    assert len(paged.system.told) == 16
    assert starts == began
    assert ends > paged.clock.time
    await paged.burns(fast=False)
    assert paged.system.open["checkout/availability"] == (began, paged.clock.time)
    told = len(paged.system.told)
    await paged.works(10 * MINUTE)
    assert len(paged.system.told) == told
    assert await paged.audited() == [("page.trigger", "alertmanager"), ("page.resolve", "alertmanager")]


async def test_failures_that_pass_are_tried_again_until_the_page_is_delivered(paged: PagedShop) -> None:
    paged.hands_over_to(PAGERDUTY)
    paged.system.fails(500, 503)
    paged.system.fails(429, headers={"Retry-After": "90"})
    await paged.burns(fast=True)
    await paged.works(20 * timedelta(seconds=1), every=timedelta(seconds=1))
    assert paged.system.told == []
    assert paged.system.answers == []
    await paged.works(2 * MINUTE)
    assert paged.system.told == [("trigger", KEY)]
    assert await paged.said() == []


async def test_a_vendor_that_wants_to_be_asked_at_once_is_asked_ever_later(paged: PagedShop) -> None:
    paged.hands_over_to(PAGERDUTY)
    paged.system.fails(*[429] * 10, headers={"Retry-After": "1"})
    await paged.burns(fast=True)
    await paged.works(20 * timedelta(seconds=1), every=timedelta(seconds=1))
    assert len(paged.system.answers) >= 5


async def test_a_page_that_ends_before_it_was_delivered_wakes_nobody_later(paged: PagedShop) -> None:
    paged.hands_over_to(OPSGENIE)
    paged.system.fails(500)
    await paged.burns(fast=True)
    paged.clock.time += MINUTE
    await paged.burns(fast=False)
    await paged.works(10 * MINUTE)
    assert paged.system.told == [("resolve", KEY)]
    # Nor does an end that was not delivered close the page that follows.
    paged.system.fails(500)
    await paged.burns(fast=True)
    paged.clock.time += timedelta(seconds=1)
    await paged.works(MINUTE)
    paged.system.fails(500)
    await paged.burns(fast=False)
    paged.clock.time += timedelta(seconds=1)
    await paged.burns(fast=True)
    await paged.works(10 * MINUTE)
    assert paged.system.told[-1] == ("trigger", KEY)
    assert KEY in paged.system.open


async def test_what_is_refused_for_good_is_said_at_once_and_mentions_both_teams(paged: PagedShop) -> None:
    paged.hands_over_to(PAGERDUTY, key="mistyped")
    await paged.burns(fast=True)
    ((text, mentions),) = await paged.said()
    assert text.splitlines()[0] == (
        ":rotating_light: *checkout* — PagerDuty did not get the page, so it woke nobody."
    )
    assert "PagerDuty answers 400" in text
    assert "mistyped" not in text
    assert mentions == ["@checkout-devs", "@sre"]
    assert [action for action, _ in await paged.audited()] == ["page.given_up"]


@pytest.mark.parametrize("vendor", PagingVendor)
async def test_a_system_that_takes_nothing_is_given_up_after_an_hour(
    paged: PagedShop, vendor: PagingVendor
) -> None:
    paged.hands_over_to(vendor, url="http://127.0.0.1:9")
    await paged.burns(fast=True)
    await paged.works(GIVE_UP_AFTER - MINUTE, every=MINUTE)
    assert await paged.said() == []
    await paged.works(2 * MINUTE, every=MINUTE)
    ((text, _),) = await paged.said()
    assert "does not answer" in text
    await paged.burns(fast=False)
    await paged.works(GIVE_UP_AFTER + MINUTE, every=MINUTE)
    (_, (text, mentions)) = await paged.said()
    assert text.splitlines()[-1].startswith("Next: close it in")
    assert mentions == []


async def test_nobody_is_told_of_a_service_that_has_left_the_policies(paged: PagedShop) -> None:
    paged.hands_over_to(ALERTMANAGER)
    await paged.burns(fast=True)
    paged.current.set(catalog(service("search")))
    await paged.works(5 * MINUTE)
    assert len(paged.system.told) == 1
