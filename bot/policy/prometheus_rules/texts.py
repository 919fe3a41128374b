"""What the alerts say: summary, description, what to do, and what is left of the budget. Pure.

`{{ … }}` is filled in by Prometheus:
https://prometheus.io/docs/prometheus/latest/configuration/template_reference/
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import BurnAlert
from bot.catalog.slo import Slo
from bot.catalog.window import CalendarWindow, RollingWindow, Window
from bot.formatting import duration_code, duration_text, percent_text

_WHAT_TO_DO = (
    "Look for what changed: deployments, flags and dependencies of {service}. Roll back or turn off what "
    "coincides with the beginning; where users are hurt, open an incident."
)
_WHAT_TO_DO_IN_TIME = (
    "Nobody need be woken. Find the cause within some days, before the budget is spent and releases of "
    "{service} are frozen."
)
_MISSING = (
    "Nobody knows how {slo} of {service} is doing. See whether its targets are scraped, and whether a metric "
    "or a label was renamed; the policy freezes the service meanwhile."
)


def burn_annotations(
    service: Service, slo: Slo, alert: BurnAlert, remaining: str | None
) -> Mapping[str, str]:
    """Return the annotations of a burn alert, whose value is the share of bad events in the long window.

    `remaining` is a query for the fraction of the budget that is left.
    """
    factor = f"{alert.burn.normalize():f}"
    long, objective = duration_code(alert.long), percent_text(slo.objective, plain=True)
    facts = (
        f"{{{{ $value | humanizePercentage }}}} of the events failed in the last {long}; {objective} must be "
        f"good over {_window_text(slo.window)}. {_spent_text(slo.window, alert)}"
    )
    texts = {
        "summary": f"{service.name}: the {slo.name} budget burns at least {factor} times as fast as it may",
        "description": facts,
        "what_to_do": (_WHAT_TO_DO if alert.severity == "page" else _WHAT_TO_DO_IN_TIME).format(
            service=service.name
        ),
    }
    if remaining is not None:
        value = '{{ . | first | value | printf "%.1f%%" }}'
        texts["budget_left"] = (
            f"{{{{ with query `100 * {remaining}` }}}}{value}{{{{ else }}}}unknown{{{{ end }}}}"
        )
    return texts | _about(service)


def missing_annotations(service: Service, slo: Slo) -> Mapping[str, str]:
    """Return the annotations of the alert that an SLO cannot be measured."""
    return {
        "summary": f"{service.name}: {slo.name} is not measured",
        "description": _MISSING.format(service=service.name, slo=slo.name),
    } | _about(service)


def _about(service: Service) -> dict[str, str]:
    # The text of a person: nothing in it is an instruction to Prometheus.
    text = service.description.replace("{{", "{ {").strip()
    return {"service_description": text} if text else {}


def _window_text(window: Window) -> str:
    if isinstance(window, CalendarWindow):
        return f"the {window.unit} ({window.time_zone})"
    return duration_code(window.length)


def _spent_text(window: Window, alert: BurnAlert) -> str:
    if not isinstance(window, RollingWindow):
        return f"At this rate the budget of the {window.unit} does not last."
    lasts = timedelta(seconds=float(Decimal(window.length // timedelta(seconds=1)) / alert.burn))
    return f"At that rate a whole budget is spent in {duration_text(lasts, plain=True)}."
