"""The metrics of servers by their usual names: what they count, and how they tell failed requests. Pure.

Each family is one library's or proxy's; where its names come from stands beside it.
"""

from dataclasses import dataclass
from enum import StrEnum

_SERVICE_LABELS = (
    *("service", "service_name", "app", "application", "app_kubernetes_io_name", "deployment", "workload"),
    *("component", "job"),
)
"""The labels that usually tell services apart, the best first."""
_SCOPE_LABELS = ("namespace", "deployment_environment", "environment", "env")
"""Labels by which one name stands for several services."""
_STATUS_LABELS = (
    *("code", "status", "status_code", "response_code"),
    *("http_response_status_code", "http_status_code"),
)
_SERVER_ERRORS = "5.."
_GRPC_FAILURES = (
    *("Unknown", "DeadlineExceeded", "Unimplemented", "Internal", "Unavailable", "DataLoss"),
    *("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
)
"""The codes that are the server's fault: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/"""
_GRPC_FAILURE_NUMBERS = ("2", "4", "12", "13", "14", "15")


class Kind(StrEnum):
    """What is counted; a service has one availability and one latency of each kind."""

    HTTP = "http"
    GRPC = "grpc"
    MESH = "mesh"
    INGRESS = "ingress"
    PROXY = "proxy"
    PROBE = "probe"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics that are made together.

    `counter` counts all requests, and one of the labels `status` tells failed ones: those whose value matches
    `failed`. `histogram` is a name without `_bucket`, of `unit_s` seconds. `match` are matchers that go with
    both, `by` the labels that tell services apart, `scope` those by which one name is several services.
    """

    origin: str
    kind: Kind
    counter: str
    status: tuple[str, ...] = _STATUS_LABELS
    failed: str = _SERVER_ERRORS
    histogram: str | None = None
    unit_s: float = 1.0
    match: str = ""
    by: tuple[str, ...] = _SERVICE_LABELS
    scope: tuple[str, ...] = _SCOPE_LABELS

    @property
    def is_gauge(self) -> bool:
        """Whether it is 1 while all is well, else 0, instead of a counter."""
        return self.kind in {Kind.PROBE, Kind.UP}


def _histogram(origin: str, kind: Kind, name: str, **settings: object) -> Family:
    """Return the family of a histogram whose `_count` has the status, too."""
    return Family(origin, kind, f"{name}_count", histogram=name, **settings)  # type: ignore[arg-type]


FAMILIES = (
    Family("client libraries", Kind.HTTP, "http_requests_total"),
    # https://github.com/prometheus-net/prometheus-net
    Family("prometheus-net", Kind.HTTP, "http_requests_received_total"),
    _histogram("client libraries", Kind.HTTP, "http_request_duration_seconds"),
    # https://docs.micrometer.io/micrometer/reference/
    _histogram("Spring", Kind.HTTP, "http_server_requests_seconds"),
    # https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
    _histogram("OpenTelemetry", Kind.HTTP, "http_server_request_duration_seconds"),
    _histogram("OpenTelemetry, before 1.20", Kind.HTTP, "http_server_duration_milliseconds", unit_s=0.001),
    # https://github.com/grpc-ecosystem/go-grpc-middleware, https://github.com/grpc-ecosystem/java-grpc-prometheus
    Family(
        "gRPC interceptors",
        Kind.GRPC,
        "grpc_server_handled_total",
        status=("grpc_code", "code"),
        failed="|".join(_GRPC_FAILURES),
    ),
    Family(
        "gRPC interceptors",
        Kind.GRPC,
        "grpc_server_handling_seconds_count",
        status=(),
        histogram="grpc_server_handling_seconds",
    ),
    Family(
        "gRPC interceptors of Java",
        Kind.GRPC,
        "grpc_server_handled_latency_seconds_count",
        status=(),
        histogram="grpc_server_handled_latency_seconds",
    ),
    # https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/
    _histogram(
        "OpenTelemetry",
        Kind.GRPC,
        "rpc_server_duration_milliseconds",
        status=("rpc_grpc_status_code",),
        failed="|".join(_GRPC_FAILURE_NUMBERS),
        unit_s=0.001,
    ),
    # https://istio.io/latest/docs/reference/config/metrics/
    Family(
        "Istio",
        Kind.MESH,
        "istio_requests_total",
        status=("response_code",),
        match='reporter="destination"',
        by=("destination_canonical_service", "destination_service_name", "destination_workload"),
        scope=("destination_service_namespace", "destination_workload_namespace"),
    ),
    Family(
        "Istio",
        Kind.MESH,
        "istio_request_duration_milliseconds_count",
        status=(),
        histogram="istio_request_duration_milliseconds",
        unit_s=0.001,
        match='reporter="destination"',
        by=("destination_canonical_service", "destination_service_name", "destination_workload"),
        scope=("destination_service_namespace", "destination_workload_namespace"),
    ),
    # https://kubernetes.github.io/ingress-nginx/user-guide/monitoring/
    Family(
        "ingress-nginx",
        Kind.INGRESS,
        "nginx_ingress_controller_requests",
        status=("status",),
        by=("ingress",),
        scope=("exported_namespace", "namespace"),
    ),
    Family(
        "ingress-nginx",
        Kind.INGRESS,
        "nginx_ingress_controller_request_duration_seconds_count",
        status=(),
        histogram="nginx_ingress_controller_request_duration_seconds",
        by=("ingress",),
        scope=("exported_namespace", "namespace"),
    ),
    # https://doc.traefik.io/traefik/observability/metrics/overview/
    Family(
        "Traefik",
        Kind.INGRESS,
        "traefik_service_requests_total",
        status=("code",),
        by=("exported_service", "service"),
        scope=(),
    ),
    Family(
        "Traefik",
        Kind.INGRESS,
        "traefik_service_request_duration_seconds_count",
        status=(),
        histogram="traefik_service_request_duration_seconds",
        by=("exported_service", "service"),
        scope=(),
    ),
    # https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats
    Family(
        "Envoy",
        Kind.PROXY,
        "envoy_cluster_upstream_rq",
        status=("envoy_response_code",),
        by=("envoy_cluster_name",),
        scope=(),
    ),
    Family(
        "Envoy",
        Kind.PROXY,
        "envoy_cluster_upstream_rq_time_count",
        status=(),
        histogram="envoy_cluster_upstream_rq_time",
        unit_s=0.001,
        by=("envoy_cluster_name",),
        scope=(),
    ),
    # https://github.com/prometheus/blackbox_exporter
    Family("blackbox exporter", Kind.PROBE, "probe_success", status=(), by=("target", "instance"), scope=()),
    # Of every target that Prometheus scrapes; for services of which nothing else is known.
    Family("Prometheus itself", Kind.UP, "up", status=(), by=("job",)),
)
"""In this order: of two that count the same kind of request of a service, the first is proposed."""
