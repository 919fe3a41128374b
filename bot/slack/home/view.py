"""The view of the home tab: incidents, actions, ramps, then the services' budgets. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, time

from bot.flags.records.ramps import StoredRamp
from bot.formatting import counted, listed, percent_text
from bot.freezes.status import ServiceStatus
from bot.incidents.action import Action
from bot.incidents.snapshot import IncidentSnapshot
from bot.slack.announcements.budget_phrases import hold_text, remaining_text, unmet_requirements_text
from bot.slack.announcements.forecast_phrases import expected_change_text
from bot.slack.announcements.observed import would_be_frozen_text
from bot.slack.announcements.spare import spare_text
from bot.slack.blockkit.blocks import TEXT, actions, button, context, divider, header, section, select_menu
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, day, join, markup, naming
from bot.slack.flags.buttons import ramp_buttons
from bot.slack.flags.messages import ramp_text
from bot.slack.home.contents import Contents
from bot.slack.incidents.buttons import DONE, OPEN_FORM, progress_buttons
from bot.slack.incidents.card import headline, spent
from bot.slack.interactions import Query
from bot.slack.permissions import Zone
from bot.slack.velocity.goals import goal_text
from bot.store.addresses import local
from bot.store.outbox import Block
from bot.velocity.goals.progress import GoalProgress

HOME_SHOW = "home.show"
"""The action id of the home tab's buttons that run a query."""
HELP, OTHER_SERVICE = "home.help", "home.service"
"""The action ids of the button and the menu that open a dialog."""

MOST_VIEW_BLOCKS = 100
_MOST_SLOS = 50
MOST_INCIDENTS, MOST_ACTIONS, MOST_RAMPS, MOST_GOALS, MOST_SERVICES = 5, 8, 4, 3, 19
"""An incident or ramp takes two blocks, an action or goal one, a service three, each list two more.

The buttons above them and the menu of other services take one each.
"""


def home_view(contents: Contents, now: datetime) -> Block:
    """Return the tab, within Slack's limit of a hundred blocks."""
    others = [*contents.statuses[MOST_SERVICES:], *contents.others]
    blocks = [
        *actions(
            button("Open an incident", OPEN_FORM, style="primary"),
            button("Help", HELP),
        ),
        *_incidents(contents.incidents),
        *_actions(contents.actions, contents.zone, now),
        *_ramps(contents.ramps),
        *_goals(contents.goals),
        *_services(contents.statuses, is_all=contents.is_all),
        *_other_services(others, is_all=contents.is_all),
    ]
    return {"type": "home", "blocks": blocks}


def plain_view(view: Block) -> Block:
    """Return the tab with its texts alone, for a Slack that refuses one of its blocks or elements."""
    texts = [str(text) for block in view["blocks"] if (text := (block.get("text") or {}).get("text"))]
    blocks: list[Block] = [
        {"type": "section", "text": {"type": "plain_text", "text": str(cut(text, TEXT))}} for text in texts
    ]
    return {"type": "home", "blocks": blocks[:MOST_VIEW_BLOCKS]}


def _incidents(snapshots: Sequence[IncidentSnapshot]) -> list[Block]:
    blocks = [header("Open incidents")] if snapshots else []
    for snapshot in snapshots[:MOST_INCIDENTS]:
        show = _query_button("Details", Query("incident", f"show {snapshot.incident.id}"))
        blocks += [section(_incident(snapshot)), *actions(show, *progress_buttons(snapshot.incident))]
    return blocks + _more(len(snapshots) - MOST_INCIDENTS, "/incident list")


def _incident(snapshot: IncidentSnapshot) -> Markup:
    channel = snapshot.channel_id()
    where = Markup(f"<#{local(channel)}>") if channel else NOTHING
    private = "private" if snapshot.incident.private else NOTHING
    facts = join(
        " · ", [listed(snapshot.incident.services), where, private, f"incident {snapshot.incident.id}"]
    )
    cost = spent(snapshot).partition("\n")[0]
    return join("\n", [headline(snapshot), facts, Markup(f"{cost} spent" if cost else "")])


def _actions(own_actions: Sequence[Action], zone: Zone, now: datetime) -> list[Block]:
    today = now.astimezone(zone.tz).date()
    blocks = [header("Your actions")] if own_actions else []
    for action in own_actions[:MOST_ACTIONS]:
        done = button("Done", DONE, str(action.id))
        blocks.append(section(_action(action, zone, today), accessory=done))
    return blocks + _more(len(own_actions) - MOST_ACTIONS, "/action list")


