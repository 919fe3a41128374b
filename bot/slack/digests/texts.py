"""The texts of digests: a short message with the numbers first, and its details. Pure."""

from collections.abc import Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

from bot.catalog.digests import DigestKind
from bot.flags.records.ramps import StoredRamp
from bot.formatting import counted, duration_text, from_now_text, listed, percent_text
from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.slack.announcements.budget_phrases import hold_term, remaining_text
from bot.slack.announcements.forecast_phrases import outlook_text
from bot.slack.announcements.observed_week import stopped_text, would_have_text
from bot.slack.announcements.spare import spare_text
from bot.slack.blockkit.mrkdwn import (
    NOTHING,
    Markup,
    bold,
    code,
    cut,
    day,
    join,
    markup,
    mention,
    naming,
    when,
)
from bot.slack.velocity.costs import makers_text
from bot.slack.velocity.goals import goal_line
from bot.teams.digests.contents import DigestContents, LingeringFlag, ServiceNews, ServingNow
from bot.teams.reviews.review import FreezeReview, TeamSide
from bot.velocity.measures import DeliveryMeasures

MOST_SERVICES = 6
_MOST_ROWS = 8
_LONGEST_TITLE = 100
_POINT = 0.0005
_MINUS = "−"
Section = tuple[str, Sequence[Markup]]
"""A heading and its lines."""


def title(contents: DigestContents) -> str:
    """Return the title of a digest."""
    of = contents.services[0].status.service.name if len(contents.services) == 1 else ""
    if contents.kind is DigestKind.STAND_UP:
        return f"Stand-up{f': {of}' if of else ''}"
    return f"The week of {of}" if of else "The week"


def budget_line(news: ServiceNews) -> Markup:
    """Return a service in a line: what is left, by how much that changed, and what holds it."""
    status = news.status
    worst = status.worst or next(iter(status.budgets), None)
    if worst is None:
        return markup("{} — no SLO", bold(status.service.name))
    of = f" of {worst.slo.name}" if len(status.budgets) > 1 else ""
    flake = Markup(":snowflake: ") if status.is_frozen else NOTHING
    change = _change(news.changes.get(worst.slo.name))
    left = bold(remaining_text(worst))
    return join(", ", [markup("{}{} — {}{}", flake, status.service.name, left, of), change])


def counts_line(contents: DigestContents) -> Markup:
    """Return what happened, in numbers; empty where nothing did."""
    failed = contents.failed
    deployed = counted(contents.deployments, "deployment") if contents.deployments else ""
    parts = [
        f"{deployed} ({failed} failed)" if failed else deployed,
        _counted(contents.incidents, "incident", "incidents"),
        f"{len(contents.open_incidents)} still open" if contents.open_incidents else "",
    ]
    return join(" · ", parts)


def to_do_line(contents: DigestContents) -> Markup:
    """Return what waits for somebody, in numbers; empty where nothing does."""
    overdue = sum(action.is_overdue(contents.today) for action in contents.actions)
    due = len(contents.actions) - overdue
    parts = [
        counted(overdue, "overdue action") if overdue else "",
        counted(due, "action due", "actions due") if due else "",
        counted(len(contents.lingering), "flag to clean up", "flags to clean up")
        if contents.lingering
        else "",
        counted(len(contents.ramps), "ramp in flight", "ramps in flight") if contents.ramps else "",
        counted(len(contents.ending), "freeze that ends", "freezes that end") if contents.ending else "",
        counted(len(contents.reviews), "freeze to agree on", "freezes to agree on")
        if contents.reviews
        else "",
    ]
    return join(" · ", parts)


def _counted(items: Sequence[object], one: str, several: str) -> str:
    return counted(len(items), one, several) if items else ""


def faster_line(contents: DigestContents) -> Markup:
    """Return which services may go faster; empty where none may."""
    spare = [news.status for news in contents.services if news.status.spare is not None]
    if not spare:
        return NOTHING
    if len(spare) == 1 and spare[0].spare is not None:
        least = percent_text(spare[0].spare.least)
        name = bold(spare[0].service.name)
        return markup(
            ":rocket: Room to go faster in {}: {} or more of its budget stays unspent.", name, least
        )
    names = Markup(listed([str(bold(status.service.name)) for status in spare[:MOST_SERVICES]]))
    return markup(":rocket: Room to go faster in {}.", names)


