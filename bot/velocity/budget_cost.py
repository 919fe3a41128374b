"""What the pace costs reliability: how much budget each deployment spent, by its size and kind. Pure.

A deployment has what was spent after it, as `bot/spending/attribution.py` divides time, and what was spent
in the incidents that it is said to have caused; several that caused one have equal parts of it. All amounts
are fractions of one whole budget of an SLO, as it is in its present window.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bot.catalog.window import Span
from bot.deployments.actor import Actor
from bot.velocity.delivery import Delivery, within
from bot.velocity.statistics import NumberQuantiles, number_quantiles

LIKE_THE_LAST: Final = 20
"""How many of the newest deployments say how many more the budget carries."""

MOST_CARRIED: Final = 1_000
"""More than so many more are not told apart."""

AGENTS: Final = "agents"
PEOPLE: Final = "people"
"""Who makes changes: a pipeline ships what people made, unless whoever reported it said that an agent did."""

_FLAG: Final = "flag"


class SizeClass(StrEnum):
    """How many changes a deployment carried."""

    NONE = "no new change"
    ONE = "1 change"
    FEW = "2 to 5 changes"
    SOME = "6 to 20 changes"
    MANY = "over 20 changes"
    NOT_TOLD = "size not known"


@dataclass(frozen=True, slots=True)
class SpentByDeliveries:
    """What each delivery and each raised flag spent of an SLO's budget.

    `read` is the time that was read: what was spent by a delivery outside it is not known. `by_report` is by
    the id of a deployment, `by_incident` by the incident's number; `by_flag` is what was spent after flags
    were raised, `raises` how often that was.
    """

    service: str
    slo: str
    read: Span
    by_report: Mapping[str, float]
    by_incident: Mapping[int, float]
    by_flag: float
    raises: int
    remaining: float | None


@dataclass(frozen=True, slots=True)
class KindCost:
    """What `n` deployments or flag changes of one kind spent together, as a fraction of the budget."""

    kind: str
    n: int
    spent: float

    @property
    def each(self) -> float:
        """What one of them spent on average."""
        return self.spent / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class BudgetCost:
    """What the deployments of a span spent of one service's budget, the one that they spent most of.

    `carries` is how many more deployments like the newest `like_last` what is left allows, at most
    `MOST_CARRIED`; None where that cannot be said. `last_spent` is what those spent together.
    """

    service: str
    slo: str
    per_deployment: NumberQuantiles
    by_size: tuple[KindCost, ...]
    by_kind: tuple[KindCost, ...]
    remaining: float | None
    like_last: int
    last_spent: float
    carries: int | None

    @property
    def by_maker(self) -> tuple[KindCost, ...]:
        """Return what the deployments of agents and those of people spent, both also where there are none."""
        makers: dict[str, tuple[int, float]] = {AGENTS: (0, 0.0), PEOPLE: (0, 0.0)}
        for cost in self.by_kind:
            if cost.kind != _FLAG:
                maker = AGENTS if cost.kind == Actor.AGENT else PEOPLE
                n, spent = makers[maker]
                makers[maker] = n + cost.n, spent + cost.spent
        return tuple(KindCost(maker, n, spent) for maker, (n, spent) in makers.items())


def budget_cost(
    found: Sequence[SpentByDeliveries], deliveries: Iterable[Delivery], span: Span
) -> BudgetCost | None:
    """Return what the deployments of one service spent in a span; None where no SLO of it was measured.

    `found` are its SLOs. The one that limits the pace most is told: the one that carries the fewest more.
    """
    every = list(deliveries)
    costs = [_of_slo(each, every, span) for each in found]
    return min(costs, key=_urgency, default=None)


def _urgency(cost: BudgetCost) -> tuple[float, float]:
    carries = float("inf") if cost.carries is None else cost.carries
    return carries, -sum(kind.spent for kind in cost.by_kind)


def _of_slo(found: SpentByDeliveries, every: Sequence[Delivery], span: Span) -> BudgetCost:
    own = [each for each in every if each.service == found.service]
    shares = _shares(found, own)
    known = within(own, found.read)
    counted, newest = within(known, span), known[-LIKE_THE_LAST:]
    last_spent = sum(shares[each.reports] for each in newest)
    code = _grouped((each.actor, shares[each.reports]) for each in counted)
    flags = [KindCost(_FLAG, found.raises, found.by_flag)] if found.raises else []
    by_size = _grouped((size_class(each.size), shares[each.reports]) for each in counted)
    order = list(SizeClass)
    return BudgetCost(
        service=found.service,
        slo=found.slo,
        per_deployment=number_quantiles(shares[each.reports] for each in counted),
        by_size=tuple(sorted(by_size, key=lambda cost: order.index(SizeClass(cost.kind)))),
        by_kind=(*sorted(code, key=lambda cost: cost.kind), *flags),
        remaining=found.remaining,
        like_last=len(newest),
        last_spent=last_spent,
        carries=_carries(found.remaining, last_spent, len(newest)),
    )


def size_class(size: int | None) -> SizeClass:
    """Return the class of a number of changes."""
    if size is None:
        return SizeClass.NOT_TOLD
    if size <= 1:
        return SizeClass.ONE if size else SizeClass.NONE
    return SizeClass.FEW if size <= 5 else SizeClass.SOME if size <= 20 else SizeClass.MANY


def _shares(found: SpentByDeliveries, own: Sequence[Delivery]) -> dict[tuple[str, ...], float]:
    """Return what each delivery spent, by its reports."""
    blamed: dict[int, int] = {}
    for each in own:
        for incident in each.incidents:
            blamed[incident] = blamed.get(incident, 0) + 1
    return {
        each.reports: sum(found.by_report.get(report, 0.0) for report in each.reports)
        + sum(found.by_incident.get(incident, 0.0) / blamed[incident] for incident in each.incidents)
        for each in own
    }


def _grouped(spent: Iterable[tuple[str, float]]) -> list[KindCost]:
    found: dict[str, tuple[int, float]] = {}
    for kind, share in spent:
        n, total = found.get(kind, (0, 0.0))
        found[kind] = n + 1, total + share
    return [KindCost(kind, n, total) for kind, (n, total) in found.items()]


def _carries(remaining: float | None, spent: float, n: int) -> int | None:
    if remaining is None or not n:
        return None
    if remaining <= 0:
        return 0
    if spent <= 0:
        return None
    return min(MOST_CARRIED, int(remaining * n / spent))
