"""The rules of one SLO, of one source and of a whole catalog. Pure; no clock, no I/O.

For each window that the policy's burn alerts name, and five minutes, it is recorded how many events there
were, how many were bad, and their ratio. An alert compares ratios with thresholds; like the bot's it begins
when both windows burn, and goes on for as long as the long one does.

Names after https://prometheus.io/docs/practices/rules/: level (the labels), metric, operations.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from bot.catalog.catalog import Catalog, Service
from bot.catalog.error_budget_policy import BurnAlert, ErrorBudgetPolicy, OnMissingData
from bot.catalog.slo import Slo
from bot.catalog.sources import PrometheusSettings
from bot.catalog.window import RollingWindow
from bot.formatting import duration_code
from bot.policy.prometheus_rules.evidence import evidence_for, lower_bound
from bot.policy.prometheus_rules.expressions import Expressed, InexpressibleError, check_promql, expressed
from bot.policy.prometheus_rules.sampled import CountedSamples
from bot.policy.prometheus_rules.texts import burn_annotations, missing_annotations

BURN_ALERT = "ErrorBudgetBurn"
MISSING_ALERT = "SloNotMeasured"

_LEVEL = "service_slo"
_BASE = timedelta(minutes=5)
"""The window of which budgets are added up."""
_BUDGET_EVERY = timedelta(minutes=5)
_BUDGET_LOOKBACK = timedelta(minutes=15)
_MOST_EVERY = timedelta(minutes=2)
"""Prometheus forgets a value after five minutes."""
_LEAST_EVERY = timedelta(seconds=1)
_MISSING_FOR = "5m"

Rule = Mapping[str, Any]
Group = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WithoutRules:
    """An SLO, or a document with `forEach`, that has no rules, and why; `source` where one measures it."""

    name: str
    reason: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ExportedRules:
    """The groups of rules by the source whose Prometheus evaluates them, and what has none."""

    groups: Mapping[str, Sequence[Group]]
    left_out: Sequence[WithoutRules]

    def left_out_of(self, source: str) -> Sequence[WithoutRules]:
        """Return what a source's file does not have: what no source measures, and what this one does."""
        return [each for each in self.left_out if each.source in {None, source}]

    def only(self, source: str) -> "ExportedRules":
        """Return the rules of one source."""
        groups = {name: groups for name, groups in self.groups.items() if name == source}
        return ExportedRules(groups, self.left_out_of(source))


def export(catalog: Catalog, left_out: Sequence[WithoutRules] = ()) -> ExportedRules:
    """Return the rules of all SLOs that Prometheus can measure by itself; `left_out` is so already."""
    groups: dict[str, list[Group]] = defaultdict(list)
    left_out = list(left_out)
    every = max(_LEAST_EVERY, min(catalog.workspace.evaluate_every, _MOST_EVERY))
    for _, service in sorted(catalog.services.items()):
        for slo in sorted(service.slos, key=lambda each: each.name):
            policy = service.policy_for(slo)
            try:
                sli = _expressed(catalog, slo, policy)
            except InexpressibleError as error:
                left_out.append(WithoutRules(slo.key, str(error), getattr(slo.sli, "source", None)))
                continue
            if not policy.burn_alerts and policy.on_missing_data is not OnMissingData.FREEZE:
                reason = f"its policy {policy.name} has no `burnAlerts`"
                left_out.append(WithoutRules(slo.key, reason, sli.source))
                continue
            groups[sli.source] += _SloRules(service, slo, policy, sli).groups(every)
    return ExportedRules({source: groups[source] for source in sorted(groups)}, left_out)


def _expressed(catalog: Catalog, slo: Slo, policy: ErrorBudgetPolicy) -> Expressed:
    """Return how a Prometheus counts the SLO's events; raises `InexpressibleError` where none does."""
    sli = expressed(slo.sli)
    settings = catalog.workspace.sources.get(sli.source)
    if settings is not None and not isinstance(settings, PrometheusSettings):
        raise InexpressibleError("its source is not a Prometheus")
    shortest = min((alert.short for alert in policy.burn_alerts), default=_BASE)
    if isinstance(sli, CountedSamples) and sli.every > min(shortest, _BASE):
        code = duration_code(sli.every)
        raise InexpressibleError(f"its slices of {code} are longer than the shortest window")
    if settings is not None:
        sli = replace(sli, delay=settings.delay)
    check_promql(sli)
    return sli


