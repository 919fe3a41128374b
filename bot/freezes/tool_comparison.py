"""What another SLO tool would show for a budget, and why it may differ. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from bot.budgets.adjustments.effects import effects_of
from bot.budgets.budget import Budget
from bot.budgets.sources.comparison import OtherTool, ToolFigure
from bot.catalog.window import CalendarWindow

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ToolComparison:
    """A tool's number beside the own one: the share of bad events, and of the budget what remains.

    Without a `figure` the `problem` says why there is none. `reasons` are sentences.
    """

    tool: OtherTool
    own_error_rate: float | None
    own_remaining: float | None
    figure: ToolFigure | None
    remaining: float | None
    reasons: tuple[str, ...]
    problem: str | None = None


def compared(budget: Budget, tool: OtherTool, answer: ToolFigure | str) -> ToolComparison:
    """Return a budget beside what a tool would show; a text says why that is not known."""
    figure = None if isinstance(answer, str) else answer
    allowed = 1 - float(budget.slo.objective)
    events = budget.events
    return ToolComparison(
        tool=tool,
        own_error_rate=events.bad / events.total if events is not None and events.total > 0 else None,
        own_remaining=None if budget.remaining is None else float(budget.remaining),
        figure=figure,
        remaining=None if figure is None or figure.error_rate is None else 1 - figure.error_rate / allowed,
        reasons=tuple(_reasons(budget, tool, figure)),
        problem=answer if isinstance(answer, str) else None,
    )


def _reasons(budget: Budget, tool: OtherTool, figure: ToolFigure | None) -> Iterator[str]:
    match tool:
        case OtherTool.SLOTH:
            yield (
                "Sloth takes the mean of five-minute error ratios: five quiet minutes weigh as much as five "
                "busy ones. Governor counts each event once."
            )
            if figure is not None and figure.is_undefined:
                yield (
                    "In some five minutes there was no event, and 0 ÷ 0 has no value: the mean of the whole "
                    "window has none either, until those minutes have left it."
                )
            yield "Minutes in which the query for the errors has no series are left out of Sloth's mean."
        case OtherTool.PYRRA:
            yield (
                "Pyrra takes `increase` over the whole window: it extrapolates to the window's ends, and "
                "what a series counted up to its first sample is not in it. Governor reads what was counted "
                "between the first and the last sample, step by step."
            )
    if isinstance(budget.slo.window, CalendarWindow):
        yield (
            f"{tool.label} has rolling windows only: this is its number for the part of the calendar window "
            "that has passed."
        )
    if effects_of(budget.events):
        yield f"{tool.label} knows no adjustments: maintenance and excluded incidents count there."
