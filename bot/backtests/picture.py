"""Backtests as a row of signs, one for each day or few days. Pure."""

from datetime import datetime, timedelta

from bot.backtests.backtest import ServiceBacktest
from bot.catalog.window import Span
from bot.freezes.transition import BudgetWarned, BurnAlertFired

MOST_SIGNS = 60

FROZEN, PARTLY, WARNED, OPEN, UNKNOWN = "█", "▄", "▁", "·", " "
LEGEND = f"{FROZEN} frozen for most of it  {PARTLY} for some of it  {WARNED} warned  {OPEN} open"

_A_DAY = timedelta(days=1)


def days_a_sign(span: Span, most: int = MOST_SIGNS) -> int:
    """Return how many days one sign stands for."""
    days = max(1, -(-span.length // _A_DAY))
    return -(-days // most)


def strip(tested: ServiceBacktest, span: Span, slo: str | None = None, *, most: int = MOST_SIGNS) -> str:
    """Draw what a service (or one of its SLOs) would have met with over a span, oldest first.

    Before what is known of it there are blanks.
    """
    width = _A_DAY * days_a_sign(span, most)
    signs = []
    end = span.end
    while end > span.start:
        part = Span(max(span.start, end - width), end)
        signs.append(_sign(tested, part, slo))
        end = part.start
    return "".join(reversed(signs))


def frozen_shares(
    tested: ServiceBacktest, span: Span, slo: str | None, parts: int
) -> list[tuple[datetime, float]]:
    """Return for each of so many equal parts of a span its end, and which share of it was frozen."""
    width = span.length / parts
    edges = [span.start + width * number for number in range(parts)]
    shares = []
    for start in edges:
        part = Span(start, start + width)
        shares.append((part.end, _frozen_in(tested, part, slo) / width))
    return shares


def _sign(tested: ServiceBacktest, part: Span, slo: str | None) -> str:
    known_from = tested.span.start if slo is None else tested.since.get(slo, tested.span.end)
    if part.end <= known_from:
        return UNKNOWN
    frozen = _frozen_in(tested, part, slo)
    if frozen * 2 >= part.length:
        return FROZEN
    if frozen > timedelta():
        return PARTLY
    return WARNED if any(_is_in(tested, part, slo)) else OPEN


def _frozen_in(tested: ServiceBacktest, part: Span, slo: str | None) -> timedelta:
    own = [freeze for freeze in tested.freezes if slo in {None, freeze.slo}]
    return sum((_overlap(freeze.span(tested.span.end), part) for freeze in own), timedelta())


def _is_in(tested: ServiceBacktest, part: Span, slo: str | None) -> list[datetime]:
    """Return when it was warned or alerted within a part."""
    return [
        past.at
        for past in tested.transitions
        if isinstance(past.transition, BudgetWarned | BurnAlertFired)
        and part.start <= past.at < part.end
        and slo in {None, past.transition.budget.slo.name}
    ]


def _overlap(span: Span, part: Span) -> timedelta:
    return max(timedelta(), min(span.end, part.end) - max(span.start, part.start))
