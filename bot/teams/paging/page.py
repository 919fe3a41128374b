"""A page: an SLO's budget burns so fast that somebody must be woken. When one begins and ends. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import AlertSeverity, BurnAlert
from bot.formatting import budget_text, burn_rate_text, duration_text
from bot.freezes.decision import FreezeState, alert_key

_LONGEST_SUMMARY = 1_000


class PageEvent(StrEnum):
    """What is told of a page."""

    TRIGGER = "trigger"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class BurnPage:
    """A page of one SLO since `began_at`: a sentence on it, and figures by name for whoever is woken."""

    service: str
    slo: str
    began_at: datetime
    summary: str = ""
    figures: Mapping[str, str] | None = None

    @property
    def dedup_key(self) -> str:
        """What tells the page from all others that may be open: the same for each repetition."""
        return f"governor:{self.service}/{self.slo}"

    def as_json(self) -> dict[str, Any]:
        """Return it as a task's payload."""
        return {
            "service": self.service,
            "slo": self.slo,
            "began_at": self.began_at.isoformat(),
            "summary": self.summary,
            "figures": dict(self.figures or {}),
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> "BurnPage":
        """Return the page of a task's payload."""
        began_at = datetime.fromisoformat(payload["began_at"])
        figures = {str(name): str(value) for name, value in payload["figures"].items()}
        return cls(payload["service"], payload["slo"], began_at, payload["summary"], figures)


def paging_slos(state: FreezeState) -> frozenset[str]:
    """Return the SLOs of which a burn alert of severity `page` fires."""
    parts = [key.split(":") for key in state.alerts]
    return frozenset(slo for slo, severity, *_ in parts if severity == AlertSeverity.PAGE)


def page_of(
    service: Service, slo: str, budgets: Sequence[Budget], state: FreezeState, now: datetime
) -> BurnPage:
    """Return the page of an SLO that begins now; the fastest of its alerts speaks for it."""
    budget = next((each for each in budgets if each.slo.name == slo), None)
    if budget is None:
        return BurnPage(service.name, slo, now, f"{service.name}: the {slo} budget burns too fast")
    policy = service.policy_for(budget.slo)
    alerts = [
        alert
        for alert in policy.burn_alerts
        if alert.severity is AlertSeverity.PAGE and alert_key(budget, alert) in state.alerts
    ]
    fastest = max(alerts, key=lambda alert: alert.burn, default=None)
    left = budget_text(budget.remaining, plain=True)
    burn = _burn_text(budget, fastest)
    summary = f"{service.name}: the {slo} budget burns {burn}, {left} is left"[:_LONGEST_SUMMARY]
    figures = {"service": service.name, "slo": slo, "burn rate": burn, "budget left": left}
    figures |= {"policy": policy.name, "channel": service.channel.rpartition("/")[2]}
    return BurnPage(service.name, slo, now, summary, figures)


def _burn_text(budget: Budget, alert: BurnAlert | None) -> str:
    if alert is None:
        return "too fast"
    rate = burn_rate_text(budget.burn.get(alert.long))
    return f"{rate} over {duration_text(alert.long, plain=True)}".replace("\u00a0", " ")
