"""A budget that is spent exactly to a level is at that level, whatever binary fractions make of it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest

from bot.budgets.budget import Budget, EventCounts, assess
from bot.catalog.error_budget_policy import AlertSeverity, BurnAlert, CanaryGuard
from bot.catalog.slo import DowntimeSli
from bot.flags.guard import crossing
from bot.flags.ownership import guard_of, readings
from bot.freezes.budget_judge import BudgetJudge
from bot.freezes.decision import FreezeState, alert_key, decide
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.records import read_freeze_states
from bot.freezes.transition import BudgetExhausted, BudgetRecovered, BudgetWarned, BurnAlertFired
from bot.store.database import Database
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import QUIET, service, slo

OBJECTIVES = ("90", "95", "99", "99.5", "99.9", "99.95", "99.99", "99.999", "97.3", "12.5")
LEVELS = ("0", "10", "25", "30", "50", "70")
EXACT = list(product(OBJECTIVES, LEVELS))
"""The sixty cases: each objective spent exactly to each level, both in percent."""

OWN = Hold(1, "checkout", HoldKind.BUDGET, "spent", GOVERNOR, NOW - DAY)


def spent_to(objective: str, level: str, *, more: int = 0) -> Budget:
    """Return a budget of ten million events spent exactly to a level, or by some events more."""
    total = 10_000_000
    spent = total * (100 - Decimal(objective)) / 100 * (100 - Decimal(level)) / 100
    assert spent == int(spent)
    counted = EventCounts(float(spent) + more, total)
    promised = slo(objective=Decimal(objective) / 100)
    return assess(promised, events=counted, recent={HOUR: counted, 5 * MINUTE: counted}, as_of=NOW)


@pytest.mark.parametrize(("objective", "level"), EXACT)
def test_a_budget_spent_exactly_to_freeze_at_freezes(objective: str, level: str) -> None:
    fraction = Decimal(level) / 100
    policy = replace(QUIET, freeze_at=fraction, unfreeze_at=fraction + 1, warn_at=())

    def transitions(more: int) -> list[type]:
        judged = [(spent_to(objective, level, more=more), policy)]
        return [type(t) for t in decide(judged, hold=None, state=FreezeState(), now=NOW).transitions]

    assert spent_to(objective, level).remaining == fraction
    assert transitions(0) == transitions(1) == [BudgetExhausted]
    assert transitions(-1) == []


@pytest.mark.parametrize(("objective", "level"), EXACT)
def test_a_level_of_a_warning_is_reached_exactly(objective: str, level: str) -> None:
    fraction = Decimal(level) / 100
    policy = replace(QUIET, freeze_at=Decimal(-1), warn_at=(fraction,))

    def transitions(more: int) -> list[type]:
        judged = [(spent_to(objective, level, more=more), policy)]
        return [type(t) for t in decide(judged, hold=None, state=FreezeState(), now=NOW).transitions]

    assert transitions(0) == [BudgetWarned]
    assert transitions(-1) == []


@pytest.mark.parametrize(("objective", "level"), EXACT)
def test_a_budget_back_exactly_at_unfreeze_at_has_recovered(objective: str, level: str) -> None:
    fraction = Decimal(level) / 100
    policy = replace(QUIET, freeze_at=fraction - 1, unfreeze_at=fraction, dwell=timedelta())

    def transitions(more: int) -> list[type]:
        judged = [(spent_to(objective, level, more=more), policy)]
        return [type(t) for t in decide(judged, hold=OWN, state=FreezeState(), now=NOW).transitions]

    assert transitions(0) == [BudgetRecovered]
    assert transitions(1) == []


@pytest.mark.parametrize("objective", OBJECTIVES[1:8])
@pytest.mark.parametrize("burn", ["14.4", "6", "1", "0.7", "13.7"])
def test_a_burn_alert_fires_exactly_at_its_factor(objective: str, burn: str) -> None:
    share = (1 - Decimal(objective) / 100) * Decimal(burn)
    total = 100_000_000
    at_factor, below = EventCounts(float(share * total), total), EventCounts(float(share * total) - 1, total)
    alert = BurnAlert(AlertSeverity.PAGE, Decimal(burn), HOUR, 5 * MINUTE)
    policy = replace(
        QUIET, freeze_at=Decimal(-1000), warn_at=(), burn_alerts=(alert,), guard=CanaryGuard(Decimal(burn))
    )

    def burning(counted: EventCounts) -> Budget:
        promised = slo(objective=Decimal(objective) / 100)
        recent = {HOUR: counted, 5 * MINUTE: counted}
        return assess(promised, events=counted, recent=recent, as_of=NOW)

    def transitions(budget: Budget) -> list[type]:
        decision = decide([(budget, policy)], hold=None, state=FreezeState(), now=NOW)
        return [type(t) for t in decision.transitions]

    def crosses(budget: Budget) -> bool:
        owner = service(policy=policy)
        burns = readings([owner], lambda _: [budget]) or ()
        return crossing(guard_of([owner]), burns) is not None

    assert transitions(burning(at_factor)) == [BurnAlertFired]
    assert crosses(burning(at_factor))
    assert transitions(burning(below)) == []
    assert not crosses(burning(below))


def test_a_sum_of_fractions_is_the_one_that_was_meant() -> None:
    bad = sum([0.1] * 100)
    assert bad != 10
    found = assess(slo(), events=EventCounts(bad, 10_000), recent={}, as_of=NOW)
    assert found.remaining == 0


def test_downtime_of_all_that_a_month_allows_leaves_exactly_nothing() -> None:
    month = EventCounts((timedelta(minutes=43.2)) / timedelta(seconds=1), 30 * DAY / timedelta(seconds=1))
    found = assess(slo(sli=DowntimeSli()), events=month, recent={}, as_of=NOW)
    assert (found.remaining, found.remaining_minutes) == (Decimal(0), 0.0)


def test_an_alert_keeps_the_name_under_which_it_was_announced() -> None:
    names = {
        written: alert_key(
            spent_to("99.9", "50"), BurnAlert(AlertSeverity.PAGE, Decimal(written), HOUR, 5 * MINUTE)
        )
        for written in ("6", "6.0", "14.40")
    }
    assert names["6"] == names["6.0"] == "availability:page:6:3600"
    assert names["14.40"] == "availability:page:14.4:3600"


async def test_a_level_is_remembered_exactly(database: Database, judge: BudgetJudge) -> None:
    levels = (Decimal("0.5"), Decimal("0.1"), Decimal("0.07"))
    policy = replace(QUIET, warn_at=levels)
    owner = service(policy=policy)
    for level, percent in ((Decimal("0.1"), "10"), (Decimal("0.07"), "7")):
        assert len(await judge.judge(owner, [spent_to("99.9", percent)], NOW)) == 1
        assert await judge.judge(owner, [spent_to("99.9", percent)], NOW) == ()
        async with database.reading() as connection:
            states = await read_freeze_states(connection, [owner.name])
        assert states[owner.name].warned == level
