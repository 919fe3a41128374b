"""How documents of slo-generator are read: each method of its Prometheus backend, and what is refused."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.formats.reading import ForeignDocument, NoteKind, Outcome
from bot.policy.formats.slo_generator import SloGeneratorReader
from tests.policy.formats.foreign import (
    foreign,
    needs_trial,
    notes,
    read_all,
    read_slo,
    refusal,
    trial_files,
)

READER = SloGeneratorReader({"JOB": "shop"})
SHARED = """
default_exporters: [cloudevent]
backends:
  prometheus: {url: "http://prometheus:9090"}
  datadog: {api_key: "${DATADOG_API_KEY}"}
  splunk: {host: localhost}
exporters:
  cloudevent: {service_url: "http://localhost"}
error_budget_policies:
  default:
    steps:
      - {name: 1 hour, window: 3600, burn_rate_threshold: 9, alert: true, message_alert: Page}
      - {name: 28 days, window: 2419200, burn_rate_threshold: 1, alert: false, message_ok: Ship}
"""


def slo(method: str, indicator: dict[str, Any], **spec: Any) -> str:
    labels = {"service_name": "shop", "feature_name": "cart", "slo_name": "availability"}
    whole = {
        "apiVersion": "sre.google.com/v2",
        "kind": "ServiceLevelObjective",
        "metadata": {"name": "shop-cart-availability", "labels": labels},
        "spec": {
            "description": "Most requests succeed",
            "backend": "prometheus",
            "method": method,
            "exporters": ["cloudevent"],
            "service_level_indicator": indicator,
            "goal": 0.999,
        }
        | spec,
    }
    return yaml.safe_dump(whole)


def sli(text: str) -> Any:
    return read_slo(READER, text)["sli"]["prometheus"]


GOOD = 'requests_total{job="shop",code=~"2.."}'
RATIO = slo("good_bad_ratio", {"filter_good": GOOD, "filter_valid": 'requests_total{job="shop"}'})


def test_a_ratio_of_counters_with_its_shared_configuration() -> None:
    readings = READER.read(foreign(RATIO) + foreign(SHARED), "prometheus")
    assert [reading.outcome for reading in readings] == [Outcome.PARTLY, Outcome.PART]
    (read,) = readings[0].slos
    assert read.service == "shop"
    assert read.slo == {
        "name": "cart-availability",
        "objective": "99.9%",
        "window": "28d",
        "sli": {"prometheus": {"total": 'requests_total{job="shop"}', "good": GOOD}},
    }
    (steps,) = (note.message for note in readings[0].notes if note.kind is NoteKind.OMITTED)
    assert "{severity: page, burn: 9, long: 1h, short: 5m}" in steps
    assert "{severity: ticket, burn: 1, long: 28d, short: 56h}" in steps
    said = [note.message for note in readings[1].notes]
    assert any("sources: {prometheus: {url: http://prometheus:9090}}" in message for message in said)
    assert any("sources: {datadog: {type: datadog, apiKey:" in message for message in said)
    assert any("no source for the backend `splunk`" in message for message in said)


def test_without_its_policy_an_slo_has_no_window() -> None:
    assert "window" not in read_slo(READER, RATIO)
    assert "`default`, which holds the window, is not among" in notes(READER, RATIO, NoteKind.OMITTED)[0]


@pytest.mark.parametrize("ending", ["", "[window]"])
def test_the_placeholder_for_the_window_may_be_left_out(ending: str) -> None:
    indicator = {"filter_good": GOOD + ending, "filter_valid": f"requests_total{ending}"}
    assert sli(slo("good_bad_ratio", indicator)) == {"total": "requests_total", "good": GOOD}


def test_good_and_bad_events_make_all() -> None:
    assert sli(slo("good_bad_ratio", {"filter_good": "good_total", "filter_bad": "bad_total"})) == {
        "total": "good_total + bad_total",
        "bad": "bad_total",
    }


def test_other_operators() -> None:
    indicator = {"filter_good": "good_total", "filter_valid": "all_total"}
    assert sli(slo("good_bad_ratio", indicator | {"operators": ["rate", "sum"]})) == {
        "total": "all_total",
        "good": "good_total",
    }
    averaged = sli(slo("good_bad_ratio", indicator | {"operators": ["avg_over_time", "sum"]}))
    assert averaged == {
        "ratio": "1 - (sum(avg_over_time(good_total[5m]))) / (sum(avg_over_time(all_total[5m])))"
    }


def test_a_query_for_the_share_of_good_events() -> None:
    share = f"sum(rate({GOOD}[window])) / sum(rate(requests_total[window]))"
    assert sli(slo("query_sli", {"expression": share})) == {"total": "requests_total", "good": GOOD}


def test_a_cut_through_a_distribution() -> None:
    cut = {"expression": 'latency_seconds_bucket{job="shop"}', "threshold_bucket": 0.25}
    assert sli(slo("distribution_cut", cut)) == {
        "histogram": "latency_seconds",
        "match": 'job="shop"',
        "threshold": "250ms",
    }
    assert sli(slo("distribution_cut", {"expression": "size_bucket", "threshold_bucket": "1024"})) == {
        "total": "size_count",
        "good": 'size_bucket{le="1024"}',
    }


def datadog(method: str, **indicator: str) -> str:
    return slo(method, indicator, backend="datadog")


def test_counts_of_datadog() -> None:
    counts = datadog("good_bad_ratio", query_good="app.hits{code:2xx}", query_valid="app.hits{path:/}")
    assert read_slo(READER, counts)["sli"] == {
        "datadog": {
            "total": "sum:app.hits{path:/}.as_count()",
            "good": "sum:app.hits{code:2xx}.as_count()",
        }
    }
    both = datadog("good_bad_ratio", query_good="a{*}", query_bad="b{*}")
    assert read_slo(READER, both)["sli"] == {
        "datadog": {"total": "sum:a{*}.as_count() + sum:b{*}.as_count()", "bad": "sum:b{*}.as_count()"}
    }
    quotient = datadog("query_sli", query="sum:a{path:/}.as_count() / sum:b{path:/}.as_count()")
    assert read_slo(READER, quotient)["sli"] == {
        "datadog": {"total": "sum:b{path:/}.as_count()", "good": "sum:a{path:/}.as_count()"}
    }
    assert read_slo(READER, datadog("query_slo", slo_id="4f1c"))["sli"] == {"datadog": {"slo": "4f1c"}}


def test_variables_come_from_the_environment() -> None:
    indicator = {"filter_good": 'good_total{job="${JOB}"}', "filter_valid": "all_total"}
    assert sli(slo("good_bad_ratio", indicator))["good"] == 'good_total{job="shop"}'
    unset = slo("good_bad_ratio", indicator | {"filter_valid": 'all_total{job="${OTHER}"}'})
    assert "environment variable `OTHER` is not set" in refusal(READER, unset)
    own = slo("good_bad_ratio", indicator | {"filter_valid": 'all_total{job="${SLACK_BOT_TOKEN}"}'})
    assert "configures the bot itself" in refusal(READER, own)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (slo("basic", {}, backend="cloud_service_monitoring"), "Google Cloud's own SLOs"),
        (slo("threshold", {}, backend="dynatrace"), "Dynatrace, and Governor has no source"),
        (slo("query_sli", {}, backend="my.own.Backend"), "the backend `my.own.Backend` of your own"),
        (slo("magic", {}), "no method `magic`"),
        (datadog("magic"), "no method `magic`"),
        (datadog("query_sli", query="avg:a{*}"), "not one count divided by another"),
        (datadog("query_sli", query="avg:a{*} / avg:b{*}"), "does not count events"),
        (datadog("good_bad_ratio", query_good="a{*}"), "needs `query_good`, and"),
        (datadog("query_slo", slo_id="a b"), "is not the id of an SLO"),
        (slo("query_sli", {}), "expression` is missing"),
        (slo("good_bad_ratio", {"filter_good": "good_total"}), "needs `filter_valid` or `filter_bad`"),
        (slo("good_bad_ratio", {"filter_bad": "bad_total"}), "filter_good` is missing"),
        (slo("good_bad_ratio", {"filter_good": "a", "operators": "sum"}), "must be a list of functions"),
        (slo("distribution_cut", {"expression": "x_bucket"}), "threshold_bucket` is missing"),
        (
            slo("distribution_cut", {"expression": "x", "threshold_bucket": 1}),
            "not a selector of a histogram",
        ),
        (slo("distribution_cut", {"expression": "x(", "threshold_bucket": 1}), "Prometheus does not read"),
        (
            slo("distribution_cut", {"expression": 'x_bucket{le="1"}', "threshold_bucket": 1}),
            "selects by `le` already",
        ),
        (slo("query_sli", {"expression": "good_ratio"}, goal=99.9), "must be a fraction below 1"),
        ("{service_name: a, feature_name: b, slo_name: c, slo_target: 0.9}", "slo-generator migrate"),
        ("{apiVersion: sre.google.com/v1, kind: ServiceLevelObjective}", "slo-generator migrate"),
        ("{apiVersion: sre.google.com/v2, kind: Other}", "must be ServiceLevelObjective"),
    ],
)
def test_what_is_refused_says_why(text: str, why: str) -> None:
    assert why in refusal(READER, text)


def test_other_documents_are_not_recognized() -> None:
    others: list[dict[str, Any]] = [
        {"apiVersion": "openslo/v1"},
        {"kind": "Config", "backends": {}},
        {"exporters": {}},
        {},
    ]
    for value in others:
        assert not READER.recognizes(value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_whatever_a_document_holds_is_read_or_refused(data: st.DataObject) -> None:
    cut = slo("distribution_cut", {"expression": "latency_seconds_bucket", "threshold_bucket": 0.25})
    values = [yaml.safe_load(text) for text in (RATIO, SHARED, cut)]
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = data.draw(st.sampled_from(values))
        while True:
            key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
                place = place[key]
                continue
            place[key] = data.draw(VALUES)
            break
    documents = [ForeignDocument("any.yaml", 1, value) for value in values if READER.recognizes(value)]
    readings = READER.read(documents, "prometheus")
    assert [reading.document for reading in readings] == documents
    assert all(reading.refusal is None or reading.slos == () for reading in readings)


@needs_trial
@pytest.mark.parametrize("file", trial_files("slo-generator"), ids=lambda file: file.name)
def test_official_documents_are_read_or_refused_for_a_reason(file: Any) -> None:
    for reading in read_all(READER, file.read_text(encoding="utf-8")):
        if reading.outcome is Outcome.REFUSED:
            assert reading.is_unsupported
            assert "and Governor has no source for that" in (reading.refusal or "")
        else:
            has_source = reading.document.value.get("spec", {}).get("backend") == "datadog"
            assert reading.outcome is (Outcome.PARTLY if has_source else Outcome.PART)
