"""Documents of Pyrra: what is carried over, what is noted, what is refused and why."""

from pathlib import Path
from typing import Any

import pytest

from bot.policy.formats.reading import NoteKind, Outcome
from tests.policy.formats.foreign_texts import read_one, said

PYRRA = """\
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata:
  name: checkout-errors
  namespace: shop
  labels: {prometheus: k8s, pyrra.dev/team: shop}
  annotations: {governor/channel: "#shop", pyrra.dev/runbook: "https://wiki"}
spec:
  target: '99.5'
  window: 4w
  description: Orders go through.
  indicator:
    ratio:
      errors: {metric: 'http_requests_total{job="checkout",code=~"5.."}'}
      total: {metric: 'http_requests_total{job="checkout"}'}
"""
HEAD = PYRRA.partition("    ratio:\n")[0].replace(', pyrra.dev/runbook: "https://wiki"', "")


def sli(indicator: str, tmp_path: Path) -> Any:
    (slo,) = read_one(tmp_path, HEAD + indicator).slos
    return slo.slo["sli"]["prometheus"]


def test_a_ratio_is_read(tmp_path: Path) -> None:
    reading = read_one(tmp_path, PYRRA)
    (slo,) = reading.slos
    assert slo.service == "checkout-errors"
    assert slo.slo == {
        "name": "checkout-errors",
        "objective": 99.5,
        "window": "28d",
        "sli": {
            "prometheus": {
                "total": 'http_requests_total{job="checkout"}',
                "bad": 'http_requests_total{job="checkout",code=~"5.."}',
            }
        },
    }
    assert slo.description == "Orders go through."
    assert slo.labels == {"namespace": "shop", "prometheus": "k8s", "team": "shop"}
    assert said(reading, NoteKind.OMITTED) == [(7, "`runbook` is an annotation of Pyrra's alerts")]


def test_latency_is_a_histogram_where_its_unit_is_known(tmp_path: Path) -> None:
    latency = """\
    latency:
      success: {metric: 'NAME_bucket{job="checkout",le="0.3"}'}
      total: {metric: 'NAME_count{job="checkout"}'}
"""
    seconds = sli(latency.replace("NAME", "http_request_duration_seconds"), tmp_path)
    assert seconds == {
        "histogram": "http_request_duration_seconds",
        "match": 'job="checkout"',
        "threshold": "300ms",
    }
    assert sli(latency.replace("NAME", "size"), tmp_path) == {
        "total": 'size_count{job="checkout"}',
        "good": 'size_bucket{job="checkout",le="0.3"}',
    }


def test_native_histograms_and_boolean_gauges_are_read(tmp_path: Path) -> None:
    native = "    latencyNative: {latency: 1s500ms, total: {metric: 'duration_seconds{job=\"checkout\"}'}}\n"
    assert sli(native, tmp_path) == {
        "histogram": "duration_seconds",
        "match": 'job="checkout"',
        "threshold": "1500ms",
        "native": True,
    }
    gauge = "    bool_gauge: {metric: 'probe_success{job=\"checkout\"}'}\n"
    assert sli(gauge, tmp_path) == {"gauge": 'probe_success{job="checkout"}', "goodWhen": "== 1"}


