"""Imported SLOs on a real Prometheus: the share of bad events that the other tool's own query gives."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.budgets.source import SourceError, buckets_of
from bot.budgets.sources.prometheus.source import PrometheusSource
from bot.catalog.slo import Slo
from bot.catalog.window import Span
from bot.policy.discovery import discover_and_expand
from bot.policy.loader import read
from tests.policy.conftest import WORKSPACE
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.servers import Prometheus, running_prometheus

BEGAN = NOW - 3 * HOUR
HOUR_AGO = Span(NOW - HOUR, NOW)
SECOND = timedelta(seconds=1)
Value = Callable[[float], float]


def series(name: str, value: Value) -> Iterator[str]:
    for at_s in range(0, int((NOW - BEGAN) / SECOND) + 1, 15):
        yield f"{name} {value(at_s)} {(BEGAN + at_s * SECOND).timestamp()}"


def steadily(per_s: float) -> Value:
    return lambda at_s: 1000 + per_s * at_s


HISTORY = "\n".join(
    [
        "# TYPE http_requests counter",
        *series('http_requests_total{job="shop",route="/cart",code="200"}', steadily(10)),
        *series('http_requests_total{job="shop",route="/cart",code="503"}', steadily(0.2)),
        *series('http_requests_total{job="shop",route="/pay",code="200"}', steadily(4)),
        *series('http_requests_total{job="shop",route="/pay",code="429"}', steadily(0.04)),
        "# TYPE rpc counter",
        *series('rpc_total{job="shop"}', steadily(5)),
        "# TYPE rpc_failed counter",
        *series('rpc_failed_total{job="shop"}', steadily(0.1)),
        "# TYPE took_seconds histogram",
        *series('took_seconds_bucket{job="shop",le="0.3"}', steadily(9)),
        *series('took_seconds_bucket{job="shop",le="+Inf"}', steadily(10)),
        *series('took_seconds_count{job="shop"}', steadily(10)),
        "# TYPE probe_success gauge",
        *series('probe_success{job="shop"}', lambda at_s: 0 if at_s // 60 % 10 == 3 else 1),
        "# TYPE satisfaction gauge",
        *series("satisfaction", lambda at_s: 0.8 + 0.1 * (at_s // 60 % 2)),
        "# EOF",
        "",
    ]
)
"""Three hours at a steady rate, so that what Prometheus extrapolates is exact."""

SLOTH = """\
version: prometheus/v1
service: shop
slos:
  - name: events
    objective: 99
    sli:
      events:
        error_query: sum(rate(http_requests_total{job="shop",code=~"(5..|429)"}[{{.window}}])) or vector(0)
        total_query: sum(rate(http_requests_total{job="shop"}[{{.window}}]))
  - name: sum
    objective: 99
    sli:
      events:
        error_query: >-
          sum(rate(http_requests_total{job="shop",code=~"5.."}[{{.window}}]))
          + sum(rate(rpc_failed_total{job="shop"}[{{.window}}]))
        total_query: >-
          sum(rate(http_requests_total{job="shop"}[{{.window}}]))
          + sum(rate(rpc_total{job="shop"}[{{.window}}]))
  - name: slow
    objective: 95
    sli:
      raw:
        error_ratio_query: >-
          1 - sum(rate(took_seconds_bucket{job="shop",le="0.3"}[{{.window}}]))
          / sum(rate(took_seconds_count{job="shop"}[{{.window}}]))
  - name: satisfied
    objective: 80
    sli: {raw: {error_ratio_query: "1 - avg(avg_over_time(satisfaction[{{.window}}]))"}}
---
"""
HEAD = """\
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: NAME, labels: {pyrra.dev/service: pyrra}}
spec:
  target: "99"
  window: 4w
  indicator:
"""
RATIO = """\
    ratio:
      errors: {metric: 'http_requests_total{job="shop",code=~"5.."}'}
      total: {metric: 'http_requests_total{job="shop"}'}
"""
LATENCY = """\
    latency:
      success: {metric: 'took_seconds_bucket{job="shop",le="0.3"}'}
      total: {metric: 'took_seconds_count{job="shop"}'}
