"""A day of the metrics that usual servers, proxies and exporters have, as Prometheus scrapes them."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

EVERY = timedelta(minutes=5)
LENGTH = timedelta(days=1)

Counters = Mapping[str, float]
"""How much each series rises in five minutes."""


def _seconds(name: str, labels: str, counts: Mapping[str, float]) -> dict[str, float]:
    """Return a histogram's series: its buckets by their bounds, the last of which is all events."""
    separator = "," if labels else ""
    series = {f'{name}_bucket{{{labels}{separator}le="{le}"}}': count for le, count in counts.items()}
    return series | {f"{name}_count{{{labels}}}": list(counts.values())[-1]}


def _times(share: float, counts: Mapping[str, float]) -> dict[str, float]:
    return {le: count * share for le, count in counts.items()}


QUICK = {"0.1": 900, "0.25": 996, "1": 999, "+Inf": 1_000}
SLOW = {"0.1": 10, "0.25": 50, "1": 930, "+Inf": 1_000}
MILLISECONDS = {"100": 900, "250": 996, "1000": 999, "+Inf": 1_000}

HTTP: Counters = {
    'http_requests_total{job="shop",service="checkout",code="200"}': 99_990,
    'http_requests_total{job="shop",service="checkout",code="500"}': 10,
    'http_requests_total{job="shop",service="search",code="200"}': 9_900,
    'http_requests_total{job="shop",service="search",code="503"}': 30,
    **_seconds("http_request_duration_seconds", 'job="shop",service="checkout"', QUICK),
    **_seconds("http_request_duration_seconds", 'job="shop",service="search"', SLOW),
}
FAMILIES: Mapping[str, Counters] = {
    "fastapi": {
        'http_requests_total{job="api",handler="/",status="2xx"}': 1_000,
        'http_requests_total{job="api",handler="/",status="5xx"}': 100,
    },
    "node": {
        **_seconds("http_request_duration_seconds", 'job="node",status_code="200"', _times(10, QUICK)),
        **_seconds("http_request_duration_seconds", 'job="node",status_code="500"', _times(0.001, QUICK)),
    },
    "dotnet": {'http_requests_received_total{job="dotnet",code="200"}': 1_000},
    "spring": {
        'http_server_requests_seconds_count{application="orders",job="k8s",status="200"}': 1_000,
        'http_server_requests_seconds_count{application="orders",job="k8s",status="500"}': 2,
    },
    "otel": {
        **_seconds(
            "http_server_request_duration_seconds",
            'service_name="cart",job="otel",http_response_status_code="200"',
            QUICK,
        ),
        **_seconds(
            "http_server_request_duration_seconds",
            'service_name="cart",job="otel",http_response_status_code="502"',
            _times(0.001, QUICK),
        ),
    },
    "old otel": _seconds(
        "http_server_duration_milliseconds", 'job="legacy",http_status_code="200"', MILLISECONDS
    ),
    "grpc": {
        'grpc_server_handled_total{job="ledger",grpc_service="bank.Ledger",grpc_code="OK"}': 50_000,
        'grpc_server_handled_total{job="ledger",grpc_service="bank.Ledger",grpc_code="NotFound"}': 5_000,
        'grpc_server_handled_total{job="ledger",grpc_service="bank.Ledger",grpc_code="Unavailable"}': 10,
        **_seconds("grpc_server_handling_seconds", 'job="ledger",grpc_service="bank.Ledger"', QUICK),
    },
    "java grpc": {
        'grpc_server_handled_total{job="billing",code="OK"}': 50_000,
        'grpc_server_handled_total{job="billing",code="INTERNAL"}': 10,
        **_seconds("grpc_server_handled_latency_seconds", 'job="billing"', QUICK),
    },
    "rpc": _seconds("rpc_server_duration_milliseconds", 'job="mail",rpc_grpc_status_code="0"', MILLISECONDS)
    | _seconds(
        "rpc_server_duration_milliseconds",
        'job="mail",rpc_grpc_status_code="13"',
        _times(0.003, MILLISECONDS),
    ),
    "istio": {
        'istio_requests_total{job="mesh",reporter="destination",destination_canonical_service="reviews",'
        'destination_service_namespace="books",response_code="200"}': 10_000,
        'istio_requests_total{job="mesh",reporter="destination",destination_canonical_service="reviews",'
        'destination_service_namespace="books",response_code="503"}': 2,
        'istio_requests_total{job="mesh",reporter="source",destination_canonical_service="reviews",'
        'destination_service_namespace="books",response_code="503"}': 5_000,
        'istio_requests_total{job="mesh",reporter="destination",destination_canonical_service="unknown",'
        'destination_service_namespace="books",response_code="200"}': 7,
        **_seconds(
            "istio_request_duration_milliseconds",
            'job="mesh",reporter="destination",destination_canonical_service="reviews",'
            'destination_service_namespace="books"',
            MILLISECONDS,
        ),
    },
    "nginx": {
        'nginx_ingress_controller_requests{ingress="web",exported_namespace="prod",status="200"}': 10_000,
        'nginx_ingress_controller_requests{ingress="web",exported_namespace="test",status="502"}': 10,
    },
    "traefik": {
        'traefik_service_requests_total{job="traefik",code="200",method="GET",service="blog@docker"}': 10_000,
    },
    "envoy": {
        'envoy_cluster_upstream_rq{envoy_cluster_name="backend",envoy_response_code="200"}': 10_000,
        'envoy_cluster_upstream_rq{envoy_cluster_name="backend",envoy_response_code="503"}': 3,
        **_seconds(
            "envoy_cluster_upstream_rq_time", 'job="envoy",envoy_cluster_name="backend"', MILLISECONDS
        ),
    },
}
GAUGES: Mapping[str, float] = {
    'probe_success{job="blackbox",instance="https://shop.example/cart"}': 1,
    'up{job="shop",instance="a:80"}': 1,
    'up{job="batch",instance="b:80"}': 1,
}


def openmetrics(now: datetime, counters: Counters, gauges: Mapping[str, float] | None = None) -> str:
    """Return the day until `now`, in the form that promtool reads."""
    return "\n".join([*_lines(now, counters, gauges or {}), "# EOF", ""])


def _lines(now: datetime, counters: Counters, gauges: Mapping[str, float]) -> Iterator[str]:
    steps = LENGTH // EVERY
    times = [(now - LENGTH + step * EVERY).timestamp() for step in range(steps + 1)]
    for series in sorted({*counters, *gauges}):
        for step, at in enumerate(times):
            value = gauges[series] if series in gauges else counters[series] * step
            yield f"{series} {value} {at:.3f}"
