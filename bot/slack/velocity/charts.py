"""The pictures of `/velocity`: deployments and failures, and the lead time, week by week. Pure."""

from collections.abc import Sequence
from datetime import UTC, timedelta

from bot.slack.blockkit.blocks import lines_chart
from bot.store.outbox import Block
from bot.velocity.measures import WEEK, DeliveryMeasures
from bot.velocity.reader import Velocity

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_LEAST_POINTS = 2


def charts(velocity: Velocity) -> list[Block]:
    """Return up to two pictures, which Slack takes in a message; none of fewer than two periods."""
    periods = velocity.periods
    if len(periods) < _LEAST_POINTS:
        return []
    return [*_counts(velocity.scope.name, periods), *_lead_times(velocity.scope.name, periods)]


def _counts(name: str, periods: Sequence[DeliveryMeasures]) -> list[Block]:
    return lines_chart(
        f"{name}: deployments by {_unit(periods)}",
        _labels(periods),
        {
            "Deployments": [period.deployment_frequency.n for period in periods],
            "Rework": [period.rework_rate.count for period in periods],
            "Failed": [period.change_fail_rate.count for period in periods],
        },
        x_label=f"{_unit(periods).capitalize()} from (UTC)",
        y_label="Deployments",
    )


def _lead_times(name: str, periods: Sequence[DeliveryMeasures]) -> list[Block]:
    """Return the lead time of the periods in which changes came to production, in hours or days."""
    known = [
        (period, times.p50, times.p90)
        for period in periods
        if (times := period.lead_time.times).p50 is not None and times.p90 is not None
    ]
    if len(known) < _LEAST_POINTS:
        return []
    drawn = [period for period, _, _ in known]
    longest = max(p90 for _, _, p90 in known)
    unit, word = (_DAY, "days") if longest > 4 * _DAY else (_HOUR, "hours")
    return lines_chart(
        f"{name}: lead time",
        [label for label, period in zip(_labels(periods), periods, strict=True) if period in drawn],
        {
            "p90": [round(p90 / unit, 2) for _, _, p90 in known],
            "Median": [round(p50 / unit, 2) for _, p50, _ in known],
        },
        x_label=f"{_unit(periods).capitalize()} from (UTC)",
        y_label=f"Lead time, {word}",
    )


def _labels(periods: Sequence[DeliveryMeasures]) -> list[str]:
    """Return the first day of each period; the last one is not over yet."""
    days = [f"{period.span.start.astimezone(UTC):%d %b}" for period in periods]
    is_cut = periods[-1].span.length < max(period.span.length for period in periods)
    return [*days[:-1], f"{days[-1]}, so far"] if is_cut else days


def _unit(periods: Sequence[DeliveryMeasures]) -> str:
    longest = max(period.span.length for period in periods)
    if longest <= _DAY:
        return "day"
    weeks = longest // WEEK
    return "week" if weeks <= 1 else f"{weeks} weeks"