def stand_up_line(contents: DigestContents) -> Markup:
    """Return the line for a stand-up: budgets, then whatever needs a word today."""
    budgets = join("; ", [budget_line(news) for news in contents.services[:MOST_SERVICES]])
    pairs = [pair for each in contents.serving if (pair := _people(each.period.pair))]
    serving = markup("on rotation: {}", join("; ", pairs)) if pairs else NOTHING
    return join(" · ", [budgets, counts_line(contents), to_do_line(contents), serving])


def serving_lines(contents: DigestContents) -> Sequence[Markup]:
    """Return who serves in the rotations of the services, and who will next, a line for each rotation."""
    several = len(contents.serving) > 1
    return [_serving(each, several=several) for each in contents.serving[:_MOST_ROWS]]


def _serving(each: ServingNow, *, several: bool) -> Markup:
    of = markup(" in {}", bold(each.period.rotation)) if several else NOTHING
    who = _people(each.period.pair) or Markup("nobody")
    now = markup("On rotation{}: {} until {}.", of, who, when(each.period.ends_at))
    if each.following is None:
        return now
    following = _people(each.following.planned.people) or Markup("nobody, as both teams are away")
    return markup("{} Next: {}.", now, following)


def _people(pair: Sequence[str]) -> Markup:
    return Markup(" and ".join(str(mention(person)) for person in pair))


def details(contents: DigestContents) -> Sequence[Section]:
    """Return what stands in the thread, by headings; those with nothing to say are left out."""
    now = contents.now
    several = len(contents.services) > 1
    sections: list[Section] = [
        ("Budgets", [line for news in contents.services for line in _budgets(news, now, several=several)]),
        ("Goals of both teams", [goal_line(each) for each in contents.goals]),
        ("Deployments", _deployments(contents)),
        ("Incidents", [_incident(each) for each in contents.incidents]),
        ("Actions", [_action(each, contents) for each in contents.actions]),
        (
            "Freezes that end",
            [markup("{}: {}", bold(name), hold_term(hold)) for name, hold in contents.ending],
        ),
        ("Freezes to agree on", [_review(each) for each in contents.reviews]),
        ("Ramps in flight", [_ramp(each, now) for each in contents.ramps]),
        ("Flags to clean up", [_flag(each, now) for each in contents.lingering]),
        ("What only was observed", [line for news in contents.services for line in _observed(news)]),
    ]
    return [(heading, lines) for heading, lines in sections if lines]


def shortened(lines: Sequence[Markup]) -> Markup:
    """Return lines as a list, cut to a few with the number of the others."""
    more = len(lines) - _MOST_ROWS
    rest = [Markup(f"and {more} more")] if more > 0 else []
    return join("\n", [markup("• {}", line) for line in [*lines[:_MOST_ROWS], *rest]])


def _budgets(news: ServiceNews, now: datetime, *, several: bool) -> list[Markup]:
    status = news.status
    lines = []
    for budget in status.budgets:
        name = f"{status.service.name} {budget.slo.name}" if several else budget.slo.name
        change = _change(news.changes.get(budget.slo.name))
        left = join(", ", [remaining_text(budget), change])
        outlook = outlook_text(budget, status.forecasts.get(budget.slo.name), now)
        lines.append(join(". ", [markup("{} — {}", bold(name), left), outlook]))
    if (room := spare_text(status.spare)) and several:
        room = markup("{}: {}", bold(status.service.name), room)
    return [*lines, *([room] if room else [])]


def _change(change: float | None) -> Markup:
    """Return by how much a budget changed: `down 4.1 points`; empty where that is not known or nothing."""
    if change is None or abs(change) < _POINT:
        return NOTHING
    points = f"{abs(change) * 100:.1f}"
    return markup(
        "{} {} {}", "down" if change < 0 else "up", points, "point" if points == "1.0" else "points"
    )


