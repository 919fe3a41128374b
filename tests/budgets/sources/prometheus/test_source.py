"""What the Prometheus source makes of answers and refusals, and of histograms and full queries."""

import asyncio
import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.budgets.source import (
    Bucket,
    InvalidAnswerError,
    NoSeriesError,
    SourceError,
    SourceRefusedError,
    SourceUnavailableError,
)
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import CounterSli, EventsSli, LatencySli, Sli
from bot.catalog.window import Span
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.prometheus_answers import answering, asking, error, matrix
from tests.support.servers import free_port, running_prometheus

SLI = CounterSli("prometheus", "requests_total", bad='requests_total{code="500"}')
HOUR_AGO = Span(NOW - HOUR, NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            400,
            error("1:3: parse error: unexpected character"),
            SourceRefusedError,
            r"parse error.*series selector",
        ),
        (422, error("too many samples"), SourceRefusedError, "too many samples"),
        (401, {}, SourceRefusedError, "credentials were refused"),
        (403, error("no such tenant"), SourceRefusedError, "credentials were refused: no such tenant"),
        (404, "nothing here", SourceRefusedError, "nothing here"),
        (429, error("slow down"), SourceUnavailableError, "too many requests: slow down"),
        (500, error("disk is full"), SourceUnavailableError, "status 500: disk is full"),
        (503, error("query timed out"), SourceUnavailableError, "timed out"),
        (200, {"status": "success"}, InvalidAnswerError, "not in the form"),
        (
            200,
            {"status": "success", "data": {"resultType": "scalar", "result": []}},
            InvalidAnswerError,
            "form",
        ),
        (200, [1, 2], InvalidAnswerError, "not in the form"),
        (200, matrix(("total delta", [(NOW.timestamp(), "NaN")])), InvalidAnswerError, "NaN or infinity"),
        (200, matrix(("total delta", [(NOW.timestamp(), "+Inf")])), InvalidAnswerError, "NaN or infinity"),
        (200, matrix(("total delta", [(NOW.timestamp(), "many")])), InvalidAnswerError, "not in the form"),
        (200, matrix(("total delta", [(NOW.timestamp(), "-3")])), InvalidAnswerError, "negative number"),
        (
            200,
            matrix(("total delta", [(NOW.timestamp(), "90")]), ("other delta", [(NOW.timestamp(), "100")])),
            InvalidAnswerError,
            r"more bad events than events in all \(100 of 90\)",
        ),
    ],
)
async def test_what_goes_wrong_is_told_apart(
    status: int, body: object, kind: type[SourceError], words: str
) -> None:
    async with asking(answering(status, body)) as source:
        with pytest.raises(kind, match=words):
            await source.read(SLI, HOUR_AGO, MINUTE)


@pytest.mark.parametrize("data", [None, "cart", {"result": []}, [1], ["cart", None]])
async def test_values_of_a_label_that_are_no_texts_are_invalid(data: object) -> None:
    async with asking(answering(200, {"status": "success", "data": data})) as source:
        with pytest.raises(InvalidAnswerError, match="not in the form"):
            await source.label_values("service", None, HOUR_AGO)


async def test_the_values_of_a_label_are_asked_for_with_selector_and_time() -> None:
    asked: dict[str, str] = {}

    async def answer(request: web.Request) -> web.Response:
        asked.update(request.query, label=request.match_info["label"])
        return web.json_response({"status": "success", "data": ["cart", "Search API"]})

    async with asking(answer, bearer_token="t") as source:
        assert await source.label_values("service", 'up{a="+&"}', HOUR_AGO) == ["cart", "Search API"]
    start, end = str(int(HOUR_AGO.start.timestamp())), str(int(NOW.timestamp()))
    assert asked == {"label": "service", "match[]": 'up{a="+&"}', "start": start, "end": end}


async def test_a_body_that_is_not_json_is_invalid() -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<html>Sign in</html>")

    async with asking(page) as source:
        with pytest.raises(InvalidAnswerError):
            await source.check()


async def test_a_server_that_hangs_is_given_up() -> None:
    async def hang(_request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with asking(hang, timeout=timedelta(seconds=0.2)) as source:
        with pytest.raises(SourceUnavailableError, match=r"did not answer within 0\.2 s"):
            await source.read(SLI, HOUR_AGO, MINUTE)


async def test_nobody_at_the_address_is_unavailable() -> None:
    async with aiohttp.ClientSession() as session:
        source = PrometheusSource(f"http://127.0.0.1:{free_port()}", session)
        with pytest.raises(SourceUnavailableError, match="cannot be reached"):
            await source.check()


@pytest.mark.parametrize(
    ("settings", "authorization"),
    [
        ({"bearer_token": "secret"}, "Bearer secret"),
        ({"basic_auth": ("me", "secret")}, f"Basic {base64.b64encode(b'me:secret').decode()}"),
        ({}, None),
    ],
)
async def test_requests_carry_credentials_and_headers(
    settings: dict[str, Any], authorization: str | None
) -> None:
    seen: list[web.Request] = []

    async def note(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})

    async with asking(note, headers={"X-Scope-OrgID": "shop"}, **settings) as source:
        await source.check()
    assert seen[0].headers.get("Authorization") == authorization
    assert seen[0].headers["X-Scope-OrgID"] == "shop"


