"""Explains a budget: reads the ledger's state, and asks the SLO's source what it says at this moment."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot.budgets.budget import Budget, EventCounts
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.rollups import MINUTE, floor, instant, seconds
from bot.budgets.source import (
    Births,
    Inspection,
    ScrapedSource,
    Source,
    SourceError,
    SourceUnavailableError,
    buckets_of,
    delay_of,
)
from bot.budgets.sources.comparison import ComparableSource, OtherTool
from bot.catalog.slo import (
    CounterSli,
    CounterSlicesSli,
    DowntimeSli,
    EventsSli,
    GaugeSli,
    GaugeSlicesSli,
    LatencySli,
    NativeHistogramSli,
    RatioSli,
    Slo,
    SourceSli,
)
from bot.catalog.window import Span
from bot.clock import Clock
from bot.formatting import duration_code, percent_text
from bot.freezes.explanation import Explanation, SourceReply, calculations, decision_text, rule_text
from bot.freezes.hold import HoldKind
from bot.freezes.status import ServiceStatus
from bot.freezes.tool_comparison import ToolComparison, compared
from bot.suggestions import did_you_mean, suggest

_STEP = timedelta(seconds=MINUTE)
_ASKED = timedelta(minutes=10)
_WITHIN_S = 10.0
_BIRTHS_WITHIN_S = 5.0
_COMPARED_WITHIN_S = 60.0
"""A tool's number may be a mean over every minute of a month."""


class UnknownSloError(LookupError):
    """The service has no SLO of that name; `near` are the names most like it, best first."""

    def __init__(self, service: str, name: str | None, near: tuple[str, ...]) -> None:
        what = f"no SLO {name}" if name else "no SLO"
        super().__init__(f"{service} has {what}{did_you_mean(near[:1])}")
        self.near = near


class ExplanationReader:
    """Explains budgets. `documentation` is the address of the folder that holds the primer."""

    def __init__(
        self, ledger: Ledger, sources: Mapping[str, Source], clock: Clock, documentation: str = "docs"
    ) -> None:
        self._ledger = ledger
        self._sources = sources
        self._clock = clock
        self._documentation = documentation.rstrip("/")

    async def explain(
        self, status: ServiceStatus, name: str | None = None, tool: OtherTool | None = None
    ) -> Explanation:
        """Explain the budget of an SLO, of the worst one without a name; raises `UnknownSloError`.

        With a `tool`, its source is asked what number that would show.
        """
        budgets = {budget.slo.name.casefold(): budget for budget in status.budgets}
        least = status.worst or next(iter(status.budgets), None)
        budget = budgets.get(name.casefold()) if name else least
        if budget is None:
            near = suggest(name or "", [slo.name for slo in status.service.slos], most=3)
            raise UnknownSloError(status.service.name, name, near)
        slo, policy = budget.slo, status.service.policy_for(budget.slo)
        (state,) = await self._ledger.states([slo])
        holds = (
            hold
            for hold in (*status.holds, *status.observed)
            if hold.kind is HoldKind.BUDGET and hold.slo == slo.name
        )
        return Explanation(
            budget=budget,
            policy=policy,
            window=slo.window.span(budget.as_of) if budget.as_of else None,
            calculations=calculations(budget),
            decision=decision_text(budget, policy, next(holds, None)),
            rule=rule_text(policy, budget),
            ledger=state,
            origin=_origin(slo),
            source=await self._ask(slo, budget.as_of),
            now=status.as_of,
            documentation=self._documentation,
            comparison=await self._compare(budget, tool) if tool is not None else None,
        )

    async def _compare(self, budget: Budget, tool: OtherTool) -> ToolComparison:
        sli = budget.slo.sli
        if isinstance(sli, EventsSli | DowntimeSli):
            return compared(budget, tool, f"{tool.label} counts neither pushed events nor downtime.")
        source = self._sources.get(sli.source)
        if not isinstance(source, ComparableSource):
            return compared(budget, tool, f"{tool.label} reads Prometheus only, and {sli.source} is another.")
        if budget.as_of is None:
            return compared(budget, tool, "Nothing has been counted yet.")
        try:
            async with asyncio.timeout(_COMPARED_WITHIN_S):
                figure = await source.figure_of(tool, sli, budget.slo.window.span(budget.as_of))
        except SourceError as error:
            return compared(budget, tool, str(error))
        except TimeoutError:
            return compared(budget, tool, f"{sli.source} did not answer within {_COMPARED_WITHIN_S:g} s.")
        return compared(budget, tool, figure)

    async def _ask(self, slo: Slo, as_of: datetime | None) -> SourceReply | None:
        """Ask the source about the last ten whole minutes that it knows; None for an SLI without a source."""
        if not isinstance(slo.sli, SourceSli):
            return None
        now = self._clock.now()
        end = instant(floor(seconds(now - delay_of(self._sources.get(slo.sli.source))), MINUTE))
        span, began = Span(end - _ASKED, end), time.monotonic()
        inspection = await self._inspect(slo.sli, span)
        took = timedelta(seconds=time.monotonic() - began)
        births = await self._births(slo.sli, slo.window.span(as_of)) if as_of is not None else None
        return replace(_reply(slo.sli.source, inspection, span, now, took), births=births)

    async def _births(self, sli: SourceSli, window: Span) -> Births | None:
        """Return which series began in the window; None where the source does not say so in time."""
        source = self._sources.get(sli.source)
        if not isinstance(source, ScrapedSource):
            return None
        try:
            async with asyncio.timeout(_BIRTHS_WITHIN_S):
                return await source.births(sli, window)
        except (TimeoutError, SourceError):
            return None

    async def _inspect(self, sli: SourceSli, span: Span) -> Inspection:
        source = self._sources.get(sli.source)
        if source is None:
            return Inspection((), SourceError(f"there is no source named {sli.source}"))
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await source.inspect(sli, span, _STEP)
        except TimeoutError:
            return Inspection((), SourceUnavailableError(f"no answer within {_WITHIN_S:g} s"))


