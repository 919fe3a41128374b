"""A backtest of the shop's months is what the live loop did on the same counts, transition by transition."""

from datetime import timedelta

from bot.backtests.replay import PastTransition
from bot.backtests.runner import BacktestRunner
from bot.budgets.downtime import none_recorded
from bot.catalog.window import Span
from bot.freezes.transition import BudgetExhausted, BudgetRecovered, BudgetWarned, BurnAlertFired
from bot.policy.loader import load
from bot.store.database import Database
from tests.backtests.past_shop import PastShop
from tests.support.clock import DAY, NOW
from tests.support.paths import ROOT

WITHIN, OPENS_WITHIN = timedelta(hours=3), timedelta(hours=5)
"""The ledger knows old times by the hour, and between outages the live loop looks every other hour.

It opens a service with its second look at a budget that has recovered.
"""

SHOP = ROOT / "bot" / "sandbox" / "shop"


DAYS = {"sqlite": 90, "postgresql": 10}
"""A quarter on the one store; on the other ten days, which show that it sums alike."""


def told(past: PastTransition) -> tuple[object, ...]:
    """What happened, without the figures and the time."""
    match past.transition:
        case BudgetWarned(level, budget):
            return "warned", budget.slo.name, level
        case BurnAlertFired(alert, budget):
            return "burns", budget.slo.name, alert.severity, alert.burn
        case BudgetExhausted(budget):
            return "frozen", budget.slo.name
        case BudgetRecovered():
            # The worst budget is named, which may be another one an hour later.
            return ("open",)
        case other:
            return (other,)


async def test_a_backtest_of_the_shops_months_is_what_the_live_loop_did(database: Database) -> None:
    days = DAYS["sqlite" if database.is_sqlite else "postgresql"]
    catalog = load(SHOP)
    shop = PastShop(database, catalog, NOW - days * DAY, days, seed=15)
    live = await shop.live()
    span = Span(shop.start, shop.end)
    (tested,) = await BacktestRunner(database, none_recorded).run({"now": catalog}, span)
    assert tested.left_out == ()
    assert {each.service.name for each in tested.services} == set(catalog.services)
    seen = set()
    for each in tested.services:
        happened = live[each.service.name]
        assert [told(past) for past in each.transitions] == [told(past) for past in happened]
        for replayed, was in zip(each.transitions, happened, strict=True):
            is_open = told(was) == ("open",)
            assert abs(replayed.at - was.at) <= (OPENS_WITHIN if is_open else WITHIN)
        seen |= {told(past)[0] for past in happened}
    assert seen >= ({"warned", "burns", "frozen", "open"} if database.is_sqlite else {"burns"})
