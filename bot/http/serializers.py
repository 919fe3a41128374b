"""Serializers: statuses, budgets, holds, verdicts, audit rows and incidents as the API's JSON."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bot.budgets.adjustments.effects import Effect, effects_of
from bot.budgets.budget import SHOWN_BURN_WINDOWS, Budget
from bot.budgets.statistics.forecast import BudgetForecast, TimeQuantiles
from bot.catalog.window import CalendarWindow, RollingWindow, Window
from bot.formatting import duration_code
from bot.freezes.hold import Hold
from bot.freezes.spare import Spare
from bot.freezes.status import ServiceStatus
from bot.freezes.verdict import Verdict
from bot.incidents.causes.cause import CausingDeployment
from bot.incidents.incident import Severity
from bot.incidents.records.channels import ChannelKind
from bot.incidents.report import WORK, DurationSummary, IncidentReport
from bot.incidents.snapshot import IncidentSnapshot
from bot.store.addresses import local
from bot.store.audit import AuditRow


def service_json(status: ServiceStatus) -> dict[str, Any]:
    """Return a service's status as JSON."""
    return {
        "service": status.service.name,
        "state": "frozen" if status.is_frozen else "open",
        "mode": str(status.service.mode),
        "holds": [hold_json(hold) for hold in status.holds],
        "observed_holds": [hold_json(hold) for hold in status.observed],
        "slos": [
            {
                **budget_json(budget),
                "forecast": forecast_json(status.forecasts.get(budget.slo.name)) if budget.is_known else None,
            }
            for budget in status.budgets
        ],
        "spare": _spare_json(status.spare),
    }


def _spare_json(spare: Spare | None) -> dict[str, Any] | None:
    if spare is None:
        return None
    return {
        "at": float(spare.at),
        "unspent": spare.unspent,
        "ramp_steps": list(spare.ramp_steps),
        "unapproved_flags": list(spare.unapproved),
    }


def forecast_json(forecast: BudgetForecast | None) -> dict[str, Any] | None:
    """Return what will become of a budget as JSON; None where nothing can be said."""
    if forecast is None:
        return None
    return {
        "exhausts": _quantiles_json(forecast.exhausts),
        "recovers": _quantiles_json(forecast.recovers),
        "probability": {f"{length.days}d": share for length, share in forecast.probability.items()},
    }


def _quantiles_json(times: TimeQuantiles | None) -> dict[str, Any] | None:
    if times is None:
        return None
    return {"p10": instant(times.p10), "p50": instant(times.p50), "p90": instant(times.p90)}


def hold_json(hold: Hold) -> dict[str, Any]:
    """Return a hold as JSON."""
    return {
        "id": hold.id,
        "kind": str(hold.kind),
        "reason": hold.reason,
        "by": hold.by,
        "since": instant(hold.since),
        "until": instant(hold.until),
    }


def budget_json(budget: Budget) -> dict[str, Any]:
    """Return an SLO's budget as JSON; what is not known is null."""
    events = budget.events
    return {
        "name": budget.slo.name,
        "objective": float(budget.slo.objective),
        "window": window_text(budget.slo.window),
        "state": str(budget.state),
        "good": events.good if events else None,
        "bad": events.bad if events else None,
        "total": events.total if events else None,
        "sli": budget.sli,
        "remaining": _number(budget.remaining),
        "remaining_minutes": budget.remaining_minutes,
        "burn": {duration_code(length): _number(budget.burn.get(length)) for length in SHOWN_BURN_WINDOWS},
        "adjustments": [adjustment_json(effect) for effect in effects_of(budget.events)],
        "exhausts_at": instant(budget.exhausts_at),
        "as_of": instant(budget.as_of),
        "problem": budget.problem,
    }


