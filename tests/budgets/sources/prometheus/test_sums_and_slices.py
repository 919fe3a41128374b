"""Sums of selectors, bounds of buckets as numbers, and slices of counters, on a real Prometheus."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.source import Answer, Bucket, LateReading, NoSeriesError, SourceError, buckets_of
from bot.budgets.sources.prometheus.bounds import bound_of, spellings
from bot.budgets.sources.prometheus.selectors import with_any_spelling
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.budgets.sources.sent_queries import sent_queries
from bot.catalog.slo import Condition, CounterSli, CounterSlicesSli, LatencySli, Operator, RatioSli, Sli
from bot.catalog.window import Span
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.servers import running_prometheus

LATELY = Span(NOW - HOUR, NOW)
BAD_MINUTES = range(30, 36)
UPGRADED = 40 * 60
"""When Prometheus began to write `le="5.0"` instead of `le="5"`, in seconds since the hour began."""


def scraped(series: str, rates: Sequence[float], first: int = -60, last: int = 3_600) -> Iterator[str]:
    """Return a counter that is scraped every 15 s and rises by `rates[minute]` in each minute."""
    value = 0.0
    for at in range(-60, 3_601, 15):
        if at > -60:
            value += rates[max(0, (at - 1) // 60)] / 4
        if first <= at <= last:
            yield f"{series} {value:g} {(NOW - HOUR).timestamp() + at}"


def service(name: str, http: int, grpc: int) -> Iterator[str]:
    """Return two counters of a service, of whose events a tenth is bad in the bad minutes."""
    errors = [http // 10 if minute in BAD_MINUTES else 0 for minute in range(60)]
    yield from scraped(f'http_total{{service="{name}",code="200"}}', [http - bad for bad in errors])
    yield from scraped(f'http_total{{service="{name}",code="500"}}', errors)
    yield from scraped(f'grpc_total{{service="{name}",status="OK"}}', [grpc] * 60)
    yield from scraped(f'grpc_total{{service="{name}",status="Internal"}}', [4] * 60)


def metrics() -> Iterator[str]:
    both = [*service("shop", 400, 40), *service("cart", 200, 80)]
    only_http = [*scraped('http_total{service="lone",code="200"}', [40] * 60)]
    # A quarter of an hour without requests.
    pause = [0 if 10 <= minute < 25 else 40 for minute in range(60)]
    paused = [*scraped('http_total{service="paused",code="200"}', pause)]
    late = [*scraped('http_total{service="late",code="200"}', [40] * 60, last=3_600 - 300)]
    yield "# TYPE http counter"
    yield from (line for line in [*both, *only_http, *paused, *late] if line.startswith("http"))
    yield "# TYPE grpc counter"
    yield from (line for line in both if line.startswith("grpc"))
    yield "# TYPE latency histogram"
    for bound, rate in (("5", 36), ("10", 40)):
        head = f'latency_bucket{{service="shop",le="{bound}'
        yield from scraped(f'{head}"}}', [rate] * 60, last=UPGRADED)
        yield from scraped(f'{head}.0"}}', [rate] * 60, first=UPGRADED + 15)
    yield from scraped('latency_bucket{service="shop",le="+Inf"}', [40] * 60)
    yield from scraped('latency_count{service="shop"}', [40] * 60)


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[PrometheusSource]:
    async with (
        running_prometheus(tmp_path, openmetrics="\n".join([*metrics(), "# EOF", ""])) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        yield PrometheusSource(prometheus.url, session)


def summed(name: str, *, good: bool = False) -> CounterSli:
    total = f'http_total{{service="{name}"}} + grpc_total{{service="{name}"}}'
    if good:
        fine = f'http_total{{service="{name}",code="200"}} + grpc_total{{service="{name}",status="OK"}}'
        return CounterSli("p", total, good=fine)
    bad = f'http_total{{service="{name}",code=~"5.."}} + grpc_total{{service="{name}",status!="OK"}}'
    return CounterSli("p", total, bad=bad)


def sums(answer: Answer) -> tuple[float, float]:
    assert not isinstance(answer, SourceError), answer
    buckets: Sequence[Bucket] = buckets_of(answer)
    return sum(bucket.bad for bucket in buckets), sum(bucket.total for bucket in buckets)


async def test_addends_are_counted_each_by_itself_and_added_up(source: PrometheusSource) -> None:
    for step in (MINUTE, HOUR):
        for sli in (summed("shop"), summed("shop", good=True)):
            (answer,) = await source.read_together([sli], LATELY, step)
            assert sums(answer) == (6 * 40 + 60 * 4, 60 * (400 + 44))


async def test_sums_of_one_shape_are_asked_for_together(source: PrometheusSource) -> None:
    slis = [summed("shop"), summed("cart")]
    assert source.groups([*slis, summed("shop", good=True)], 100)[0] == [summed("cart"), summed("shop")]
    with sent_queries() as together:
        answers = await source.read_together(slis, LATELY, MINUTE)
    assert [sums(answer) for answer in answers] == [(480, 26_640), (6 * 20 + 240, 60 * (200 + 84))]
    with sent_queries() as apart:
        await source.read_together(slis[:1], LATELY, MINUTE)
    assert all('service=~"cart|shop"' in sent.parameters["query"] for sent in together)
    assert all('service="shop"' in sent.parameters["query"] for sent in apart)


async def test_a_sum_that_lacks_an_addend_is_missing_data(source: PrometheusSource) -> None:
    (answer,) = await source.read_together([summed("lone")], LATELY, MINUTE)
    assert isinstance(answer, NoSeriesError)
    assert str(answer) == 'no series match grpc_total{service="lone"}'


async def test_an_addend_may_have_no_bad_series(source: PrometheusSource) -> None:
    sli = CounterSli(
        "p", 'http_total{service="lone"} + http_total{service="cart"}', bad='http_total{code="1"} + nothing'
    )
    (answer,) = await source.read_together([sli], LATELY, MINUTE)
    assert sums(answer) == (0, 60 * 240)


def within(bound: str) -> CounterSli:
    good = f'latency_bucket{{service="shop",le="{bound}"}}'
    return CounterSli("p", 'latency_count{service="shop"}', good=good)


@pytest.mark.parametrize("bound", ["5", "5.0", "5.00", "5e0"])
async def test_a_bound_is_a_number_on_both_sides_of_an_upgrade(source: PrometheusSource, bound: str) -> None:
    for step in (MINUTE, HOUR):
        (answer,) = await source.read_together([within(bound)], LATELY, step)
        assert sums(answer) == (240, 2_400)


async def test_bounds_of_several_slis_are_joined_as_numbers(source: PrometheusSource) -> None:
    before = Span(LATELY.start, LATELY.start + 30 * MINUTE)
    slis = [within("5.0"), within("10")]
    assert source.groups(slis, 10) == [slis] or source.groups(slis, 10) == [slis[::-1]]
    answers = await source.read_together(slis, before, MINUTE)
    assert [sums(answer) for answer in answers] == [(120, 1_200), (0, 1_200)]
    answers = await source.read_together(slis, Span(NOW - 15 * MINUTE, NOW), MINUTE)
    assert [sums(answer) for answer in answers] == [(60, 600), (0, 600)]
    # Together it is not known which spelling goes on as which: what was counted between two scrapes is lost.
    (five_bad, five), (ten_bad, ten) = map(sums, await source.read_together(slis, LATELY, MINUTE))
    assert (five, ten) == (2_400, 2_400)
    assert 240 <= five_bad <= 249
    assert 0 <= ten_bad <= 10


async def test_a_threshold_is_a_number_too(source: PrometheusSource) -> None:
    sli = LatencySli("p", "latency", "", timedelta(seconds=5))
    bad, total = sums((await source.read_together([sli], LATELY, MINUTE))[0])
    assert (bad, total) == (240, 2_400)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_spelling_of_a_bound_is_the_same_number(number: float) -> None:
    texts = {
        repr(number),
        f"{number:.17g}",
        f"{number:e}" if float(f"{number:e}") == number else repr(number),
    }
    assert {bound_of(text) for text in texts} == {bound_of(repr(number))}
    assert all(float(text) == number for text in spellings(repr(number)))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('x_bucket{le="5"}', r'x_bucket{le=~"5\\.0|5"}'),
        ("sum(rate(x_bucket{a=\"b\", le!='0.5'}[5m]))", r'sum(rate(x_bucket{a="b", le!~"0\\.5"}[5m]))'),
        ('x{le="+Inf"} / y{le=~"5"}', 'x{le="+Inf"} / y{le=~"5"}'),
        ("""x{a="{le='5'}",file="5",le=`5`}""", r"""x{a="{le='5'}",file="5",le=~"5\\.0|5"}"""),
        ("sum by (le) (x) == 5", "sum by (le) (x) == 5"),
    ],
)
def test_a_bound_within_a_query_is_a_number(query: str, expected: str) -> None:
    assert with_any_spelling(query) == expected


@pytest.mark.parametrize("bound", ["5", "5.0"])
async def test_a_query_finds_its_bucket_on_both_sides_of_an_upgrade(
    source: PrometheusSource, bound: str
) -> None:
    good = f'sum(increase(latency_bucket{{service="shop",le="{bound}"}}[$window]))'
    counted = CounterSli("p", "sum(increase(latency_count[$window]))", good=good)
    slow = f'1 - sum(rate(latency_bucket{{le="{bound}"}}[5m])) / sum(rate(latency_count[5m]))'
    for half in (Span(NOW - 55 * MINUTE, NOW - 25 * MINUTE), Span(NOW - 14 * MINUTE, NOW)):
        for sli in (counted, RatioSli("p", slow)):
            (answer,) = await source.read_together([sli], half, MINUTE)
            bad, total = sums(answer)
            assert bad / total == pytest.approx(0.1, rel=0.01)


def slices(of: timedelta, share: str, counters: CounterSli) -> CounterSlicesSli:
    return CounterSlicesSli(counters, of, Condition(Operator.AT_LEAST, Decimal(share)))


HTTP = CounterSli("p", 'http_total{service="shop"}', bad='http_total{service="shop",code="500"}')
PAUSED = CounterSli("p", 'http_total{service="paused"}', good='http_total{service="paused",code="200"}')
FULL = CounterSli(
    "p",
    'sum(last_over_time(http_total{service="shop"}[1h]) '
    '- last_over_time(http_total{service="shop"}[1h] offset $window))',
    good='sum(last_over_time(http_total{service="shop",code="200"}[1h]) '
    '- last_over_time(http_total{service="shop",code="200"}[1h] offset $window))',
)
JUDGED: dict[str, tuple[CounterSlicesSli, tuple[float, float]]] = {
    # A tenth of the requests fails in six minutes.
    "minutes": (slices(MINUTE, "0.99", HTTP), (6, 60)),
    "just good enough": (slices(MINUTE, "0.9", HTTP), (0, 60)),
    # Of ten minutes from the 30th, six are bad: 6 % of the requests.
    "ten minutes": (slices(10 * MINUTE, "0.95", HTTP), (1, 6)),
    "ten lenient minutes": (slices(10 * MINUTE, "0.94", HTTP), (0, 6)),
    "hour": (slices(HOUR, "0.995", HTTP), (1, 1)),
    "nothing happens": (slices(MINUTE, "1", PAUSED), (0, 45)),
    "sum": (slices(MINUTE, "0.95", summed("shop")), (6, 60)),
    "full query": (slices(5 * MINUTE, "0.99", FULL), (2, 12)),
}


async def test_slices_are_events_however_wide_the_buckets_are(source: PrometheusSource) -> None:
    for step in (MINUTE, 5 * MINUTE, HOUR, timedelta(seconds=15)):
        for name, (sli, expected) in JUDGED.items():
            (answer,) = await source.read_together([sli], LATELY, step)
            assert sums(answer) == expected, (name, step)


async def test_slices_adjoin_wherever_a_span_begins(source: PrometheusSource) -> None:
    sli, expected = JUDGED["ten minutes"]
    found = []
    for number in range(0, 60, 3):
        span = Span(LATELY.start + number * MINUTE, LATELY.start + (number + 3) * MINUTE)
        (answer,) = await source.read_together([sli], span, MINUTE)
        found.append(sums(answer))
    assert (sum(bad for bad, _ in found), sum(total for _, total in found)) == expected


async def test_slices_of_one_shape_are_asked_for_together(source: PrometheusSource) -> None:
    names = ("shop", "cart")
    slis: list[Sli] = [slices(MINUTE, share, summed(name)) for share in ("0.95", "0.8") for name in names]
    longer = slices(5 * MINUTE, "0.95", summed("shop"))
    assert sorted(len(group) for group in source.groups([*slis, longer, summed("shop")], 100)) == [1, 1, 4]
    (group,) = source.groups(slis, 100)
    answers = await source.read_together(group, LATELY, MINUTE)
    found = dict(zip(group, map(sums, answers), strict=True))
    assert [found[sli] for sli in slis] == [(6, 60), (6, 60), (0, 60), (0, 60)]


async def test_slices_without_data_are_late_or_missing(source: PrometheusSource) -> None:
    late = CounterSli("p", 'http_total{service="late"}', bad='http_total{service="late",code="500"}')
    (answer,) = await source.read_together([slices(MINUTE, "0.9", late)], LATELY, MINUTE)
    assert isinstance(answer, LateReading)
    assert (answer.newest, sums(answer)) == (NOW - 5 * MINUTE, (0, 55))
    gone = slices(MINUTE, "0.9", CounterSli("p", "nothing_total", bad="none"))
    (missing,) = await source.read_together([gone], LATELY, MINUTE)
    assert isinstance(missing, NoSeriesError)


async def test_sums_and_slices_narrow_to_a_label(source: PrometheusSource) -> None:
    bad = 'http_total{code="500"} + grpc_total{status="Internal"}'
    sli = CounterSli("p", "http_total + grpc_total", bad=bad)
    for one in (sli, slices(MINUTE, "0.95", sli)):
        narrow = source.narrowed(one, "service", "shop")
        (answer,) = await source.read_together([narrow], LATELY, MINUTE)
        assert sums(answer) == ((480, 26_640) if one is sli else (6, 60))
