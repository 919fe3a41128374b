"""The loop around collecting and judging, and the pictures that it can draw."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.budgets.budget import SloState
from bot.budgets.evaluator import Assessed, Evaluator, burn_windows
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import Answer
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import Sli
from bot.catalog.window import RollingWindow, Span
from bot.clock import SystemClock
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW, ForwardableClock
from tests.support.formula_source import CountingSource
from tests.support.values import STANDARD, catalog, prometheus_sli, service, slo


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


class Silent(CountingSource):
    """Never answers, until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        await self.answers.wait()
        return await super().read_together(slis, span, step)


async def test_it_says_by_how_much_the_oldest_evaluation_is_late(database: Database) -> None:
    ledger, source, clock = Ledger(database), Silent(), ForwardableClock()
    measured = [slo(service=name, sli=prometheus_sli(name), window=RollingWindow(HOUR)) for name in "ab"]
    policies = catalog(*(service(each.service, slos=(each,)) for each in measured), evaluate_every=MINUTE)

    async def ignore(_assessed: Assessed, _now: datetime) -> None:
        pass

    evaluator = Evaluator(
        Collector(ledger, {"prometheus": source}), ledger, CurrentCatalog(policies), clock, ignore
    )
    assert evaluator.behind(clock.now()) == timedelta()
    loop = asyncio.create_task(evaluator.run())
    async with asyncio.timeout(60):
        while evaluator.last_tick is None:  # noqa: ASYNC110 - the loop has no event to wait for
            await asyncio.sleep(0.01)
        began = evaluator.last_tick
        assert evaluator.behind(began + MINUTE) < timedelta(seconds=5)
        late = evaluator.behind(clock.now() + 10 * MINUTE)
        assert 9 * MINUTE - timedelta(seconds=5) < late <= 9 * MINUTE + timedelta(seconds=60)
        source.answers.set()
        while not all(evaluator.newest(name) for name in "ab"):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    assert evaluator.behind(clock.now()) == timedelta()
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)


async def test_an_slo_without_any_event_has_no_traffic(database: Database) -> None:
    desk = Desk(database)
    ((found,),) = await desk.evaluator.assess([service()], NOW)
    assert (found.state, found.remaining, found.as_of) == (SloState.NO_TRAFFIC, None, NOW)


def test_burn_rates_are_counted_in_every_window_that_is_shown_or_alerts() -> None:
    windows = burn_windows(service(policy=STANDARD), "availability")
    assert windows == (5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 3 * DAY)