async def test_a_good_counter_a_little_ahead_is_tolerated_and_far_ahead_is_not() -> None:
    sli = CounterSli("prometheus", "requests_total", good="answers_total")
    at = NOW.timestamp()

    async def read(good: int) -> list[Bucket]:
        body = matrix(("total delta", [(at, "1000")]), ("other delta", [(at, str(good))]))
        async with asking(answering(200, body)) as source:
            return list(await source.read(sli, Span(NOW - MINUTE, NOW), MINUTE))

    assert await read(990) == [Bucket(NOW - MINUTE, MINUTE, 10, 1000)]
    assert await read(1_001) == [Bucket(NOW - MINUTE, MINUTE, -1, 1000)]
    with pytest.raises(InvalidAnswerError, match="more good events"):
        await read(1_100)


async def test_long_spans_are_asked_in_parts() -> None:
    points: list[float] = []

    async def note(request: web.Request) -> web.Response:
        form = await request.post()
        start, end, step = (float(str(form[name])) for name in ("start", "end", "step"))
        points.append((end - start) / step + 1)
        return web.json_response(matrix())

    async with asking(note) as source:
        with pytest.raises(NoSeriesError):
            await source.read(SLI, Span(NOW - 20 * 24 * HOUR, NOW), MINUTE)
    assert points[:3] == [10_000, 10_000, 8_800]


async def test_pushed_events_are_not_read() -> None:
    async with asking(answering(200, {})) as source:
        with pytest.raises(SourceRefusedError):
            await source.read(EventsSli(), HOUR_AGO, MINUTE)


def history(boundaries: tuple[str, ...]) -> str:
    """Return an hour of a histogram: a minute has 60 requests, 45 of them below 0.3 s, 54 below 1 s."""
    rates = {"0.1": 30, "0.3": 45, "1": 54, "1.0": 54, "+Inf": 60}
    lines = ["# TYPE latency histogram"]
    times = [(NOW - HOUR).timestamp() + minute * 60 + 5 for minute in range(60)]
    for boundary in (*boundaries, "+Inf"):
        labels = f'{{service="shop",le="{boundary}"}}'
        lines += [f"latency_bucket{labels} {rates[boundary] * n} {at}" for n, at in enumerate(times)]
    lines += [f'latency_count{{service="shop"}} {60 * n} {at}' for n, at in enumerate(times)]
    return "\n".join([*lines, "# EOF", ""])


def latency(threshold_ms: int, match: str = 'service="shop"') -> LatencySli:
    return LatencySli("prometheus", "latency", match, timedelta(milliseconds=threshold_ms))


async def test_histograms_and_full_queries_on_a_real_prometheus(tmp_path: Path) -> None:
    async with (
        running_prometheus(tmp_path, openmetrics=history(("0.1", "0.3", "1"))) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        await source.check()

        async def counted(sli: Sli) -> tuple[float, float]:
            buckets = await source.read(sli, Span(NOW - HOUR / 2, NOW), MINUTE)
            return sum(bucket.bad for bucket in buckets), sum(bucket.total for bucket in buckets)

        assert await counted(latency(300)) == (450, 1_800)
        assert await counted(latency(1_000)) == (180, 1_800)
        assert await counted(latency(300, "")) == (450, 1_800)
        with pytest.raises(
            InvalidAnswerError, match=r"no bucket that ends at 0\.25 s; it has: 0\.1, 0\.3, 1.*Inf"
        ):
            await counted(latency(250))
        with pytest.raises(NoSeriesError, match=r'no series match latency_count{service="other"}'):
            await counted(latency(250, 'service="other"'))

        full = CounterSli(
            "prometheus",
            "sum by (service) (increase(latency_count[$window:1s]))",
            good='sum(increase(latency_bucket{le="0.3"}[$window:1s]))',
        )
        bad, total = await counted(full)
        assert total == pytest.approx(1_800, rel=0.1)
        assert bad == pytest.approx(total / 4, rel=0.01)
        with pytest.raises(NoSeriesError, match="no series match nothing_total"):
            await counted(CounterSli("prometheus", "nothing_total", bad="nothing_at_all"))
        with pytest.raises(NoSeriesError, match="the query has had no value for an hour"):
            await counted(CounterSli("prometheus", "sum(increase(nothing[$window]))", bad="nothing"))
        with pytest.raises(SourceRefusedError, match=r"series selector, or a query with \$window"):
            await counted(CounterSli("prometheus", "sum(latency_count)", bad="nothing"))


async def test_openmetrics_writes_whole_boundaries_with_a_fraction(tmp_path: Path) -> None:
    async with (
        running_prometheus(tmp_path, openmetrics=history(("1.0",))) as prometheus,
        aiohttp.ClientSession() as session,
    ):
        source = PrometheusSource(prometheus.url, session)
        buckets = await source.read(latency(1_000), Span(NOW - HOUR / 2, NOW), MINUTE)
        assert sum(bucket.bad for bucket in buckets) == 180
