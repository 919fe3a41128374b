"""`GET /api/v1/services/{service}/explanation`: how a budget's figures are worked out."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from pydantic import AwareDatetime

from bot.budgets.adjustments.effects import effects_of, recorded_of
from bot.budgets.budget import EventCounts
from bot.budgets.ledger.lateness import lateness_text
from bot.budgets.source import Births
from bot.budgets.sources.comparison import OtherTool
from bot.freezes.explanation import (
    Calculation,
    Explanation,
    SourceReply,
    Term,
    births_text,
    count_text,
    number_text,
)
from bot.freezes.explanation_reader import ExplanationReader, UnknownSloError
from bot.freezes.status import StatusReader, UnknownServiceError
from bot.freezes.tool_comparison import ToolComparison
from bot.http.operations import Operation, QueryParameter
from bot.http.problems import ProblemError
from bot.http.response_models import AdjustmentAnswer, Answer
from bot.http.rights import Right
from bot.http.serializers import adjustment_json, instant, window_text


class WindowAnswer(Answer):
    """The window that was summed; its bounds are null before anything was counted."""

    length: str
    start: AwareDatetime | None
    end: AwareDatetime | None
    time_zone: str


class CountsAnswer(Answer):
    """What was counted, with all digits."""

    good: str
    bad: str
    total: str


class CalculationAnswer(Answer):
    """A figure: its formula in words, the same in numbers, and the result."""

    name: str
    formula: str
    numbers: str
    result: str
    exact: bool
    """Whether the result has no more digits; if not, it is rounded to twelve decimals."""
    primer: str
    """Where the documentation explains the term."""


class LedgerAnswer(Answer):
    """How far events are counted."""

    counted_from: AwareDatetime | None
    counted_to: AwareDatetime | None
    read_at: AwareDatetime | None
    newest_sample: AwareDatetime | None
    """The newest sample, where the source lags behind the last read."""
    delay_s: int
    """How late events come by the source's settings: what is younger is not counted yet."""
    late: str | None
    """How late events came by what was seen, and what to do; null if they do not."""
    problem: str | None


class SentQueryAnswer(Answer):
    """A query as it was sent."""

    endpoint: str
    parameters: dict[str, str]


class BirthsAnswer(Answer):
    """The series that began in the SLO's window."""

    series: int
    uncounted: int
    """Of how many the first sample was not counted: nothing proves when its events happened."""
    events: str
    """The events of those samples."""
    text: str


class SourceReplyAnswer(Answer):
    """What the source answered when it was asked for this explanation, about its last ten minutes."""

    name: str
    asked_at: AwareDatetime
    took_s: float
    start: AwareDatetime
    end: AwareDatetime
    step_s: float
    counted: CountsAnswer | None
    series: int | None
    newest_sample: AwareDatetime | None
    newest_sample_age_s: float | None
    births: BirthsAnswer | None
    """Null where there are no series, or it took too long to find out."""
    problem: str | None
    queries: list[SentQueryAnswer]


class ComparisonAnswer(Answer):
    """What another SLO tool would show for the same window, and why that may differ."""

    tool: OtherTool
    own_error_rate: float | None
    own_remaining: float | None
    error_rate: float | None
    remaining: float | None
    query: str | None
    reasons: list[str]
    problem: str | None
    """Why the tool's number is not known."""


class ExplanationAnswer(Answer):
    """How a budget's figures are worked out, and what follows from them."""

    service: str
    slo: str
    objective: str
    unit: str
    """`events`, or `seconds` of downtime."""
    window: WindowAnswer
    counted: CountsAnswer | None
    """After adjustments."""
    recorded: CountsAnswer | None
    """Before adjustments: what the ledger holds."""
    adjustments: list[AdjustmentAnswer]
    calculations: list[CalculationAnswer]
    state: str
    policy: str
    decision: str
    rule: str
    ledger: LedgerAnswer
    origin: str
    source: SourceReplyAnswer | None
    as_of: AwareDatetime | None
    primer: dict[str, str]
    """Where the documentation explains each term."""
    comparison: ComparisonAnswer | None
    """With the tool that `as` names."""


