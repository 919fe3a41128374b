"""Models of the API's answers for the OpenAPI document; tests check the real answers against them."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bot.attribute_docstrings import DescribedModel


class Answer(DescribedModel, BaseModel):
    """An answer of the API; further members may be added later."""

    # Only the OpenAPI document needs them built.
    model_config = ConfigDict(defer_build=True)


class ProblemAnswer(Answer):
    """A refusal, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] = []
    """Each fault of a body that was not taken."""
    near: list[str] = []
    """Names like the unknown one."""


class DeploymentAnswer(Answer):
    """What became of a deployment that was told."""

    recorded: list[str]
    """The services for which the deployment was new."""
    ignored: str | None
    """Why nothing was to be recorded."""


class IssueAnswer(Answer):
    """That an event about an issue was taken."""

    ignored: str | None
    """Why nothing follows from it."""


class HoldAnswer(Answer):
    """A hold: what keeps a service frozen."""

    id: int
    kind: Literal["budget", "person", "calendar", "incident", "dependency"]
    reason: str
    by: str
    since: AwareDatetime
    until: AwareDatetime | None


class AdjustmentAnswer(Answer):
    """An adjustment of the record that is in force, and what it changes in the window of an SLO."""

    id: int
    kind: Literal["exclusion", "correction", "maintenance"]
    counts_as: Literal["dropped", "good"]
    """`dropped`: the events leave the total too; `good`: the total stays."""
    start: AwareDatetime
    end: AwareDatetime
    bad_events: int | None
    """The bad events (seconds) that a correction adds; below 0 they are taken away."""
    reason: str
    asked_by: str
    approved_by: str | None
    bad: float
    """How many bad events the window has more for it."""
    total: float
    """How many events in all."""


class SloAnswer(Answer):
    """An SLO and its budget; what is not known is null."""

    name: str
    objective: float
    window: str
    state: Literal["ok", "no_traffic", "too_little_traffic", "no_data", "stale", "invalid"]
    """`too_little_traffic`: so few events were counted that the budget may seem spent by chance."""
    good: float | None
    bad: float | None
    total: float | None
    sli: float | None
    remaining: float | None
    """A fraction: 1 is an untouched budget, below 0 it is overspent."""
    remaining_minutes: float | None
    burn: dict[str, float | None]
    """Burn rates over `1h`, `6h` and `3d`: 1 spends exactly the budget."""
    exhausts_at: AwareDatetime | None
    """At the burn rate of the last hour; while a burn alert burns, at that of the faster of its windows."""
    adjustments: list[AdjustmentAnswer]
    """What of the record is adjusted in this window: the figures are after it."""
    as_of: AwareDatetime | None
    problem: str | None


class ForecastTimesAnswer(Answer):
    """By when something happens on a tenth, half and nine tenths of the paths; null: not within 28 days."""

    p10: AwareDatetime
    p50: AwareDatetime | None
    p90: AwareDatetime | None


class ForecastAnswer(Answer):
    """What will become of a budget, from its own history."""

    exhausts: ForecastTimesAnswer | None
    """When it is spent; null where that is unlikely within 28 days, or it is spent already."""
    recovers: ForecastTimesAnswer | None
    """When enough is left again for the bot to lift its hold; null where enough is left."""
    probability: dict[str, float]
    """How likely it is spent within `1d`, `7d` and `28d`."""


class ForecastSloAnswer(SloAnswer):
    """An SLO, its budget, and what will become of it: null where nothing can be said."""

    forecast: ForecastAnswer | None


class SpareAnswer(Answer):
    """Budgets that are hardly touched, and what follows by the policy."""

    at: float
    """The policy's `spareAt`: more than that will be left of each budget at its window's end, 90% likely."""
    unspent: float
    """How much will be left at least, 90% likely; of the budget with the least."""
    ramp_steps: list[float]
    """The steps of ramps that are begun without steps of their own; empty where the policy names none."""
    unapproved_flags: list[str]
    """The flags whose increases need no second person."""


class ServiceAnswer(Answer):
    """One service: its state, holds and budgets."""

    service: str
    state: Literal["open", "frozen"]
    mode: Literal["enforce", "observe"]
    """Whether the service's policy is enforced, or only observes: then it stops nothing."""
    holds: list[HoldAnswer]
    observed_holds: list[HoldAnswer]
    """What would hold the service if its policy were enforced."""
    slos: list[ForecastSloAnswer]
    spare: SpareAnswer | None
    """That its budgets are hardly touched; null where they are not, or nothing can be said."""


