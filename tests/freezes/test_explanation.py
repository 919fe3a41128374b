"""Explanations: every figure follows from the words beside it, for every kind of SLI, to the last digit."""

import ast
import itertools
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import insert

from bot.budgets.adjustments.adjustment import Adjustment, AdjustmentKind, CountsAs
from bot.budgets.adjustments.effects import AdjustedCounts
from bot.budgets.adjustments.records import row_values
from bot.budgets.budget import EventCounts, SloState, assess
from bot.budgets.evaluator import Evaluator
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.ledger.pushed_events import PushedEvent
from bot.budgets.reading.collector import Collector
from bot.budgets.source import Births, SourceUnavailableError
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import PolicyMode
from bot.catalog.slo import (
    Condition,
    CounterSli,
    CounterSlicesSli,
    DowntimeSli,
    GaugeSli,
    GaugeSlicesSli,
    LatencySli,
    NativeHistogramSli,
    Operator,
    RatioSli,
    Slo,
)
from bot.catalog.window import CalendarUnit, CalendarWindow, RollingWindow, Span, Window
from bot.cli.explain import explanation_lines
from bot.freezes.explanation import Explanation, Term, births_text, calculations, decision_text
from bot.freezes.explanation_reader import ExplanationReader, UnknownSloError
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader
from bot.http.budget_details import explanation_json
from bot.slack.commands.explain import explanation_reply
from bot.store.database import Database
from bot.store.tables.adjustments import adjustments
from tests.support.clock import DAY, MINUTE, NOW, StoppedClock
from tests.support.formula_source import CountingSource
from tests.support.paths import DOCS
from tests.support.servers import Prometheus, running_prometheus
from tests.support.values import QUIET, budget_of_events, catalog, prometheus_sli, service, slo

MONTH = CalendarWindow(CalendarUnit.MONTH, "Europe/London")
FISCAL_YEAR = CalendarWindow(CalendarUnit.YEAR, "Europe/London", datetime(2020, 4, 6))  # noqa: DTZ001 - local
GOOD = Condition(Operator.AT_LEAST, Decimal("0.99"))
KINDS: Mapping[str, Slo] = {
    "bad counter": slo("bad", sli=prometheus_sli(), objective="99.37e-2"),
    "good counter": slo("good", sli=CounterSli("prometheus", "all", good="fine"), objective="0.993"),
    "full query": slo("full", sli=CounterSli("prometheus", "sum(x[$window])", bad="sum(y[$window])")),
    "histogram": slo("latency", sli=LatencySli("prometheus", "seconds", "", timedelta(milliseconds=300))),
    "native": slo("native", sli=NativeHistogramSli("prometheus", "seconds", "", timedelta(seconds=1))),
    "sum": slo("sum", sli=CounterSli("prometheus", "a_total + b_total", bad="c_total")),
    "ratio": slo("ratio", sli=RatioSli("prometheus", "sli:error_ratio")),
    "gauge": slo("gauge", sli=GaugeSli("prometheus", "up")),
    "slices": slo("slices", sli=CounterSlicesSli(prometheus_sli(), timedelta(minutes=5), GOOD)),
    "mean": slo("mean", sli=GaugeSlicesSli("prometheus", "queue", timedelta(minutes=5), GOOD)),
    "fiscal year": slo("year", sli=prometheus_sli(), window=FISCAL_YEAR, objective="0.9875"),
    "calendar": slo("month", sli=prometheus_sli(), window=MONTH, objective="0.9875"),
    "pushed": slo("orders", objective="0.995", window=RollingWindow(28 * DAY)),
    "downtime": slo("uptime", sli=DowntimeSli(), window=RollingWindow(7 * DAY)),
}


def recomputed(expression: str) -> Decimal:
    """Compute what stands there, as on a calculator with fifty digits."""
    text = expression.replace("×", "*").replace("÷", "/").replace("−", "-")
    with localcontext() as context:
        context.prec = 50
        return _value(ast.parse(text, mode="eval").body, text)


def _value(node: ast.expr, text: str) -> Decimal:
    match node:
        case ast.Constant():
            return Decimal(ast.get_source_segment(text, node) or "")
        case ast.BinOp(left, operator, right):
            first, second = _value(left, text), _value(right, text)
            match operator:
                case ast.Mult():
                    return first * second
                case ast.Div():
                    return first / second
                case ast.Add():
                    return first + second
                case ast.Sub():
                    return first - second
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand, text)
    raise ValueError(f"no calculator takes {text}")


