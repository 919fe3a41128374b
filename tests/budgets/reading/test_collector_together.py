"""Many SLOs are one question; whoever spoils it stands alone, and a slow one keeps nobody waiting."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.budgets.budget import SloState
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import (
    Answer,
    InvalidAnswerError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.catalog.slo import CounterSli, Sli, Slo
from bot.catalog.window import RollingWindow, Span
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.formula_source import CountingSource, assessed, truth
from tests.support.values import prometheus_sli, slo

SLOS = [
    slo(service=f"service-{number}", sli=prometheus_sli(str(number)), window=RollingWindow(HOUR))
    for number in range(8)
]


class PickySource(CountingSource):
    """Refuses to answer for `spoilers` together with others or alone, or for more than `most` at once."""

    def __init__(self) -> None:
        super().__init__()
        self.spoilers: set[Sli] = set()
        self.refusal: Exception = InvalidAnswerError("the answer holds NaN")
        self.most = 1_000
        self.sizes: list[int] = []
        self.gate: asyncio.Event | None = None

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        self.sizes.append(len(slis))
        if self.gate is not None:
            await self.gate.wait()
        if len(slis) > self.most or self.spoilers & set(slis):
            raise self.refusal
        return await super().read_together(slis, span, step)


class SlowHistory(CountingSource):
    """Does not answer for what lies half a day back until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self.history: list[datetime] = []

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        if span.end <= NOW - 12 * HOUR and step != MINUTE:
            self.asked.set()
            await self.answers.wait()
            self.history.append(span.end)
        return await super().read_together(slis, span, step)


@pytest.fixture
def source() -> PickySource:
    return PickySource()


@pytest.fixture
def collector(ledger: Ledger, source: PickySource) -> Collector:
    return Collector(ledger, {"prometheus": source}, retry_wait=timedelta())


async def states(ledger: Ledger, slos: Sequence[Slo]) -> set[SloState]:
    return {(await assessed(ledger, each, NOW)).state for each in slos}


async def test_all_are_counted_with_one_question_a_stretch(
    collector: Collector, ledger: Ledger, source: PickySource
) -> None:
    await collector.collect(SLOS, NOW, MINUTE)
    assert set(source.sizes) == {8}
    for each in SLOS:
        assert (await assessed(ledger, each, NOW)).events == truth(Span(NOW - HOUR, NOW))
    source.sizes.clear()
    await collector.collect(SLOS, NOW + MINUTE, MINUTE)
    assert source.sizes == [8]


@pytest.mark.parametrize(
    "refusal",
    [
        InvalidAnswerError("NaN"),
        SourceRefusedError("no"),
        SourceUnavailableError("status 500"),
        KeyError("an answer that nobody expected"),
    ],
)
async def test_one_that_cannot_be_answered_stands_alone(
    collector: Collector, ledger: Ledger, source: PickySource, refusal: Exception
) -> None:
    spoiler = SLOS[5]
    source.spoilers, source.refusal = {spoiler.sli}, refusal
    await collector.collect(SLOS, NOW, MINUTE)
    others = [each for each in SLOS if each is not spoiler]
    assert await states(ledger, others) == {SloState.OK}
    assert await states(ledger, [spoiler]) <= {SloState.INVALID, SloState.NO_DATA}
    source.sizes.clear()
    await collector.collect(SLOS, NOW + MINUTE, MINUTE)
    assert {size for size in source.sizes if size > 1} == {7}


@pytest.mark.parametrize(
    "refusal", [SourceRefusedError("too many samples"), SourceUnavailableError("timed out")]
)
async def test_a_source_that_cannot_answer_for_so_many_is_asked_for_fewer(
    collector: Collector, ledger: Ledger, source: PickySource, refusal: SourceError
) -> None:
    source.most, source.refusal = 3, refusal
    await collector.collect(SLOS, NOW, MINUTE)
    assert await states(ledger, SLOS) == {SloState.OK}
    source.sizes.clear()
    await collector.collect(SLOS, NOW + MINUTE, MINUTE)
    assert source.sizes == [2, 2, 2, 2]
    source.most = 1_000
    source.sizes.clear()
    await collector.collect(SLOS, NOW + HOUR + 2 * MINUTE, MINUTE)
    assert max(source.sizes) == 8


async def test_a_source_that_is_away_is_not_asked_for_each(
    collector: Collector, ledger: Ledger, source: PickySource
) -> None:
    source.most, source.spoilers = 0, {each.sli for each in SLOS}
    source.refusal = SourceUnavailableError("nobody answers")
    await collector.collect(SLOS, NOW, MINUTE)
    assert await states(ledger, SLOS) == {SloState.NO_DATA}
    assert source.sizes == [8, 8, 8, 1, 1]


async def test_a_slow_source_keeps_no_other_waiting(ledger: Ledger) -> None:
    slow, quick = PickySource(), PickySource()
    slow.gate = asyncio.Event()
    elsewhere = slo(service="slow", sli=CounterSli("slow", "a", bad="b"), window=RollingWindow(HOUR))
    collector = Collector(ledger, {"prometheus": quick, "slow": slow}, at_once=1)
    told: asyncio.Queue[Sequence[Slo]] = asyncio.Queue()
    collecting = asyncio.create_task(
        collector.collect([elsewhere, *SLOS], NOW, MINUTE, collected=told.put_nowait)
    )
    async with asyncio.timeout(60):
        # Once what is new is read, and again with the history.
        assert [set(await told.get()) for _ in range(2)] == [set(SLOS)] * 2
    assert told.empty()
    slow.gate.set()
    await collecting
    assert [told.get_nowait() for _ in range(2)] == [[elsewhere]] * 2


async def test_what_is_new_is_read_while_another_call_reads_the_history(ledger: Ledger) -> None:
    source = SlowHistory()
    collector = Collector(ledger, {"prometheus": source}, retry_wait=timedelta())
    month = [replace(each, window=RollingWindow(30 * DAY)) for each in SLOS]
    first = asyncio.create_task(collector.collect(month, NOW, MINUTE))
    async with asyncio.timeout(60):
        await source.asked.wait()
        await collector.collect(month, NOW + MINUTE, MINUTE)
        await collector.collect(month, NOW + 2 * MINUTE, MINUTE)
    for state in await ledger.states(month):
        assert (state.filled_from, state.filled_to) == (NOW - 12 * HOUR, NOW + 2 * MINUTE)
    for each in month:
        found = await assessed(ledger, each, NOW + 2 * MINUTE)
        problem = "the history is still being read: 12 h 2 min of 30 d so far"
        assert (found.state, found.problem) == (SloState.STALE, problem)
    source.answers.set()
    await first
    assert source.history == sorted(source.history, reverse=True), "the newest day first, and each part once"
    for each in month:
        found = await assessed(ledger, each, NOW + 2 * MINUTE)
        assert found.events == truth(Span(NOW + 2 * MINUTE - 30 * DAY, NOW + 2 * MINUTE))