def test_grouping_is_one_for_each_value(tmp_path: Path) -> None:
    (slo,) = read_one(tmp_path, f"{PYRRA}      grouping: [route, method]\n").slos
    assert slo.for_each == ("route", "method")


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ("{pyrra.dev/service: shop-checkout, app.kubernetes.io/name: other}", "shop-checkout"),
        ("{app.kubernetes.io/name: checkout}", "checkout"),
        ("{app: checkout}", "checkout-errors"),
    ],
)
def test_the_service_is_named_by_a_label_or_is_the_slo_itself(
    labels: str, service: str, tmp_path: Path
) -> None:
    (slo,) = read_one(tmp_path, PYRRA.replace("{prometheus: k8s, pyrra.dev/team: shop}", labels)).slos
    assert slo.service == service


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ("alerting: {disabled: true}", NoteKind.OMITTED, "Pyrra is told to raise no burn alerts"),
        ("alerting: {burnrates: false}", NoteKind.OMITTED, "Pyrra is told to raise no burn alerts"),
        ("alerting: {burnrates: true}", NoteKind.CHANGED, "burn alerts are those of the ErrorBudgetPolicy"),
        ("alerting: {absent: false}", NoteKind.OMITTED, "Pyrra does not raise an alert when the metric"),
        ("alerting: {name: Burns}", NoteKind.OMITTED, "`name` is of Pyrra's alerts"),
        ("alerting: {severities: {absent: page}}", NoteKind.OMITTED, "`severities` is of Pyrra's alerts"),
        ("performanceOverAccuracy: true", NoteKind.CHANGED, "it says how Pyrra computes"),
        ("partial_response_strategy: warn", NoteKind.CHANGED, "it says how Pyrra computes"),
        ("traget: 5", NoteKind.WARNING, "Pyrra has no key `traget` here"),
    ],
)
def test_what_is_not_carried_over_is_noted_with_its_line(
    spec: str, kind: NoteKind, message: str, tmp_path: Path
) -> None:
    text = PYRRA.replace(', pyrra.dev/runbook: "https://wiki"', "").replace("spec:\n", f"spec:\n  {spec}\n")
    reading = read_one(tmp_path, text)
    ((line, found),) = said(reading, kind)
    assert (line, len(reading.notes)) == (9, 1)
    assert found.startswith(message)


def test_a_window_of_minutes_is_warned_about(tmp_path: Path) -> None:
    reading = read_one(tmp_path, PYRRA.replace("4w", "1m"))
    assert reading.slos[0].slo["window"] == "1m"
    assert said(reading, NoteKind.WARNING) == [
        (10, "the window `1m` is 1m here, not a month; was 30d or 4w meant?")
    ]


def test_a_target_below_1_is_warned_about(tmp_path: Path) -> None:
    reading = read_one(tmp_path, PYRRA.replace("'99.5'", "'0.995'"))
    assert reading.slos[0].slo["objective"] == "0.995%"
    assert [line for line, _ in said(reading, NoteKind.WARNING)] == [9]


def test_a_target_of_100_is_refused_but_not_at_fault(tmp_path: Path) -> None:
    reading = read_one(tmp_path, PYRRA.replace("99.5", "100"))
    assert (reading.outcome, reading.is_unsupported) == (Outcome.REFUSED, True)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("v1alpha1", "v1", 1, "this is not a version of Pyrra's, which is pyrra.dev/v1alpha1"),
        ("kind: ServiceLevelObjective", "kind: SLO", 2, "the kind of Pyrra's documents is"),
        ("'99.5'", "''", 9, "`spec.target` is missing"),
        ("'99.5'", "'many'", 9, "`many` is not a percentage"),
        ("'99.5'", "'999'", 9, "the objective `999` is not between 0 and 100"),
        ("4w", "4", 10, "`4` is not a duration"),
        ("4w", "2y", 10, "the window `2y` is not between 30s and 400d"),
        ("4w", "99999999999y", 10, "is not a duration"),
        ("4w", "999999999y", 10, "is too long"),
        ("ratio:", "ration:", 12, "there must be one of"),
        (
            "    ratio:",
            "    bool_gauge: {metric: up}\n    ratio:",
            13,
            "`bool_gauge` does not go with `ratio`",
        ),
        ("errors:", "bad:", 13, "`spec.indicator.ratio.errors` is missing"),
        ('total{job="checkout"}', 'total{job="checkout"', 13, "is not closed"),
        ("'http_requests_total{job=\"checkout\"}'", "'sum(up)'", 13, "`sum(up)` is not a series selector"),
        ("name: checkout-errors", "title: x", 3, "`metadata.name` is missing"),
    ],
)
def test_what_pyrra_refuses_is_refused_with_its_line(
    old: str, new: str, line: int, message: str, tmp_path: Path
) -> None:
    reading = read_one(tmp_path, PYRRA.replace(old, new))
    assert (reading.outcome, reading.is_unsupported) == (Outcome.REFUSED, False)
    assert message in str(reading.refusal)
    assert reading.document.line_of(reading.refused_at) == line


def test_successes_without_a_bucket_are_refused(tmp_path: Path) -> None:
    latency = "    latency: {success: {metric: a_bucket}, total: {metric: a_count}}\n"
    assert "must be one bucket" in str(read_one(tmp_path, HEAD + latency).refusal)