def check_figures(lines: Sequence[str]) -> dict[str, Decimal]:
    """Recompute each line `numbers = result` to its last digit; return the results by their name."""
    results = {}
    for name, line in itertools.pairwise(lines):
        match = re.fullmatch(r"\s*([-+−0-9.()×÷ ]+) ([=≈]) ([−0-9.]+)", line)
        if match is None:
            continue
        numbers, equals, result = match.groups()
        value, printed = recomputed(numbers), Decimal(result.replace("−", "-"))
        assert printed == value.quantize(Decimal("1e-12"), ROUND_HALF_EVEN), line
        assert (equals == "=") is (printed == value), line
        results[name.split(" = ")[0].strip("*")] = printed
    return results


class Shop:
    """A service with an SLO of each kind, measured by a source whose events are known."""

    def __init__(self, database: Database) -> None:
        self.of = service(slos=tuple(KINDS.values()))
        self.source = CountingSource()
        self.ledger = Ledger(database, self._bad_seconds)
        self.clock = StoppedClock()
        current = CurrentCatalog(catalog(self.of))
        sources = {"prometheus": self.source}
        self.evaluator = Evaluator(
            Collector(self.ledger, sources), self.ledger, current, self.clock, self._assessed
        )
        registry = HoldRegistry(database, lambda _: ())
        self.status_reader = StatusReader(current, self.evaluator, registry, self.clock)
        self.reader = ExplanationReader(self.ledger, sources, self.clock, "https://docs.example/docs/")

    async def explain(self, name: str | None) -> Explanation:
        return await self.reader.explain(await self.status_reader.service("checkout"), name)

    async def measure(self) -> None:
        orders = KINDS["pushed"]
        pushed = [PushedEvent(orders, 12_345.25, 17, NOW - day * DAY) for day in range(20)]
        await self.ledger.push(pushed, NOW)
        await self.evaluator.evaluate([self.of])

    async def _bad_seconds(self, service: str, spans: Sequence[Span]) -> Sequence[float]:
        del service
        down = Span(NOW - 2 * DAY, NOW - 2 * DAY + timedelta(minutes=7, seconds=1))
        parts = [min(span.end, down.end) - max(span.start, down.start) for span in spans]
        return [max(0.0, part.total_seconds()) for part in parts]

    async def _assessed(self, *_: object) -> None:
        pass


@pytest.fixture
async def measured(database: Database) -> Shop:
    shop = Shop(database)
    await shop.measure()
    return shop


async def test_every_figure_is_recomputed_from_its_own_words(measured: Shop) -> None:
    status = await measured.status_reader.service("checkout")
    for kind, budget in zip(KINDS, status.budgets, strict=True):
        explanation = await measured.explain(budget.slo.name)
        printed = list(explanation_lines(explanation_json(explanation)))
        in_slack = [line.strip("`") for line in str(explanation_reply(explanation, ()).text).splitlines()]
        for lines in (printed, in_slack):
            figures = check_figures(lines)
            assert len(figures) == 7, kind
            remaining, minutes = (value for name, value in figures.items() if "Remaining" in name)
            assert float(remaining) == pytest.approx(float(budget.remaining or 0), abs=1e-11)
            assert float(minutes) == pytest.approx(budget.remaining_minutes, rel=1e-9)


async def test_the_figures_follow_from_the_counts_and_the_objective_that_are_printed(measured: Shop) -> None:
    for promised in KINDS.values():
        lines = list(explanation_lines(explanation_json(await measured.explain(promised.name))))
        words = [line.split() for line in lines if line.startswith(("Good ", "Bad ", "Total "))]
        counts = {name: Decimal(count) for name, count, *_ in words}
        assert counts["Good"] + counts["Bad"] == counts["Total"]
        objective = Decimal(next(line for line in lines if line.startswith("Objective")).split()[1])
        with localcontext() as context:
            context.prec = 50
            expected = 1 - counts["Bad"] / (counts["Total"] * (1 - objective))
        assert check_figures(lines)["Remaining"] == expected.quantize(Decimal("1e-12"))


