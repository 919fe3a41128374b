"""How the home tab looks: what burns first, then what is to be done, then the budgets. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, time

from bot.flags.records.ramps import StoredRamp
from bot.formatting import listed, percent_text
from bot.freezes.status import ServiceStatus
from bot.incidents.action import Action
from bot.incidents.ports import IncidentSnapshot
from bot.slack.announcements.budget_phrases import lacking, left, told
from bot.slack.blockkit.blocks import actions, button, context, divider, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, day, join, markup
from bot.slack.flags.buttons import ramp_buttons
from bot.slack.flags.messages import ramp_in_words
from bot.slack.home.contents import Contents
from bot.slack.incidents.buttons import DONE, progress_buttons
from bot.slack.incidents.card import headline, spent
from bot.slack.interactions import Query
from bot.slack.permissions import Zone
from bot.store.addresses import local
from bot.store.outbox import Block

HOME_SHOW = "home.show"
"""A button of the home tab that asks something."""

MOST_INCIDENTS, MOST_ACTIONS, MOST_RAMPS, MOST_SERVICES = 5, 8, 5, 20
"""Two blocks an incident and a ramp, one an action, three a service, and a heading and a last line each."""


def home_view(contents: Contents, now: datetime) -> Block:
    """Draw the tab, within the hundred blocks that Slack takes."""
    blocks = [
        *_incidents(contents.incidents),
        *_actions(contents.actions, contents.zone, now),
        *_ramps(contents.ramps),
        *_services(contents.statuses, is_all=contents.is_all),
    ]
    return {"type": "home", "blocks": blocks}


def _incidents(snapshots: Sequence[IncidentSnapshot]) -> list[Block]:
    blocks = [header("Open incidents")] if snapshots else []
    for view in snapshots[:MOST_INCIDENTS]:
        show = _asks("Details", Query("incident", f"show {view.incident.id}"))
        blocks += [section(_incident(view)), *actions(show, *progress_buttons(view.incident))]
    return blocks + _more(len(snapshots) - MOST_INCIDENTS, "/incident list")


def _incident(view: IncidentSnapshot) -> Markup:
    channel = view.channel_id()
    where = Markup(f"<#{local(channel)}>") if channel else NOTHING
    private = "private" if view.incident.private else NOTHING
    facts = join(" · ", [listed(view.incident.services), where, private, f"incident {view.incident.id}"])
    cost = spent(view).partition("\n")[0]
    return join("\n", [headline(view), facts, Markup(f"{cost} spent" if cost else "")])


def _actions(found: Sequence[Action], zone: Zone, now: datetime) -> list[Block]:
    today = now.astimezone(zone.tz).date()
    blocks = [header("Your actions")] if found else []
    for action in found[:MOST_ACTIONS]:
        done = button("Done", DONE, str(action.id))
        blocks.append(section(_action(action, zone, today), accessory=done))
    return blocks + _more(len(found) - MOST_ACTIONS, "/action list")


def _action(action: Action, zone: Zone, today: date) -> Markup:
    due = NOTHING
    if action.due is not None:
        noon = datetime.combine(action.due, time(12), tzinfo=zone.tz)
        due = markup("{} {}", "overdue, due" if action.is_overdue(today) else "due", day(noon))
    urgent = Markup("*P0* ") if action.is_p0 else NOTHING
    facts = [due or "no due date", action.service or NOTHING, f"action {action.id}"]
    return markup("{}{}\n{}", urgent, action.text, join(" · ", facts))


def _ramps(found: Sequence[StoredRamp]) -> list[Block]:
    blocks = [header("Running ramps")] if found else []
    for kept in found[:MOST_RAMPS]:
        blocks += [section(_ramp(kept)), *actions(*ramp_buttons(kept, "from the home tab"))]
    return blocks + _more(len(found) - MOST_RAMPS, "/flag list")


def _ramp(kept: StoredRamp) -> Markup:
    ramp = kept.ramp
    now_at = f"{percent_text(ramp.steps[ramp.taken - 1], plain=True)} of users" if ramp.taken else "not begun"
    first = markup("{} in {} — {}", bold(ramp.flag), ramp.environment, now_at)
    return join("\n", [first, ramp_in_words(kept)])


def _services(statuses: Sequence[ServiceStatus], *, is_all: bool) -> list[Block]:
    frozen = sum(status.is_frozen for status in statuses)
    whose = "All services: no policy names you in a team" if is_all else "The services of your teams"
    blocks = [header("Error budgets"), context(f"{whose} · {len(statuses)}, {frozen} frozen")]
    for status in statuses[:MOST_SERVICES]:
        blocks += [divider(), section(_told(status)), *_buttons(status)]
    blocks += _more(len(statuses) - MOST_SERVICES, "/budget")
    return blocks if statuses else [*blocks, section("No policy names a service yet.")]


def _told(status: ServiceStatus) -> Markup:
    least = status.worst or next(iter(status.budgets), None)
    flake = Markup(":snowflake: " if status.is_frozen else "")
    first = markup("{}{} — {}", flake, bold(status.service.name), left(least) if least else "no SLO")
    held = [markup("Held by {}", told(hold)) for hold in status.holds[:2]]
    more = f"and {len(status.holds) - 2} more" if len(status.holds) > 2 else ""
    return join("\n", [first, *held, more, lacking(status.missing, status.service.name)])


def _buttons(status: ServiceStatus) -> list[Block]:
    name = status.service.name
    return actions(_asks("Budget", Query("budget", name)), _asks("May I ship?", Query("ship", name)))


def _asks(label: str, query: Query) -> Block:
    return button(label, f"{HOME_SHOW}.{query.command}", query.to_value())


def _more(count: int, lists: str) -> list[Block]:
    """Say how many there are that are not shown, and what lists them all."""
    return [context(markup("and {} more: type {}", count, code(lists)))] if count > 0 else []
