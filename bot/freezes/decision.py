"""Warn, freeze or lift? A pure function of budgets, the bot's own hold, what was announced, and now.

    remaining   100% ─────────────────────────────────────────────
                 50%  - - warn once; again only after recovery above it
                 10%  - - unfreezeAt: lift after `dwell` at or above it
                  0%  - - freezeAt: hold at or below it

Between the two lines nothing changes, so a budget that hovers at either does not flap. Where an SLO
cannot be measured nothing is lifted and no level is warned or re-armed on its account. Where so few bad
events are expected that one more or less is chance, a level counts as crossed only if the events prove it
(`budgets/evidence.py`); a budget that seems spent and is not proven to be has too little traffic, which
changes nothing either.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bot.budgets.budget import Budget, SloState, worst
from bot.budgets.evidence import is_surely_spent
from bot.catalog.error_budget_policy import (
    BurnAlert,
    ErrorBudgetPolicy,
    OnMissingData,
    UnfreezeRequirement,
    UnmetRequirement,
)
from bot.freezes.enforcement import bearing_on, enforced, switch_of_budget_hold
from bot.freezes.hold import GOVERNOR, Hold
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetTransition,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    HoldLifted,
    HoldRetained,
)

JudgedBudget = tuple[Budget, ErrorBudgetPolicy]
"""A budget with the policy that judges it."""


@dataclass(frozen=True, slots=True)
class FreezeState:
    """What the bot remembers of a service between two evaluations.

    `warned` is the lowest warning level announced and not yet re-armed, `recovered_since` when every budget
    was first seen at or above `unfreezeAt` under the present hold, `retained_at` when it was announced that
    this hold stays although the budgets are back, `alerts` the burn alerts that fire.
    """

    warned: Decimal | None = None
    recovered_since: datetime | None = None
    retained_at: datetime | None = None
    alerts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, in order, and what to remember."""

    transitions: tuple[BudgetTransition, ...]
    state: FreezeState


def decide(
    judged: Sequence[JudgedBudget],
    *,
    hold: Hold | None,
    state: FreezeState,
    now: datetime,
    missing: Sequence[UnmetRequirement] = (),
    dwell: timedelta = timedelta(0),
    own: ErrorBudgetPolicy | None = None,
) -> Decision:
    """Decide for one service. `hold` is the bot's own budget hold, if it has one.

    `missing` is what keeps requirements from being met now: a hold whose policy names one of these stays,
    which is announced once. `dwell` is the service's own, for one that has no SLO left to judge; `own` its
    policy, for a hold whose SLO is gone. Where a hold stays that is real although its policy only observes
    now, or the other way round, that comes first.
    """
    alerts, alerted = _burn_alerts(judged, state.alerts)
    state = replace(state, alerts=alerts)
    if hold is None:
        return _without_hold(judged, state, alerted)
    if not judged:
        return _without_slo(hold, state, now, dwell)
    bearing = bearing_on(hold, judged)
    lifted, state = _recovery(bearing, hold, state, now)
    switch = switch_of_budget_hold(hold, judged, _cause_to_freeze(enforced(judged)), own)
    fired = (*((switch,) if switch is not None else ()), *alerted)
    if lifted is None:
        return Decision(fired, state)
    unmet = still_required(missing, [policy for _, policy in bearing])
    if not unmet:
        state = replace(state, warned=_level(judged), recovered_since=None, retained_at=None)
        return Decision((lifted, *alerted), state)
    if state.retained_at is not None:
        return Decision(fired, state)
    return Decision((HoldRetained(lifted.budget, hold, unmet), *fired), replace(state, retained_at=now))


def _without_hold(
    judged: Sequence[JudgedBudget], state: FreezeState, fired: tuple[BurnAlertFired, ...]
) -> Decision:
    """Freeze, or warn if a level was crossed."""
    state = replace(state, recovered_since=None, retained_at=None)
    cause = _cause_to_freeze(enforced(judged)) or _cause_to_freeze(judged)
    if cause is not None:
        return Decision((cause,), replace(state, warned=_level(judged)))
    warned, warning = _warning(judged, state.warned)
    return Decision((*((warning,) if warning else ()), *fired), replace(state, warned=warned))


def _without_slo(hold: Hold, state: FreezeState, now: datetime, dwell: timedelta) -> Decision:
    """Lift the hold once the service has had no SLO for the time of the dwell: nothing else ever would."""
    since = state.recovered_since
    if since is None or since > now:
        since = now
    if now - since < dwell:
        return Decision((), replace(state, recovered_since=since))
    lifted = HoldLifted(hold, GOVERNOR, "the service has no SLO any more")
    return Decision((lifted,), replace(state, warned=None, recovered_since=None, retained_at=None))