async def test_adjusted_figures_are_recomputed_from_their_own_words(
    measured: Shop, database: Database
) -> None:
    cut = Span(NOW - 30 * DAY - timedelta(hours=1), NOW - 30 * DAY + timedelta(minutes=97))
    given = [
        (AdjustmentKind.EXCLUSION, CountsAs.DROPPED, cut, 0),
        (AdjustmentKind.EXCLUSION, CountsAs.GOOD, Span(NOW - 3 * DAY, NOW - 2 * DAY + MINUTE), 0),
        (AdjustmentKind.CORRECTION, CountsAs.GOOD, Span(NOW - 5 * DAY, NOW - 4 * DAY), -3),
        (AdjustmentKind.CORRECTION, CountsAs.DROPPED, Span(NOW - 7 * DAY, NOW - 6 * DAY), 11),
    ]
    async with database.transaction() as connection:
        for kind, counts_as, span, number in given:
            each = Adjustment(0, "checkout", None, kind, counts_as, span, "it was a test", "U1", NOW, number)
            await connection.execute(insert(adjustments).values(row_values(each, f"{kind} {counts_as}")))
    status = await measured.status_reader.service("checkout")
    for kind_of_sli, budget in zip(KINDS, status.budgets, strict=True):
        assert isinstance(budget.events, AdjustedCounts), kind_of_sli
        explanation = await measured.explain(budget.slo.name)
        printed = list(explanation_lines(explanation_json(explanation)))
        in_slack = [line.strip("`") for line in str(explanation_reply(explanation, ()).text).splitlines()]
        for lines in (printed, in_slack):
            figures = check_figures(lines)
            assert len(figures) == 9, kind_of_sli
            bad, total = (
                next(value for name, value in figures.items() if part in name)
                for part in ("Bad events", "Total")
            )
            assert float(bad) == pytest.approx(budget.events.bad, rel=1e-11)
            assert float(total) == pytest.approx(budget.events.total, rel=1e-11)
            assert "it was a test" in " ".join(lines)
        totals = [line.split()[1] for line in printed if line.startswith("Total  ")]
        assert [Decimal(total) for total in totals] == [check_figures(printed)["Total"]]


async def test_an_explanation_says_what_the_figures_rest_on(measured: Shop) -> None:
    explanation = await measured.explain("bad")
    text = "\n".join(explanation_lines(explanation_json(explanation)))
    assert "from     2026-10-24 09:00:00 UTC" in text
    assert "to       2026-11-23 09:00:00 UTC" in text
    assert "the newest sample 0 s old" in text
    assert 'http_requests_total{service="checkout"}' in text
    assert "https://docs.example/docs/error-budgets.md#burn-rate" in text
    assert "at or below `freezeAt` 0%: policy quiet freezes." in " ".join(text.split())
    reply = explanation_reply(explanation, ("latency",))
    assert "<https://docs.example/docs/error-budgets.md#remaining|Remaining>" in reply.text
    month = await measured.explain("month")
    assert "2026-11-01 00:00:00 Europe/London" in "\n".join(explanation_lines(explanation_json(month)))


async def test_a_source_that_fails_is_explained_too(measured: Shop) -> None:
    measured.source.failure = SourceUnavailableError("it is being restarted")
    text = "\n".join(explanation_lines(explanation_json(await measured.explain("bad"))))
    assert "it is being restarted" in text
    assert "Remaining" in text


async def test_without_a_name_the_worst_slo_is_explained(measured: Shop) -> None:
    status = await measured.status_reader.service("checkout")
    assert status.worst is not None
    assert (await measured.explain(None)).slo == status.worst.slo
    with pytest.raises(UnknownSloError, match="did you mean latency"):
        await measured.explain("latncy")


@pytest.mark.parametrize("bad", [0.0, 3.0, 1e-6, 123.456, 2.0**40])
@pytest.mark.parametrize("window", [RollingWindow(30 * DAY), MONTH])
def test_any_counts_can_be_recomputed(bad: float, window: Window) -> None:
    promised = slo(window=window, objective="0.99973")
    events = EventCounts(bad, bad * 3 + 0.1)
    budget = assess(promised, events=events, recent={DAY * 3: events}, as_of=NOW)
    lines = [part for each in calculations(budget) for part in (each.name, each.text.split(" = ", 1)[1])]
    assert len(check_figures(lines)) == 5


