"""What a backtest found: freezes, how long and how often, and what would have been held. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bot.backtests.replay import PastTransition
from bot.catalog.catalog import FlagSettings, Service
from bot.catalog.error_budget_policy import PRODUCTION
from bot.catalog.window import Span
from bot.deployments.deployment import Deployment, DeploymentState
from bot.freezes.status import barred_environments
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    EnforcementBegan,
    EnforcementEnded,
    HoldLifted,
    is_observed,
)

FLAP_WITHIN = timedelta(days=1)
"""A freeze that begins within this time after the last one ended is the same trouble again: it flapped."""


@dataclass(frozen=True, slots=True)
class PastFreeze:
    """A freeze that would have been, on account of one SLO; `end` is None where it lasts.

    `left` is what was left of the budget as it began. An observed one would have stopped nothing.
    """

    slo: str
    start: datetime
    end: datetime | None
    left: Decimal | None
    is_flap: bool = False
    observed: bool = False

    def span(self, until: datetime) -> Span:
        """Return its time, up to `until` where it lasts."""
        return Span(self.start, self.end or until)


@dataclass(frozen=True, slots=True)
class HeldDeployment:
    """A deployment that began during a freeze; `exemption` is what let it through then, None without one."""

    deployment: Deployment
    slo: str
    exemption: str | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An SLO that cannot be replayed, and why, in words."""

    service: str
    slo: str
    reason: str


@dataclass(frozen=True, slots=True)
class BacktestSum:
    """How long and how often something would have been frozen, and what else there would have been."""

    frozen_for: timedelta
    freezes: int
    flaps: int
    warnings: int
    alerts: int
    held: int


@dataclass(frozen=True, slots=True)
class ServiceBacktest:
    """What one service would have met with; `span` begins when the window of an SLO is known whole."""

    service: Service
    span: Span
    transitions: tuple[PastTransition, ...]
    freezes: tuple[PastFreeze, ...]
    since: Mapping[str, datetime]
    """From when on each SLO is judged, by its name."""
    met: tuple[HeldDeployment, ...] = ()
    """The deployments that began during a freeze, those with an exemption too."""
    is_adjusted: bool = False
    """Whether adjustments changed what was counted."""

    @property
    def held(self) -> tuple[HeldDeployment, ...]:
        """The deployments that would have been held."""
        return tuple(each for each in self.met if each.exemption is None)

    def of(self, slo: str | None = None) -> BacktestSum:
        """Return the sums of one SLO, or of all of them."""
        freezes = [freeze for freeze in self.freezes if slo in {None, freeze.slo}]
        found = [past.transition for past in self.transitions]
        warned = [each for each in found if isinstance(each, BudgetWarned)]
        alerted = [each for each in found if isinstance(each, BurnAlertFired)]
        return BacktestSum(
            frozen_for=sum((freeze.span(self.span.end).length for freeze in freezes), timedelta()),
            freezes=len(freezes),
            flaps=sum(freeze.is_flap for freeze in freezes),
            warnings=sum(slo in {None, each.budget.slo.name} for each in warned),
            alerts=sum(slo in {None, each.budget.slo.name} for each in alerted),
            held=sum(slo in {None, each.slo} for each in self.held),
        )


@dataclass(frozen=True, slots=True)
class Backtest:
    """What one set of policies would have done; `name` tells it from another one."""

    name: str
    span: Span
    services: tuple[ServiceBacktest, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def freezes_of(transitions: Iterable[PastTransition]) -> list[PastFreeze]:
    """Return the freezes that the transitions of one service begin and end, oldest first."""
    freezes: list[PastFreeze] = []
    for past in transitions:
        match past.transition:
            case BudgetExhausted(budget) | DataMissing(budget):
                observed = is_observed(past.transition)
                freezes.append(_began(freezes, budget.slo.name, past.at, budget.remaining, observed=observed))
            case EnforcementBegan(cause=cause) if cause is not None:
                _end_last(freezes, past.at)
                freezes.append(PastFreeze(cause.budget.slo.name, past.at, None, cause.budget.remaining))
            case EnforcementBegan() | EnforcementEnded() if freezes:
                last = freezes[-1]
                _end_last(freezes, past.at)
                observed = isinstance(past.transition, EnforcementEnded)
                freezes.append(PastFreeze(last.slo, past.at, None, last.left, observed=observed))
            case BudgetRecovered() | HoldLifted():
                _end_last(freezes, past.at)
            case _:
                pass
    return freezes


def _began(
    earlier: Sequence[PastFreeze], slo: str, at: datetime, left: Decimal | None, *, observed: bool
) -> PastFreeze:
    ended = earlier[-1].end if earlier else None
    is_flap = ended is not None and at - ended <= FLAP_WITHIN
    return PastFreeze(slo, at, None, left, is_flap, observed)


def _end_last(freezes: list[PastFreeze], at: datetime) -> None:
    if freezes and freezes[-1].end is None:
        freezes[-1] = replace(freezes[-1], end=at)


def held_deployments(
    service: Service,
    freezes: Sequence[PastFreeze],
    deployments: Iterable[tuple[Deployment, str | None]],
    until: datetime,
    flags: FlagSettings,
) -> list[HeldDeployment]:
    """Return the deployments that began during a freeze which bars their environment.

    Each comes with the exemption that it had, if any; `flags` say which environments count as production
    besides what was deployed there as such.
    """
    barred = barred_environments(service)
    found: list[HeldDeployment] = []
    for deployment, exemption in deployments:
        environment = deployment.environment.casefold()
        if deployment.is_production or flags.is_production(environment):
            environment = PRODUCTION
        during = [freeze for freeze in freezes if _contains(freeze.span(until), deployment.started_at)]
        stopping = [freeze for freeze in during if environment in barred[freeze.slo]]
        if stopping and deployment.state is DeploymentState.SUCCEEDED:
            found.append(HeldDeployment(deployment, stopping[0].slo, exemption))
    return found


def _contains(span: Span, at: datetime) -> bool:
    return span.start <= at < span.end
