"""Backtests as JSON: times in UTC as ISO 8601, lengths in seconds, budgets as fractions. Pure."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from bot.backtests.backtest import Backtest, HeldDeployment, PastFreeze, ServiceBacktest
from bot.backtests.replay import PastTransition
from bot.catalog.slo import Slo
from bot.catalog.window import RollingWindow
from bot.formatting import duration_code
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetTransition,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    EnforcementBegan,
    EnforcementEnded,
    HoldLifted,
    HoldRetained,
)

_KINDS: dict[type[BudgetTransition], str] = {
    BudgetWarned: "warned",
    BurnAlertFired: "burn_alert",
    BudgetExhausted: "frozen",
    DataMissing: "frozen_for_missing_data",
    BudgetRecovered: "opened",
    HoldLifted: "opened",
    HoldRetained: "kept",
    EnforcementBegan: "enforced",
    EnforcementEnded: "observed",
}


def backtests_json(backtests: Sequence[Backtest]) -> dict[str, Any]:
    """Return backtests over the same span as JSON."""
    span = backtests[0].span
    return {
        "since": _time(span.start),
        "until": _time(span.end),
        "runs": [
            {
                "policies": each.name,
                "services": [_service(tested) for tested in each.services],
                "left_out": [
                    {"service": out.service, "slo": out.slo, "reason": out.reason} for out in each.left_out
                ],
                "notes": list(each.notes),
            }
            for each in backtests
        ],
    }


def _service(tested: ServiceBacktest) -> dict[str, Any]:
    service, total = tested.service, tested.of()
    return {
        "service": service.name,
        "policy": service.error_budget_policy.name,
        "mode": service.mode.value,
        "from": _time(tested.span.start),
        "frozen_s": total.frozen_for.total_seconds(),
        "freezes": total.freezes,
        "flaps": total.flaps,
        "warnings": total.warnings,
        "burn_alerts": total.alerts,
        "slos": [_slo(tested, slo) for slo in service.slos if slo.name in tested.since],
        "frozen": [_freeze(tested, freeze) for freeze in tested.freezes],
        "held": [_held(each) for each in tested.met if each.exemption is None],
        "exempted": [_held(each) for each in tested.met if each.exemption is not None],
        "transitions": [_transition(past) for past in tested.transitions],
    }


def _slo(tested: ServiceBacktest, slo: Slo) -> dict[str, Any]:
    window = slo.window
    own = tested.of(slo.name)
    return {
        "slo": slo.name,
        "objective": float(slo.objective),
        "window": duration_code(window.length) if isinstance(window, RollingWindow) else window.unit.value,
        "policy": tested.service.policy_for(slo).name,
        "from": _time(max(tested.span.start, tested.since[slo.name])),
        "frozen_s": own.frozen_for.total_seconds(),
        "freezes": own.freezes,
        "flaps": own.flaps,
        "warnings": own.warnings,
        "burn_alerts": own.alerts,
        "held": own.held,
    }


def _freeze(tested: ServiceBacktest, freeze: PastFreeze) -> dict[str, Any]:
    return {
        "slo": freeze.slo,
        "from": _time(freeze.start),
        "to": None if freeze.end is None else _time(freeze.end),
        "frozen_s": freeze.span(tested.span.end).length.total_seconds(),
        "remaining": _fraction(freeze.left),
        "flap": freeze.is_flap,
        "observed": freeze.observed,
    }


def _held(each: HeldDeployment) -> dict[str, Any]:
    deployment = each.deployment
    return {
        "id": deployment.id,
        "environment": deployment.environment,
        "commit": deployment.commit,
        "started_at": _time(deployment.started_at),
        "by": deployment.by,
        "slo": each.slo,
        "exemption": each.exemption,
    }


def _transition(past: PastTransition) -> dict[str, Any]:
    transition = past.transition
    budget = getattr(transition, "budget", None)
    alert = transition.alert if isinstance(transition, BurnAlertFired) else None
    return {
        "at": _time(past.at),
        "kind": _KINDS[type(transition)],
        "slo": budget.slo.name if budget is not None else None,
        "remaining": _fraction(budget.remaining) if budget is not None else None,
        "level": float(transition.level) if isinstance(transition, BudgetWarned) else None,
        "burn_alert": None
        if alert is None
        else {
            "severity": alert.severity.value,
            "burn": float(alert.burn),
            "long": duration_code(alert.long),
            "short": duration_code(alert.short),
        },
    }


def _fraction(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
