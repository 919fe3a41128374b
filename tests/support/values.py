"""Values that tests of several packages need: services, SLOs, and budgets made from numbers."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from bot.budgets.budget import NO_EVENTS, SHOWN_BURN_WINDOWS, Budget, EventCounts, SloState, assess
from bot.catalog.catalog import Catalog, Permissions, Service, Workspace
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import AlertSeverity, BurnAlert, ErrorBudgetPolicy
from bot.catalog.slo import CounterSli, EventsSli, Sli, Slo
from bot.catalog.teams import Teams
from bot.catalog.window import RollingWindow, Window
from tests.support.clock import DAY, HOUR, MINUTE, NOW

WORKBOOK_ALERTS = (
    BurnAlert(AlertSeverity.PAGE, Decimal("14.4"), HOUR, 5 * MINUTE),
    BurnAlert(AlertSeverity.PAGE, Decimal(6), 6 * HOUR, 30 * MINUTE),
    BurnAlert(AlertSeverity.TICKET, Decimal(1), 3 * DAY, 6 * HOUR),
)
STANDARD = ErrorBudgetPolicy("standard", burn_alerts=WORKBOOK_ALERTS, exemptions=("P0", "security"))
QUIET = ErrorBudgetPolicy("quiet", exemptions=("P0", "security"))


def slo(
    name: str = "availability",
    *,
    service: str = "checkout",
    objective: float | str | Decimal = 0.999,
    window: Window | None = None,
    sli: Sli | None = None,
) -> Slo:
    """Make an SLO; 99.9% over 30 days by pushed events by default."""
    share = Decimal(str(objective))
    return Slo(service, name, share, window or RollingWindow(30 * DAY), sli or EventsSli())


def prometheus_sli(service: str = "checkout") -> CounterSli:
    """Make an SLI of two Prometheus counters."""
    total = f'http_requests_total{{service="{service}"}}'
    return CounterSli("prometheus", total, bad=f'http_requests_total{{service="{service}",code=~"5.."}}')


def budget(
    left: float | None = 1.0,
    *,
    of: Slo | None = None,
    burn: Mapping[timedelta, float] | None = None,
    state: SloState = SloState.OK,
    as_of: datetime = NOW,
    total: float = 1_000_000,
) -> Budget:
    """Make a budget with `left` of it remaining and the given burn rates."""
    promised = of or slo()
    if state is SloState.NO_TRAFFIC or left is None:
        made = assess(promised, events=NO_EVENTS, recent={}, as_of=as_of)
        return (
            made if state in {SloState.NO_TRAFFIC, SloState.OK} else Budget(promised, state, problem="broken")
        )
    share = float(1 - promised.objective)
    rates = dict.fromkeys((*SHOWN_BURN_WINDOWS, 5 * MINUTE, 30 * MINUTE), 0.0) | dict(burn or {})
    # Enough events for arithmetic to decide, as `decideBy: auto` has it.
    recent = {length: EventCounts(rate * share * 100_000, 100_000) for length, rate in rates.items()}
    events = EventCounts((1 - left) * total * share, total)
    if state is SloState.NO_DATA:
        return assess(promised, events=None, recent={}, as_of=None, problem="no answer")
    return assess(
        promised,
        events=events,
        recent=recent,
        as_of=as_of,
        stale=state is SloState.STALE,
        invalid=state is SloState.INVALID,
        problem=None if state is SloState.OK else "no answer",
    )


def budget_of_events(of: Slo, bad: float = 500.0, total: float = 1_000_000.0, burst: float = 1.0) -> Budget:
    """Make a budget of `bad` among `total` events of 30 days, `burst` times as many lately as evenly."""
    recent = {
        length: EventCounts(min(total, bad * burst) * (length / (30 * DAY)), total * (length / (30 * DAY)))
        for length in (HOUR, 6 * HOUR, 3 * DAY)
    }
    return assess(of, events=EventCounts(bad, total), recent=recent, as_of=NOW)


def service(
    name: str = "checkout",
    *,
    slos: tuple[Slo, ...] | None = None,
    policy: ErrorBudgetPolicy = QUIET,
    policies: Mapping[str, ErrorBudgetPolicy] | None = None,
    channel: str | None = None,
    teams: Teams | None = None,
    description: str | None = None,
) -> Service:
    """Make a service with one SLO in its own channel."""
    return Service(
        name=name,
        description=description or f"The {name} service.",
        channel=channel or f"#{name}",
        teams=teams or Teams((f"@{name}-devs",), ("@sre",)),
        error_budget_policy=policy,
        slos=slos if slos is not None else (slo(service=name),),
        policies=policies or {},
    )


def catalog(
    *services: Service, evaluate_every: timedelta = MINUTE, workspace: Workspace | None = None
) -> Catalog:
    """Make a set of policies around the services, with @sre allowed to change holds."""
    return Catalog(
        workspace=workspace
        or Workspace(
            name="acme",
            announcements="#releases",
            incidents="#incidents",
            evaluate_every=evaluate_every,
            permissions=Permissions(freeze=("@sre",), exempt=("@sre",)),
        ),
        services={one.name: one for one in services or (service(),)},
        digest="test",
    )


def in_force(workspace: Workspace) -> CurrentCatalog:
    """Return a catalog in force that has this workspace and no services."""
    return CurrentCatalog(Catalog(workspace, services={}, digest="test"))