def test_the_primer_explains_every_term_under_a_heading_of_its_own() -> None:
    headings = re.findall(r"^## (.+)$", (DOCS / "error-budgets.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {str(term) for term in Term} <= {heading.casefold().replace(" ", "-") for heading in headings}


def test_the_numbers_of_the_primer_are_right() -> None:
    text = (DOCS / "error-budgets.md").read_text(encoding="utf-8")
    sums = re.findall(r"([0-9.()]+ [×÷−][0-9.()×÷− ]+) = ([0-9.]+)", text)
    assert len(sums) >= 6
    for expression, result in sums:
        assert recomputed(expression) == Decimal(result.rstrip(".")), expression


def test_a_policy_that_observes_is_said_to_freeze_nothing() -> None:
    observing = replace(QUIET, mode=PolicyMode.OBSERVE)
    assert "policy quiet freezes." in decision_text(budget_of_events(slo(), 1_100), QUIET, None)
    assert "policy quiet would freeze, and only observes." in decision_text(
        budget_of_events(slo(), 1_100), observing, None
    )


def test_the_primer_explains_every_state() -> None:
    text = (DOCS / "error-budgets.md").read_text(encoding="utf-8")
    assert all(f"| `{state}` |" in text for state in SloState)


def test_what_was_never_counted_has_no_figures() -> None:
    assert calculations(assess(slo(), events=None, recent={}, as_of=None)) == ()
    empty = assess(slo(), events=EventCounts(0, 0), recent={}, as_of=NOW)
    assert empty.state is SloState.NO_TRAFFIC
    assert [each.result for each in calculations(empty)] == ["0"]


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[Prometheus]:
    lines, at = ["# TYPE requests counter"], NOW - 60 * MINUTE
    while at <= NOW - 20 * timedelta(seconds=1):
        for code, each in (("200", 1), ("500", 60)):
            value = int((at - NOW).total_seconds() + 3_600) // each
            lines.append(f'requests_total{{code="{code}"}} {value} {at.timestamp()}')
        at += timedelta(seconds=15)
    async with running_prometheus(tmp_path, openmetrics="\n".join([*lines, "# EOF", ""])) as server:
        yield server


async def test_a_real_prometheus_says_its_series_and_its_newest_sample(
    prometheus: Prometheus, database: Database
) -> None:
    promised = slo(sli=CounterSli("prometheus", "requests_total", bad='requests_total{code="500"}'))
    of = service(slos=(promised,))
    clock, ledger, current = StoppedClock(), Ledger(database), CurrentCatalog(catalog(of))
    async with aiohttp.ClientSession() as session:
        sources = {"prometheus": PrometheusSource(prometheus.url, session)}
        evaluator = Evaluator(Collector(ledger, sources), ledger, current, clock, _ignore)
        await evaluator.evaluate([of])
        status_reader = StatusReader(current, evaluator, HoldRegistry(database, lambda _: ()), clock)
        reader = ExplanationReader(ledger, sources, clock)
        explanation = await reader.explain(await status_reader.service("checkout"))
        assert explanation.source is not None
        assert explanation.source.problem is None
        assert explanation.source.series == 2
        assert explanation.source.births == Births(2, 0, 0.0)
        text = "2 series began in the window, and all that came with their first samples is counted"
        assert explanation.source.births is not None
        assert births_text(explanation.source.births) == text
        (lost,) = {births_text(Births(3, 1, 40.0))}
        assert lost.startswith("3 series began in the window; 40 events of 1 first sample are not counted")
        assert explanation.source.newest is not None
        assert timedelta() <= NOW - explanation.source.newest <= MINUTE
        assert explanation.source.events is not None
        assert explanation.source.events.total == pytest.approx(600 + 10, abs=40)
        # What is printed is what was sent: the server takes it word for word.
        for query in explanation.source.queries:
            url = f"{prometheus.url}/api/v1/{query.endpoint}"
            async with session.post(url, data=dict(query.parameters)) as response:
                assert response.status == 200, query
        sent = [query.parameters["query"] for query in explanation.source.queries]
        assert any('requests_total{code="500"}' in query for query in sent)


async def _ignore(*_: object) -> None:
    pass
