"""When a budget runs out at the present rate. Pure; no clock, no I/O.

Ordinarily the last hour's burn rate goes on. While a burn alert burns in its long and in its short window,
these two say how fast the budget goes, and the answer is a range: the faster window leads, the slower one
ends it. A burn that began within the short window fills only a part of it: it is at least as fast as that
window reads and perhaps twice as fast, while the long one tells mostly of the time before.

A rate is read in two ways. By the burn rate, a share of the window's events, it is right for days; by the
bad events an hour it is right for the hours to come, in which traffic is what it is now. In the range the
sooner and the later of both count.

In a rolling window about as many events leave as come, so that the budget stays as large as it is. That of a
calendar window grows with the events of its period: it goes only as fast as errors come faster than that.
Downtime has the budget of the whole period from its start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bot.catalog.error_budget_policy import BurnAlert
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import CalendarWindow

_HOUR = timedelta(hours=1)

_IS_NEW = 0.9
"""A burn began within the short window if that has such a share of the long window's bad events."""
_FASTER = 2


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """When a budget runs out at the present rate; both are None where it does not, `latest` if it may not.

    `burns`: a burn alert burns in both its windows.
    """

    earliest: datetime | None
    latest: datetime | None
    burns: bool = False


def exhaustion(
    slo: Slo,
    left: Decimal | None,
    now: datetime,
    *,
    burn: Mapping[timedelta, Decimal | None],
    bad: Mapping[timedelta, float],
    spare: float,
    alerts: Sequence[BurnAlert],
) -> Exhaustion:
    """Return when a budget runs out of which the fraction `left` remains: `spare` events may still be bad.

    `burn` and `bad` are the burn rates and the bad events of the windows up to now, by length.
    """
    windows = _burning_windows(burn, alerts)
    if windows is None:
        end = exhausts_at(slo, left, burn.get(_HOUR), now)
        return Exhaustion(end, end)
    long, short = windows
    rates = {length: rate for length in (long, short, _HOUR) if (rate := burn.get(length)) is not None}
    hourly = {length: bad.get(length, 0.0) / (length / _HOUR) for length in rates}
    granted = {length: _granted(slo, hourly[length], rates[length]) for length in rates}
    slowest: tuple[timedelta, ...] = (long, short)
    factor = 1
    if bad.get(short, 0.0) >= _IS_NEW * bad.get(long, 0.0) and rates[short] > rates[long]:
        slowest, factor = (short,), _FASTER
    soonest = exhausts_at(slo, left, max(rates.values()) * factor, now)
    last = exhausts_at(slo, left, min(rates[length] for length in slowest), now)
    fast_hourly = max(hourly[length] * factor - granted[length] for length in rates)
    slow_hourly = min(hourly[length] - granted[length] for length in slowest)
    return Exhaustion(
        soonest and min(soonest, _spent_at(slo, spare, fast_hourly, now) or soonest),
        last and _latest(slo, last, _spent_at(slo, spare, slow_hourly, now)),
        burns=True,
    )


def exhausts_at(slo: Slo, left: Decimal | None, burn: Decimal | None, now: datetime) -> datetime | None:
    """Return when the budget will be exhausted if the burn rate stays the same; None if it will not be.

    A budget that grows or is given back as fast as it is spent, by a burn rate of 1 or less, never is. A
    calendar window starts again at its end.
    """
    if left is None or burn is None or left <= 0 or burn <= 0:
        return None
    if _is_fixed(slo):
        return _within_window(slo, now, slo.window.full_length(now), float(left / burn))
    if burn <= 1:
        return None
    if isinstance(slo.window, CalendarWindow):
        return _within_window(slo, now, slo.window.span(now).length, float(left / (burn - 1)))
    return _within_window(slo, now, slo.window.full_length(now), float(left / burn))


def _is_fixed(slo: Slo) -> bool:
    """Return whether the whole budget of a calendar window's period is there from its start."""
    return isinstance(slo.window, CalendarWindow) and isinstance(slo.sli, DowntimeSli)


def _granted(slo: Slo, hourly: float, burn: Decimal) -> float:
    """Return by how many bad events the budget grows an hour, given how many come at what burn rate."""
    if _is_fixed(slo) or not isinstance(slo.window, CalendarWindow) or burn <= 0:
        return 0.0
    return hourly / float(burn)


def _spent_at(slo: Slo, spare: float, hourly: float, now: datetime) -> datetime | None:
    """Return when `spare` events have been bad, at so many an hour; None if not within the window."""
    return _within_window(slo, now, _HOUR, spare / hourly) if hourly > 0 and spare > 0 else None


def _within_window(slo: Slo, now: datetime, length: timedelta, times: float) -> datetime | None:
    try:
        when = now + length * times
    except OverflowError:
        return None
    if isinstance(slo.window, CalendarWindow) and when >= slo.window.period(now).end:
        return None
    return when


def _latest(slo: Slo, by_rate: datetime, by_events: datetime | None) -> datetime | None:
    """Return the later of both; None where one of them does not come before a calendar window's end."""
    if by_events is None:
        return None if isinstance(slo.window, CalendarWindow) else by_rate
    return max(by_rate, by_events)


def _burning_windows(
    burn: Mapping[timedelta, Decimal | None], alerts: Sequence[BurnAlert]
) -> tuple[timedelta, timedelta] | None:
    """Return the windows of the alert that burns in both, of several the one with the fastest window."""
    burning = [
        (max(long_burn, short_burn), alert.long, alert.short)
        for alert in alerts
        if (long_burn := burn.get(alert.long)) is not None
        and (short_burn := burn.get(alert.short)) is not None
        and min(long_burn, short_burn) >= alert.burn
    ]
    if not burning:
        return None
    _, long, short = max(burning)
    return long, short
