"""SLIs that differ only in label values are asked together, and counted as if each were asked alone."""

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.source import Bucket, NoSeriesError, SourceError, buckets_of
from bot.budgets.sources.prometheus.selectors import families, is_part_of, join, parse
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import CounterSli, LatencySli, Sli
from bot.catalog.window import Span
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.servers import running_prometheus

STRANGE = ("plain", "a.b", "a|b", "a+b", "(a)", "[a-z]*", "^a$", 'say "a"', "back\\slash", "a b", "a-b", "ä")
BEGINS = (NOW - DAY).timestamp()
STEADY = Span(NOW - 6 * MINUTE, NOW)


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def counter(service: str, route: str = "/") -> CounterSli:
    labels = f"service={quoted(service)},route={quoted(route)}"
    total = f"requests_total{{{labels}}}"
    return CounterSli("prometheus", total, bad=f'requests_total{{{labels},code="500"}}')


def histogram(service: str) -> LatencySli:
    return LatencySli("prometheus", "latency_seconds", f"service={quoted(service)}", timedelta(seconds=0.5))


def scrapes(head: str, chance: random.Random, pod: int, *, steady: bool) -> Iterator[str]:
    """Return a day of one counter; some pods begin in the last hours, some end, some fall silent at times."""
    value, first, last, silent_until = 0, 0, 86_400, 0
    if pod == 1:
        first = chance.randrange(80_000, 86_300)
    elif pod == 2:
        last = chance.randrange(1_000, 86_300)
    for at in range(first, last, 30):
        if not steady and chance.random() < 0.004:
            value = 0
        if not steady and chance.random() < 0.003:
            silent_until = at + chance.randrange(100, 2_400)
        value += chance.randrange(40)
        if steady or (at >= silent_until and not 40_000 < at < 40_000 + pod * 4_000):
            yield f"{head} {value} {BEGINS + at + pod}"


def requests() -> Iterator[str]:
    chance = random.Random(7)  # noqa: S311 - made-up traffic keeps no secrets
    yield "# TYPE requests counter"
    for number, service in enumerate(STRANGE):
        steady = number % 3 == 0
        for route, pod, code in itertools.product(("/", "/pay"), range(1 if steady else 3), ("200", "500")):
            labels = f'service={quoted(service)},route="{route}",code="{code}",pod="{pod}"'
            yield from scrapes(f"requests_total{{{labels}}}", chance, pod, steady=steady)


def latencies(boundaries: Mapping[str, str]) -> Iterator[str]:
    """Return a day of histograms, one of a service, with one boundary each."""
    yield "# TYPE latency_seconds histogram"
    times = range(0, 86_400, 60)
    for service, boundary in boundaries.items():
        for le, rate in ((boundary, 7), ("+Inf", 9)):
            labels = f'service={quoted(service)},le="{le}"'
            yield from (f"latency_seconds_bucket{{{labels}}} {rate * at} {BEGINS + at}" for at in times)
        labels = f"service={quoted(service)}"
        yield from (f"latency_seconds_count{{{labels}}} {9 * at} {BEGINS + at}" for at in times)


def openmetrics(*lines: Iterable[str]) -> str:
    return "\n".join([*itertools.chain(*lines), "# EOF", ""])


def by_start(buckets: Sequence[Bucket]) -> dict[datetime, tuple[float, float]]:
    return {bucket.start: (bucket.bad, bucket.total) for bucket in buckets if bucket.bad or bucket.total}