"""
GAUGE = "    bool_gauge: {metric: 'probe_success{job=\"shop\"}'}\n"
ROUTES = RATIO.replace('5.."', '5..|429"') + "      grouping: [route]\n"
PYRRA = "---\n".join(
    HEAD.replace("NAME", name) + indicator
    for name, indicator in (("ratio", RATIO), ("latency", LATENCY), ("probe", GAUGE), ("route", ROUTES))
)

HOURS_SHARE = {
    "shop/events": 'sum(rate(http_requests_total{code=~"5..|429"}[1h])) / sum(rate(http_requests_total[1h]))',
    "shop/sum": (
        '(sum(rate(http_requests_total{code=~"5.."}[1h])) + sum(rate(rpc_failed_total[1h])))'
        " / (sum(rate(http_requests_total[1h])) + sum(rate(rpc_total[1h])))"
    ),
    "shop/slow": '1 - sum(rate(took_seconds_bucket{le="0.3"}[1h])) / sum(rate(took_seconds_count[1h]))',
    # Sloth's own arithmetic: the mean of what the query says over five minutes.
    "shop/satisfied": "avg_over_time((1 - avg(avg_over_time(satisfaction[5m])))[1h:1m])",
    "pyrra/ratio": (
        'sum(increase(http_requests_total{code=~"5.."}[1h])) / sum(increase(http_requests_total[1h]))'
    ),
    "pyrra/latency": (
        '1 - sum(increase(took_seconds_bucket{le="0.3"}[1h])) / sum(increase(took_seconds_count[1h]))'
    ),
    # Less than an hour, so that the sample at its beginning is not in it.
    "pyrra/probe": (
        "(sum(count_over_time(probe_success[3599s])) - sum(sum_over_time(probe_success[3599s])))"
        " / sum(count_over_time(probe_success[3599s]))"
    ),
    "pyrra-cart/route": (
        'sum(increase(http_requests_total{route="/cart",code=~"5.."}[1h]))'
        ' / sum(increase(http_requests_total{route="/cart"}[1h]))'
    ),
    "pyrra-pay/route": (
        'sum(increase(http_requests_total{route="/pay",code="429"}[1h]))'
        ' / sum(increase(http_requests_total{route="/pay"}[1h]))'
    ),
}
"""The SLOs that the documents make, and the other tool's formula over an hour."""


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[Prometheus]:
    async with running_prometheus(tmp_path, openmetrics=HISTORY) as running:
        yield running


async def asked(session: aiohttp.ClientSession, url: str, query: str, at: datetime) -> float:
    parameters = {"query": query, "time": str(at.timestamp())}
    async with session.get(f"{url}/api/v1/query", params=parameters) as answer:
        ((_, value),) = [each["value"] for each in (await answer.json())["data"]["result"]]
        return float(value)


async def share_of(source: PrometheusSource, slo: Slo) -> float:
    (answer,) = await source.read_together([slo.sli], HOUR_AGO, MINUTE)
    assert not isinstance(answer, SourceError)
    buckets = buckets_of(answer)
    return sum(bucket.bad for bucket in buckets) / sum(bucket.total for bucket in buckets)


async def test_the_share_of_bad_events_is_that_of_the_other_tool(
    prometheus: Prometheus, tmp_path: Path
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    imports = "  imports: [{folder: ., defaults: [{channel: '#slo'}]}]\n"
    (folder / "workspace.yaml").write_text(WORKSPACE + imports, encoding="utf-8")
    (folder / "slos.yaml").write_text(SLOTH + PYRRA, encoding="utf-8")
    async with aiohttp.ClientSession() as session:
        source = PrometheusSource(prometheus.url, session)
        expanded, problems = await discover_and_expand(
            read(folder, {}), {"prometheus": source}, NOW, within=MINUTE
        )
        assert (expanded.faults, problems) == ((), {})
        slos = {slo.key: slo for slo in expanded.catalog.slos}
        assert slos.keys() == HOURS_SHARE.keys()
        for key, query in HOURS_SHARE.items():
            theirs = await asked(session, prometheus.url, query, NOW)
            assert await share_of(source, slos[key]) == pytest.approx(theirs, rel=1e-3), key
