"""Which adjustments may be asked for: when, how long, of how much of a window. Pure.

AdjustmentError
├── AdjustmentRefusedError    it is about a time that cannot be adjusted
├── OverlappingError          another one is about some of the time
├── NoAdjustmentError         there is none of that number
├── AdjustmentDecidedError    it was decided before, or is not in force
└── OwnAdjustmentError        another person must approve it
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bot.budgets.adjustments.adjustment import (
    LONGEST,
    MOST_OF_WINDOW,
    Adjustment,
    AdjustmentKind,
    AdjustmentState,
)
from bot.budgets.adjustments.effects import merged, within
from bot.catalog.catalog import Service
from bot.catalog.slo import Slo
from bot.formatting import duration_text, percent_text


class AdjustmentError(Exception):
    """An adjustment was refused. The message is a sentence fit for the person who asked."""


class AdjustmentRefusedError(AdjustmentError):
    """It is about a time that cannot be adjusted."""


class OverlappingError(AdjustmentError):
    """Another adjustment, `other`, is about some of the time."""

    def __init__(self, other: Adjustment) -> None:
        state = "waits for approval" if other.state is AdjustmentState.WAITING else "counts already"
        how = "decline" if other.state is AdjustmentState.WAITING else "reverse"
        super().__init__(
            f"Adjustment {other.id} is about some of that time and {state}. "
            f"Next: name another time, or {how} that one first."
        )
        self.other = other


class NoAdjustmentError(AdjustmentError):
    """There is no adjustment of that number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"There is no adjustment {number}.")


class AdjustmentDecidedError(AdjustmentError):
    """The adjustment, as it is now, was decided before or is not in force."""

    def __init__(self, adjustment: Adjustment) -> None:
        waits = adjustment.state is AdjustmentState.WAITING
        state = "waits for approval: decline it instead" if waits else f"is {adjustment.state} already"
        super().__init__(f"Adjustment {adjustment.id} {state}.")
        self.adjustment = adjustment


class OwnAdjustmentError(AdjustmentError):
    """Whoever asks for an adjustment cannot approve it."""

    def __init__(self) -> None:
        super().__init__("You asked for this yourself: another person must approve it.")


def affected(service: Service, slo: str | None) -> Sequence[Slo]:
    """Return the SLOs of a service that an adjustment of `slo` (None: all) is about."""
    return [each for each in service.slos if slo is None or each.name == slo]


def check_time(asked: Adjustment, service: Service, now: datetime) -> None:
    """Raise `AdjustmentRefusedError` for a time to come, a long one, or one before every window."""
    if asked.span.end > now + timedelta(minutes=1):
        raise AdjustmentRefusedError(
            "That time is not over yet, and only what has happened can be adjusted. "
            "Ask again when it is over. Planned work belongs in the policy, under maintenance."
        )
    if asked.span.length > LONGEST:
        raise AdjustmentRefusedError(
            f"That is {duration_text(asked.span.length)}. "
            f"One adjustment covers {duration_text(LONGEST)} at most."
        )
    slos = affected(service, asked.slo)
    if not any(asked.span.end > slo.window.span(now).start for slo in slos):
        longest = max((slo.window.span(now).length for slo in slos), default=timedelta())
        raise AdjustmentRefusedError(
            f"That was before the window, which goes back {duration_text(longest)}: it does not count anyway."
        )


def check_others(asked: Adjustment, others: Iterable[Adjustment], service: Service, now: datetime) -> None:
    """Raise `OverlappingError` or `AdjustmentRefusedError` if it does not go with what people asked before.

    Of each window at most a quarter may be left out so, lest a budget rest on a few good days. Maintenance
    of the policy is not counted: it has a limit of its own.
    """
    people = [each for each in others if each.kind is not AdjustmentKind.MAINTENANCE]
    for other in people:
        is_same = asked.slo is None or other.slo is None or asked.slo == other.slo
        if is_same and other.overlaps(asked.span):
            raise OverlappingError(other)
    if asked.is_correction:
        return
    for slo in affected(service, asked.slo):
        window = slo.window.span(now)
        spans = [each.span for each in people if each.concerns(slo.name) and not each.is_correction]
        left_out = sum((span.length for span in within(merged([*spans, asked.span]), window)), timedelta())
        most = slo.window.full_length(now) * MOST_OF_WINDOW
        if left_out > most:
            raise AdjustmentRefusedError(
                f"With that, {duration_text(left_out)} of the window of {slo.name} would be left out. "
                f"At most {percent_text(MOST_OF_WINDOW)} of it may be: {duration_text(most)}."
            )
