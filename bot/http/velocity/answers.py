"""Models of the answer of `GET /api/v1/velocity`, for the OpenAPI document. Times are in seconds."""

from pydantic import AwareDatetime

from bot.http.response_models import Answer


class DurationQuantilesAnswer(Answer):
    """The median and the p90 of `n` lengths of time in seconds; null where there is none."""

    n: int
    p50: float | None
    p90: float | None


class LeadTimeAnswer(DurationQuantilesAnswer):
    """How long changes took to production."""

    dropped: int
    """Changes with a negative time or more than 400 days, which count in nothing else."""
    unknown: int
    """Changes of which the forge told no time."""
    definition: str


class DeploymentFrequencyAnswer(Answer):
    """How often something was deployed."""

    n: int
    per_week: float
    between: DurationQuantilesAnswer
    """The time between two deployments of one service."""
    definition: str


class RecoveryTimeAnswer(DurationQuantilesAnswer):
    """How long failed deployments took to recover."""

    unrecovered: int
    """Failed deployments that have not recovered yet."""
    definition: str


class ProportionAnswer(Answer):
    """A share of `n` deployments with its Wilson interval (95%); null where nothing was deployed."""

    n: int
    count: int
    value: float | None
    low: float | None
    high: float | None
    definition: str


class DeliveryMeasuresAnswer(Answer):
    """The five delivery measures; lead time both from writing and from the default branch."""

    lead_time: LeadTimeAnswer
    lead_time_from_merge: LeadTimeAnswer
    deployment_frequency: DeploymentFrequencyAnswer
    failed_deployment_recovery_time: RecoveryTimeAnswer
    change_fail_rate: ProportionAnswer
    rework_rate: ProportionAnswer


class SuspectedAnswer(Answer):
    """Deployments shortly before an incident that nobody has linked: they are in no measure."""

    n: int
    count: int
    value: float | None
    low: float | None
    high: float | None


class VelocityPeriodAnswer(Answer):
    """The measures of a week (day, several weeks) of the time; cut at its ends."""

    since: AwareDatetime
    until: AwareDatetime
    deployments: int
    failed: int
    rework: int
    lead_time_p50: float | None
    recovery_time_p50: float | None


class FreezeCostAnswer(Answer):
    """What freezes cost the pace."""

    freezes: int
    frozen_s: float
    """Summed over the services."""
    held: DurationQuantilesAnswer
    """Changes on the default branch that waited for a freeze to end before they came to production."""
    exemptions_asked: int
    exemptions_granted: int
    exemptions_declined: int
    answered: DurationQuantilesAnswer
    """How long requests for exemptions waited for their answer."""
    exemptions: int
    """Exemptions that began in the time, asked for or not."""
    exemptions_used: int
    passed_by_kind: int
    bypassed: int
    """Deployments that went past a freeze."""


class KindCostAnswer(Answer):
    """What the deployments of one size or kind spent of the budget, as a fraction of it."""

    kind: str
    n: int
    spent: float
    each: float


class MakerCostAnswer(Answer):
    """What the deployments of agents spent, and those of people and their pipelines."""

    agents: KindCostAnswer
    people: KindCostAnswer


class BudgetCostAnswer(Answer):
    """What deployments cost one service's budget: that of the SLO that limits their number most."""

    service: str
    slo: str
    remaining: float | None
    n: int
    p50: float | None
    p90: float | None
    mean: float | None
    by_size: list[KindCostAnswer]
    by_kind: list[KindCostAnswer]
    by_maker: MakerCostAnswer
    like_last: int
    """How many of the newest deployments `carries` is about."""
    last_spent: float
    carries: int | None
    """How many more like those the budget carries, 1000 at most; null where they spent nothing."""


class VelocityCostsAnswer(Answer):
    """What pace and reliability cost each other."""

    freezes: FreezeCostAnswer
    budgets: list[BudgetCostAnswer]
    """Of each service that has deployments and SLOs; empty where more than 20 services are asked for."""


class VelocityAnswer(Answer):
    """How fast a service, a team or all services shipped; never a person."""

    service: str | None
    team: str | None
    services: list[str]
    since: AwareDatetime
    until: AwareDatetime
    measures: DeliveryMeasuresAnswer
    suspected: SuspectedAnswer
    without_changes: int
    """Deployments of which nobody told what they carried."""
    quantiles: str
    """How the median and the p90 are taken."""
    interval: str
    """Which interval stands beside a share."""
    periods: list[VelocityPeriodAnswer]
    costs: VelocityCostsAnswer
