"""Holds of dependencies come and go in the transaction of what they follow; in both stores."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot.app.freezes.freezes import Freezes
from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.hold import HoldKind
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.store import audit
from bot.store.database import Database
from bot.store.tables.core import holds, outbox
from tests.freezes.dependencies.test_wanted import depending
from tests.support.clock import NOW
from tests.support.stores import create_tables
from tests.support.values import budget, catalog, service

HOUR = timedelta(hours=1)
SHOP = catalog(service("payments"), depending("checkout", "payments"), depending("web", "checkout"))


@dataclass
class Held:
    """What writes holds, over a database."""

    database: Database
    current: CurrentCatalog
    freezes: Freezes

    async def place(self, name: str = "payments", **changes: object) -> None:
        values: dict[str, object] = {"by": "U0SAM", "reason": "the bank is down", "until": None, "now": NOW}
        await self.freezes.registry.place(
            self.current.catalog.services[name],
            request=f"r{name}{changes}",
            **(values | changes),  # type: ignore[arg-type]
        )

    async def lift(self, name: str = "payments") -> None:
        of = self.current.catalog.service_or_stand_in(name)
        await self.freezes.registry.lift(of, by="U0SAM", reason="the bank is back", now=NOW)

    async def bring(self, policies: Catalog) -> None:
        self.current.set(policies)
        await self.freezes.windows.follow(policies, NOW)

    async def of_dependencies(self) -> list[tuple[str, str]]:
        found = await self.freezes.registry.current(NOW)
        return [(each.service, each.reason) for each in found if each.kind is HoldKind.DEPENDENCY]

    async def told(self, channel: str) -> list[str]:
        async with self.database.reading() as connection:
            rows = await connection.execute(
                select(outbox.c.text).where(outbox.c.channel == channel).order_by(outbox.c.id)
            )
            return [row.text for row in rows]


@pytest.fixture
async def held(url: str) -> AsyncIterator[Held]:
    async with Database(url) as database:
        await create_tables(database)
        current = CurrentCatalog(SHOP)
        yield Held(database, current, Freezes(database, current, FreezeAnnouncer(current)))


async def test_they_come_and_go_with_what_they_follow_and_are_told_and_recorded(held: Held) -> None:
    await held.place()
    assert await held.of_dependencies() == [
        ("checkout", "payments, which it depends on, is frozen"),
        ("web", "payments, which it depends on by way of checkout, is frozen"),
    ]
    (told,) = await held.told("#checkout")
    assert "*checkout* is frozen" in told
    assert "payments, which it depends on, is frozen" in told
    assert "the bank is down" not in told, "why the other is held is for its own people"
    await held.lift()
    assert await held.of_dependencies() == []
    assert "*checkout* is open again" in (await held.told("#checkout"))[-1]
    async with held.database.reading() as connection:
        rows = [row.entry for row in await audit.read(connection) if row.entry.service == "checkout"]
    assert [row.action for row in rows] == ["hold.placed", "hold.lifted"]
    assert rows[1].reason == "payments is open again"


async def test_two_holds_on_the_dependency_make_one_and_it_ends_with_the_last(held: Held) -> None:
    await held.place()
    await held.place(by="U0DANA", reason="a second reason")
    assert len(await held.of_dependencies()) == 2
    await held.lift()
    assert await held.of_dependencies() == []


async def test_nobody_lifts_them_and_an_end_in_time_ends_them(held: Held) -> None:
    await held.place(until=NOW + HOUR)
    with pytest.raises(Exception, match="no person holds checkout"):
        await held.lift("checkout")
    async with held.database.transaction() as connection:
        await held.freezes.registry.expire_within(connection, SHOP.services["payments"], NOW + HOUR)
    assert await held.of_dependencies() == []


async def test_policies_are_followed_when_they_change(held: Held) -> None:
    alone = catalog(service("payments"), service("checkout"), service("web"))
    await held.bring(alone)
    await held.place()
    assert await held.of_dependencies() == []
    await held.bring(SHOP)
    assert [name for name, _ in await held.of_dependencies()] == ["checkout", "web"]
    await held.bring(replace(SHOP, services={"payments": SHOP.services["payments"]}))
    assert await held.of_dependencies() == []


async def test_a_freeze_of_all_services_is_no_reason_for_more(held: Held) -> None:
    services = list(SHOP.services.values())
    whole = {"by": "U0SAM", "reason": "the power is out", "until": None, "now": NOW}
    await held.freezes.bulk.place(services, request="r1", **whole)  # type: ignore[arg-type]
    assert await held.of_dependencies() == []
    assert {each.service for each in await held.freezes.registry.holds(NOW)} == set(SHOP.services)
    lifted = await held.freezes.bulk.lift(services, by="U0SAM", reason="", request="r2", now=NOW)
    assert len(lifted) == 3
    assert await held.freezes.registry.holds(NOW) == ()


async def test_an_evaluation_leaves_them_to_the_policies_which_they_follow(held: Held) -> None:
    judge = BudgetJudge(held.database, FreezeAnnouncer(held.current), follow=held.freezes.follow)
    await held.place()
    for observes in (True, False):
        changed = depending("checkout", "payments", observes=observes)
        policies = replace(SHOP, services={**SHOP.services, "checkout": changed})
        held.current.set(policies)
        await judge.judge(changed, [budget(0.9)], NOW)
        await held.bring(policies)
        await judge.judge(changed, [budget(0.9)], NOW)
        found = await held.freezes.registry.current(NOW, "checkout")
        assert [each.observed for each in found] == [observes]
    await held.lift()
    assert await held.of_dependencies() == []


async def test_those_whose_source_was_lost_are_ended(held: Held) -> None:
    await held.place()
    async with held.database.transaction() as connection:
        of_checkout = holds.c.service == "checkout"
        await connection.execute(update(holds).where(of_checkout).values(request="depends enforced 2"))
    await held.bring(SHOP)
    assert [name for name, _ in await held.of_dependencies()] == ["web", "checkout"]
    async with held.database.reading() as connection:
        (lifted,) = [row.entry for row in await audit.read(connection) if row.entry.action == "hold.lifted"]
    assert lifted.reason == "what it was held for is not known any more"
