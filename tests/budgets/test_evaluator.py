"""The loop around collecting and judging, and the pictures that it can draw."""

import asyncio
from datetime import datetime, timedelta

from bot.budgets.budget import SloState
from bot.budgets.collector import Collector
from bot.budgets.evaluator import Assessed, Evaluator, burn_windows
from bot.budgets.ledger.ledger import Ledger
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.clock import SystemClock
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import STANDARD, catalog, service


class Desk:
    """An evaluator with a real ledger; `judged` is what it handed on."""

    def __init__(self, database: Database, *services: Service) -> None:
        self.ledger = Ledger(database)
        self.judged: list[str] = []
        self.broken: set[str] = set()
        policies = catalog(*services, evaluate_every=timedelta(milliseconds=50))
        self.evaluator = Evaluator(
            Collector(self.ledger, {}), self.ledger, CurrentCatalog(policies), SystemClock(), self.judge
        )

    async def judge(self, assessed: Assessed, now: datetime) -> None:
        del now
        if self.broken & {of.name for of, _ in assessed}:
            raise RuntimeError("cannot decide")
        self.judged += [of.name for of, _ in assessed]


async def test_one_service_that_fails_holds_up_no_other(database: Database) -> None:
    desk = Desk(database, service("checkout"), service("search"))
    desk.broken.add("checkout")
    loop = asyncio.create_task(desk.evaluator.run())
    async with asyncio.timeout(60):
        while desk.judged.count("search") < 3:  # noqa: ASYNC110 - the loop has no event to wait for
            await asyncio.sleep(0.01)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert set(desk.judged) == {"search"}


async def test_an_slo_without_any_event_has_no_traffic(database: Database) -> None:
    desk = Desk(database)
    ((found,),) = await desk.evaluator.assess([service()], NOW)
    assert (found.state, found.remaining, found.as_of) == (SloState.NO_TRAFFIC, None, NOW)


def test_burn_rates_are_counted_in_every_window_that_is_shown_or_alerts() -> None:
    windows = burn_windows(service(policy=STANDARD), "availability")
    assert windows == (5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 3 * DAY)
