"""May this change ship? One pure function that Slack, HTTP, the command line, flags and ramps all ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.budgets.budget import Budget, SloState, worst
from bot.catalog.error_budget_policy import PRODUCTION, UnmetRequirement
from bot.formatting import budget_text
from bot.freezes.hold import Hold, HoldKind, holds_in_force, observed_holds
from bot.freezes.kind_proof import HOW_TO_PROVE, KindProof

# The team's policy decides for the budget; a person's hold or an incident's yields only to a person.
_YIELDS_TO_POLICY = frozenset({HoldKind.BUDGET, HoldKind.CALENDAR, HoldKind.DEPENDENCY})


_ASK_AGAIN = timedelta(minutes=1)
"""A hold may be lifted, or an exemption granted, at any time: nobody should wait longer to ask again."""
_SOONEST = timedelta(seconds=5)
_SHORTEST_COMMIT = 7
CLAIMED_FOR = timedelta(hours=1)
"""How long whoever was let through by an exemption may ask again."""


class VerdictAnswer(StrEnum):
    """What a change is told to do."""

    GO = "go"
    """It may ship."""
    WAIT = "wait"
    """It may not ship yet: the service is frozen, or its launch checklist is not complete."""
    BACK = "back"
    """It has begun to ship and does harm: what shipped is to be taken back."""


@dataclass(frozen=True, slots=True)
class GuardFailure:
    """What the canary guard found against a change that has begun to ship."""

    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """What wants to ship: its name (`PR-12`, a commit) and its kind (`security`, `P0`), both optional."""

    id: str | None = None
    kind: str | None = None
    environment: str | None = None
    """Where it ships to, in lower case; None counts as everywhere, so that any freeze bars it."""
    commit: str | None = None
    """Its commit, where that is known: an exemption may be bound to one."""
    proof: str | None = None
    """What it names as the proof of its kind: an advisory, an incident."""
    by_agent: bool = False
    """Whether an agent asks, whose word proves nothing."""
    vouched: KindProof | None = None
    """What a forge says proves its kind; set by the forge's gate alone, never from what a caller sends."""


@dataclass(frozen=True, slots=True)
class UnreadyLaunch:
    """A launch checklist with open items, `lacks`, of a service that was never deployed to production.

    One that is not enforced refuses nothing: its policy only observes.
    """

    lacks: tuple[str, ...]
    is_enforced: bool = True

    @property
    def reason(self) -> str:
        """Why the service may not be deployed yet."""
        return f"its launch checklist is not complete; still open: {', '.join(self.lacks)}"

    def bars(self, environment: str | None) -> bool:
        """Return whether it bars deployments to an environment; None counts as everywhere."""
        return environment is None or environment == PRODUCTION