def _deployments(contents: DigestContents) -> list[Markup]:
    several = len(contents.services) > 1
    lines = []
    for news in contents.services:
        if news.deployments and several:
            failed = f", {news.failed} failed" if news.failed else ""
            count = counted(len(news.deployments), "deployment")
            lines.append(markup("{}: {}{}", bold(news.status.service.name), count, failed))
    makers = [
        markup("{}: {}", bold(cost.service), text) if several else text
        for cost in contents.costs
        if (text := makers_text(cost))
    ]
    return [*lines, *_velocity(contents.velocity), *makers] if contents.deployments else []


def _velocity(measures: DeliveryMeasures | None) -> list[Markup]:
    """Return how fast the channel's services shipped, in a line."""
    if measures is None or not measures.deployment_frequency.n:
        return []
    lead, recovery, fails = measures.lead_time.times, measures.recovery.times, measures.change_fail_rate
    parts = [counted(measures.deployment_frequency.n, "deployment")]
    if lead.p50 is not None:
        parts.append(f"lead time {duration_text(lead.p50)} (median of {counted(lead.n, 'change')})")
    if fails.value is not None:
        parts.append(f"{fails.count} of {fails.n} failed")
    if recovery.p50 is not None:
        parts.append(f"recovered in {duration_text(recovery.p50)} (median)")
    return [join(" · ", parts)]


def _incident(incident: Incident) -> Markup:
    subject = bold(cut(naming(incident.title), _LONGEST_TITLE))
    where = code(f"/incident show {incident.id}")
    over = "" if not incident.status.is_over else f", {incident.status}"
    state = over or markup(", {} since {}", bold(incident.status), when(incident.started_at))
    return markup("{} {}{}: {}", str(incident.severity).upper(), subject, state, where)


def _action(action: Action, contents: DigestContents) -> Markup:
    urgent = Markup("*P0* ") if action.is_p0 else NOTHING
    owner = mention(action.owner) if action.owner else Markup("nobody owns it")
    due = Markup("no due date")
    if action.due is not None:
        zone = ZoneInfo(contents.services[0].status.service.time_zone)
        at = day(datetime.combine(action.due, time(12), tzinfo=zone))
        due = markup("{} {}", "overdue since" if action.is_overdue(contents.today) else "due", at)
    text = cut(naming(action.text), _LONGEST_TITLE)
    return markup("{}{} — {}", urgent, text, join(" · ", [owner, due, f"action {action.id}"]))


def _review(review: FreezeReview) -> Markup:
    """Return which side has not agreed on the work of a long freeze, and where to do so."""
    lacking = [side.value for side in TeamSide if side not in review.agreed]
    both = len(lacking) == len(TeamSide)
    work = "" if review.action_ids else " The work is not filled in."
    return markup(
        "{}: frozen since {}, and {} not agreed on the reliability work.{} Next: agree in its thread.",
        bold(review.service), when(review.began_at), "both teams have" if both else f"{lacking[0]} has",
        work,
    )  # fmt: skip


def _ramp(stored: StoredRamp, now: datetime) -> Markup:
    ramp = stored.ramp
    at = percent_text(ramp.steps[ramp.taken - 1], plain=True) if ramp.taken else "not started"
    name = markup("{} in {}: {}", code(ramp.flag), ramp.environment, at)
    if ramp.held_by is not None:
        return markup("{}, held by {}", name, mention(ramp.held_by))
    if stored.announced_pause is not None:
        return markup("{}, paused", name)
    following = ramp.next_share
    if following is None:
        return name
    step = percent_text(following, plain=True)
    return markup("{}, {} {}", name, step, from_now_text(stored.progress().due_at, now))


def _flag(flag: LingeringFlag, now: datetime) -> Markup:
    shown = "on for everybody" if flag.is_on else "off"
    work = "remove it and the old code" if flag.is_on else "remove it, or ramp it up"
    return markup(
        "{} in {}: {} for {}. {}.", code(flag.flag), flag.environment, shown,
        counted((now - flag.since).days, "day"), work.capitalize(),
    )  # fmt: skip


def _observed(news: ServiceNews) -> list[Markup]:
    week = news.observed
    if week is None or not week.times:
        return []
    return [join(" ", [would_have_text(news.status.service, week), stopped_text(week)])]