def _action(action: Action, zone: Zone, today: date) -> Markup:
    due = NOTHING
    if action.due is not None:
        noon = datetime.combine(action.due, time(12), tzinfo=zone.tz)
        due = markup("{} {}", "overdue, due" if action.is_overdue(today) else "due", day(noon))
    urgent = Markup("*P0* ") if action.is_p0 else NOTHING
    facts = [due or "no due date", action.service or NOTHING, f"action {action.id}"]
    return markup("{}{}\n{}", urgent, naming(action.text), join(" · ", facts))


def _ramps(ramps: Sequence[StoredRamp]) -> list[Block]:
    blocks = [header("Running ramps")] if ramps else []
    for stored in ramps[:MOST_RAMPS]:
        blocks += [section(_ramp(stored)), *actions(*ramp_buttons(stored, "from the home tab"))]
    return blocks + _more(len(ramps) - MOST_RAMPS, "/flag list")


def _ramp(stored: StoredRamp) -> Markup:
    ramp = stored.ramp
    now_at = (
        f"{percent_text(ramp.steps[ramp.taken - 1], plain=True)} of users" if ramp.taken else "not started"
    )
    first = markup("{} in {} — {}", bold(ramp.flag), ramp.environment, now_at)
    return join("\n", [first, ramp_text(stored)])


def _goals(goals: Sequence[GoalProgress]) -> list[Block]:
    blocks = [header("Goals of both teams")] if goals else []
    blocks += [section(goal_text(goal)) for goal in goals[:MOST_GOALS]]
    return blocks + _more(len(goals) - MOST_GOALS, "/velocity goals")


def _services(statuses: Sequence[ServiceStatus], *, is_all: bool) -> list[Block]:
    frozen = sum(status.is_frozen for status in statuses)
    whose = "All services: no policy names you in a team" if is_all else "The services of your teams"
    blocks = [
        header("Error budgets"),
        context(f"{whose} · {counted(len(statuses), 'service')}, {frozen or 'none'} frozen"),
    ]
    for status in statuses[:MOST_SERVICES]:
        blocks += [divider(), section(service_text(status)), *service_buttons(status)]
    blocks += _more(len(statuses) - MOST_SERVICES, "/budget")
    return blocks if statuses else [*blocks, section("No policy defines a service yet.")]


def _other_services(statuses: Sequence[ServiceStatus], *, is_all: bool) -> list[Block]:
    """Return the menu of the services that are not shown, other teams' above all."""
    names = sorted({status.service.name for status in statuses})
    if not names:
        return []
    whose = "More services" if is_all else "Services of other teams"
    frozen = {status.service.name for status in statuses if status.is_frozen}
    choices = [(name, f"{name} · frozen" if name in frozen else name) for name in names]
    count = f"{counted(len(names), 'service')}, {len(frozen) or 'none'} frozen"
    menu = select_menu("Look at a service", OTHER_SERVICE, choices)
    return [section(markup("{}\n{}", bold(whose), count), accessory=menu)]


def slo_texts(status: ServiceStatus) -> list[Markup]:
    """Return what is left of the budget of each SLO of a service, a line each."""
    return [
        markup("{} — {}", bold(budget.slo.name), remaining_text(budget))
        for budget in status.budgets[:_MOST_SLOS]
    ]


def service_text(status: ServiceStatus) -> Markup:
    """Return a service's name, the budget that has the least left, and what holds it or lets it go faster."""
    least = status.worst or next(iter(status.budgets), None)
    flake = Markup(":snowflake: " if status.is_frozen else "")
    first = markup(
        "{}{} — {}", flake, bold(status.service.name), remaining_text(least) if least else "no SLO"
    )
    held = [markup("Held by {}", hold_text(hold)) for hold in status.holds[:2]]
    more = f"and {len(status.holds) - 2} more" if len(status.holds) > 2 else ""
    outlook = NOTHING
    if least is not None:
        outlook = expected_change_text(least, status.forecasts.get(least.slo.name), status.as_of)
    unmet = unmet_requirements_text(status.missing, status.service.name)
    observed, spare = would_be_frozen_text(status.observed), spare_text(status.spare)
    return join("\n", [first, outlook, *held, more, unmet, observed, spare])


def service_buttons(status: ServiceStatus) -> list[Block]:
    """Return the buttons that ask more about a service."""
    name = status.service.name
    return actions(
        _query_button("Budget", Query("budget", name)), _query_button("May I ship?", Query("ship", name))
    )


def _query_button(label: str, query: Query) -> Block:
    return button(label, f"{HOME_SHOW}.{query.command}", query.to_value())


def _more(count: int, command: str) -> list[Block]:
    """Return how many are not shown, and the command that lists them all."""
    return [context(markup("and {} more: type {}", count, code(command)))] if count > 0 else []
