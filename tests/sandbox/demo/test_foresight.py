"""What the alert of the scene *bad deploy* says of the freeze is what then happens."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bot.budgets.budget import HOUR, Budget, EventCounts, assess
from bot.freezes.decision import FreezeState, decide
from bot.freezes.transition import BudgetExhausted, BudgetTransition, BurnAlertFired
from bot.sandbox.demo.traffic import SCENES, STREAMS, WINDOW, Count, history, live
from tests.support.clock import DAY, MINUTE
from tests.support.values import QUIET, WORKBOOK_ALERTS, slo

START = datetime(2026, 3, 3, 10, 17, tzinfo=UTC)
CHECKOUT = STREAMS[0]
POLICY = replace(QUIET, warn_at=(Decimal("0.1"),), burn_alerts=WORKBOOK_ALERTS)
LENGTHS = (5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 3 * DAY, WINDOW)


def of_checkout(counts: Sequence[Count]) -> list[Count]:
    return [count for count in counts if (count.service, count.slo) == CHECKOUT.key]


def assessed(counts: Sequence[Count], now: datetime) -> Budget:
    """Return checkout's budget as the bot would, from the shop's counts."""
    summed = {}
    for length in LENGTHS:
        within = [count for count in counts if now - length < count.at <= now]
        bad, good = sum(count.bad for count in within), sum(count.good for count in within)
        summed[length] = EventCounts(bad, bad + good)
    events = summed.pop(WINDOW)
    return assess(slo(), events=events, recent=summed, as_of=now, alerts=WORKBOOK_ALERTS, policy=POLICY)


def played(start: datetime, minutes: int) -> Iterator[tuple[datetime, BudgetTransition]]:
    """Play the bad deploy; yield what is announced, evaluated every minute."""
    counts, state, now = of_checkout(list(history(start))), FreezeState(), start
    for _ in range(minutes):
        since, now = now, now + MINUTE
        counts += of_checkout(live(since, now, start, SCENES["bad_deploy"]))
        decision = decide([(assessed(counts, now), POLICY)], hold=None, state=state, now=now)
        state = decision.state
        for transition in decision.transitions:
            yield now, transition
            if isinstance(transition, BudgetExhausted):
                return


@pytest.mark.parametrize("hour", [0, 7, 13, 20])
def test_the_alert_of_a_bad_deploy_does_not_contradict_the_freeze_that_follows(hour: int) -> None:
    told = list(played(START + timedelta(hours=hour), 40))
    *_, (frozen_at, frozen) = told
    assert isinstance(frozen, BudgetExhausted)
    alerts = [(at, each.budget) for at, each in told if isinstance(each, BurnAlertFired)]
    assert alerts
    for at, budget in alerts:
        assert budget.exhausts_at is not None
        assert budget.exhausts_latest is not None
        assert budget.exhausts_at <= frozen_at <= budget.exhausts_latest
        # It must say something: within the hour, not within the day.
        assert budget.exhausts_latest - at < HOUR
