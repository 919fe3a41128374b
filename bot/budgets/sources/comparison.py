"""The numbers that other SLO tools would show, asked of the source of an SLO. Pure values and the port."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bot.catalog.slo import Sli
from bot.catalog.window import Span


class OtherTool(StrEnum):
    """A tool whose arithmetic is known."""

    SLOTH = "sloth"
    PYRRA = "pyrra"

    @property
    def label(self) -> str:
        """The tool's name as people write it."""
        return self.value.capitalize()


@dataclass(frozen=True, slots=True)
class ToolFigure:
    """The share of bad events that a tool shows at a time, and the query that says so.

    Without an `error_rate` the tool shows no number: `is_undefined` where it divides by 0 somewhere, else for
    lack of data.
    """

    tool: OtherTool
    query: str
    at: datetime
    error_rate: float | None
    is_undefined: bool = False


@runtime_checkable
class ComparableSource(Protocol):
    """A source that can be asked for what another tool would make of it."""

    async def figure_of(self, tool: OtherTool, sli: Sli, span: Span) -> ToolFigure:
        """Return the tool's number for a window; raises `SourceError`, also where it has no such SLI."""
        ...
