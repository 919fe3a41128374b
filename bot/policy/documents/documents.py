"""Models of the kinds of policy documents, from which their JSON Schema is generated.

They define the keys of one document; rules between documents are in `rules/references.py`. Editors and
`docs/policies.md` show the docstrings of models and keys.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bot.policy.documents.digests import DigestSpec
from bot.policy.documents.envelope import Envelope
from bot.policy.documents.fields import (
    BurnFactor,
    BurnWindow,
    ChangeKind,
    Channel,
    Dwell,
    FalseAlarms,
    FlagKey,
    GuardTime,
    GuardWindow,
    MinBadEvents,
    People,
    Repository,
    ReviewTime,
    Share,
    Slug,
    Team,
    Threshold,
    TimeZone,
    WarnLevel,
)
from bot.policy.documents.for_each import ForEach
from bot.policy.documents.freeze_window import FreezeWindowDocument
from bot.policy.documents.goal import GoalDocument
from bot.policy.documents.maintenance import MaintenanceSpec, broken_windows
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.notify import NotifySpec
from bot.policy.documents.objectives import SloSpec
from bot.policy.documents.paging import ServicePagingSpec
from bot.policy.documents.quantities import parse_duration
from bot.policy.documents.rotation import RotationDocument
from bot.policy.documents.spare import WhenSpareSpec
from bot.policy.documents.variants import VariantsSpec
from bot.policy.documents.workspace import WorkspaceSpec
from bot.policy.faults import IT, InvalidValueError, did_you_mean

API_VERSION = "governor/v1"


class BurnAlertSpec(Model):
    """Tells when the budget burns at least `burn` times as fast as evenly, in both windows."""

    severity: Literal["page", "ticket"]
    """How urgent it is: `page` or `ticket`."""
    burn: BurnFactor
    """Burn rate: 1 spends exactly the budget in the SLO's window. At most 1 / (1 - objective): 10 at 90%."""
    long: BurnWindow
    """The long window: shows that it matters. Until so much has been read, the alert does not fire."""
    short: BurnWindow
    """The short window, shorter than `long`: shows that it still goes on."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that the short window is shorter than the long one."""
        if self.short >= self.long:
            yield BrokenRule(("short",), "`short` must be shorter than `long`")


class GuardSpec(Model):
    """Watches flags after more people see them, and takes an increase back that hurts."""

    burn: BurnFactor = Decimal("14.4")
    """Burn rate of the service at which an increase is taken back."""
    over: GuardWindow = parse_duration("5m")
    """The time over which the burn rate is measured, 1s to 6h."""
    watch_for: GuardTime = parse_duration("30m")
    """How long after an increase it is watched, 1s to 7d."""
    alpha: FalseAlarms = Field(default=Decimal("0.01"), json_schema_extra={"default": "1%"})
    """How often an increase that does no harm may be taken back all the same, 0.01% to 10%."""
    on_undecided: Literal["hold", "go"] = "hold"
    """What a ramp does where a step met too little traffic to tell: `hold` waits for more, `go` goes on."""


def _alert(severity: str, burn: float, long: str, short: str) -> BurnAlertSpec:
    return BurnAlertSpec.model_validate({"severity": severity, "burn": burn, "long": long, "short": short})