def _reply(name: str, inspection: Inspection, span: Span, asked_at: datetime, took: timedelta) -> SourceReply:
    answer, events, problem = inspection.answer, None, None
    if isinstance(answer, SourceError):
        problem = str(answer)
    else:
        buckets = buckets_of(answer)
        events = EventCounts(sum(bucket.bad for bucket in buckets), sum(bucket.total for bucket in buckets))
    return SourceReply(
        name=name,
        queries=inspection.queries,
        span=span,
        step=_STEP,
        asked_at=asked_at,
        took=took,
        events=events,
        series=inspection.series,
        newest=inspection.newest,
        problem=problem,
    )


def _origin(slo: Slo) -> str:
    """Return in words what is counted, and by whom."""
    match slo.sli:
        case CounterSli(source):
            text = f"counters of {source}; {_counters(slo.sli)}"
        case CounterSlicesSli(counters, of, good_when):
            share = f"{good_when.operator} {percent_text(good_when.number, plain=True)}"
            slices = f"slices of {duration_code(of)} by counters of {counters.source}"
            text = f"{slices}; good: share of good events {share}; {_counters(counters)}"
        case LatencySli(source, histogram, match, threshold) | NativeHistogramSli(
            source, histogram, match, threshold
        ):
            kind = "native histogram" if isinstance(slo.sli, NativeHistogramSli) else "histogram"
            limit = f"{threshold.total_seconds():g}"
            text = f"{kind} {histogram}{{{match}}} of {source}; good: at or below {limit} s"
        case RatioSli(source, query):
            text = f"samples of {source}, each bad by its value: {query}"
        case GaugeSli(source, query, good_when):
            text = f"samples of {source}: {query}; good: {good_when}"
        case GaugeSlicesSli(source, query, of, good_when):
            text = f"slices of {duration_code(of)} by means of {source}: {query}; good: {good_when}"
        case EventsSli():
            text = "events that are pushed to POST /api/v1/events"
        case DowntimeSli():
            text = "seconds of downtime that incidents recorded, each weighed by the share that failed"
        case _:
            text = slo.sli.description
    return text


def _counters(sli: CounterSli) -> str:
    other = f"bad: {sli.bad}" if sli.bad is not None else f"good: {sli.good}"
    return f"total: {sli.total}; {other}"
