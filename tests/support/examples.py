"""Examples of what is announced: transitions of a service with its budgets and holds, bypassed freezes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from bot.budgets.budget import HOUR, Budget
from bot.budgets.rolling import BudgetPoint, RollingHistory
from bot.catalog.catalog import Permissions, Service, Workspace
from bot.catalog.error_budget_policy import (
    AlertSeverity,
    BurnAlert,
    ErrorBudgetPolicy,
    UnfreezeRequirement,
    UnmetRequirement,
)
from bot.catalog.slo import Slo
from bot.catalog.teams import Teams
from bot.deployments.deployment import Deployment, DeploymentState
from bot.deployments.recorder import GateBypass
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.transition import (
    Background,
    BudgetExhausted,
    BudgetRecovered,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    EnforcementBegan,
    EnforcementEnded,
    ExemptionDeclined,
    ExemptionGranted,
    ExemptionRequested,
    HoldExpired,
    HoldLifted,
    HoldPlaced,
    HoldRetained,
    Spending,
    Transition,
)
from tests.support.clock import NOW
from tests.support.values import budget_of_events, service

SIX_HOURS, THREE_DAYS = timedelta(hours=6), timedelta(days=3)
PAGE_ALERT = BurnAlert(AlertSeverity.PAGE, Decimal("14.4"), HOUR, timedelta(minutes=5))
TICKET_ALERT = BurnAlert(AlertSeverity.TICKET, Decimal(1), THREE_DAYS, SIX_HOURS)
LACKING = UnmetRequirement(UnfreezeRequirement.ACTIONS_OWNED, 4, "Limit the pool", ("an owner", "a due date"))
POLICY = ErrorBudgetPolicy("standard", burn_alerts=(PAGE_ALERT, TICKET_ALERT), exemptions=("P0", "security"))
PERMISSIONS = Permissions(freeze=("@sre",), exempt=("@sre", "U0MORGAN"), incidents=("@sre", "@checkout-devs"))
WORKSPACE = Workspace("acme", announcements="#releases", permissions=PERMISSIONS)


def shop_service(name: str = "checkout", *slos: Slo, channel: str | None = None) -> Service:
    """Make a service without teams, under a policy with burn alerts."""
    return service(
        name,
        slos=slos or None,
        policy=POLICY,
        channel=channel,
        teams=Teams(),
        description="Takes money.",
    )


def hold(kind: HoldKind = HoldKind.PERSON, **changes: object) -> Hold:
    by = "U0SAM" if kind is HoldKind.PERSON else GOVERNOR
    values: dict[str, object] = {
        "id": 1,
        "service": "checkout",
        "kind": kind,
        "reason": "peak sale" if kind is HoldKind.PERSON else "policy standard freezes at 0%",
        "by": by,
        "since": NOW - timedelta(hours=2),
        "until": None,
        "slo": None if kind is HoldKind.PERSON else "availability",
    }
    return Hold(**(values | changes))  # type: ignore[arg-type]


def context(what: Transition, *others: Hold, of: Service | None = None) -> TransitionContext:
    return TransitionContext(what, of or shop_service(), others, NOW)


def contexts(
    of: Service | None = None, reason: str = "peak sale", change: str = "PR-12"
) -> Mapping[str, TransitionContext]:
    """Return a context of each kind of transition, and some with another hold on the service."""
    of = of or shop_service()
    promised = of.slos[0]
    healthy, low, spent = (
        budget_of_events(promised, 100),
        budget_of_events(promised, 800, burst=3),
        budget_of_events(promised, 1998, burst=4),
    )
    missing = Budget(promised, state="no_data", problem=reason)  # type: ignore[arg-type]
    mine = hold(reason=reason, service=of.name, until=NOW + timedelta(hours=4))
    own = hold(HoldKind.BUDGET, id=2, service=of.name)
    till = NOW + timedelta(hours=4)
    given: dict[str, tuple[Transition, tuple[Hold, ...]]] = {
        "warned": (BudgetWarned(Decimal("0.25"), low), ()),
        "paged": (BurnAlertFired(PAGE_ALERT, low, Decimal("14.9"), Decimal("20.1")), ()),
        "ticketed": (BurnAlertFired(TICKET_ALERT, low, Decimal("1.2"), Decimal("1.4")), ()),
        "exhausted": (BudgetExhausted(spent, POLICY), ()),
        "exhausted beside a person's hold": (BudgetExhausted(spent, POLICY), (mine,)),
        "unmeasured": (DataMissing(missing, POLICY), ()),
        "kept": (HoldRetained(healthy, own, (LACKING,)), (own,)),
        "recovered": (BudgetRecovered(healthy, own, NOW), ()),
        "recovered beside a person's hold": (BudgetRecovered(healthy, own, NOW), (mine,)),
        "enforced": (EnforcementBegan(own, POLICY, BudgetExhausted(spent, POLICY)), ()),
        "enforced beside a person's hold": (EnforcementBegan(own, POLICY), (mine,)),
        "suspended": (EnforcementEnded(own, POLICY), ()),
        "placed": (HoldPlaced(mine), ()),
        "placed without end": (HoldPlaced(hold(reason=reason, service=of.name)), ()),
        "lifted": (HoldLifted(mine, "U0SAM", reason), ()),
        "lifted beside the bot's hold": (HoldLifted(mine, "U0SAM", reason), (own,)),
        "expired": (HoldExpired(mine), ()),
        "expired beside the bot's hold": (HoldExpired(mine), (own,)),
        "exempted": (ExemptionGranted(change, "U0SAM", reason, till), ()),
        "exempted on request": (ExemptionGranted(change, "U0SAM", reason, None, "U0RILEY", reason), ()),
        "exemption asked": (ExemptionRequested(7, change, "U0RILEY", reason, timedelta(hours=4)), (mine,)),
        "exemption declined": (ExemptionDeclined(change, "U0SAM", reason, "U0RILEY", reason), (mine,)),
    }
    return {name: context(what, *others, of=of) for name, (what, others) in given.items()}


def frozen_by(spending: Spending | None) -> TransitionContext:
    """Return a freeze with what its budget was spent on."""
    return replace(contexts()["exhausted"], background=Background(spending=spending))


def shrinking(start: float, end: float, points: int = 20) -> RollingHistory:
    """Return a budget that shrank evenly in the last 30 days."""
    step = timedelta(days=30) / points
    return RollingHistory(
        tuple(
            BudgetPoint(NOW - timedelta(days=30) + step * (i + 1), start + (end - start) * i / (points - 1))
            for i in range(points)
        ),
        step,
    )


def bypass(*holds: Hold, **changes: object) -> GateBypass:
    """Return a deployment during a person's hold, unless other holds are given."""
    values: dict[str, object] = {
        "id": "github 1",
        "environment": "production",
        "commit": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "by": "octocat at GitHub",
        "state": DeploymentState.SUCCEEDED,
        "started_at": NOW - timedelta(minutes=2),
        "finished_at": NOW,
        "ref": "main",
        "repository": "acme/checkout",
        "url": "https://ci.example/42",
    }
    deployment = Deployment(**(values | changes))  # type: ignore[arg-type]
    return GateBypass(shop_service(), deployment, holds or (hold(),))
