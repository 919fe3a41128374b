"""What another tool would show beside a budget, in the explanation of the API and of the command line."""

import re

import pytest

from bot.budgets.source import SourceRefusedError
from bot.budgets.sources.comparison import OtherTool, ToolFigure
from bot.catalog.slo import Sli, Slo
from bot.catalog.window import CalendarUnit, CalendarWindow, Span
from bot.cli.explain import explanation_lines
from bot.freezes.explanation import Explanation
from bot.freezes.explanation_reader import ExplanationReader
from bot.freezes.tool_comparison import compared
from bot.http.budget_details import explanation_json
from bot.store.database import Database
from tests.freezes.test_explanation import KINDS, Shop
from tests.support.clock import NOW
from tests.support.formula_source import CountingSource
from tests.support.values import budget_of_events, slo

PUSHED, COUNTED = KINDS["pushed"], KINDS["bad counter"]


class ComparableCounts(CountingSource):
    """Answers with a tool's number."""

    def __init__(self) -> None:
        super().__init__()
        self.figure: float | None = 0.0125
        self.is_undefined = False
        self.refusal = ""

    async def figure_of(self, tool: OtherTool, sli: Sli, span: Span) -> ToolFigure:
        del sli
        if self.refusal:
            raise SourceRefusedError(self.refusal)
        return ToolFigure(tool, "avg(x)", span.end, self.figure, self.is_undefined)


@pytest.fixture
async def shop(database: Database) -> Shop:
    measured = Shop(database)
    await measured.measure()
    return measured


def reader(shop: Shop, source: CountingSource) -> ExplanationReader:
    return ExplanationReader(shop.ledger, {"prometheus": source}, shop.clock)


async def explained(shop: Shop, source: CountingSource, of: Slo, tool: OtherTool) -> Explanation:
    status = await shop.status_reader.service("checkout")
    return await reader(shop, source).explain(status, of.name, tool)


def printed(explanation: Explanation) -> str:
    lines = "\n".join(explanation_lines(explanation_json(explanation)))
    return re.sub(r"\s+", " ", lines[lines.index("As ") :])


async def test_both_numbers_stand_beside_each_other_with_the_reasons(shop: Shop) -> None:
    explanation = await explained(shop, ComparableCounts(), COUNTED, OtherTool.SLOTH)
    assert explanation.comparison is not None
    events = explanation.budget.events
    assert events is not None
    assert explanation.comparison.own_error_rate == events.bad / events.total
    # The objective is 99.37e-2: 0.63% may fail.
    assert explanation.comparison.remaining == pytest.approx(1 - 0.0125 / 0.0063)
    text = printed(explanation)
    assert text.startswith("As Sloth works it out Governor bad ")
    assert "Sloth bad 1.250000%, remaining −98.412698%" in text
    assert "the mean of five-minute error ratios" in text
    assert text.endswith("query avg(x)")


async def test_a_mean_over_quiet_minutes_is_none(shop: Shop) -> None:
    source = ComparableCounts()
    source.figure, source.is_undefined = None, True
    text = printed(await explained(shop, source, COUNTED, OtherTool.SLOTH))
    assert "Sloth bad unknown, remaining unknown" in text
    assert "0 ÷ 0 has no value" in text


async def test_why_there_is_no_number_is_said(shop: Shop) -> None:
    source = ComparableCounts()
    source.refusal = "Pyrra has no such thing"
    assert "No number: Pyrra has no such thing" in printed(
        await explained(shop, source, COUNTED, OtherTool.PYRRA)
    )
    assert "No number: Pyrra counts neither pushed events nor downtime." in printed(
        await explained(shop, source, PUSHED, OtherTool.PYRRA)
    )
    assert "No number: Sloth reads Prometheus only, and prometheus is another." in printed(
        await explained(shop, CountingSource(), COUNTED, OtherTool.SLOTH)
    )


async def test_without_a_tool_nothing_is_compared(shop: Shop) -> None:
    status = await shop.status_reader.service("checkout")
    explanation = await reader(shop, ComparableCounts()).explain(status, COUNTED.name)
    assert explanation.comparison is None
    assert explanation_json(explanation)["comparison"] is None
    assert "As Sloth" not in "\n".join(explanation_lines(explanation_json(explanation)))


def test_a_calendar_window_is_told_apart() -> None:
    month = slo("month", window=CalendarWindow(CalendarUnit.MONTH))
    figure = ToolFigure(OtherTool.PYRRA, "q", NOW, 0.001)
    reasons = " ".join(compared(budget_of_events(month), OtherTool.PYRRA, figure).reasons)
    assert "Pyrra has rolling windows only" in reasons
