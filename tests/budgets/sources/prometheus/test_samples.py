"""Ratios over time, gauges, and slices by a gauge's mean: samples of a real Prometheus as events."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.budget import SloState
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import (
    Answer,
    Bucket,
    InvalidAnswerError,
    LateReading,
    NoSeriesError,
    SourceError,
    SourceRefusedError,
    buckets_of,
)
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.budgets.sources.sent_queries import sent_queries
from bot.catalog.slo import Condition, GaugeSli, GaugeSlicesSli, Operator, RatioSli, Sli
from bot.catalog.window import RollingWindow, Span
from bot.store.database import Database
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.servers import running_prometheus
from tests.support.values import slo

BEGAN = NOW - 3 * HOUR
LATELY = Span(NOW - HOUR, NOW)
DOWN = Span(NOW - 30 * MINUTE, NOW - 20 * MINUTE)


def series(
    name: str, value: Callable[[datetime], float | str | None], until: datetime = NOW
) -> Iterator[str]:
    at = BEGAN
    while at <= until:
        if (sample := value(at)) is not None:
            yield f"{name} {sample} {at.timestamp()}"
        at += timedelta(seconds=15)


def down(at: datetime) -> bool:
    return DOWN.start < at <= DOWN.end


HISTORY = "\n".join(
    [
        "# TYPE up gauge",
        *series('up{job="api",instance="a"}', lambda at: 0 if down(at) else 1),
        *series('up{job="api",instance="b"}', lambda _: 1),
        *series('up{job="gone"}', lambda _: 1, NOW - 20 * MINUTE),
        *series('up{job="late"}', lambda _: 1, NOW - 4 * MINUTE),
        "# TYPE queue gauge",
        # Within each minute: 0, 10, 20, 30; four times that while down.
        *series("queue", lambda at: (at.second // 15) * 10 * (4 if down(at) else 1)),
        "# TYPE share gauge",
        *series("share", lambda at: "NaN" if at.minute % 2 else 0.25 if down(at) else 0),
        "# TYPE silent gauge",
        *series("silent", lambda _: "NaN"),
        "# TYPE percent gauge",
        *series("percent", lambda at: 25 if down(at) else 0),
        "# TYPE rounded gauge",
        *series("rounded", lambda _: "1.0000000001"),
        "# EOF",
        "",
    ]
)


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[PrometheusSource]:
    async with (
        running_prometheus(tmp_path, openmetrics=HISTORY) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        yield PrometheusSource(prometheus.url, session)


def sums(buckets: Sequence[Bucket]) -> tuple[float, float]:
    return sum(bucket.bad for bucket in buckets), sum(bucket.total for bucket in buckets)


async def answer_of(source: PrometheusSource, sli: Sli, step: timedelta = MINUTE) -> Answer:
    (answer,) = await source.read_together([sli], LATELY, step)
    return answer


def at_most(number: str) -> Condition:
    return Condition(Operator.AT_MOST, Decimal(number))


MEAN_TOO_HIGH = GaugeSlicesSli("prometheus", "queue", MINUTE, at_most("20"))
COUNTED: dict[str, tuple[Sli, tuple[float, float]]] = {
    # Each series is sampled once a minute: ten of sixty minutes of one of two are bad.
    "up": (GaugeSli("prometheus", 'up{job="api"}'), (10, 120)),
    "query": (GaugeSli("prometheus", 'min by (job) (up{job="api"}) # all\n'), (10, 60)),
    "avg": (
        GaugeSli("prometheus", 'avg(up{job="api"})', Condition(Operator.ABOVE, Decimal("0.5"))),
        (10, 60),
    ),
    "not": (GaugeSli("prometheus", "share", Condition(Operator.UNEQUAL, Decimal("0.25"))), (5, 30)),
    # Every second minute is NaN, which is no sample; of five samples a quarter is bad.
    "ratio": (RatioSli("prometheus", "share"), (1.25, 30)),
    "ratio query": (RatioSli("prometheus", '1 - avg(up{job="api"})'), (5, 60)),
    "ratio with window": (
        RatioSli("prometheus", '1 - avg(avg_over_time(up{job="api"}[$window:1m]))'),
        (5, 60),
    ),
    "rounding": (RatioSli("prometheus", "rounded"), (60, 60)),
    "no traffic": (RatioSli("prometheus", "silent"), (0, 0)),
    # The mean is 15, 60 while down.
    "slices": (MEAN_TOO_HIGH, (10, 60)),
    "wide slices": (GaugeSlicesSli("prometheus", "queue", 20 * MINUTE, at_most("15")), (1, 3)),
    "slices of a query": (GaugeSlicesSli("prometheus", "sum(queue)", 5 * MINUTE, at_most("0")), (0, 12)),
    "slices of all series": (
        GaugeSlicesSli("prometheus", 'up{job="api"}', 10 * MINUTE, Condition(Operator.ABOVE, Decimal("0.5"))),
        (1, 6),
    ),
}


async def test_samples_are_events_however_wide_the_buckets_are(source: PrometheusSource) -> None:
    for step in (MINUTE, 5 * MINUTE, HOUR, timedelta(seconds=15)):
        for name, (sli, expected) in COUNTED.items():
            assert sums(await source.read(sli, LATELY, step)) == pytest.approx(expected), (name, step)


async def test_buckets_adjoin_wherever_a_span_begins(source: PrometheusSource) -> None:
    parts = [Span(LATELY.start + n * MINUTE, LATELY.start + (n + 1) * MINUTE) for n in range(60)]
    for name in ("up", "ratio", "slices", "wide slices"):
        sli, expected = COUNTED[name]
        found = [sums(await source.read(sli, part, MINUTE)) for part in parts]
        assert tuple(map(sum, zip(*found, strict=True))) == pytest.approx(expected), name


async def test_samples_of_several_slis_are_read_together(source: PrometheusSource) -> None:
    minutely = [sli for sli, _ in COUNTED.values() if not isinstance(sli, GaugeSlicesSli) or sli.of == MINUTE]
    groups = source.groups([sli for sli, _ in COUNTED.values()], 500)
    assert minutely in groups
    assert [len(group) for group in source.groups(minutely, 4)] == [4, 4, 2]
    with sent_queries() as queries:
        answers = await source.read_together(minutely, LATELY, MINUTE)
    # One question for all; only what has no sample at the end is asked for again.
    assert [sent.endpoint for sent in queries].count("query_range") == 1
    for sli, answer in zip(minutely, answers, strict=True):
        assert not isinstance(answer, SourceError)
        expected = next(counted for other, counted in COUNTED.values() if other == sli)
        assert sums(buckets_of(answer)) == pytest.approx(expected)


async def test_a_ratio_in_percent_is_invalid_and_says_so(source: PrometheusSource) -> None:
    for step in (MINUTE, HOUR):
        with pytest.raises(
            InvalidAnswerError, match=r"outside 0 to 1, at first by 2026-11-23 0.:.. UTC.*percent"
        ):
            await source.read(RatioSli("prometheus", "percent"), LATELY, step)
    negative = await answer_of(source, RatioSli("prometheus", "rounded * -0.5"))
    assert isinstance(negative, InvalidAnswerError)


async def test_samples_that_end_are_late_and_then_missing(source: PrometheusSource) -> None:
    late = await answer_of(source, GaugeSli("prometheus", 'up{job="late"}'))
    assert isinstance(late, LateReading)
    assert late.newest == NOW - 4 * MINUTE
    gone = await answer_of(source, GaugeSli("prometheus", 'up{job="gone"}'))
    assert isinstance(gone, NoSeriesError)
    assert gone.newest == NOW - 20 * MINUTE
    # A gauge holds for five minutes after its last sample.
    assert sums(gone.counted or ()) == (0, 45)
    never = await answer_of(source, GaugeSli("prometheus", "nothing"))
    assert isinstance(never, NoSeriesError)
    assert str(never) == "no series match nothing"
    query = await answer_of(source, RatioSli("prometheus", "sum(nothing) / sum(nothing)"), HOUR)
    assert isinstance(query, NoSeriesError)
    assert "no value for an hour" in str(query)


async def test_a_query_that_is_none_is_refused_in_prometheus_words(source: PrometheusSource) -> None:
    with pytest.raises(SourceRefusedError, match="parse error"):
        await source.read(RatioSli("prometheus", "sum by"), LATELY, MINUTE)


async def test_an_inspection_shows_series_and_the_query(source: PrometheusSource) -> None:
    found = await source.inspect(COUNTED["up"][0], LATELY, MINUTE)
    assert (found.series, found.newest) == (2, NOW)
    assert "count(" in found.queries[0].parameters["query"]
    assert not isinstance(found.answer, SourceError)
    query = await source.inspect(COUNTED["query"][0], LATELY, MINUTE)
    assert (query.series, query.newest) == (None, None)


async def test_samples_narrow_to_a_label(source: PrometheusSource) -> None:
    for name, each, others in (("up", (10, 60), (0, 60)), ("by query", (10, 60), (0, 60))):
        query = 'up{job="api"}' if name == "up" else 'sum by (instance) (up{job="api"})'
        sli = GaugeSli("prometheus", query)
        assert sums(await source.read(source.narrowed(sli, "instance", "a"), LATELY, MINUTE)) == each
        rest = source.narrowed(sli, "instance", "a", others=True)
        assert sums(await source.read(rest, LATELY, MINUTE)) == others


async def test_the_ledger_holds_the_same_events_after_many_evaluations(
    source: PrometheusSource, database: Database
) -> None:
    ledger = Ledger(database)
    kinds = ("up", "query", "ratio", "ratio query", "slices", "wide slices", "slices of a query")
    slos = {
        name: slo(name.replace(" ", "-"), sli=COUNTED[name][0], window=RollingWindow(HOUR)) for name in kinds
    }
    collector = Collector(ledger, {"prometheus": source})
    # With the minutes of a bot that was down for a while, and of evaluations twice a minute.
    for seconds_ago in (3_000, 2_970, 2_940, 2_400, 1_800, 1_740, 1_500, 360, 300, 240, 180, 120, 60, 30, 0):
        await collector.collect(list(slos.values()), NOW - timedelta(seconds=seconds_ago), MINUTE)
    for name, promised in slos.items():
        budget = await assessed(ledger, promised, NOW)
        assert budget.state is SloState.OK, name
        assert budget.events is not None
        assert (budget.events.bad, budget.events.total) == pytest.approx(COUNTED[name][1]), name


async def test_a_ratio_in_percent_makes_its_slo_invalid(source: PrometheusSource, database: Database) -> None:
    ledger, promised = (
        Ledger(database),
        slo(sli=RatioSli("prometheus", "percent"), window=RollingWindow(HOUR)),
    )
    await Collector(ledger, {"prometheus": source}).collect([promised], NOW, MINUTE)
    budget = await assessed(ledger, promised, NOW)
    assert (budget.state, budget.remaining) == (SloState.INVALID, None)
    assert "not percent: percent" in str(budget.problem)
