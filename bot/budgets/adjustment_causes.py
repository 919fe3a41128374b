"""Whether an adjustment made a budget cross a level: one that has just begun to count, or counts no more."""

from collections.abc import Callable
from datetime import datetime, timedelta

from bot.budgets.adjustment_preview import AdjustmentPreview
from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentState
from bot.budgets.adjustments.records import read_steps
from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.store.database import Database

_MOST_TRIED = 5
_SLACK = timedelta(minutes=1)


class AdjustmentCauses:
    """Tries what the budgets would be without the latest adjustments."""

    def __init__(self, database: Database, preview: AdjustmentPreview, current: CurrentCatalog) -> None:
        self._database = database
        self._preview = preview
        self._current = current

    async def find(
        self, service: Service, seen_at: datetime, had_not_crossed: Callable[[Budget], bool], now: datetime
    ) -> Adjustment | None:
        """Return the adjustment without whose last step some budget had not crossed; None where none did it.

        `seen_at` is when the crossing was seen first: only what was approved, reversed or recorded since the
        evaluation before that is tried, the latest first.
        """
        since = seen_at - 2 * self._current.workspace.evaluate_every - _SLACK
        async with self._database.reading() as connection:
            steps = await read_steps(connection, service.name, since, seen_at)
        for step in steps[:_MOST_TRIED]:
            undone = (
                self._preview.removing if step.state is AdjustmentState.APPROVED else self._preview.adding
            )
            changes = await undone(service, step, now)
            if any(not each.changes_nothing and had_not_crossed(each.after) for each in changes):
                return step
        return None
