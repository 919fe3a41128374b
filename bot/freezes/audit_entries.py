"""The audit entry of each transition. Pure."""

from typing import Any, assert_never

from bot.budgets.budget import Budget
from bot.formatting import budget_text, burn_rate_text, percent_text
from bot.freezes.hold import GOVERNOR, Hold
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    EnforcementBegan,
    EnforcementEnded,
    ExemptionDeclined,
    ExemptionGranted,
    ExemptionRequested,
    HoldExpired,
    HoldLifted,
    HoldPlaced,
    HoldRetained,
    Transition,
    is_observed,
)
from bot.store.audit import AuditEntry


def entry_of(transition: Transition, service: str) -> AuditEntry:  # noqa: C901, PLR0911 - one return a transition
    """Return the audit entry of a transition of `service`."""
    match transition:
        case BudgetWarned(level, budget):
            reason = f"{budget.slo.name} fell to {_left(budget)}, below {percent_text(level)}"
            return _entry("budget.warned", service, reason, after=_figures(budget))
        case BurnAlertFired(alert, budget, long_burn, short_burn):
            burn = burn_rate_text(long_burn)
            reason = f"{budget.slo.name} burns at {burn}, {alert.severity} at {float(alert.burn):g}×"
            after = _figures(budget) | {"long_burn": float(long_burn), "short_burn": float(short_burn)}
            return _entry("budget.burning", service, reason, after=after)
        case BudgetExhausted(budget, policy):
            reason = (
                f"{budget.slo.name} fell to {_left(budget)} of its error budget; "
                f"policy {policy.name} freezes at {percent_text(policy.freeze_at)}"
            )
            return _freeze(transition, service, reason)
        case DataMissing(budget, policy):
            reason = f"{budget.slo.name} cannot be measured; policy {policy.name} freezes then"
            return _freeze(transition, service, reason)
        case BudgetRecovered(budget, hold, recovered_since):
            reason = (
                f"{budget.slo.name} has {_left(budget)} of its error budget left, "
                f"enough since {recovered_since:%Y-%m-%d %H:%M} UTC"
            )
            return _unfreeze(hold, service, reason, _figures(budget))
        case HoldRetained(budget, hold, missing):
            actions = ", ".join(str(unmet.action) for unmet in missing)
            reason = (
                f"{budget.slo.name} has {_left(budget)} of its error budget left; "
                f"P0 actions lack an owner or a date: {actions}"
            )
            return _entry("hold.kept", service, reason, before=_hold(hold), after=_hold(hold))
        case EnforcementBegan() | EnforcementEnded():
            return _mode_entry(transition, service)
        case HoldPlaced(hold):
            return _entry("hold.placed", service, hold.reason, hold.by, after=_hold(hold))
        case HoldLifted(hold, by, reason):
            return _entry("hold.lifted", service, reason, by, before=_hold(hold))
        case HoldExpired(hold):
            return _entry("hold.expired", service, "its time ran out", before=_hold(hold))
        case ExemptionGranted() | ExemptionRequested() | ExemptionDeclined():
            return _exemption(transition, service)
        case _:
            assert_never(transition)


def _entry(
    action: str,
    service: str,
    reason: str,
    actor: str = GOVERNOR,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEntry:
    return AuditEntry(actor, action, service, reason, service, before, after)


def _change(
    action: str, service: str, reason: str, before: str, after: str, *, figures: dict[str, Any]
) -> AuditEntry:
    return _entry(action, service, reason, before={"state": before}, after={"state": after} | figures)


def _mode_entry(switch: EnforcementBegan | EnforcementEnded, service: str) -> AuditEntry:
    hold, policy = switch.hold, switch.policy
    if isinstance(switch, EnforcementEnded):
        reason = f"policy {policy.name} only observes now"
        return _entry("hold.suspended", service, reason, before=_hold(hold))
    why = hold.reason if switch.cause is None else entry_of(switch.cause, service).reason
    return _entry(
        "hold.enforced", service, f"policy {policy.name} is enforced now; {why}", before=_hold(hold)
    )


def _freeze(transition: BudgetExhausted | DataMissing, service: str, reason: str) -> AuditEntry:
    figures = _figures(transition.budget)
    if is_observed(transition):
        return _entry("service.would_freeze", service, reason, after=figures)
    return _change("service.frozen", service, reason, "open", "frozen", figures=figures)


def _unfreeze(hold: Hold, service: str, reason: str, figures: dict[str, Any]) -> AuditEntry:
    if hold.observed:
        return _entry("service.would_unfreeze", service, reason, after=figures)
    return _change("service.unfrozen", service, reason, "frozen", "open", figures=figures)


def _exemption(
    transition: ExemptionGranted | ExemptionRequested | ExemptionDeclined, service: str
) -> AuditEntry:
    by, reason = transition.by, transition.reason
    after = {"change": transition.change, **({"commit": transition.commit} if transition.commit else {})}
    match transition:
        case ExemptionRequested(keep_for=keep_for, until=until):
            asked = after | {
                "keep_for_s": keep_for.total_seconds() if keep_for else None,
                "until": until.isoformat() if until else None,
                "commit": transition.commit,
                "kind": transition.kind,
                "proof": transition.proof,
            }
            return _entry("exemption.requested", service, reason, by, after=asked)
        case ExemptionDeclined():
            declined = after | {"asked_by": transition.asked_by, "comment": transition.comment}
            return _entry("exemption.declined", service, reason, by, after=declined)
        case ExemptionGranted(until=until, asked_by=asked_by, comment=comment):
            granted = after | {"until": until.isoformat() if until else None}
            answer = {"asked_by": asked_by, "comment": comment} if asked_by else {}
            return _entry("exemption.granted", service, reason, by, after=granted | answer)


def _figures(budget: Budget) -> dict[str, Any]:
    return {
        "slo": budget.slo.name,
        "slo_state": str(budget.state),
        "remaining": None if budget.remaining is None else float(budget.remaining),
        "as_of": budget.as_of.isoformat() if budget.as_of else None,
    }


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "id": hold.id,
        "kind": str(hold.kind),
        "reason": hold.reason,
        "by": hold.by,
        "since": hold.since.isoformat(),
        "until": hold.until.isoformat() if hold.until else None,
    } | ({"observed": True} if hold.observed else {})


def _left(budget: Budget) -> str:
    """Return what is left as the log writes it: without a decimal that is zero."""
    return (
        budget_text(budget.remaining).replace(".0%", "%") if budget.remaining is not None else "nothing known"
    )