class ServicesAnswer(Answer):
    """Every service."""

    services: list[ServiceAnswer]


class GateAnswer(Answer):
    """Whether a change may ship: `go`, `wait` (frozen) or `back` (it does harm: take it back)."""

    allow: bool
    verdict: Literal["go", "wait", "back"]
    retry_after: int | None
    opens_at: AwareDatetime | None
    service: str
    change: str | None
    reasons: list[str]
    holds: list[HoldAnswer]
    exemption: str | None
    budget: SloAnswer | None
    as_of: AwareDatetime
    age: float | None
    """How many seconds old the budgets are that it rests on; null for a service without SLOs."""
    gate_unavailable: Literal["open", "closed"]
    """What to do the next time if the gate cannot be asked."""


class EventsAnswer(Answer):
    """How many events were new, and how many known already."""

    accepted: int
    duplicates: int


class AuditRowAnswer(Answer):
    """One deed."""

    id: int
    at: AwareDatetime
    actor: str
    action: str
    service: str | None
    subject: str
    reason: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class AuditAnswer(Answer):
    """A page of the audit log; `next` is the cursor of the following one."""

    rows: list[AuditRowAnswer]
    next: str | None


class ChannelAnswer(Answer):
    """A channel in Slack."""

    id: str
    name: str


class CausingDeploymentAnswer(Answer):
    """A deployment that caused an incident, or may have."""

    id: str
    services: list[str]
    environment: str
    commit: str
    state: Literal["succeeded", "failed"]
    started_at: AwareDatetime
    ended_at: AwareDatetime
    by: str
    url: str | None
    confirmed: bool = Field(description="False where it is only near in time, and nothing explains more.")
    means: Literal["person", "revert", "rollback"] | None = Field(description="How it became known.")
    linked_by: str | None


class CausingFlagAnswer(Answer):
    """A flag, with its environment, whose change caused an incident."""

    flag: str
    means: Literal["guard", "flag"]
    by: str


class IncidentAnswer(Answer):
    """An incident as it stands."""

    id: int
    key: str
    title: str
    severity: Literal["sev1", "sev2", "sev3", "sev4"]
    status: str
    merged_into: int | None = Field(description="The incident that it is a duplicate of, once it is merged.")
    services: list[str]
    channel: ChannelAnswer | None
    postmortem_channel: ChannelAnswer | None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    impact: float | None = Field(description="The share of requests that failed.")
    cost: dict[str, float | None]
    """Maps `service/slo` to the fraction of its budget that the incident spent."""
    deployments: list[CausingDeploymentAnswer] = Field(
        description="Those that caused it; where nothing is known, the one that is suspected."
    )
    deployments_cleared_by: str | None = Field(description="Who said that no deployment caused it.")
    flags: list[CausingFlagAnswer] = Field(description="The flags whose changes caused it.")


class IncidentsAnswer(Answer):
    """Incidents, the newest first."""

    incidents: list[IncidentAnswer]


class TakenAnswer(Answer):
    """How long something took, in seconds, and of how many incidents this is known."""

    median: float
    worst: float
    worst_incident: int
    incidents: int


class CauseAnswer(Answer):
    """What went to one class of cause, null: not classified yet."""

    cause: str | None
    spent: float = Field(description="A fraction of a budget.")
    share: float = Field(description="The share of all that was spent.")
    incidents: list[int]
    work: str | None = Field(description="The reliability work that it points to.")


class IncidentReportAnswer(Answer):
    """A report on incidents. Cost that incidents share is counted once, for the one that began first."""

    since: AwareDatetime
    until: AwareDatetime
    service: str | None
    incidents: int
    not_resolved: int
    severities: dict[str, int]
    time_to_detect: TakenAnswer | None
    time_to_acknowledge: TakenAnswer | None
    time_to_restore: TakenAnswer | None
    spent: float = Field(description="A fraction of a budget: 2 is two budgets.")
    causes: list[CauseAnswer] = Field(description="What most of the budget was spent on.")
    costliest: list[int] = Field(description="The smallest set of incidents that makes up most of it.")
    costliest_share: float
    share_before_detection: float
    not_classified: list[int]
    cost_unknown: list[int]


class AlertsAnswer(Answer):
    """The incidents that the alerts concern."""

    incidents: list[int]
