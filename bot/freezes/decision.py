"""Warn, freeze or lift? A pure function of budgets, the bot's own hold, what was told before, and now.

    remaining   100 % ─────────────────────────────────────────────
                 50 %  - - warn once; again only after recovery above it
                 10 %  - - unfreezeAt: lift after `dwell` at or above it
                  0 %  - - freezeAt: hold at or below it

Between the two lines nothing changes, so a budget that hovers at either does not flap. Where an SLO
cannot be measured nothing is lifted and no level is warned or re-armed on its account.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.budgets.budget import Budget, SloState, worst
from bot.catalog.error_budget_policy import (
    BurnAlert,
    ErrorBudgetPolicy,
    OnMissingData,
    UnfreezeRequirement,
    UnmetRequirement,
)
from bot.freezes.hold import Hold
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetTransition,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    HoldRetained,
)

Judged = tuple[Budget, ErrorBudgetPolicy]
"""A budget beside the policy that judges it."""


@dataclass(frozen=True, slots=True)
class FreezeState:
    """What the bot remembers of a service between two evaluations.

    `warned` is the lowest warning level told and not yet re-armed, `recovered_since` when every budget
    was first seen at or above `unfreezeAt` under the present hold, `kept_at` when people were told that this
    hold stays although the budgets are back, `alerts` the burn alerts that fire.
    """

    warned: float | None = None
    recovered_since: datetime | None = None
    kept_at: datetime | None = None
    alerts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, in order, and what to remember."""

    transitions: tuple[BudgetTransition, ...]
    standing: FreezeState


def decide(
    judged: Sequence[Judged],
    *,
    hold: Hold | None,
    standing: FreezeState,
    now: datetime,
    missing: Sequence[UnmetRequirement] = (),
) -> Decision:
    """Decide for one service. `hold` is the bot's own budget hold, if one lies on it.

    `missing` is what keeps requirements from being met now: a hold whose policy names one of these stays,
    which is told once.
    """
    alerts, fired = _burn_alerts(judged, standing.alerts)
    standing = replace(standing, alerts=alerts)
    if hold is None:
        cause = _cause_to_freeze(judged)
        if cause is not None:
            level = _level(judged)
            return Decision((cause,), replace(standing, warned=level, recovered_since=None, kept_at=None))
        warned, warning = _warning(judged, standing.warned)
        standing = replace(standing, warned=warned, recovered_since=None, kept_at=None)
        return Decision((*((warning,) if warning else ()), *fired), standing)
    lifted, standing = _recovery(judged, hold, standing, now)
    if lifted is None:
        return Decision(fired, standing)
    lacking = still_required(missing, [policy for _, policy in judged])
    if not lacking:
        standing = replace(standing, warned=_level(judged), recovered_since=None, kept_at=None)
        return Decision((lifted, *fired), standing)
    if standing.kept_at is not None:
        return Decision(fired, standing)
    return Decision((HoldRetained(lifted.budget, hold, lacking), *fired), replace(standing, kept_at=now))


def still_required(
    missing: Iterable[UnmetRequirement], policies: Iterable[ErrorBudgetPolicy]
) -> tuple[UnmetRequirement, ...]:
    """Return what of it one of the policies requires before a budget hold is lifted."""
    required: set[UnfreezeRequirement | None] = {policy.unfreeze_requires for policy in policies}
    return tuple(one for one in missing if one.requirement in required)


def _cause_to_freeze(judged: Sequence[Judged]) -> BudgetExhausted | DataMissing | None:
    spent = [
        (budget.remaining, index)
        for index, (budget, policy) in enumerate(judged)
        if budget.state is SloState.OK
        and budget.remaining is not None
        and budget.remaining <= policy.freeze_at
    ]
    if spent:
        budget, policy = judged[min(spent)[1]]
        return BudgetExhausted(budget, policy)
    for budget, policy in judged:
        if not budget.is_known and policy.on_missing_data is OnMissingData.FREEZE:
            return DataMissing(budget, policy)
    return None


def _level(judged: Sequence[Judged]) -> float | None:
    """Return the lowest warning level that any known budget is at or below."""
    crossed = [
        level
        for budget, policy in judged
        if budget.state is SloState.OK and budget.remaining is not None
        for level in policy.warn_at
        if budget.remaining <= level
    ]
    return min(crossed, default=None)


def _warning(judged: Sequence[Judged], warned: float | None) -> tuple[float | None, BudgetWarned | None]:
    level = _level(judged)
    if level is not None and (warned is None or level < warned):
        at_level = [
            budget for budget, policy in judged if budget.state is SloState.OK and level in policy.warn_at
        ]
        told = worst(at_level)
        return level, BudgetWarned(level, told) if told else None
    # The worst SLO may be the one that cannot be measured: re-arm only when all are known.
    all_known = all(budget.is_known for budget, _ in judged)
    return (level if all_known else warned), None


def _recovery(
    judged: Sequence[Judged], hold: Hold, standing: FreezeState, now: datetime
) -> tuple[BudgetRecovered | None, FreezeState]:
    recovered = all(
        budget.is_known and (budget.remaining is None or budget.remaining >= policy.unfreeze_at)
        for budget, policy in judged
    )
    if not recovered:
        # Missing data pauses nothing and proves nothing: the dwell begins anew.
        return None, replace(standing, recovered_since=None)
    since = standing.recovered_since
    if since is None or since > now:
        since = now
    standing = replace(standing, recovered_since=since)
    dwell = max((policy.dwell for _, policy in judged), default=None)
    if dwell is None or now - since < dwell:
        return None, standing
    budget = worst([budget for budget, _ in judged]) or judged[0][0]
    return BudgetRecovered(budget, hold, since), standing


def _burn_alerts(
    judged: Sequence[Judged], active: frozenset[str]
) -> tuple[frozenset[str], tuple[BurnAlertFired, ...]]:
    """Return which alerts fire now, and per SLO the one to tell: more urgent than any told before."""
    firing: set[str] = set()
    begun: list[BurnAlertFired] = []
    for budget, policy in judged:
        told, news = 0.0, []
        for alert in policy.burn_alerts:
            key = alert_key(budget, alert)
            long_burn, short_burn = budget.burn.get(alert.long), budget.burn.get(alert.short)
            if budget.state is not SloState.OK or long_burn is None or short_burn is None:
                firing |= active & {key}
            elif long_burn >= alert.burn and key in active:
                # What was told falls silent only when the long window has calmed down.
                firing.add(key)
                told = max(told, alert.burn)
            elif long_burn >= alert.burn and short_burn >= alert.burn:
                firing.add(key)
                news.append(BurnAlertFired(alert, budget, long_burn, short_burn))
        loudest = max(news, key=lambda fired: fired.alert.burn, default=None)
        if loudest is not None and loudest.alert.burn > told:
            begun.append(loudest)
    return frozenset(firing), tuple(begun)


def alert_key(budget: Budget, alert: BurnAlert) -> str:
    """Name an alert of an SLO in what is remembered."""
    return f"{budget.slo.name}:{alert.severity}:{alert.burn:g}:{alert.long.total_seconds():g}"