class _SloRules:
    """The rules of one SLO."""

    def __init__(self, service: Service, slo: Slo, policy: ErrorBudgetPolicy, sli: Expressed) -> None:
        self._service = service
        self._slo = slo
        self._policy = policy
        self._sli = sli
        self._labels = {"service": service.name, "slo": slo.name}
        self._matchers = f'{{service="{service.name}",slo="{slo.name}"}}'

    def groups(self, every: timedelta) -> Iterator[Group]:
        rules: list[Rule] = []
        for window in self._windows:
            rules += self._recorded(window)
        rules += [self._alert(alert) for alert in self._policy.burn_alerts]
        if self._policy.on_missing_data is OnMissingData.FREEZE:
            rules.append(self._missing())
        yield {"name": self._slo.key, "interval": duration_code(every), "rules": rules}
        if self._policy.burn_alerts and isinstance(self._slo.window, RollingWindow):
            rule = self._record("error_budget_remaining:ratio", self._remaining(self._slo.window))
            yield {
                "name": f"{self._slo.key}/budget",
                "interval": duration_code(_BUDGET_EVERY),
                "rules": [rule],
            }

    @property
    def _windows(self) -> Sequence[timedelta]:
        named = {length for alert in self._policy.burn_alerts for length in (alert.long, alert.short)}
        return sorted(named | {_BASE}) if named else ()

    def _recorded(self, window: timedelta) -> Iterator[Rule]:
        code = duration_code(window)
        yield self._record(f"events:increase{code}", self._sli.events(window))
        yield self._record(f"errors:increase{code}", self._sli.errors(window))
        ratio = f"{self._series(f'errors:increase{code}')}\n/\n({self._series(f'events:increase{code}')} > 0)"
        yield self._record(f"errors_per_events:ratio_rate{code}", ratio)

    def _remaining(self, window: RollingWindow) -> str:
        length = duration_code(window.length)
        errors, events = (
            f"sum_over_time({self._series(f'{what}:increase{duration_code(_BASE)}')}[{length}])"
            for what in ("errors", "events")
        )
        return f"1 - {errors}\n  / ({events} > 0)\n  / {_number(1 - self._slo.objective)}"

    def _alert(self, alert: BurnAlert) -> Rule:
        long, short = duration_code(alert.long), duration_code(alert.short)
        threshold = _number(alert.burn * (1 - self._slo.objective))
        labels = {
            **self._labels,
            "severity": str(alert.severity),
            "burn": _number(alert.burn),
            "long": long,
            **self._people(),
        }
        begins = f"{self._series(f'errors_per_events:ratio_rate{short}')} >= {threshold}"
        evidence = self._evidence(alert)
        if evidence:
            begins = f"{begins}\n    and {evidence}"
        firing = f'ALERTS{{alertname="{BURN_ALERT}",alertstate="firing",'
        firing += ",".join(
            f'{name}="{labels[name]}"' for name in ("service", "slo", "severity", "burn", "long")
        )
        remaining = None
        if isinstance(self._slo.window, RollingWindow):
            series = self._series("error_budget_remaining:ratio")
            remaining = f"last_over_time({series}[{duration_code(_BUDGET_LOOKBACK)}])"
        return {
            "alert": BURN_ALERT,
            "expr": (
                f"{self._series(f'errors_per_events:ratio_rate{long}')} >= {threshold}\n"
                f"and on (service, slo) (\n    {begins}\n  or on (service, slo)\n    {firing}}}\n)"
            ),
            "labels": labels,
            "annotations": dict(burn_annotations(self._service, self._slo, alert, remaining)),
        }

    def _evidence(self, alert: BurnAlert) -> str:
        needed = evidence_for(self._policy, alert, self._slo.objective)
        if needed is None:
            return ""
        code = duration_code(alert.long)
        errors, events = self._series(f"errors:increase{code}"), self._series(f"events:increase{code}")
        allowed = _number(1 - self._slo.objective)
        proven = f"{errors} >= {_number(needed.errors)}"
        if needed.needs_bound:
            proven += f"\n      and on (service, slo) {lower_bound(errors, events)} > {allowed}"
        if needed.unless_allowed is None:
            return f"on (service, slo) ({proven})"
        enough = f"{events} * {allowed} >= {needed.unless_allowed}"
        return f"on (service, slo) (\n      {enough}\n      or on (service, slo) {proven}\n    )"

    def _missing(self) -> Rule:
        return {
            "alert": MISSING_ALERT,
            "expr": self._sli.missing,
            "for": _MISSING_FOR,
            "labels": {**self._labels, "severity": "ticket", **self._people()},
            "annotations": dict(missing_annotations(self._service, self._slo)),
        }

    def _people(self) -> Mapping[str, str]:
        teams = self._service.teams
        team = ",".join(each.rpartition("/")[2] for each in teams.reliability or teams.development)
        channel = self._service.channel.rpartition("/")[2]
        return ({"team": team} if team else {}) | {"channel": channel}

    def _record(self, name: str, expression: str) -> Rule:
        return {"record": f"{_LEVEL}:{name}", "expr": expression, "labels": self._labels}

    def _series(self, name: str) -> str:
        return f"{_LEVEL}:{name}{self._matchers}"


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}"
