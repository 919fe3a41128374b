"""The picture of `/budget SERVICE`: the budget as it stood, what is likely to become of it, and marks. Pure.

Slack draws lines over at most twenty labels, each line with a value for every label. So the lines of the
forecast run along what was left up to now and part there, and what happened is marked in the labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.budgets.adjustments.adjustment import Adjustment
from bot.budgets.adjustments.effects import effects_of
from bot.budgets.budget import Budget
from bot.budgets.rolling import BudgetPoint, RollingHistory
from bot.budgets.statistics.forecast import BudgetForecast, FanPoint
from bot.catalog.error_budget_policy import ErrorBudgetPolicy
from bot.deployments.deployment import Deployment
from bot.formatting import counted, duration_text
from bot.incidents.incident import Incident
from bot.slack.announcements.adjustments import what_text
from bot.slack.blockkit.blocks import CHART_LABEL, MOST_POINTS, context, lines_chart
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, join, link, markup, when
from bot.spending.service_events import ServiceEvents
from bot.store.outbox import Block

MOST_PAST = MOST_POINTS - 1
MOST_PAST_BESIDE_FORECAST = 13
"""So many past moments leave room for the present one, and for a forecast."""

_X_LABEL, _Y_LABEL = "Time (UTC)", "Budget left, %"
_INSTANT = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INCIDENT, _DEPLOYMENT, _ADJUSTMENT = "▲", "●", "◆"
_MOST_NAMED = 3
_LONGEST_TITLE = 80


@dataclass(frozen=True, slots=True)
class Marks:
    """What happened in the time that belongs to one label.

    It counts incidents and adjusted times that began, and deployments that ended.
    """

    incidents: int = 0
    deployments: int = 0
    adjustments: int = 0

    def beside(self, name: str) -> str:
        """Return a label with its marks, such as `21 Nov ▲ ●3`, as it fits into one."""
        signs = (
            (_INCIDENT, self.incidents),
            (_DEPLOYMENT, self.deployments),
            (_ADJUSTMENT, self.adjustments),
        )
        marks = [f"{sign}{count if count > 1 else ''}" for sign, count in signs if count]
        forms = (" ".join(marks), "".join(marks), "".join(mark[0] for mark in marks))
        labels = [f"{name} {form}".strip() for form in forms]
        return next((label for label in labels if len(label) <= CHART_LABEL), labels[-1])


def picture(
    budget: Budget,
    history: RollingHistory,
    forecast: BudgetForecast | None,
    policy: ErrorBudgetPolicy,
    events: ServiceEvents,
) -> list[Block]:
    """Return the picture of a budget and, below it, what its marks stand for.

    `events` are those that the reader may know of. Without two points there is no picture.
    """
    past = history.points[-MOST_POINTS:]
    fan = _fan(forecast, history.step, MOST_POINTS - len(past))
    if len(past) + len(fan) < 2 or not past:
        return []
    labels = _labels(past, fan, _marks(past, history.step, events, _adjusted(budget)), budget.as_of)
    left = [_percent(point.remaining) for point in past]
    levels = {
        "Frozen at": [_percent(float(policy.freeze_at))] * len(labels),
        "Open again at": [_percent(float(policy.unfreeze_at))] * len(labels),
    }
    lines = {"Left": left}
    if fan:
        lines = {
            "At best (1 in 10)": [*left, *(_percent(point.high) for point in fan)],
            "At worst (1 in 10)": [*left, *(_percent(point.low) for point in fan)],
            "Left, then likely": [*left, *(_percent(point.middle) for point in fan)],
        }
    # What is drawn last lies on top.
    chart = lines_chart(
        f"{budget.slo.name}: budget left", labels, levels | lines, x_label=_X_LABEL, y_label=_Y_LABEL
    )
    small = legend(budget, history, events)
    return [*chart, *([context(small)] if small else [])]


def legend(budget: Budget, history: RollingHistory, events: ServiceEvents) -> Markup:
    """Return what happened in the picture's time, and from when on its points rest on whole windows."""
    since = _earliest(history.points, history.step)
    incidents = [incident for incident in events.incidents if since < incident.started_at]
    deployments = [deployment for deployment in events.deployments if since < deployment.finished_at]
    adjusted = [adjustment for adjustment in _adjusted(budget) if since < adjustment.span.start]
    return join(
        "\n",
        [
            _incidents(incidents),
            _deployments(deployments),
            _adjustments(adjusted),
            _partial(budget, history),
        ],
    )


def _adjusted(budget: Budget) -> list[Adjustment]:
    """Return what adjusts the budget's record, the time that began first before the others."""
    return sorted(
        (effect.adjustment for effect in effects_of(budget.events)), key=lambda each: each.span.start
    )


