"""Cells that the tables of several commands share. Pure."""

from collections.abc import Sequence

from bot.budgets.budget import Budget, SloState
from bot.formatting import budget_text
from bot.freezes.hold import Hold, HoldKind
from bot.slack.announcements.budget_phrases import remaining_text
from bot.slack.blockkit.tables import joined_cell, number_cell, person_cell, text_cell
from bot.store.outbox import Block

_MOST_OWNERS = 5


def left_cell(least: Budget | None) -> Block:
    """Return how much is left of the budget that has the least left, sorted by it where it is known."""
    if least is None:
        return text_cell("no SLO")
    if least.state is SloState.OK and least.remaining is not None:
        return number_cell(least.remaining, budget_text(least.remaining))
    return text_cell(remaining_text(least))


def owners_cell(holds: Sequence[Hold]) -> Block:
    """Return who holds a service, each once, with the hold's kind unless it is a person's or the budget's."""
    owners = dict.fromkeys((hold.by, hold.kind) for hold in holds)
    own = {HoldKind.PERSON, HoldKind.BUDGET}
    cells = [
        joined_cell([person_cell(by), *([] if kind in own else [text_cell(str(kind))])])
        for by, kind in owners
    ]
    more = len(cells) - _MOST_OWNERS
    return joined_cell([*cells[:_MOST_OWNERS], *([text_cell(f"{more} more")] if more > 0 else [])])
