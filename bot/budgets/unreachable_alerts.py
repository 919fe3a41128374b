"""Finds burn rates that a policy waits for and that can never be reached. Pure; no clock, no I/O.

The most that a burn rate can be is that of a full outage, 1 / (1 - objective): 10 at an objective of 90%.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from bot.budgets.exact import WHOLE
from bot.catalog.catalog import Catalog, Service
from bot.catalog.error_budget_policy import BurnAlert, CanaryGuard
from bot.catalog.slo import Slo
from bot.formatting import duration_code, listed, percent_text

_FIX = "give the SLO a policy with lower rates"


@dataclass(frozen=True, slots=True)
class UnreachableAlerts:
    """The burn alerts of an SLO's policy that can never fire; `guard` is that of its flags if it cannot."""

    slo: Slo
    alerts: tuple[BurnAlert, ...]
    guard: CanaryGuard | None

    @property
    def words(self) -> str:
        """What is wrong and what to do about it, in a sentence."""
        rates = [f"{alert.burn.normalize():f} over {duration_code(alert.long)}" for alert in self.alerts]
        parts = [f"the burn alert{'s' if len(rates) > 1 else ''} of {listed(rates)}"] if rates else []
        if self.guard is not None:
            over = duration_code(self.guard.over)
            parts.append(f"the guard of its flags at {self.guard.burn.normalize():f} over {over}")
        verb = "fire" if len(rates) + (self.guard is not None) > 1 else "fires"
        most, objective = WHOLE / (WHOLE - self.slo.objective), percent_text(self.slo.objective, plain=True)
        why = f"at an objective of {objective} a burn rate is {float(most):.4g} at most"
        return f"{why}: {listed(parts)} never {verb}; {_FIX}"


def unreachable_alerts(catalog: Catalog) -> Iterator[UnreachableAlerts]:
    """Yield the SLOs of which a burn alert, or the guard of the service's flags, can never fire.

    Those of the built-in policy too: whoever relies on them would wait in vain as well.
    """
    for service in catalog.services.values():
        for slo in service.slos:
            found = _of(service, slo)
            if found.alerts or found.guard is not None:
                yield found


def _of(service: Service, slo: Slo) -> UnreachableAlerts:
    policy = service.policy_for(slo)
    alerts = tuple(alert for alert in policy.burn_alerts if _is_unreachable(slo, alert.burn))
    has_vain_guard = bool(service.flags) and _is_unreachable(slo, policy.guard.burn)
    return UnreachableAlerts(slo, alerts, policy.guard if has_vain_guard else None)


def _is_unreachable(slo: Slo, burn: Decimal) -> bool:
    return burn * (WHOLE - slo.objective) > WHOLE