@dataclass(frozen=True, slots=True)
class Exemption:
    """A person's permission for one change to ship despite any hold, for a time or for good."""

    service: str
    change: str
    reason: str
    by: str
    since: datetime
    until: datetime | None = None
    commit: str | None = None
    """The commit that was looked at: another one of the same change is not exempt."""
    id: int | None = None
    claimed_at: datetime | None = None
    """When a machine was first let through by it: it may ask again for an hour, as retries do."""
    used_at: datetime | None = None
    """When the change shipped."""

    def covers(self, change: Change, now: datetime) -> bool:
        """Return whether the change is the exempted one and the exemption is neither used nor run out."""
        return self.names(change) and self.is_valid(now) and self.is_of_commit(change)

    def names(self, change: Change) -> bool:
        """Return whether it was granted to a change of that name."""
        return change.id is not None and change.id.casefold() == self.change.casefold()

    def is_of_commit(self, change: Change) -> bool:
        """Return whether the change is at the commit that it is bound to, if it is bound to one."""
        return is_at_commit(change, self.commit)

    def is_valid(self, now: datetime) -> bool:
        """Return whether it has neither been used nor run out."""
        return (self.until is None or now < self.until) and not self.is_used(now)

    def is_used(self, now: datetime) -> bool:
        """Return whether the change has shipped, or has had an hour to."""
        return (self.used_at is not None and self.used_at <= now) or (
            self.claimed_at is not None and now >= self.claimed_at + CLAIMED_FOR
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer. `reasons` are short, the deciding one first; `exemption` names what let it through.

    `missing` keeps the budget hold on the service, besides the budget. `opens_at` is when what refuses the
    change is expected to have ended, None where that cannot be told.
    """

    answer: VerdictAnswer
    service: str
    change: Change
    reasons: tuple[str, ...]
    holds: tuple[Hold, ...]
    exemption: str | None
    budget: Budget | None
    as_of: datetime
    missing: tuple[UnmetRequirement, ...] = ()
    proof: KindProof | None = None
    """What proves the kind that let it through the holds; None where something else did."""
    granted: Exemption | None = None
    """The exemption that let it through."""
    launch: UnreadyLaunch | None = None
    """What refuses the first deployment to production, besides holds."""
    opens_at: datetime | None = None
    measured_at: datetime | None = None
    """Of when the budgets are that it rests on; None for a service without SLOs."""

    @property
    def allow(self) -> bool:
        """Whether the change may ship."""
        return self.answer is VerdictAnswer.GO

    @property
    def retry_after(self) -> timedelta | None:
        """How long to wait before asking again; None where the answer is final."""
        if self.answer is not VerdictAnswer.WAIT:
            return None
        left = _ASK_AGAIN if self.opens_at is None else self.opens_at - self.as_of
        return min(max(left, _SOONEST), _ASK_AGAIN)


def is_at_commit(change: Change, bound: str | None) -> bool:
    """Return whether a change is at the commit that an exemption is bound to, or that is bound to none.

    The beginning of a commit's hash names it, on either side.
    """
    if bound is None:
        return True
    told, commit = (change.commit or change.id or "").casefold(), bound.casefold()
    return len(told) >= _SHORTEST_COMMIT and (commit.startswith(told) or told.startswith(commit))


def judge(
    service: str,
    change: Change,
    *,
    holds: Sequence[Hold],
    exemptions: Sequence[Exemption],
    exempt_kinds: Mapping[str | None, Sequence[str]],
    budgets: Sequence[Budget],
    now: datetime,
    missing: tuple[UnmetRequirement, ...] = (),
    observed: Sequence[Hold] = (),
    barred: Mapping[str | None, Sequence[str]] | None = None,
    launch: UnreadyLaunch | None = None,
    guard: GuardFailure | None = None,
    budget_opens_at: datetime | None = None,
    measured_at: datetime | None = None,
    proof: KindProof | None = None,
    unproven: str = "",
) -> Verdict:
    """Return whether `change` may ship to `service` now.

    On a service without holds everything passes. On a frozen one, an exemption granted to the change by
    name passes every hold; a change that is proven, by `proof`, to be of one of the policy's exempt kinds
    passes the holds that the policy decides on, but neither a person's hold nor an incident's; `unproven` is
    why what it names proves nothing. `exempt_kinds` maps the SLO that a hold is
    for to the kinds that its policy exempts, None to those of the service's own policy. `observed` are holds
    of policies that only observe: they refuse nothing, and a reason says what they would have refused.
    `barred` maps in the same way to the environments that a freeze bars, all of them if left out. `launch`
    is what keeps a service from its first production deployment; only an exemption by name passes it. What
    `guard` found against the change itself takes it back, exempt or not. `budget_opens_at` is when the
    forecast expects the budget's hold to end, `measured_at` of when the budgets are.
    """
    in_force = tuple(
        hold for hold in holds_in_force(holds, now) if bars(hold, change.environment, barred or {})
    )
    budget = worst(budgets) or (budgets[0] if budgets else None)
    unready = launch if launch is not None and launch.bars(change.environment) else None
    refusing = unready if unready is not None and unready.is_enforced else None
    kinds = exempt_kinds if proof is not None else {}
    allow, exemption, reasons = _decide(change, in_force, exemptions, kinds, now, launch=refusing)
    would_pass, _, _ = _decide(change, in_force, exemptions, exempt_kinds, now, launch=refusing)
    if not allow and would_pass:
        reasons = (*reasons, _unproven_reason(change, unproven))
    if guard is not None:
        allow, exemption, reasons = False, None, (guard.reason, *(() if allow else reasons))
    if allow and exemption is None and not in_force and holds_in_force(holds, now):
        reasons = (f"its freeze does not bar {change.environment}",)
    doubts = tuple(_doubt(unknown) for unknown in budgets if not unknown.is_known)
    if allow and not in_force and budget is not None and budget.state is SloState.OK:
        reasons = (*reasons, _remaining_reason(budget))
    if allow:
        observed = [hold for hold in observed if bars(hold, change.environment, barred or {})]
        would = unready if refusing is None else None
        reasons = (*reasons, *_would_refuse(change, observed, exemptions, kinds, now, launch=would))
    granted = next((each for each in exemptions if each.covers(change, now)), None)
    granted = granted if allow and (in_force or refusing is not None) else None
    passed_by = proof if allow and in_force and granted is None else None
    answer = VerdictAnswer.GO if allow else VerdictAnswer.WAIT if guard is None else VerdictAnswer.BACK
    opens_at = None
    if answer is VerdictAnswer.WAIT and refusing is None:
        blocking = [hold for hold in in_force if not _yields(hold, change, kinds)]
        opens_at = _end_of(blocking, budget_opens_at)
    return Verdict(
        answer,
        service,
        change,
        (*reasons, *doubts),
        in_force,
        exemption,
        budget,
        now,
        missing,
        passed_by,
        granted,
        refusing,
        opens_at,
        measured_at,
    )


def _end_of(holds: Sequence[Hold], budget_opens_at: datetime | None) -> datetime | None:
    """Return when the last of the holds is expected to end; None if one of them says nothing of it."""
    ends = [hold.until or (budget_opens_at if hold.kind is HoldKind.BUDGET else None) for hold in holds]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _decide(
    change: Change,
    in_force: Sequence[Hold],
    exemptions: Sequence[Exemption],
    exempt_kinds: Mapping[str | None, Sequence[str]],
    now: datetime,
    *,
    launch: UnreadyLaunch | None,
) -> tuple[bool, str | None, tuple[str, ...]]:
    if not in_force and launch is None:
        return True, None, ("nothing holds the service",)
    granted = next((exemption for exemption in exemptions if exemption.covers(change, now)), None)
    if granted is not None:
        return True, granted.change, (f"{granted.change} is exempt: {granted.reason}",)
    blocking = [hold for hold in in_force if not _yields(hold, change, exempt_kinds)]
    if not blocking and launch is None:
        return True, change.kind, (f"the error budget policy exempts {change.kind} changes",)
    moved = [each for each in exemptions if each.names(change) and each.is_valid(now)]
    reasons = [f"{hold.kind} hold: {hold.reason}" for hold in blocking]
    reasons += [f"{each.change} is exempt at commit {(each.commit or '')[:12]} only" for each in moved[:1]]
    return False, None, (*reasons, *([launch.reason] if launch is not None else []))


def _would_refuse(
    change: Change,
    observed: Sequence[Hold],
    exemptions: Sequence[Exemption],
    exempt_kinds: Mapping[str | None, Sequence[str]],
    now: datetime,
    *,
    launch: UnreadyLaunch | None,
) -> tuple[str, ...]:
    """Return in a reason what would refuse the change if the policies were enforced."""
    current = observed_holds(observed, now)
    passes, _, reasons = _decide(change, current, exemptions, exempt_kinds, now, launch=launch)
    if passes:
        return ()
    return (f"it would have been refused, but the policy only observes: {'; '.join(reasons)}",)


def bars(hold: Hold, environment: str | None, barred: Mapping[str | None, Sequence[str]]) -> bool:
    """Return whether a hold bars changes to an environment, all environments if nothing is said of them."""
    environments = barred.get(hold.slo, barred.get(None))
    return environment is None or environments is None or environment in environments


def _yields(hold: Hold, change: Change, exempt_kinds: Mapping[str | None, Sequence[str]]) -> bool:
    kinds = exempt_kinds.get(hold.slo, exempt_kinds.get(None, ()))
    kind = (change.kind or "").casefold()
    return hold.kind in _YIELDS_TO_POLICY and kind in {exempt.casefold() for exempt in kinds}


def _unproven_reason(change: Change, unproven: str) -> str:
    if unproven:
        return unproven
    return f"that it is a {change.kind} change is not proven: {HOW_TO_PROVE}"


def _doubt(budget: Budget) -> str:
    if budget.state is SloState.TOO_LITTLE_TRAFFIC:
        return f"{budget.slo.name} has too little traffic to tell"
    why = f": {budget.problem}" if budget.problem else ""
    return f"{budget.slo.name} cannot be measured ({budget.state.replace('_', ' ')}){why}"


def _remaining_reason(budget: Budget) -> str:
    return f"{budget_text(budget.remaining)} of the {budget.slo.name} budget is left"
