"""Holds on many services by one act, in both stores: all or none, once, in place of one's own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from bot.app.freezes.freezes import Freezes
from bot.catalog.current import CurrentCatalog
from bot.freezes.hold import HoldKind
from bot.freezes.hold_registry import AlreadyRequestedError
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.store.database import Database
from tests.support.clock import NOW
from tests.support.stores import create_tables
from tests.support.values import catalog, service

SHOP = catalog(service("checkout"), service("search"))
ALL = list(SHOP.services.values())
WHOLE: dict[str, Any] = {"by": "U0SAM", "reason": "the power is out", "until": None, "now": NOW}


@dataclass
class ShopFreezes:
    """What writes holds, and what is held."""

    freezes: Freezes

    async def held(self) -> list[tuple[str, str, str]]:
        return [(each.service, each.by, each.reason) for each in await self.freezes.registry.holds(NOW)]


@pytest.fixture
async def shop(url: str) -> AsyncIterator[ShopFreezes]:
    async with Database(url) as database:
        await create_tables(database)
        current = CurrentCatalog(SHOP)
        yield ShopFreezes(Freezes(database, current, FreezeAnnouncer(current)))


async def test_a_repeated_request_changes_nothing(shop: ShopFreezes) -> None:
    bulk = shop.freezes.bulk
    await bulk.place(ALL, request="r1", **WHOLE)
    with pytest.raises(AlreadyRequestedError):
        await bulk.place(ALL, request="r1", **WHOLE)
    assert len(await shop.held()) == 2
    await bulk.lift(ALL, by="U0SAM", reason="", request="r2", now=NOW)
    await bulk.place(ALL, request="r3", **WHOLE)
    with pytest.raises(AlreadyRequestedError):
        await bulk.lift(ALL, by="U0SAM", reason="", request="r2", now=NOW)
    assert len(await shop.held()) == 2


async def test_only_ones_own_holds_are_replaced_and_only_those_of_people_are_lifted(
    shop: ShopFreezes,
) -> None:
    registry, bulk = shop.freezes.registry, shop.freezes.bulk
    other: dict[str, Any] = {"reason": "a drill", "until": None, "now": NOW}
    await registry.place(ALL[0], by="U0SAM", request="a", **other)
    await registry.place(ALL[1], by="U0DANA", request="b", **other)
    await registry.place(ALL[1], by="governor", request="c", kind=HoldKind.INCIDENT, **other)
    placed = await bulk.place(ALL, request="r1", **WHOLE)
    assert [len(each.replaced) for each in placed] == [1, 0]
    assert sorted(await shop.held()) == [
        ("checkout", "U0SAM", "the power is out"),
        ("search", "U0DANA", "a drill"),
        ("search", "U0SAM", "the power is out"),
        ("search", "governor", "a drill"),
    ]
    await bulk.lift(ALL, by="U0RILEY", reason="", request="r2", now=NOW)
    assert await shop.held() == [("search", "governor", "a drill")]
    assert await bulk.lift(ALL, by="U0RILEY", reason="", request="r3", now=NOW) == []