def still_required(
    missing: Iterable[UnmetRequirement], policies: Iterable[ErrorBudgetPolicy]
) -> tuple[UnmetRequirement, ...]:
    """Return the requirements in `missing` that a policy sets before a budget hold is lifted."""
    required: set[UnfreezeRequirement | None] = {policy.unfreeze_requires for policy in policies}
    return tuple(unmet for unmet in missing if unmet.requirement in required)


def _cause_to_freeze(judged: Sequence[JudgedBudget]) -> BudgetExhausted | DataMissing | None:
    exhausted = [
        (budget.remaining or Decimal(0), index)
        for index, (budget, policy) in enumerate(judged)
        if _is_at_or_below(budget, policy, policy.freeze_at)
    ]
    if exhausted:
        budget, policy = judged[min(exhausted)[1]]
        return BudgetExhausted(budget, policy)
    for budget, policy in judged:
        is_missing = not budget.is_known and budget.state is not SloState.TOO_LITTLE_TRAFFIC
        if is_missing and policy.on_missing_data is OnMissingData.FREEZE:
            return DataMissing(budget, policy)
    return None


def _is_at_or_below(budget: Budget, policy: ErrorBudgetPolicy, level: Decimal) -> bool:
    """Return whether no more than `level` is left: by the figure and, where that may be chance, surely."""
    if budget.state is not SloState.OK or budget.remaining is None or budget.remaining > level:
        return False
    events = budget.events
    return events is None or is_surely_spent(policy, budget.slo, events.bad, events.total, level)


def _level(judged: Sequence[JudgedBudget]) -> Decimal | None:
    """Return the lowest warning level that any known budget is at or below."""
    crossed = [
        level
        for budget, policy in judged
        for level in policy.warn_at
        if _is_at_or_below(budget, policy, level)
    ]
    return min(crossed, default=None)


def _warning(
    judged: Sequence[JudgedBudget], warned: Decimal | None
) -> tuple[Decimal | None, BudgetWarned | None]:
    level = _level(judged)
    if level is not None and (warned is None or level < warned):
        at_level = [
            budget for budget, policy in judged if budget.state is SloState.OK and level in policy.warn_at
        ]
        lowest = worst(at_level)
        return level, BudgetWarned(level, lowest) if lowest else None
    # The worst SLO may be the one that cannot be measured: re-arm only when all are known.
    all_known = all(budget.is_known for budget, _ in judged)
    return (level if all_known else warned), None


def _recovery(
    judged: Sequence[JudgedBudget], hold: Hold, state: FreezeState, now: datetime
) -> tuple[BudgetRecovered | None, FreezeState]:
    recovered = all(
        budget.is_known and (budget.remaining is None or budget.remaining >= policy.unfreeze_at)
        for budget, policy in judged
    )
    if not recovered:
        # Missing data proves no recovery: the dwell starts over.
        return None, replace(state, recovered_since=None)
    since = state.recovered_since
    if since is None or since > now:
        since = now
    state = replace(state, recovered_since=since)
    dwell = max((policy.dwell for _, policy in judged), default=None)
    if dwell is None or now - since < dwell:
        return None, state
    budget = worst([budget for budget, _ in judged]) or judged[0][0]
    return BudgetRecovered(budget, hold, since), state


def _burn_alerts(
    judged: Sequence[JudgedBudget], active: frozenset[str]
) -> tuple[frozenset[str], tuple[BurnAlertFired, ...]]:
    """Return which alerts fire now, and per SLO the one to announce: more urgent than any before."""
    firing: set[str] = set()
    started: list[BurnAlertFired] = []
    for budget, policy in judged:
        announced, starting = Decimal(0), []
        for alert in policy.burn_alerts:
            key = alert_key(budget, alert)
            long_burn, short_burn = budget.burn.get(alert.long), budget.burn.get(alert.short)
            if budget.state is not SloState.OK or long_burn is None or short_burn is None:
                firing |= active & {key}
            elif long_burn >= alert.burn and key in active:
                # An announced alert ends only when the long window is below its factor.
                firing.add(key)
                announced = max(announced, alert.burn)
            elif (
                long_burn >= alert.burn and short_burn >= alert.burn and _surely_burns(budget, policy, alert)
            ):
                firing.add(key)
                starting.append(BurnAlertFired(alert, budget, long_burn, short_burn))
        fastest = max(starting, key=lambda fired: fired.alert.burn, default=None)
        if fastest is not None and fastest.alert.burn > announced:
            started.append(fastest)
    return frozenset(firing), tuple(started)


def _surely_burns(budget: Budget, policy: ErrorBudgetPolicy, alert: BurnAlert) -> bool:
    """Return whether the events of the long window prove that the budget is spent too fast."""
    counted = budget.recent.get(alert.long)
    return counted is None or is_surely_spent(policy, budget.slo, counted.bad, counted.total)


def alert_key(budget: Budget, alert: BurnAlert) -> str:
    """Return the name of an SLO's alert in `FreezeState.alerts`."""
    return f"{budget.slo.name}:{alert.severity}:{float(alert.burn):g}:{alert.long.total_seconds():g}"
