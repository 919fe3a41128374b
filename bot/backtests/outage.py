"""What an outage would cost now: played forward minute by minute, by the rules that decide now. Pure.

The traffic is that of the last hour. What leaves a rolling window meanwhile is not taken off.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.backtests.replay import PastTransition
from bot.budgets.budget import HOUR, Budget, EventCounts, SloState, assess
from bot.budgets.exact import allowed, share
from bot.catalog.catalog import Service
from bot.catalog.slo import DowntimeSli
from bot.catalog.window import CalendarWindow
from bot.freezes.decision import FreezeState
from bot.freezes.hold import Hold
from bot.freezes.service_decision import budget_hold, decide_on_service, hold_after
from bot.freezes.transition import BudgetExhausted

LONGEST = timedelta(days=30)
_MOST_STEPS = 240
_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class SupposedOutage:
    """An outage that might be: for so long the `share` (0 to 1) of all requests fails."""

    length: timedelta
    share: float


@dataclass(frozen=True, slots=True)
class OutageCost:
    """What it would do to one budget; `cost` is the fraction of the whole budget, None where unknown."""

    before: Budget
    after: Budget
    cost: float | None


@dataclass(frozen=True, slots=True)
class OutageOutcome:
    """What an outage would do to a service: to each budget, and what would be decided when."""

    service: Service
    outage: SupposedOutage
    start: datetime
    costs: tuple[OutageCost, ...]
    transitions: tuple[PastTransition, ...]
    was_frozen: bool
    """Whether the bot holds the service for its budget already."""

    @property
    def freezes_at(self) -> datetime | None:
        """When it would freeze the service; None where it would not, or does already."""
        frozen = [past.at for past in self.transitions if isinstance(past.transition, BudgetExhausted)]
        return frozen[0] if frozen else None


def outage_outcome(
    service: Service, budgets: Sequence[Budget], holds: Sequence[Hold], outage: SupposedOutage, now: datetime
) -> OutageOutcome:
    """Return what an outage that began now would do to a service with these budgets and holds."""
    own = budget_hold(holds)
    hold = own
    # What has been announced by now is not announced again.
    state = decide_on_service(service, budgets, holds, FreezeState(), now).state
    transitions: list[PastTransition] = []
    steps = max(1, min(_MOST_STEPS, -(-outage.length // _MINUTE)))
    after = list(budgets)
    for number in range(1, steps + 1):
        lasted = outage.length * number / steps
        after = [_after(service, budget, outage.share, lasted) for budget in budgets]
        at = now + lasted
        decision = decide_on_service(service, after, [hold] if hold is not None else [], state, at)
        for transition in decision.transitions:
            transitions.append(PastTransition(at, transition))
            hold = hold_after(hold, transition, service.name, at)
        state = decision.state
    costs = [
        OutageCost(before, then, _cost(before, then)) for before, then in zip(budgets, after, strict=True)
    ]
    return OutageOutcome(service, outage, now, tuple(costs), tuple(transitions), own is not None)


def supposed_budget(cost: OutageCost) -> Budget:
    """Return the budget as it would be spent, with the burn rates of now: the outage is over then."""
    return replace(
        cost.before,
        events=cost.after.events,
        remaining=cost.after.remaining,
        remaining_minutes=cost.after.remaining_minutes,
        exhausts_at=None,
        exhausts_latest=None,
    )


def _after(service: Service, budget: Budget, failing: float, lasted: timedelta) -> Budget:
    """Return the budget once the outage has lasted so long; as it is where its traffic is not known."""
    rate = _events_a_second(budget)
    if rate is None or budget.events is None or budget.as_of is None or budget.state is SloState.STALE:
        return budget
    slo, policy = budget.slo, service.policy_for(budget.slo)
    requests = rate * (lasted / _SECOND)
    grows = isinstance(slo.window, CalendarWindow) and not isinstance(slo.sli, DowntimeSli)
    total = budget.events.total + (requests if grows else 0.0)
    bad = min(total, budget.events.bad + requests * failing)
    recent = {
        length: _with_outage(counted, length, rate, failing, lasted)
        for length, counted in budget.recent.items()
    }
    return assess(
        slo,
        events=EventCounts(bad, total),
        recent=recent,
        as_of=budget.as_of + lasted,
        alerts=policy.burn_alerts,
        policy=policy,
    )


def _with_outage(
    counted: EventCounts, length: timedelta, rate: float, failing: float, lasted: timedelta
) -> EventCounts:
    """Return the events of a time that ends with the outage: its older part has left."""
    covered = min(lasted, length)
    rest = 1 - covered / length
    requests = rate * (covered / _SECOND)
    return EventCounts(counted.bad * rest + requests * failing, counted.total * rest + requests)


def _events_a_second(budget: Budget) -> float | None:
    """Return the traffic of the last hour, of a longer time where that had none; None where there is none."""
    if isinstance(budget.slo.sli, DowntimeSli):
        return 1.0
    for length in sorted(each for each in budget.recent if each >= HOUR):
        if budget.recent[length].total > 0:
            return budget.recent[length].total / (length / _SECOND)
    return None


def _cost(before: Budget, after: Budget) -> float | None:
    if before.events is None or after.events is None or after is before or after.events.total <= 0:
        return None
    return float(
        share(after.events.bad - before.events.bad, allowed(after.events.total, before.slo.objective))
    )
