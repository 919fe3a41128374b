"""The JSON shapes of the API: how statuses, budgets, holds and verdicts are written down."""

from datetime import UTC, datetime
from typing import Any

from bot.budgets.budget import SHOWN_BURN_WINDOWS, Budget
from bot.catalog.window import CalendarWindow, RollingWindow, Window
from bot.formatting import duration_code
from bot.freezes.hold import Hold
from bot.freezes.status import ServiceStatus
from bot.freezes.verdict import Verdict
from bot.store.audit import AuditRow


def service_json(status: ServiceStatus) -> dict[str, Any]:
    """Write down how a service stands."""
    return {
        "service": status.service.name,
        "state": "frozen" if status.is_frozen else "open",
        "holds": [hold_json(hold) for hold in status.holds],
        "slos": [budget_json(budget) for budget in status.budgets],
    }


def hold_json(hold: Hold) -> dict[str, Any]:
    """Write down a hold."""
    return {
        "id": hold.id,
        "kind": str(hold.kind),
        "reason": hold.reason,
        "by": hold.by,
        "since": instant(hold.since),
        "until": instant(hold.until),
    }


def budget_json(budget: Budget) -> dict[str, Any]:
    """Write down an SLO's budget; what is not known is null."""
    events = budget.events
    return {
        "name": budget.slo.name,
        "objective": budget.slo.objective,
        "window": window_text(budget.slo.window),
        "state": str(budget.state),
        "good": events.good if events else None,
        "bad": events.bad if events else None,
        "total": events.total if events else None,
        "sli": budget.sli,
        "remaining": budget.remaining,
        "remaining_minutes": budget.remaining_minutes,
        "burn": {duration_code(length): budget.burn.get(length) for length in SHOWN_BURN_WINDOWS},
        "exhausts_at": instant(budget.exhausts_at),
        "as_of": instant(budget.as_of),
        "problem": budget.problem,
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Write down the answer to "may this change ship?"."""
    return {
        "allow": verdict.allow,
        "service": verdict.service,
        "change": verdict.change.id,
        "reasons": list(verdict.reasons),
        "holds": [hold_json(hold) for hold in verdict.holds],
        "exemption": verdict.exemption,
        "budget": budget_json(verdict.budget) if verdict.budget else None,
        "as_of": instant(verdict.as_of),
    }


def audit_json(row: AuditRow) -> dict[str, Any]:
    """Write down a row of the audit log."""
    return {
        "id": row.id,
        "at": instant(row.at),
        "actor": row.entry.actor,
        "action": row.entry.action,
        "service": row.entry.service,
        "subject": row.entry.subject,
        "reason": row.entry.reason,
        "before": row.entry.before,
        "after": row.entry.after,
    }


def instant(when: datetime | None) -> str | None:
    """Write a time in UTC as RFC 3339 with `Z`."""
    if when is None:
        return None
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def window_text(window: Window) -> str:
    """Write a window as the policies do: `30d`, or `calendar month (Europe/London)`."""
    match window:
        case RollingWindow(length):
            return duration_code(length)
        case CalendarWindow(unit, time_zone):
            return f"calendar {unit} ({time_zone})"
