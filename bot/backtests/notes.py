"""What a backtest cannot know, said in words beside its figures. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from bot.backtests.backtest import ServiceBacktest
from bot.catalog.error_budget_policy import OnMissingData
from bot.catalog.window import Span

_KEPT_FINELY = timedelta(days=4)
_AN_HOUR = timedelta(hours=1)


def notes(span: Span, services: Sequence[ServiceBacktest]) -> Iterator[str]:
    """Yield what was not replayed, or not as finely as it was then."""
    starts = [tested.span.start for tested in services]
    if starts and min(starts) - span.start >= _AN_HOUR:
        yield (
            f"The ledger reaches back far enough from {min(starts):%Y-%m-%d %H:%M} UTC on: before that, no "
            "window is known whole."
        )
    if starts and span.end - min(starts) > _KEPT_FINELY:
        yield (
            "Counts older than four days are kept by the hour, and taken as spread evenly within it: what "
            "was over in minutes may show weaker than it was."
        )
    if any(tested.is_adjusted for tested in services):
        yield (
            "Counts are taken as the record is adjusted now: times that were left out, and corrections, "
            "count as if they had been known at once. A window that a policy adds to `maintenance` "
            "changes no past."
        )
    policies = [
        policy
        for tested in services
        for policy in (tested.service.error_budget_policy, *tested.service.policies.values())
    ]
    if any(policy.unfreeze_requires is not None for policy in policies):
        yield "Freezes are lifted by the budget alone: `unfreezeRequires` is not replayed."
    if any(policy.on_missing_data is OnMissingData.FREEZE for policy in policies):
        yield "When a source did not answer is not recorded: `onMissingData: freeze` is not replayed."