def _descending(levels: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    if any(lower >= higher for higher, lower in pairwise(levels)):
        raise InvalidValueError("the levels must go from high to low, each once", "such as [50%, 25%, 10%]")
    return levels


class ErrorBudgetPolicySpec(Model):
    """What a team agreed to do as an error budget shrinks. Levels are of the budget remaining."""

    mode: Literal["enforce", "observe"] = "enforce"
    """`observe` decides, records and shows everything, and stops nothing: the way in for a team."""
    warn_at: Annotated[tuple[WarnLevel, ...], AfterValidator(_descending)] = Field(
        default=(Decimal("0.5"), Decimal("0.25"), Decimal("0.1")),
        json_schema_extra={"default": ["50%", "25%", "10%"]},
    )
    """Levels at which a warning is told once, from high to low, below 100%."""
    freeze_at: Threshold = Field(default=Decimal(0), json_schema_extra={"default": "0%"})
    """At or below this level the service is frozen; under the lowest of `warnAt`."""
    unfreeze_at: Threshold = Field(default=Decimal("0.1"), json_schema_extra={"default": "10%"})
    """At or above this level, for `dwell`, the freeze is lifted; above `freezeAt`."""
    dwell: Dwell = parse_duration("15m")
    """How long the budget must have stayed at or above `unfreezeAt`; `0s` lifts at once."""
    on_missing_data: Literal["hold", "freeze"] = "hold"
    """What to do while an SLO cannot be measured: `hold` changes nothing, `freeze` freezes."""
    decide_by: Literal["ledger", "evidence", "auto"] = "auto"
    """`ledger`: sums decide; `evidence`: events must prove it; `auto`: below 10 expected bad events only."""
    min_bad_events: MinBadEvents = 3
    """How many bad events evidence needs at least, 1 to 1000."""
    burn_alerts: tuple[BurnAlertSpec, ...] = (
        _alert("page", 14.4, "1h", "5m"),
        _alert("page", 6, "6h", "30m"),
        _alert("ticket", 1, "3d", "6h"),
    )
    """Alerts on the speed at which the budget is spent."""
    exemptions: tuple[ChangeKind, ...] = ("P0", "security")
    """Kinds of change that may ship through a freeze, if proven by an advisory or an open incident."""
    freezes: Annotated[tuple[Slug, ...], Field(min_length=1)] = ("production",)
    """Environments that a freeze bars; `production` also means protected flag environments."""
    postmortem_at: Share = Field(default=Decimal("0.2"), json_schema_extra={"default": "20%"})
    """An incident that spends more of the budget than this needs a postmortem; above 0%, at most 100%."""
    unfreeze_requires: Literal["nothing", "actionsOwned"] = "nothing"
    """What else must be so before the freeze is lifted; `actionsOwned`: P0 actions have owners and dates."""
    guard: GuardSpec = GuardSpec()
    """The canary guard of the service's flags."""
    lower_when_exhausted: tuple[FlagKey, ...] = ()
    """Risky flags of the service: off while its budget is exhausted, back as they were when it opens."""
    attribute_within: GuardTime = parse_duration("24h")
    """How long after a deployment what goes wrong still counts as following it, 1s to 7d."""
    spare_at: Share = Field(default=Decimal("0.5"), json_schema_extra={"default": "50%"})
    """There is spare where more than this will be left at the window's end, 90% likely; see `whenSpare`."""
    when_spare: WhenSpareSpec = WhenSpareSpec()
    """What follows while there is spare."""
    notify: NotifySpec = NotifySpec()
    """Who is mentioned, and when nobody is; what is left out is as `notify` of the main Workspace says."""
    review_after: ReviewTime | None = None
    """A freeze that lasts longer asks both teams' leads to agree on the reliability work, 1s to 90d; never if
    left out."""
    review_escalate_after: ReviewTime = parse_duration("1d")
    """How long after that those in `reviewEscalateTo` are told that the two have not agreed, 1s to 90d."""
    review_escalate_to: People = ()
    """Channels, user groups or people who are told then; nobody if left out."""
    launch_requires: Literal["nothing", "readiness"] = "nothing"
    """What a service's first production deployment needs; `readiness`: its launch checklist, complete."""
    hold_with_dependencies: bool = False
    """Whether a service is held while one of those in its `dependsOn` is, for whatever reason."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check the order of the levels, and that alerts differ."""
        if self.freeze_at >= self.unfreeze_at:
            yield BrokenRule(("unfreezeAt",), "`unfreezeAt` must be above `freezeAt`")
        if self.warn_at and self.freeze_at >= min(self.warn_at):
            yield BrokenRule(("freezeAt",), "`freezeAt` must be below the lowest level of `warnAt`")
        seen = set()
        for index, alert in enumerate(self.burn_alerts):
            key = (alert.severity, alert.burn, alert.long)
            if key in seen:
                message = "an earlier alert has the same `severity`, `burn` and `long`"
                yield BrokenRule(("burnAlerts", index), message)
            seen.add(key)


class LeadsSpec(Model):
    """Who leads each of the two teams, written as the teams are."""

    development: Team = ()
    """Who leads those who change the service."""
    reliability: Team = ()
    """Who leads those who answer for it."""


class TeamsSpec(Model):
    """The two teams that share a service: a user group (`@group`), a person's id, or a list of them."""

    development: Team = ()
    """Those who change the service: `@group`, a person's id, or a list of people where there are no user
    groups, as on Slack's free plan."""
    reliability: Team = ()
    """Those who answer for it when it breaks, written alike."""
    leads: LeadsSpec = LeadsSpec()
    """Who speaks for each team in reviews of long freezes; the teams if left out."""


class ServiceSpec(Model):
    """A service, its people and its promises."""

    for_each: ForEach | None = None
    """Makes the document stand for many services: one for each value of a label."""
    description: str = ""
    """One sentence that says what the service does."""
    workspace: Slug | None = None
    """Name of the Workspace document whose Slack workspace it belongs to; the main one if left out."""
    channel: Channel
    """The service's own channel, `#name` or an id (`C…`)."""
    time_zone: TimeZone | None = None
    """IANA time zone of the channel's people; that of its Workspace document if left out."""
    digest: DigestSpec | None = None
    """The weekly digest and the stand-up line of its channel, where they differ from the workspace's."""
    teams: TeamsSpec = TeamsSpec()
    """Who builds it and who runs it. Both are notified when it freezes or a `page` alert fires."""
    error_budget_policy: Slug | None = None
    """Name of the ErrorBudgetPolicy that judges it; `standard`, or built-in values, if left out."""
    flags: tuple[FlagKey, ...] = ()
    """Keys of the feature flags that belong to the service; they exist from the start, off."""
    paging: ServicePagingSpec = ServicePagingSpec()
    """The service's own keys of the paging systems; those of the main Workspace document if left out."""
    low_risk: tuple[FlagKey, ...] = ()
    """Those of the service's flags that are of low risk; what follows says `whenSpare` of its policy."""
    repository: Repository | None = None
    """The GitHub repository that it is built from, `owner/name`; several services may share one."""
    variants: VariantsSpec | None = None
    """How the service's series tell who met a flag: the guard then compares those who did with the rest."""
    slos: tuple[SloSpec, ...] = ()
    """What the service promises; it is judged by the worst of them."""
    maintenance: tuple[MaintenanceSpec, ...] = ()
    """Planned times that do not count; at most a quarter of four weeks."""
    gate_unavailable: Literal["open", "closed"] = "open"
    """What pipelines do while the gate cannot be asked: `open` ships, `closed` does not."""
    depends_on: tuple[Slug, ...] = ()
    """Names of the services that it needs to work; see `holdWithDependencies` of its policy."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that `lowRisk` and `variants` name flags of the service, and `maintenance` its SLOs."""
        yield from broken_windows(self.maintenance, [slo.name for slo in self.slos])
        for index, flag in enumerate(self.low_risk):
            if flag not in self.flags:
                message = f"{IT} is not among the service's `flags`{did_you_mean(flag, self.flags)}"
                yield BrokenRule(("lowRisk", index), message, ", ".join(self.flags) or "none is named")
        if self.variants is None:
            return
        if not self.flags:
            yield BrokenRule(("variants",), "`variants` tells about flags, and the service names none")
        for index, flag in enumerate(self.variants.flags):
            if self.flags and flag not in self.flags:
                hint = did_you_mean(flag, self.flags)
                message = f"{IT} is not among the service's `flags`{hint}"
                yield BrokenRule(("variants", "flags", index), message, ", ".join(self.flags))


class WorkspaceDocument(Envelope):
    """What holds for the whole workspace. One is the main one; further ones name their Slack workspace."""

    kind: Literal["Workspace"]
    """What the document describes."""
    spec: WorkspaceSpec
    """The workspace."""


class ErrorBudgetPolicyDocument(Envelope):
    """What a team agreed to do as an error budget shrinks."""

    kind: Literal["ErrorBudgetPolicy"]
    """What the document describes."""
    spec: ErrorBudgetPolicySpec = ErrorBudgetPolicySpec()
    """The policy; every key has a default."""


class ServiceDocument(Envelope):
    """A service, its people and its promises."""

    kind: Literal["Service"]
    """What the document describes."""
    spec: ServiceSpec
    """The service."""


Document = (
    WorkspaceDocument
    | ErrorBudgetPolicyDocument
    | ServiceDocument
    | RotationDocument
    | GoalDocument
    | FreezeWindowDocument
)
KINDS: dict[str, type[Document]] = {
    "Workspace": WorkspaceDocument,
    "ErrorBudgetPolicy": ErrorBudgetPolicyDocument,
    "Service": ServiceDocument,
    "Rotation": RotationDocument,
    "Goal": GoalDocument,
    "FreezeWindow": FreezeWindowDocument,
}