def adjustment_json(effect: Effect) -> dict[str, Any]:
    """Return an adjustment in force as JSON, with what it changes in an SLO's window."""
    adjustment = effect.adjustment
    return {
        "id": adjustment.id,
        "kind": str(adjustment.kind),
        "counts_as": str(adjustment.counts_as),
        "start": instant(adjustment.span.start),
        "end": instant(adjustment.span.end),
        "bad_events": adjustment.bad_events if adjustment.is_correction else None,
        "reason": adjustment.reason,
        "asked_by": adjustment.asked_by,
        "approved_by": adjustment.decided_by,
        "bad": effect.bad,
        "total": effect.total,
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict on a change as JSON."""
    return {
        "allow": verdict.allow,
        "verdict": verdict.answer,
        "retry_after": verdict.retry_after and math.ceil(verdict.retry_after.total_seconds()),
        "opens_at": verdict.opens_at and instant(verdict.opens_at),
        "service": verdict.service,
        "change": verdict.change.id,
        "reasons": list(verdict.reasons),
        "holds": [hold_json(hold) for hold in verdict.holds],
        "exemption": verdict.exemption,
        "budget": budget_json(verdict.budget) if verdict.budget else None,
        "as_of": instant(verdict.as_of),
        "age": None if verdict.measured_at is None else (verdict.as_of - verdict.measured_at).total_seconds(),
    }


def audit_json(row: AuditRow) -> dict[str, Any]:
    """Return a row of the audit log as JSON."""
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


def incident_json(snapshot: IncidentSnapshot) -> dict[str, Any]:
    """Return an incident as JSON."""
    incident = snapshot.incident
    return {
        "id": incident.id,
        "key": incident.key,
        "title": incident.title,
        "severity": incident.severity.value,
        "status": incident.status.value,
        "merged_into": incident.merged_into,
        "services": list(incident.services),
        "private": incident.private,
        "channel": _channel_json(snapshot, ChannelKind.INCIDENT),
        "postmortem_channel": _channel_json(snapshot, ChannelKind.POSTMORTEM),
        "started_at": instant(incident.started_at),
        "ended_at": instant(incident.ended_at),
        "impact": incident.share,
        "impacts": [
            {
                "start": instant(impact.start),
                "end": instant(impact.end),
                "share": impact.share,
                "service": impact.service,
                "assumed": impact.assumed,
            }
            for impact in incident.impacts
        ],
        "deployments": [
            *(_cause_json(cause, is_confirmed=True) for cause in snapshot.causes.confirmed),
            *(_cause_json(cause, is_confirmed=False) for cause in snapshot.causes.suspected),
        ],
        "deployments_cleared_by": snapshot.causes.cleared_by,
        "flags": [
            {"flag": flag.name, "means": flag.means.value, "by": flag.linked_by}
            for flag in snapshot.causes.flags
        ],
        "summary": incident.summary or None,
        "cost": dict(snapshot.cost),
        "cause": incident.cause.value if incident.cause else None,
        "roles": {role.value: person for role, person in incident.roles.items()},
        "opened_by": incident.opened_by,
        "opened_at": instant(incident.opened_at),
        "acknowledged_at": instant(incident.acknowledged_at),
        "mitigated_at": instant(incident.mitigated_at),
        "resolved_at": instant(incident.resolved_at),
    }


def _cause_json(cause: CausingDeployment, *, is_confirmed: bool) -> dict[str, Any]:
    deployment = cause.deployment
    return {
        "id": deployment.id,
        "services": list(cause.services),
        "environment": deployment.environment,
        "commit": deployment.commit,
        "state": deployment.state.value,
        "started_at": instant(deployment.started_at),
        "ended_at": instant(deployment.finished_at),
        "by": deployment.by,
        "url": deployment.url or None,
        "confirmed": is_confirmed,
        "means": cause.means.value if cause.means else None,
        "linked_by": cause.linked_by,
    }


def report_json(report: IncidentReport) -> dict[str, Any]:
    """Return a report as JSON: durations in seconds, `spent` as fractions of a budget."""
    return {
        "since": instant(report.since),
        "until": instant(report.until),
        "service": report.service,
        "incidents": report.count,
        "not_resolved": report.is_open,
        "severities": {severity.value: report.severities.get(severity, 0) for severity in Severity},
        "time_to_detect": _duration_json(report.detect),
        "time_to_acknowledge": _duration_json(report.acknowledge),
        "time_to_restore": _duration_json(report.restore),
        "spent": report.spent,
        "causes": [
            {
                "cause": share.cause.value if share.cause else None,
                "spent": share.spent,
                "share": share.share,
                "incidents": list(share.ids),
                "work": WORK[share.cause] if share.cause else None,
            }
            for share in report.shares
        ],
        "costliest": [charged.incident.id for charged in report.costliest],
        "costliest_share": report.costliest_share,
        "share_before_detection": report.unseen,
        "not_classified": list(report.unclassified),
        "cost_unknown": list(report.unweighed),
    }


def _duration_json(summary: DurationSummary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    return {
        "median": summary.median.total_seconds(),
        "worst": summary.worst.total_seconds(),
        "worst_incident": summary.worst_id,
        "incidents": summary.count,
    }


def _channel_json(snapshot: IncidentSnapshot, kind: ChannelKind) -> dict[str, Any] | None:
    channel = snapshot.channels.get(kind)
    return {"id": local(channel.channel_id), "name": channel.name} if channel and channel.channel_id else None


def _number(exact: Decimal | None) -> float | None:
    """Return the binary fraction nearest to a decimal, as JSON has it."""
    return None if exact is None else float(exact)


def instant(when: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC, with `Z`."""
    if when is None:
        return None
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def window_text(window: Window) -> str:
    """Return a window as policies write it: `30d`, or `calendar month (Europe/London)`.

    With a start of its own: `calendar month from 2020-01-15T12:30 (Europe/London)`.
    """
    match window:
        case RollingWindow(length):
            return duration_code(length)
        case CalendarWindow(unit, time_zone, None):
            return f"calendar {unit} ({time_zone})"
        case CalendarWindow(unit, time_zone, start):
            return f"calendar {unit} from {start:%Y-%m-%dT%H:%M} ({time_zone})"
