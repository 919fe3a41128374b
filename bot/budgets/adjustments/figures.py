"""A budget before and after an adjustment, as the audit log keeps it and people read it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

from bot.budgets.adjustments.adjustment import Adjustment
from bot.budgets.budget import Budget
from bot.catalog.catalog import Service
from bot.store.outbox import OutboxMessage


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """What an adjustment does to one SLO's budget."""

    before: Budget
    after: Budget

    @property
    def changes_nothing(self) -> bool:
        """Whether the same was counted before and after."""
        before, after = self.before.events, self.after.events
        if before is None or after is None:
            return before is after
        # Sums of fractions differ in their last digits with the order in which they are added.
        pairs = ((before.bad, after.bad), (before.total, after.total))
        return all(isclose(old, new, rel_tol=1e-11, abs_tol=1e-6) for old, new in pairs)


@dataclass(frozen=True, slots=True)
class AdjustmentEvent:
    """What has just become of an adjustment (its state says what), who did it, and what it changes."""

    adjustment: Adjustment
    service: Service
    by: str
    reason: str
    changes: tuple[BudgetChange, ...]


AnnounceAdjustment = Callable[[AdjustmentEvent], Sequence[OutboxMessage]]
"""Returns the messages on an adjustment; pure, because it runs within the transaction."""


def figures_json(budgets: Sequence[Budget]) -> Mapping[str, Any]:
    """Return budgets as the audit log keeps them, by the name of the SLO."""
    return {
        budget.slo.name: {
            "bad": budget.events.bad if budget.events else None,
            "total": budget.events.total if budget.events else None,
            "remaining": None if budget.remaining is None else float(budget.remaining),
        }
        for budget in budgets
    }
