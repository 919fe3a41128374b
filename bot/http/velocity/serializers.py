"""Serializers: velocity and its costs as the API's JSON; times in seconds, shares as fractions."""

from datetime import timedelta
from typing import Any

from bot.http.serializers import instant
from bot.velocity import definitions
from bot.velocity.budget_cost import BudgetCost, KindCost
from bot.velocity.cost_reader import CostOfBoth
from bot.velocity.freeze_cost import FreezeCost
from bot.velocity.measures import DeliveryMeasures, LeadTime
from bot.velocity.reader import Velocity
from bot.velocity.scope import ScopeKind
from bot.velocity.statistics import INTERVAL_METHOD, QUANTILE_METHOD, DurationQuantiles, Proportion


def velocity_json(velocity: Velocity, costs: CostOfBoth) -> dict[str, Any]:
    """Return the velocity of a scope as JSON."""
    scope, measures = velocity.scope, velocity.measures
    return {
        "service": scope.name if scope.kind is ScopeKind.SERVICE else None,
        "team": scope.name if scope.kind is ScopeKind.TEAM else None,
        "services": list(scope.service_names),
        "since": instant(velocity.span.start),
        "until": instant(velocity.span.end),
        "measures": _measures_json(measures),
        "suspected": _proportion_json(measures.suspected),
        "without_changes": measures.without_changes,
        "quantiles": QUANTILE_METHOD,
        "interval": INTERVAL_METHOD,
        "periods": [_period_json(period) for period in velocity.periods],
        "costs": {
            "freezes": _freezes_json(costs.freezes),
            "budgets": [_budget_json(budget) for budget in costs.budgets],
        },
    }


def _measures_json(measures: DeliveryMeasures) -> dict[str, Any]:
    frequency, recovery = measures.deployment_frequency, measures.recovery
    found: dict[str, dict[str, Any]] = {
        "lead_time": _lead_time_json(measures.lead_time),
        "lead_time_from_merge": _lead_time_json(measures.lead_time_from_merge),
        "deployment_frequency": {
            "n": frequency.n,
            "per_week": frequency.per_week,
            "between": _durations_json(frequency.between),
        },
        "failed_deployment_recovery_time": {
            **_durations_json(recovery.times),
            "unrecovered": recovery.unrecovered,
        },
        "change_fail_rate": _proportion_json(measures.change_fail_rate),
        "rework_rate": _proportion_json(measures.rework_rate),
    }
    for definition in definitions.DEFINITIONS:
        found[definition.key]["definition"] = definition.text
    return found


def _lead_time_json(lead_time: LeadTime) -> dict[str, Any]:
    return {
        **_durations_json(lead_time.times),
        "dropped": lead_time.dropped,
        "unknown": lead_time.unknown,
    }


def _durations_json(found: DurationQuantiles) -> dict[str, Any]:
    return {"n": found.n, "p50": _seconds(found.p50), "p90": _seconds(found.p90)}


def _proportion_json(found: Proportion) -> dict[str, Any]:
    return {
        "n": found.n,
        "count": found.count,
        "value": found.value,
        "low": found.low,
        "high": found.high,
    }


def _period_json(period: DeliveryMeasures) -> dict[str, Any]:
    return {
        "since": instant(period.span.start),
        "until": instant(period.span.end),
        "deployments": period.deployment_frequency.n,
        "failed": period.change_fail_rate.count,
        "rework": period.rework_rate.count,
        "lead_time_p50": _seconds(period.lead_time.times.p50),
        "recovery_time_p50": _seconds(period.recovery.times.p50),
    }


def _freezes_json(cost: FreezeCost) -> dict[str, Any]:
    return {
        "freezes": cost.freezes,
        "frozen_s": cost.frozen_for.total_seconds(),
        "held": _durations_json(cost.held),
        "exemptions_asked": cost.asked,
        "exemptions_granted": cost.granted,
        "exemptions_declined": cost.declined,
        "answered": _durations_json(cost.answered),
        "exemptions": cost.exemptions,
        "exemptions_used": cost.used,
        "passed_by_kind": cost.passed_by_kind,
        "bypassed": cost.bypassed,
    }


def _budget_json(cost: BudgetCost) -> dict[str, Any]:
    return {
        "service": cost.service,
        "slo": cost.slo,
        "remaining": cost.remaining,
        "n": cost.per_deployment.n,
        "p50": cost.per_deployment.p50,
        "p90": cost.per_deployment.p90,
        "mean": cost.per_deployment.mean,
        "by_size": [_kind_json(kind) for kind in cost.by_size],
        "by_kind": [_kind_json(kind) for kind in cost.by_kind],
        "by_maker": {kind.kind: _kind_json(kind) for kind in cost.by_maker},
        "like_last": cost.like_last,
        "last_spent": cost.last_spent,
        "carries": cost.carries,
    }


def _kind_json(cost: KindCost) -> dict[str, Any]:
    return {"kind": cost.kind, "n": cost.n, "spent": cost.spent, "each": cost.each}


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
