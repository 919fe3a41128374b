"""Error budget policies: what happens as a budget shrinks, as plain values. Pure; no clock, no I/O."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from bot.catalog.notify import DEFAULT_NOTIFY, Notify


class OnMissingData(StrEnum):
    """What to do when an SLO cannot be measured."""

    HOLD = "hold"
    FREEZE = "freeze"


class DecideBy(StrEnum):
    """What a freeze, a warning or a burn alert rests on."""

    LEDGER = "ledger"
    """Plain arithmetic of what was counted."""
    EVIDENCE = "evidence"
    """The error rate is surely above what is allowed, not by chance."""
    AUTO = "auto"
    """Arithmetic where enough bad events are expected in the window, evidence below."""


class PolicyMode(StrEnum):
    """Whether what a policy decides is carried out."""

    ENFORCE = "enforce"
    OBSERVE = "observe"
    """Everything is decided, recorded and shown, and nothing is stopped."""


class UnfreezeRequirement(StrEnum):
    """A condition, besides the budget, for the bot to lift its own hold."""

    ACTIONS_OWNED = "actionsOwned"
    """Every open P0 action of the service has an owner and a due date."""


class LaunchRequirement(StrEnum):
    """A condition for the first production deployment of a service."""

    READINESS = "readiness"
    """Every item of its launch checklist is ticked."""


@dataclass(frozen=True, slots=True)
class UnmetRequirement:
    """An action, by its number, because of which a requirement is not met, and what it lacks (`an owner`).

    `text` is None where not everyone may read it.
    """

    requirement: UnfreezeRequirement
    action: int
    text: str | None
    lacks: tuple[str, ...]


PRODUCTION = "production"
"""The environment that a freeze bars unless the policy says otherwise."""


class AlertSeverity(StrEnum):
    """How urgent a burn alert is; the terms are the SRE Workbook's."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class BurnAlert:
    """Fires while the burn rate is at or above `burn` in both the long and the short window."""

    severity: AlertSeverity
    burn: Decimal
    long: timedelta
    short: timedelta


class OnUndecided(StrEnum):
    """What a ramp does where a step met too little traffic to tell whether it hurts."""

    HOLD = "hold"
    GO = "go"


@dataclass(frozen=True, slots=True)
class CanaryGuard:
    """Reverts an increase of a flag if the service's burn rate over the time `over` reaches `burn`.

    The events since the increase must show that it did harm; `alpha` is how often they may be wrong.
    """

    burn: Decimal = Decimal("14.4")
    over: timedelta = timedelta(minutes=5)
    watch_for: timedelta = timedelta(minutes=30)
    alpha: Decimal = Decimal("0.01")
    on_undecided: OnUndecided = OnUndecided.HOLD


class Approvals(StrEnum):
    """Whether an increase of a flag of low risk needs a second person in a protected environment."""

    REQUIRED = "required"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class WhenSpare:
    """What follows while a budget has spare; the defaults change nothing.

    `ramp_steps` are those of ramps that are begun without steps of their own, `approvals` those of flags of
    low risk.
    """

    ramp_steps: tuple[Decimal, ...] = ()
    approvals: Approvals = Approvals.REQUIRED


@dataclass(frozen=True, slots=True)
class ErrorBudgetPolicy:
    """Thresholds are fractions of the budget remaining; `postmortem_at` is a fraction spent."""

    name: str
    warn_at: tuple[Decimal, ...] = (Decimal("0.5"), Decimal("0.25"), Decimal("0.1"))
    freeze_at: Decimal = Decimal(0)
    unfreeze_at: Decimal = Decimal("0.1")
    dwell: timedelta = timedelta(minutes=15)
    on_missing_data: OnMissingData = OnMissingData.HOLD
    decide_by: DecideBy = DecideBy.AUTO
    min_bad_events: int = 3
    burn_alerts: tuple[BurnAlert, ...] = ()
    freezes: tuple[str, ...] = (PRODUCTION,)
    """The environments that a freeze bars; `production` is also whatever counts as it."""
    exemptions: tuple[str, ...] = ()
    postmortem_at: Decimal = Decimal("0.2")
    unfreeze_requires: UnfreezeRequirement | None = None
    guard: CanaryGuard = CanaryGuard()
    lower_when_exhausted: tuple[str, ...] = ()
    mode: PolicyMode = PolicyMode.ENFORCE
    attribute_within: timedelta = timedelta(days=1)
    spare_at: Decimal = Decimal("0.5")
    when_spare: WhenSpare = WhenSpare()
    notify: Notify = DEFAULT_NOTIFY
    launch_requires: LaunchRequirement | None = None
    review_after: timedelta | None = None
    """How long a freeze may last before both teams are asked to review it; None for ever."""
    review_escalate_after: timedelta = timedelta(days=1)
    review_escalate_to: tuple[str, ...] = ()
    hold_with_dependencies: bool = False
    """Whether a service is held while one that it depends on is."""

    @property
    def enforces(self) -> bool:
        """Return whether what the policy decides is carried out."""
        return self.mode is PolicyMode.ENFORCE
