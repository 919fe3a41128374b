"""Measuring on trial: each SLO that cannot be measured is named, and a silent source once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from bot.budgets.measurement import Measurement, measure
from bot.budgets.source import Answer, NoSeriesError, SourceUnavailableError
from bot.catalog.slo import CounterSli, DowntimeSli, Sli
from bot.catalog.window import Span
from tests.support.clock import MINUTE, NOW
from tests.support.formula_source import CountingSource
from tests.support.values import prometheus_sli, slo

SOON = timedelta(seconds=0.2)
A, B, C = (slo(name, sli=prometheus_sli(name)) for name in "abc")
ELSEWHERE = slo("d", sli=CounterSli("thanos", "x_total", bad="y_total"))


class PartlyEmptySource(CountingSource):
    """Has no series of the SLO `b`."""

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        answers = await super().read_together(slis, span, step)
        return [
            NoSeriesError("no series") if sli == B.sli else answer
            for sli, answer in zip(slis, answers, strict=True)
        ]


class HangingSource(CountingSource):
    """Never answers."""

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        await asyncio.Event().wait()
        return await super().read_together(slis, span, step)


async def test_slos_that_cannot_be_measured_are_named_and_pushed_ones_are_not_asked_for() -> None:
    source = PartlyEmptySource()
    slos = [A, B, C, slo("pushed"), slo("downtime", sli=DowntimeSli()), ELSEWHERE]
    found = await measure(slos, {"prometheus": source}, NOW + timedelta(seconds=7), within=SOON)
    problems = {"checkout/b": "no series", "checkout/d": "there is no source named thanos"}
    assert found == Measurement(2, problems, {})
    # The minute under way is read as well.
    assert source.reads == [(Span(NOW - 9 * MINUTE, NOW + MINUTE), MINUTE)]


async def test_a_source_with_a_delay_is_asked_about_what_it_knows() -> None:
    source = CountingSource()
    source.delay = 15 * MINUTE
    await measure([A], {"prometheus": source}, NOW, within=SOON)
    assert source.reads == [(Span(NOW - 25 * MINUTE, NOW - 15 * MINUTE), MINUTE)]


async def test_a_source_that_does_not_answer_hides_no_other() -> None:
    down = CountingSource()
    down.failure = SourceUnavailableError("nobody answers")
    sources = {"prometheus": HangingSource(), "thanos": down}
    found = await measure([A, B, ELSEWHERE], sources, NOW, within=SOON)
    assert found == Measurement(0, {}, {"prometheus": "no answer within 0.2 s", "thanos": "nobody answers"})
