"""The usual metrics of a real Prometheus become SLOs that the bot measures as they were proposed."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bot.budgets.source import InvalidAnswerError, SourceError, SourceRefusedError, SourceUnavailableError
from bot.budgets.sources.prometheus.api import PrometheusApi
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.window import Span
from bot.policy.first_policies.candidate import Candidate
from bot.policy.first_policies.families import FAMILIES as KNOWN
from bot.policy.first_policies.finder import NoCandidatesError, find
from bot.policy.first_policies.folder import write_folder
from bot.policy.first_policies.writing import FolderSettings, documents
from tests.policy.first_policies.usual_metrics import FAMILIES, GAUGES, HTTP, openmetrics
from tests.support.servers import free_port, running_prometheus

NOW = datetime.now(UTC).replace(second=0, microsecond=0)


def api_of(url: str, session: aiohttp.ClientSession) -> PrometheusApi:
    return PrometheusApi(
        url, session, bearer_token=None, basic_auth=None, headers={}, timeout=timedelta(seconds=20)
    )


async def found_at(url: str) -> Sequence[Candidate]:
    async with aiohttp.ClientSession() as session:
        return await find(api_of(url, session), NOW)


async def found_in(
    tmp_path: Path, counters: Mapping[str, float], gauges: Mapping[str, float] | None = None
) -> dict[str, Candidate]:
    async with running_prometheus(tmp_path, openmetrics=openmetrics(NOW, counters, gauges)) as prometheus:
        return {each.key: each for each in await found_at(prometheus.url)}


async def test_services_are_told_apart_and_get_the_objectives_of_their_last_days(tmp_path: Path) -> None:
    found = await found_in(tmp_path, HTTP)
    assert list(found) == [
        "checkout/availability",
        "checkout/latency",
        "search/availability",
        "search/latency",
    ]
    checkout, slow = found["checkout/availability"], found["search/latency"]
    assert checkout.sli == {
        "total": 'http_requests_total{service="checkout"}',
        "bad": 'http_requests_total{service="checkout",code=~"5.."}',
    }
    assert checkout.share == pytest.approx(0.9999)
    # One of 10,000 failed, which is a tenth of what 99.9% allows; of search 0.3%, more than half of 0.5%.
    assert (checkout.objective, found["search/availability"].objective) == (Decimal("99.9"), Decimal(99))
    assert found["checkout/latency"].sli == {
        "histogram": "http_request_duration_seconds",
        "match": 'service="checkout"',
        "threshold": "250ms",
    }
    assert (slow.sli["threshold"], slow.objective) == ("1s", Decimal(90))


EXPECTED = {
    "fastapi": {"api/availability": (Decimal(90), 'status=~"5.."')},
    "node": {
        "node/availability": (Decimal("99.9"), 'status_code=~"5.."'),
        "node/latency": (Decimal(99), "250ms"),
    },
    "dotnet": {"dotnet/availability": (Decimal("99.9"), 'code=~"5.."')},
    "spring": {"orders/availability": (Decimal("99.5"), 'application="orders"')},
    "otel": {
        "cart/availability": (Decimal("99.5"), 'service_name="cart"'),
        "cart/latency": (Decimal(99), "250ms"),
    },
    "old otel": {
        "legacy/availability": (Decimal("99.9"), 'http_status_code=~"5.."'),
        "legacy/latency": (Decimal(99), 'le="250"'),
    },
    "grpc": {
        "ledger/grpc-availability": (Decimal("99.9"), "Unavailable"),
        "ledger/grpc-latency": (Decimal(99), "250ms"),
    },
    "java grpc": {
        "billing/grpc-availability": (Decimal("99.9"), "INTERNAL"),
        "billing/grpc-latency": (Decimal(99), "250ms"),
    },
    "rpc": {
        "mail/grpc-availability": (Decimal(99), 'rpc_grpc_status_code=~"2|4|12|13|14|15"'),
        "mail/grpc-latency": (Decimal(99), 'le="250"'),
    },
    "istio": {
        "reviews/mesh-availability": (Decimal("99.9"), 'reporter="destination"'),
        "reviews/mesh-latency": (Decimal(99), 'le="250"'),
    },
    "nginx": {
        "prod-web/ingress-availability": (Decimal("99.9"), 'exported_namespace="prod",ingress="web"'),
        "test-web/ingress-availability": (Decimal(90), 'exported_namespace="test",ingress="web"'),
    },
    "traefik": {"blog/ingress-availability": (Decimal("99.9"), 'service="blog@docker"')},
    "envoy": {
        "backend/proxy-availability": (Decimal("99.9"), 'envoy_response_code=~"5.."'),
        "backend/proxy-latency": (Decimal(99), 'le="250"'),
    },
}


def test_every_family_has_an_example() -> None:
    names = {series.partition("{")[0] for counters in (HTTP, *FAMILIES.values()) for series in counters}
    names |= {series.partition("{")[0] for series in GAUGES}
    # Those of proxies' histograms are like the others.
    without = {family.counter for family in KNOWN} - names
    assert without == {
        "nginx_ingress_controller_request_duration_seconds_count",
        "traefik_service_request_duration_seconds_count",
    }


@pytest.mark.parametrize("family", EXPECTED)
async def test_each_family_is_found_by_its_names(family: str, tmp_path: Path) -> None:
    found = await found_in(tmp_path, FAMILIES[family])
    assert {key: each.objective for key, each in found.items()} == {
        key: objective for key, (objective, _) in EXPECTED[family].items()
    }
    for key, (_, part) in EXPECTED[family].items():
        assert part in " ".join(found[key].sli.values())


async def test_probes_count_and_targets_do_where_nothing_else_is_known(tmp_path: Path) -> None:
    found = await found_in(tmp_path, HTTP, GAUGES)
    probe = found["shop-example-cart/reachable"]
    assert (probe.objective, probe.share) == (Decimal("99.5"), 1)
    assert probe.sli == {"gauge": 'probe_success{instance="https://shop.example/cart"}'}
    # The job `shop` is that of the services above.
    assert {key for key in found if key.endswith("/scraped")} == {"batch/scraped"}


async def test_what_is_written_is_measured_as_it_was_proposed(tmp_path: Path) -> None:
    counters = {series: rise for family in (HTTP, *FAMILIES.values()) for series, rise in family.items()}
    async with running_prometheus(tmp_path, openmetrics=openmetrics(NOW, counters, GAUGES)) as prometheus:
        found = await found_at(prometheus.url)
        files = documents(found, FolderSettings(prometheus.url, "#releases"))
        catalog, _ = write_folder(tmp_path / "policies", files, {})
        measured = {slo.key: slo for slo in catalog.slos}
        assert set(measured) == {each.key for each in found}
        async with aiohttp.ClientSession() as session:
            source = PrometheusSource(prometheus.url, session)
            span = Span(NOW - timedelta(hours=6), NOW)
            for each in found:
                buckets = await source.read(measured[each.key].sli, span, timedelta(hours=1))
                total = sum(bucket.total for bucket in buckets)
                bad = sum(bucket.bad for bucket in buckets)
                assert total > 0
                assert 1 - bad / total == pytest.approx(each.share, abs=0.002), each.key


async def test_a_server_with_none_of_them_is_said_what_was_looked_for(tmp_path: Path) -> None:
    async with running_prometheus(tmp_path, openmetrics=openmetrics(NOW, {"apples_total": 1})) as prometheus:
        with pytest.raises(
            NoCandidatesError, match=r"it has 1 metrics, and none of these .* grpc_server_handled_total"
        ):
            await found_at(prometheus.url)


async def test_a_service_without_traffic_is_proposed_as_a_guess(tmp_path: Path) -> None:
    found = await found_in(tmp_path, {'http_requests_total{service="quiet",code="200"}': 0})
    (quiet,) = found.values()
    assert (quiet.objective, quiet.share) == (Decimal(99), None)
    assert "guess" in quiet.note


@asynccontextmanager
async def answering(status: int, text: str, *, only: str = "") -> AsyncIterator[str]:
    """Serve one answer to everything, or to the queries that hold `only`."""

    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        if request.path.endswith("/values"):
            return (
                web.json_response({"status": "success", "data": ["http_requests_total"]})
                if only
                else web.Response(status=status, text=text)
            )
        query = str(form.get("query", ""))
        if only and only not in query:
            labels = {"service": "checkout", "code": "200"}
            series = {"metric": labels, "value": [0, "3600"]}
            return web.json_response(
                {"status": "success", "data": {"resultType": "vector", "result": [series]}}
            )
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (200, "<html>Welcome</html>", InvalidAnswerError),
        (404, "404 page not found", SourceRefusedError),
        (401, "Unauthorized", SourceRefusedError),
        (503, "no healthy upstream", SourceUnavailableError),
    ],
)
async def test_a_server_that_is_not_a_prometheus_is_an_error(
    status: int, text: str, error: type[SourceError]
) -> None:
    async with answering(status, text) as url:
        with pytest.raises(error):
            await found_at(url)


async def test_days_that_are_too_much_for_the_server_become_one_day() -> None:
    too_much = (
        '{"status":"error","errorType":"execution","error":"query processing would load too many samples"}'
    )
    async with answering(422, too_much, only="[7d]") as url:
        (found,) = await found_at(url)
    assert found.span == timedelta(days=1)
    # 3,600 requests a day are 108,000 in the window: enough for 99.9%.
    assert found.objective == Decimal("99.9")


async def test_all_of_them_together_are_found_as_each_by_itself(tmp_path: Path) -> None:
    every = {series: rise for family in (HTTP, *FAMILIES.values()) for series, rise in family.items()}
    found = await found_in(tmp_path, every)
    objectives = {key: each.objective for key, each in found.items()}
    alone = {key: objective for family in EXPECTED.values() for key, (objective, _) in family.items()}
    assert objectives == alone | {
        "checkout/availability": Decimal("99.9"),
        "checkout/latency": Decimal(99),
        "search/availability": Decimal(99),
        "search/latency": Decimal(90),
    }
