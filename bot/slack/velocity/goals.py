"""The card of a goal: both halves with their targets, what each stands at, and whether it is met. Pure."""

from collections.abc import Sequence
from datetime import timedelta
from math import floor
from zoneinfo import ZoneInfo

from bot.catalog.goal import DeliveryMeasure, FrequencyTarget, RateTarget, TimeTarget
from bot.formatting import duration_text, event_count_text, percent_text
from bot.slack.blockkit.blocks import context, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup
from bot.slack.interactions import Query, Reply
from bot.store.outbox import Block
from bot.velocity.goals.progress import DeliveryProgress, GoalProgress, GoalState, ReliabilityProgress

_DAY = timedelta(days=1)
_MARKS = {
    GoalState.MET: Markup(":white_check_mark:"),
    GoalState.NOT_MET: Markup(":x:"),
    GoalState.UNKNOWN: Markup(":grey_question:"),
}
_SO_FAR = {
    GoalState.MET: "met so far",
    GoalState.NOT_MET: "not met so far",
    GoalState.UNKNOWN: "not known yet",
}
_AT_THE_END = {
    GoalState.MET: "met",
    GoalState.NOT_MET: "not met",
    GoalState.UNKNOWN: "nothing to judge it by",
}
_NAMES = {
    DeliveryMeasure.LEAD_TIME: "lead time",
    DeliveryMeasure.DEPLOYMENT_FREQUENCY: "deployments",
    DeliveryMeasure.RECOVERY_TIME: "recovery from failed deployments",
    DeliveryMeasure.CHANGE_FAIL_RATE: "change fail rate",
    DeliveryMeasure.REWORK_RATE: "rework rate",
}
_RULE = "A goal is met only when both halves are."


def goals_reply(goals: Sequence[GoalProgress]) -> Reply:
    """Return the cards of goals, or how to write one where there is none."""
    query = Query("velocity", "goals")
    if not goals:
        nothing = markup(
            "No goal is under way. A {} document in the policies names the services, the quarter, and what "
            "both halves are to reach: delivery and reliability.", code("kind: Goal"),
        )  # fmt: skip
        return Reply(nothing, (section(nothing),), shareable=query)
    blocks = [block for goal in goals for block in goal_blocks(goal)]
    text = join("\n\n", [goal_text(goal) for goal in goals])
    return Reply(text, tuple(blocks), shareable=query)


def goal_blocks(progress: GoalProgress) -> list[Block]:
    """Return the card of one goal."""
    goal = progress.goal
    return [
        header(f"{goal.name}: {_state_words(progress, progress.state)}"),
        section(join("\n", [_description(progress), *_halves(progress)])),
        context(join(" · ", [_time_text(progress), ", ".join(goal.services), _RULE])),
    ]


def goal_text(progress: GoalProgress) -> Markup:
    """Return the goal as text: a line on the whole, then both halves."""
    return join("\n", [goal_line(progress), *_halves(progress)])


def goal_line(progress: GoalProgress) -> Markup:
    """Return one line on a goal: whether it is met, each half, and how much of its time is left."""
    return markup(
        "{} {}: delivery {}, reliability {} · {}",
        _MARKS[progress.state], bold(progress.goal.name),
        _state_words(progress, progress.delivery_state),
        _state_words(progress, progress.reliability_state),
        _time_text(progress),
    )  # fmt: skip


def _halves(progress: GoalProgress) -> list[Markup]:
    return [
        markup("{} — {}", bold("Delivery"), _state_words(progress, progress.delivery_state)),
        *(_delivery_line(each) for each in progress.delivery),
        markup("{} — {}", bold("Reliability"), _state_words(progress, progress.reliability_state)),
        *(_reliability_line(each) for each in progress.reliability),
    ]


def _delivery_line(each: DeliveryProgress) -> Markup:
    target = each.target
    name = _NAMES[target.measure]
    match target:
        case TimeTarget():
            which = "median" if target.quantile == "p50" else "p90"
            wanted = f"{which} at most {duration_text(target.at_most)}"
            stands = duration_text(each.value) if isinstance(each.value, timedelta) else None
        case RateTarget():
            wanted = f"at most {percent_text(target.at_most)}"
            stands = percent_text(each.value, digits=1) if isinstance(each.value, float) else None
        case FrequencyTarget():
            wanted = f"at least {_number(float(target.at_least))} a week"
            stands = f"{_number(each.value)} a week" if isinstance(each.value, float) else None
    known = f"{bold(stands)} (n {each.n:,})" if stands is not None else "nothing yet"
    return markup("{} {}, {}: {}", _MARKS[each.state], name, wanted, Markup(known))


def _reliability_line(each: ReliabilityProgress) -> Markup:
    wanted = f"at least {percent_text(each.target.at_least)}"
    if each.value is None:
        known = Markup("nothing counted yet")
    else:
        known = markup("{} of {}", bold(_share(each.value)), event_count_text(each.total))
    return markup("{} {}, {}: {}", _MARKS[each.state], each.target.key, wanted, known)


def _description(progress: GoalProgress) -> Markup:
    return markup("{}", progress.goal.description) if progress.goal.description else NOTHING


def _time_text(progress: GoalProgress) -> str:
    term = progress.term
    if not progress.has_begun:
        return f"{term.name}, not started yet"
    if progress.has_ended:
        return f"{term.name}, over"
    days = max(1, round(term.span.length / _DAY))
    # By the calendar: where the clock is changed, days have other lengths.
    zone = ZoneInfo(progress.goal.time_zone)
    first, today = (at.astimezone(zone).date() for at in (term.span.start, progress.at))
    passed = min(days, (today - first).days + 1)
    return f"{term.name}, day {passed} of {days}"


def _state_words(progress: GoalProgress, state: GoalState) -> str:
    return (_AT_THE_END if progress.has_ended else _SO_FAR)[state]


def _number(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def _share(value: float) -> str:
    """Return a share with so many digits that one which is not whole never reads 100%."""
    return percent_text(floor(value * 1e6) / 1e6) if value < 1 else percent_text(value)
