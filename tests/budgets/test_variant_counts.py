"""What was counted since a change with the flag on and with it off."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pytest

from bot.budgets.budget import EventCounts
from bot.budgets.source import (
    Answer,
    Bucket,
    NoSeriesError,
    SourceUnavailableError,
)
from bot.budgets.statistics.two_samples import GroupCounts
from bot.budgets.variant_counts import NoVariantsError, VariantCounter
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import CounterSli, Sli
from bot.catalog.variants import Variants
from bot.catalog.window import Span
from tests.support.clock import MINUTE, NOW, StoppedClock
from tests.support.formula_source import CountingSource
from tests.support.values import catalog, prometheus_sli, slo

SECOND = timedelta(seconds=1)
FIVE = 5 * MINUTE
VARIANTS = Variants("variant", "off")
SLO = slo(sli=prometheus_sli())


class TwoGroups(CountingSource):
    """Ten requests a minute with the flag on, ninety with it off; `silent` groups have no series."""

    def __init__(self, failing: Mapping[str, float], silent: Sequence[str] = ()) -> None:
        super().__init__()
        self.failing = failing
        self.silent = silent

    def narrowed(self, sli: Sli, label: str, value: str, *, others: bool = False) -> Sli:
        assert isinstance(sli, CounterSli)
        assert label == "variant"
        return CounterSli(sli.source, "on" if others or value == "on" else value, bad="bad")

    async def read_together(self, slis: Sequence[Sli], span: Span, step: timedelta) -> Sequence[Answer]:
        await super().read_together(slis, span, step)
        (sli,) = slis
        assert isinstance(sli, CounterSli)
        if sli.total in self.silent:
            return [NoSeriesError(f"no series match {sli.total}")]
        total = 10.0 if sli.total == "on" else 90.0
        bad = self.failing.get(sli.total, 0.0)
        starts = [span.start + number * step for number in range(span.length // step)]
        return [[Bucket(at, step, bad, total) for at in starts]]


def counter(source: CountingSource, clock: StoppedClock | None = None) -> VariantCounter:
    return VariantCounter({"prometheus": source}, CurrentCatalog(catalog()), clock or StoppedClock())


async def test_events_since_the_change_are_counted_by_variant() -> None:
    source = TwoGroups({"on": 2, "off": 1})
    changed_at = NOW - 20 * MINUTE - SECOND
    counted = await counter(source).count(SLO, VARIANTS, changed_at, FIVE)
    assert (counted.on, counted.off) == (EventCounts(40, 200), EventCounts(20, 1_800))
    assert counted.recent == EventCounts(10, 50)
    assert counted.buckets == (GroupCounts(2, 10, 1, 90),) * 20
    until = await counter(source).count(SLO, VARIANTS, changed_at, FIVE, NOW - 10 * MINUTE)
    assert until.on == EventCounts(20, 100)


async def test_what_may_still_arrive_is_not_compared_yet() -> None:
    source = TwoGroups({"on": 2})
    source.delay = 15 * MINUTE
    await counter(source).count(SLO, VARIANTS, NOW - 20 * MINUTE, FIVE)
    assert {span for span, _ in source.reads} == {Span(NOW - 20 * MINUTE, NOW - 15 * MINUTE)}


async def test_only_what_may_have_changed_is_read_again() -> None:
    source, clock = TwoGroups({"on": 2}), StoppedClock()
    counting = counter(source, clock)
    changed_at = NOW - 60 * MINUTE
    await counting.count(SLO, VARIANTS, changed_at, FIVE)
    source.failing = {"on": 1}
    clock.time += MINUTE
    counted = await counting.count(SLO, VARIANTS, changed_at, FIVE)
    spans = [span for span, _ in source.reads]
    assert spans == [Span(changed_at, NOW)] * 2 + [Span(NOW - FIVE, NOW + MINUTE)] * 2
    # The last five minutes count as they were read the second time.
    assert counted.on == EventCounts(55 * 2 + 6, 610)
    clock.time += timedelta(hours=2)
    await counting.count(SLO, VARIANTS, changed_at, FIVE)
    assert source.reads[-1][0].start == changed_at


async def test_nobody_who_met_the_flag_yet_is_a_count_of_none() -> None:
    counted = await counter(TwoGroups({}, silent=["on"])).count(SLO, VARIANTS, NOW - FIVE, FIVE)
    assert (counted.on, counted.off) == (EventCounts(0, 0), EventCounts(0, 450))


@pytest.mark.parametrize(
    ("source", "changed_at", "why"),
    [
        (TwoGroups({}, ["on", "off"]), NOW - FIVE, "no series with the label `variant` counted anything"),
        (TwoGroups({}, ["off"]), NOW - FIVE, r'no request with the flag off \(`variant="off"`\) was counted'),
        (TwoGroups({}), NOW - SECOND, "nothing was counted since the change"),
    ],
)
async def test_what_cannot_be_compared_is_said(source: TwoGroups, changed_at: datetime, why: str) -> None:
    with pytest.raises(NoVariantsError, match=why):
        await counter(source).count(SLO, VARIANTS, changed_at, FIVE)


async def test_a_source_that_does_not_answer_is_named() -> None:
    source = TwoGroups({})
    source.failure = SourceUnavailableError("no answer within 30 s")
    with pytest.raises(NoVariantsError, match="the source says: no answer within 30 s"):
        await counter(source).count(SLO, VARIANTS, NOW - FIVE, FIVE)


async def test_pushed_events_carry_no_labels() -> None:
    with pytest.raises(NoVariantsError, match="pushed carry no labels"):
        await counter(TwoGroups({})).count(slo(), VARIANTS, NOW - FIVE, FIVE)


async def test_a_treatment_that_is_named_is_the_only_one() -> None:
    source = TwoGroups({"on": 1})
    counted = await counter(source).count(SLO, Variants("variant", "off", "on"), NOW - FIVE, FIVE)
    assert counted.on == EventCounts(5, 50)