class BudgetDetailsEndpoint:
    """Explains budgets."""

    def __init__(self, status_reader: StatusReader, explanations: ExplanationReader) -> None:
        self._status_reader = status_reader
        self._explanations = explanations

    @Operation(
        "GET",
        "/api/v1/services/{service}/explanation",
        tag="services",
        summary="How a budget's figures are worked out",
        right=Right.SERVICES_READ,
        query=(
            QueryParameter("slo", "Name of the SLO; the one with the least budget left if left out."),
            QueryParameter("as", "Show beside it the number of another tool: `sloth` or `pyrra`."),
        ),
        answers={200: ExplanationAnswer},
        refusals={404: "There is no such service or SLO; `near` lists similar names."},
    )
    async def explanation(self, request: web.Request) -> web.Response:
        """Return the explanation of one SLO's budget; raises `ProblemError` 404 for an unknown one."""
        tool = _tool(request.query.get("as"))
        try:
            status = await self._status_reader.service(request.match_info["service"])
            explanation = await self._explanations.explain(status, request.query.get("slo") or None, tool)
        except (UnknownServiceError, UnknownSloError) as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error
        return web.json_response(explanation_json(explanation))


def _tool(text: str | None) -> OtherTool | None:
    if not text:
        return None
    try:
        return OtherTool(text.casefold())
    except ValueError:
        raise ProblemError(400, f"`as` is one of {', '.join(OtherTool)}.") from None


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON; counts and results are texts, so that no digit is lost."""
    budget, slo, window = explanation.budget, explanation.slo, explanation.window
    return {
        "service": slo.service,
        "slo": slo.name,
        "objective": number_text(slo.objective),
        "unit": explanation.unit,
        "window": {
            "length": window_text(slo.window),
            "start": instant(window.start) if window else None,
            "end": instant(window.end) if window else None,
            "time_zone": explanation.zone,
        },
        "counted": _counts_json(budget.events),
        "recorded": _counts_json(recorded_of(budget.events)),
        "adjustments": [adjustment_json(effect) for effect in effects_of(budget.events)],
        "calculations": [_calculation_json(each, explanation.primer) for each in explanation.calculations],
        "state": str(budget.state),
        "policy": explanation.policy.name,
        "decision": explanation.decision,
        "rule": explanation.rule,
        "ledger": {
            "counted_from": instant(explanation.ledger.filled_from),
            "counted_to": instant(explanation.ledger.counted_to),
            "read_at": instant(explanation.ledger.read_at),
            "newest_sample": instant(explanation.ledger.newest),
            "delay_s": explanation.ledger.delay_s or 0,
            "late": lateness_text(explanation.ledger),
            "problem": explanation.ledger.problem,
        },
        "origin": explanation.origin,
        "source": _source_json(explanation.source) if explanation.source else None,
        "as_of": instant(budget.as_of),
        "primer": {str(term): explanation.primer(term) for term in Term},
        "comparison": _comparison_json(explanation.comparison) if explanation.comparison else None,
    }


def _comparison_json(comparison: ToolComparison) -> dict[str, Any]:
    figure = comparison.figure
    return {
        "tool": str(comparison.tool),
        "own_error_rate": comparison.own_error_rate,
        "own_remaining": comparison.own_remaining,
        "error_rate": figure.error_rate if figure else None,
        "remaining": comparison.remaining,
        "query": figure.query if figure else None,
        "reasons": list(comparison.reasons),
        "problem": comparison.problem,
    }


def _counts_json(events: EventCounts | None) -> dict[str, str] | None:
    if events is None:
        return None
    good = count_text(events.good)
    return {"good": good, "bad": count_text(events.bad), "total": count_text(events.total)}


def _calculation_json(calculation: Calculation, primer: Callable[[Term], str]) -> dict[str, Any]:
    return {
        "name": calculation.name,
        "formula": calculation.formula,
        "numbers": calculation.numbers,
        "result": calculation.result,
        "exact": calculation.is_exact,
        "primer": primer(calculation.term),
    }


def _births_json(births: Births) -> dict[str, Any]:
    return {
        "series": births.series,
        "uncounted": births.uncounted,
        "events": count_text(births.events),
        "text": births_text(births),
    }


def _source_json(reply: SourceReply) -> dict[str, Any]:
    age = None if reply.newest is None else (reply.asked_at - reply.newest).total_seconds()
    return {
        "name": reply.name,
        "asked_at": instant(reply.asked_at),
        "took_s": round(reply.took.total_seconds(), 3),
        "start": instant(reply.span.start),
        "end": instant(reply.span.end),
        "step_s": reply.step.total_seconds(),
        "counted": _counts_json(reply.events),
        "series": reply.series,
        "newest_sample": instant(reply.newest),
        "newest_sample_age_s": age,
        "births": None if reply.births is None else _births_json(reply.births),
        "problem": reply.problem,
        "queries": [
            {"endpoint": query.endpoint, "parameters": dict(query.parameters)} for query in reply.queries
        ],
    }
