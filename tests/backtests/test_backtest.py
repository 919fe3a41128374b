"""What a backtest sums up: freezes, those that flap, deployments that would have been held, a picture."""

from datetime import datetime
from decimal import Decimal

from bot.backtests.backtest import PastFreeze, ServiceBacktest, freezes_of, held_deployments
from bot.backtests.picture import days_a_sign, frozen_shares, strip
from bot.backtests.replay import PastTransition
from bot.backtests.runner import BacktestRunner
from bot.budgets.downtime import none_recorded
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.catalog.catalog import FlagEnvironment, FlagSettings
from bot.catalog.error_budget_policy import AlertSeverity, BurnAlert, ErrorBudgetPolicy
from bot.catalog.window import RollingWindow, Span
from bot.deployments.deployment import Deployment, DeploymentState
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.transition import BudgetExhausted, BudgetRecovered, BudgetWarned, BurnAlertFired
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import budget, catalog, service, slo

START = NOW - 90 * DAY
HOLD = Hold(0, "checkout", HoldKind.BUDGET, "spent", GOVERNOR, NOW)


def frozen(at: datetime) -> PastTransition:
    return PastTransition(at, BudgetExhausted(budget(-0.1), ErrorBudgetPolicy("plain")))


def opened(at: datetime) -> PastTransition:
    return PastTransition(at, BudgetRecovered(budget(0.2), HOLD, at))


def deployed(at: datetime, environment: str = "production", **fields: object) -> Deployment:
    state = fields.get("state", DeploymentState.SUCCEEDED)
    assert isinstance(state, DeploymentState)
    is_production = bool(fields.get("is_production"))
    return Deployment(
        "1", environment, "3f1c2ab9", "dana", state, at, at + 5 * MINUTE, is_production=is_production
    )


def test_a_freeze_soon_after_the_last_one_ended_flaps() -> None:
    times = [START, START + HOUR, START + 20 * HOUR, START + 21 * HOUR, START + 60 * HOUR]
    found = freezes_of(
        [frozen(times[0]), opened(times[1]), frozen(times[2]), opened(times[3]), frozen(times[4])]
    )
    assert [freeze.is_flap for freeze in found] == [False, True, False]
    assert [freeze.end for freeze in found] == [times[1], times[3], None]


def test_what_began_during_a_freeze_that_bars_its_environment_is_held() -> None:
    of = service()
    freezes = [PastFreeze("availability", START, START + HOUR, Decimal(0))]
    inside, after = START + 30 * MINUTE, START + HOUR
    offered = [
        (deployed(inside), None),
        (deployed(inside), "PR-12"),
        (deployed(inside, "Live"), None),
        (deployed(inside, "staging"), None),
        (deployed(inside, "Production – shop", is_production=True), None),
        (deployed(inside, state=DeploymentState.FAILED), None),
        (deployed(after), None),
    ]
    flags = FlagSettings(environments=(FlagEnvironment("live", protected=True), FlagEnvironment("staging")))
    met = held_deployments(of, freezes, offered, NOW, flags)
    assert [(each.deployment.environment, each.exemption) for each in met] == [
        ("production", None), ("production", "PR-12"), ("Live", None), ("Production – shop", None)
    ]  # fmt: skip


def test_the_picture_has_a_sign_a_day_and_blanks_for_what_is_not_known() -> None:
    span = Span(NOW - 10 * DAY, NOW)
    known_from = NOW - 8 * DAY
    transitions = (
        PastTransition(NOW - 7 * DAY + HOUR, BudgetWarned(Decimal("0.1"), budget(0.05))),
        frozen(NOW - 6 * DAY), opened(NOW - 4 * DAY - 20 * HOUR), frozen(NOW - HOUR),
    )  # fmt: skip
    tested = ServiceBacktest(
        service(), Span(known_from, NOW), transitions, tuple(freezes_of(transitions)),
        {"availability": known_from},
    )  # fmt: skip
    assert strip(tested, span) == "  ·▁█▄···▄"
    assert days_a_sign(Span(NOW - 90 * DAY, NOW)) == 2
    assert [share for _, share in frozen_shares(tested, span, None, 5)][2] == (1 + 4 / 24) / 2
    total = tested.of("availability")
    assert (total.freezes, total.flaps, total.warnings, total.held) == (2, 0, 1, 0)
    assert total.frozen_for == 29 * HOUR


async def test_a_past_reaches_back_for_the_longest_burn_alert(database: Database) -> None:
    """All that failed lies before the window of the first day, which is the only day that is replayed."""
    daily = slo(window=RollingWindow(DAY))
    begin, hours = NOW - 5 * DAY, range(5 * 24)
    events = [
        PushedEvent(daily, 900.0, 100.0 if hour < 72 else 0.0, begin + hour * HOUR + MINUTE) for hour in hours
    ]
    await Ledger(database).push(events, NOW)
    alert = BurnAlert(AlertSeverity.TICKET, Decimal(1), 4 * DAY, 3 * DAY)
    own = service(slos=(daily,), policy=ErrorBudgetPolicy("plain", burn_alerts=(alert,)))
    (found,) = await BacktestRunner(database, none_recorded).run({"now": catalog(own)}, Span(NOW - DAY, NOW))
    (tested,) = found.services
    assert [type(each.transition) for each in tested.transitions] == [BurnAlertFired]