def _incidents(incidents: Sequence[Incident]) -> Markup:
    newest = sorted(incidents, key=lambda incident: incident.started_at, reverse=True)
    named = [
        markup("{} {} {}", incident.id, bold(cut(incident.title, _LONGEST_TITLE)), when(incident.started_at))
        for incident in newest[:_MOST_NAMED]
    ]
    return _named(_INCIDENT, counted(len(incidents), "incident"), named, len(incidents))


def _deployments(deployments: Sequence[Deployment]) -> Markup:
    newest = sorted(deployments, key=lambda deployment: deployment.finished_at, reverse=True)
    named = [
        markup("{} {}", deployment_name(deployment), when(deployment.finished_at))
        for deployment in newest[:_MOST_NAMED]
    ]
    return _named(
        _DEPLOYMENT, f"{counted(len(deployments), 'deployment')} to production", named, len(deployments)
    )


def _adjustments(adjusted: Sequence[Adjustment]) -> Markup:
    named = [markup("{} {}", each.id, what_text(each)) for each in reversed(adjusted)][:_MOST_NAMED]
    return _named(_ADJUSTMENT, counted(len(adjusted), "adjustment"), named, len(adjusted))


def deployment_name(deployment: Deployment) -> Markup:
    """Return a deployment's commit, as a link to its page where it has one."""
    name = cut(deployment.short_commit, _LONGEST_TITLE)
    return link(deployment.url, name) if deployment.url else code(name)


def _named(sign: str, count: str, named: Sequence[Markup], number: int) -> Markup:
    if not named:
        return NOTHING
    more = number - len(named)
    return markup("{} {}: {}{}", sign, count, join(", ", named), f" and {more} before" if more else "")


def _partial(budget: Budget, history: RollingHistory) -> Markup:
    if history.whole_from is None or budget.as_of is None:
        return NOTHING
    length = duration_text(budget.slo.window.full_length(budget.as_of))
    return markup(
        "Points before {} rest on less than {}: counting began within it.", when(history.whole_from), length
    )


def _marks(
    past: Sequence[BudgetPoint], step: timedelta, events: ServiceEvents, adjusted: Sequence[Adjustment]
) -> list[Marks]:
    """Return the marks of each point: what happened since the one before it."""
    edges = [_earliest(past, step), *(point.at for point in past)]
    began = [incident.started_at for incident in events.incidents]
    ended = [deployment.finished_at for deployment in events.deployments]
    left_out = [adjustment.span.start for adjustment in adjusted]

    def within(times: Sequence[datetime], index: int) -> int:
        return sum(edges[index] < at <= edges[index + 1] for at in times)

    return [
        Marks(within(began, index), within(ended, index), within(left_out, index))
        for index in range(len(past))
    ]


def _earliest(points: Sequence[BudgetPoint], step: timedelta) -> datetime:
    return points[0].at - step if points else _EPOCH


def _fan(forecast: BudgetForecast | None, step: timedelta, room: int) -> list[FanPoint]:
    """Return points of a forecast as far apart as those of the past, at least a day; at most `room`."""
    if forecast is None or len(forecast.fan) < 2:
        return []
    days = max(1, step // _DAY)

    def is_drawn(point: FanPoint) -> bool:
        return (point.at - _EPOCH) // _DAY % days == 0

    return list(filter(is_drawn, forecast.fan))[: max(0, room)]


def _labels(
    past: Sequence[BudgetPoint], fan: Sequence[FanPoint], marks: Sequence[Marks], as_of: datetime | None
) -> list[str]:
    has_present = past[-1].at == as_of
    dated = [point.at for point in past[: len(past) - has_present]]
    named = _axis_labels([*dated, *(point.at for point in fan)])
    if has_present:
        named.insert(len(past) - 1, "Now")
    of_past = [mark.beside(name) for name, mark in zip(named, marks, strict=False)]
    return [*of_past, *named[len(past) :]]


def _percent(fraction: float) -> float:
    return round(fraction * 100, 2)


def _axis_labels(times: Sequence[datetime]) -> list[str]:
    """Return the days of the times in UTC, with the time of day where a day would stand there twice.

    A part of the window that ends at midnight belongs to the day that ends then.
    """
    days = [f"{at.astimezone(UTC) - _INSTANT:%d %b}" for at in times]
    if len(set(days)) == len(days):
        return days
    return [f"{at.astimezone(UTC):%d %b %H:%M}" for at in times]


def earliest_drawn(histories: Sequence[RollingHistory], now: datetime) -> datetime:
    """Return since when events are marked in any of the pictures."""
    return min((_earliest(each.points, each.step) for each in histories if each.points), default=now)
