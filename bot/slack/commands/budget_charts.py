"""The charts of `/budget SERVICE`: how the budget was spent, and what is likely to become of it. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bot.budgets.budget import Budget
from bot.budgets.statistics.forecast import BudgetForecast, FanPoint
from bot.catalog.error_budget_policy import ErrorBudgetPolicy
from bot.freezes.status import BudgetPoint
from bot.slack.blockkit.blocks import line_chart, lines_chart
from bot.store.outbox import Block

_MOST_POINTS = 20
_X_LABEL, _Y_LABEL = "Time (UTC)", "Budget left, %"
_INSTANT = timedelta(microseconds=1)


def spending_chart(budget: Budget, points: Sequence[BudgetPoint]) -> list[Block]:
    """Return how the budget was spent within its window; nothing without two points."""
    if len(points) < 2:
        return []
    labels = _axis_labels([point.at for point in points])
    values = [(label, _percent(point.remaining)) for label, point in zip(labels, points, strict=True)]
    return line_chart(
        f"{budget.slo.name}: budget left", "Left, %", values, x_label=_X_LABEL, y_label=_Y_LABEL
    )


def forecast_chart(budget: Budget, forecast: BudgetForecast | None, policy: ErrorBudgetPolicy) -> list[Block]:
    """Return what is likely to be left: from now on, with the levels at which shipping stops and goes on.

    Eight paths in ten end between the best and the worst line. Nothing where nothing can be said.
    """
    if forecast is None or budget.remaining is None or len(forecast.fan) < 2:
        return []
    left = float(budget.remaining)
    points = [FanPoint(forecast.made_at, left, left, left), *_thinned(forecast.fan)]
    count = len(points)
    return lines_chart(
        f"{budget.slo.name}: forecast",
        ["Now", *_axis_labels([point.at for point in points[1:]])],
        {
            "Likely left, %": [_percent(point.middle) for point in points],
            "At best (1 in 10)": [_percent(point.high) for point in points],
            "At worst (1 in 10)": [_percent(point.low) for point in points],
            "Frozen at": [_percent(float(policy.freeze_at))] * count,
            "Open again at": [_percent(float(policy.unfreeze_at))] * count,
        },
        x_label=_X_LABEL,
        y_label=_Y_LABEL,
    )


def _thinned(fan: Sequence[FanPoint]) -> Sequence[FanPoint]:
    """Return as many points as fit beside the present one; the last is always there."""
    step = -(-len(fan) // (_MOST_POINTS - 1))
    return fan[::-1][::step][::-1]


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
