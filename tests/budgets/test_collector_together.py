"""Many SLOs are one question; whoever spoils it stands alone, and a slow one keeps nobody waiting."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.budgets.budget import SloState
from bot.budgets.collector import Collector
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.source import (
    Answer,
    InvalidAnswerError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.catalog.slo import CounterSli, Sli, Slo
from bot.catalog.window import RollingWindow, Span
from tests.support.clock import HOUR, MINUTE, NOW
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
        assert set(await told.get()) == set(SLOS)
    assert told.empty()
    slow.gate.set()
    await collecting
    assert told.get_nowait() == (elsewhere,)