async def test_together_and_alone_the_counts_are_the_same(tmp_path: Path) -> None:
    services = (*STRANGE, "nobody")
    slis: list[Sli] = [counter(service, route) for service in services for route in ("/", "/pay")]
    slis += [histogram(service) for service in services]
    spans = [(Span(NOW - HOUR, NOW), MINUTE), (Span(NOW - DAY, NOW), HOUR / 12)]
    ends = [NOW - n * HOUR / 3 for n in range(24)]
    spans += [(Span(end - (6 if n % 2 else 2) * MINUTE, end), MINUTE) for n, end in enumerate(ends)]
    samples = openmetrics(requests(), latencies(dict.fromkeys(STRANGE, "0.5")))
    async with (
        running_prometheus(tmp_path, openmetrics=samples) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        groups = source.groups(slis, 250)
        assert sorted(map(len, groups)) == [len(services), 2 * len(services)]
        failing = nobody = 0
        for (span, step), group in itertools.product(spans, groups):
            answers = await source.read_together(group, span, step)
            for sli, answer in zip(group, answers, strict=True):
                if isinstance(answer, SourceError):
                    with pytest.raises(NoSeriesError, match=re.escape(str(answer))):
                        await source.read(sli, span, step)
                    nobody += 1
                    continue
                buckets = buckets_of(answer)
                assert by_start(buckets) == by_start(await source.read(sli, span, step))
                failing += any(bucket.bad for bucket in buckets)
        assert failing > len(spans) * len(STRANGE)
        assert nobody >= len(spans) * 3


async def test_one_without_a_bucket_at_its_threshold_spoils_no_other(tmp_path: Path) -> None:
    samples = openmetrics(latencies({"a": "0.5", "b": "0.7"}))
    async with (
        running_prometheus(tmp_path, openmetrics=samples) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        good, faulty = await source.read_together([histogram("a"), histogram("b")], STEADY, MINUTE)
        assert not isinstance(good, SourceError)
        assert sum(bucket.total for bucket in buckets_of(good)) > 0
        assert isinstance(faulty, SourceError)
        assert "no bucket that ends at 0.5 s" in str(faulty)


@pytest.mark.parametrize("value", STRANGE)
def test_a_joined_selector_matches_these_values_and_no_other(value: str) -> None:
    joint = join((f"x{{a={quoted(value)}}}", 'x{a="other"}'))
    assert joint.by == ("a",)
    assert joint.values == ((value,), ("other",))
    assert parse(joint.text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "sum(x)",
        "x offset 5m",
        'x{a="b"}[5m]',
        '{__name__="x"}',
        'x{a="1",a="2"}',
        r'x{a="\x41"}',
        'x{a="b"',
        "",
    ],
)
def test_what_is_no_plain_selector_is_asked_alone(text: str) -> None:
    assert parse(text) is None


def test_series_are_within_others_only_where_that_is_certain() -> None:
    assert is_part_of('x{code="500",a="1"}', 'x{a="1"}')
    assert not is_part_of('x{a="1"}', 'x{code="500",a="1"}')
    assert not is_part_of('y{a="1"}', 'x{a="1"}')


def test_few_combinations_are_matched_that_nobody_asks_for() -> None:
    grid = [(f'x{{a="{a}",b="{b}"}}',) for a in range(6) for b in range(5)]
    diagonal = [(f'x{{a="{n}",b="{n}"}}',) for n in range(20)]
    assert [len(group) for group in families(grid, 250)] == [30]
    assert {len(group) for group in families(diagonal, 250)} == {1}


@pytest.mark.parametrize(("at_most", "sizes"), [(12, {10: 3}), (7, {5: 6}), (4, {4: 6, 1: 6}), (1, {1: 30})])
def test_a_group_is_divided_into_all_combinations_of_some_values(at_most: int, sizes: dict[int, int]) -> None:
    cells = [(a, b) for a in range(6) for b in range(5)]
    parts = families([(f'x{{a="{a}",b="{b}"}}', f'y{{a="{a}",b="{b}"}}') for a, b in cells], at_most)
    assert sorted(index for part in parts for index in part) == list(range(30))
    assert Counter(len(part) for part in parts) == sizes
    for part in parts:
        rows, columns = ({cells[index][place] for index in part} for place in (0, 1))
        assert len(rows) * len(columns) == len(part)
