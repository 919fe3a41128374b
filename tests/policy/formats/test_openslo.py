"""How documents of OpenSLO are read: every feature, and what is refused and why."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.documents.objectives import SloSpec
from bot.policy.formats.openslo.reader import OpenSloReader
from bot.policy.formats.reading import ForeignDocument, NoteKind, Outcome
from tests.policy.formats.foreign import needs_trial, notes, read_all, read_slo, refusal, trial_files

READER = OpenSloReader()
SELECTOR = 'http_requests_total{job="shop"}'
GOOD = 'http_requests_total{job="shop",code!~"5.."}'


def source(query: str, **more: str) -> dict[str, Any]:
    return {"metricSource": {"type": "Prometheus", **more, "spec": {"query": query}}}


def ratio(**parts: Any) -> dict[str, Any]:
    return {"ratioMetric": {"counter": True, "good": source(GOOD), "total": source(SELECTOR)} | parts}


LINES = 'sum(count_over_time({app="shop"} |= "status=5" [{{.window}}]))'
ALL_LINES = 'sum(count_over_time({app="shop"}[{{.window}}]))'


def counted(kind: str, total: str, bad: str, **more: Any) -> dict[str, Any]:
    parts = {"total": source(total, type=kind, **more), "bad": source(bad, type=kind, **more)}
    return {"ratioMetric": {"counter": True, **parts}}


def slo(indicator: Any = None, **spec: Any) -> str:
    inline = {"metadata": {"name": "requests"}, "spec": ratio() if indicator is None else indicator}
    usual = {
        "service": "shop",
        "indicator": inline,
        "timeWindow": [{"duration": "28d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.999}],
    }
    whole = {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": "availability"},
        "spec": usual | spec,
    }
    return yaml.safe_dump(whole)


def sli(text: str) -> Any:
    return valid(read_slo(READER, text))["sli"]["prometheus"]


def valid(read: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an SLO that a policy may hold."""
    SloSpec.model_validate({"window": "30d", **read, "name": "x"})
    return read


def test_an_slo_with_a_ratio_of_counters_is_read_whole() -> None:
    (reading,) = read_all(READER, slo())
    assert reading.outcome is Outcome.WHOLE
    assert reading.notes == ()
    assert reading.title == "SLO availability"
    (read,) = reading.slos
    assert read.service == "shop"
    assert read.slo == {
        "name": "availability",
        "objective": "99.9%",
        "window": "28d",
        "sli": {"prometheus": {"total": SELECTOR, "good": GOOD}},
    }


@pytest.mark.parametrize(
    ("query", "read"),
    [
        (SELECTOR, SELECTOR),
        (f"sum({SELECTOR})", SELECTOR),
        (f"sum(rate({SELECTOR}[{{{{.window}}}}]))", SELECTOR),
        (f"sum({SELECTOR}) + sum(other_total)", f"{SELECTOR} + other_total"),
        (f"{SELECTOR} + other_total", f"{SELECTOR} + other_total"),
    ],
)
def test_a_counter_is_read_however_it_is_summed(query: str, read: str) -> None:
    assert sli(slo(ratio(total=source(query))))["total"] == read


def test_bad_events_and_a_histogram() -> None:
    bad = ratio(good=None, bad=source('http_requests_total{job="shop",code=~"5.."}'))
    assert sli(slo(bad)) == {"total": SELECTOR, "bad": 'http_requests_total{job="shop",code=~"5.."}'}
    latency = ratio(
        good=source('request_duration_seconds_bucket{job="shop",le="0.3"}'),
        total=source('request_duration_seconds_count{job="shop"}'),
    )
    assert sli(slo(latency)) == {
        "histogram": "request_duration_seconds",
        "match": 'job="shop"',
        "threshold": "300ms",
    }


def test_good_and_bad_without_total_make_the_total() -> None:
    both = ratio(total=None, good=source("good_total"), bad=source("bad_total"))
    assert sli(slo(both)) == {"total": "good_total + bad_total", "bad": "bad_total"}


def test_a_counter_that_is_not_said_to_be_one_is_told_by_its_name() -> None:
    text = slo(ratio(counter=None))
    assert sli(text) == {"total": SELECTOR, "good": GOOD}
    assert "is one by its name" in notes(READER, text, NoteKind.CHANGED)[0]
    warned = slo(ratio(counter=False))
    assert "is a counter by its name" in notes(READER, warned, NoteKind.WARNING)[0]
    assert "ratio" in sli(warned)


def test_the_labels_by_which_a_query_counts_apart_are_kept() -> None:
    parts = {
        "good": source("sum by (route) (rate(good_total[{{.window}}]))"),
        "total": source("sum by (route) (rate(all_total[{{.window}}]))"),
    }
    (reading,) = read_all(READER, slo(ratio(**parts)))
    assert reading.slos[0].for_each == ("route",)


@pytest.mark.parametrize(
    ("kind", "query"),
    [("success", '1 - (probe_ratio{job="shop"})'), ("failure", 'probe_ratio{job="shop"}')],
)
def test_a_raw_ratio_is_one_over_time(kind: str, query: str) -> None:
    raw = {"ratioMetric": {"rawType": kind, "raw": source('probe_ratio{job="shop"}')}}
    assert sli(slo(raw)) == {"ratio": query}


def test_a_raw_ratio_needs_its_type() -> None:
    raw = {"ratioMetric": {"raw": source("probe_ratio")}}
    assert "must be `success` or `failure`" in refusal(READER, slo(raw))


@pytest.mark.parametrize(("op", "sign"), [("lte", "<="), ("lt", "<"), ("gte", ">="), ("gt", ">")])
def test_a_threshold_metric_is_a_gauge(op: str, sign: str) -> None:
    text = slo(
        {"thresholdMetric": source("queue_length")}, objectives=[{"op": op, "value": 5, "target": 0.9}]
    )
    assert sli(text) == {"gauge": "queue_length", "goodWhen": f"{sign} 5"}


def test_time_slices_are_good_by_their_share_of_good_events() -> None:
    objective = {"target": 0.99, "timeSliceTarget": 0.95, "timeSliceWindow": "5m"}
    text = slo(budgetingMethod="Timeslices", objectives=[objective])
    expected = {"total": SELECTOR, "good": GOOD, "slices": {"of": "5m", "goodWhen": ">= 95%"}}
    assert sli(text) == expected
    bare = slo(budgetingMethod="Timeslices", objectives=[objective | {"timeSliceWindow": 5}])
    assert sli(bare) == expected


def test_time_slices_of_a_histogram_count_its_buckets() -> None:
    latency = ratio(
        good=source('request_duration_seconds_bucket{le="0.25"}'),
        total=source("request_duration_seconds_count"),
    )
    objective = {"target": 0.99, "timeSliceTarget": 0.95, "timeSliceWindow": "1m"}
    assert sli(slo(latency, budgetingMethod="Timeslices", objectives=[objective])) == {
        "total": "request_duration_seconds_count",
        "good": 'request_duration_seconds_bucket{le="0.25"}',
        "slices": {"of": "1m", "goodWhen": ">= 95%"},
    }


def test_time_slices_of_a_gauge_are_good_by_their_share_of_good_moments() -> None:
    objective = {"target": 0.99, "op": "lt", "value": 0.5, "timeSliceTarget": 0.9, "timeSliceWindow": "1m"}
    text = slo(
        {"thresholdMetric": source("saturation")}, budgetingMethod="Timeslices", objectives=[objective]
    )
    assert sli(text) == {"gauge": "(saturation) < bool 0.5", "slices": {"of": "1m", "goodWhen": ">= 0.9"}}
    assert "looked at once a minute" in notes(READER, text, NoteKind.CHANGED)[0]


def test_ratio_time_slices_are_the_mean_of_the_slices_ratios() -> None:
    text = slo(budgetingMethod="RatioTimeslices", objectives=[{"target": 0.99, "timeSliceWindow": "1m"}])
    assert sli(text) == {
        "ratio": f"1 - (sum(increase({GOOD}[1m]))) / (sum(increase({SELECTOR}[1m])))",
    }
    assert notes(READER, text, NoteKind.CHANGED) == []
    longer = slo(budgetingMethod="RatioTimeslices", objectives=[{"target": 0.99, "timeSliceWindow": "5m"}])
    assert "once a minute over the last 5m" in notes(READER, longer, NoteKind.CHANGED)[0]


@pytest.mark.parametrize(
    ("window", "read"),
    [
        ({"duration": "4w", "isRolling": True}, "28d"),
        ({"duration": "12h", "isRolling": True}, "12h"),
        ({"duration": "1M", "isRolling": True}, "30d"),
        ({"duration": "1Q", "isRolling": True}, "90d"),
        (
            {"duration": "1M", "isRolling": False, "calendar": {"startTime": "2022-01-01 00:00:00"}},
            {"calendar": "month"},
        ),
        (
            {"duration": "7d", "calendar": {"startTime": "2022-01-03 00:00:00", "timeZone": "Europe/Berlin"}},
            {"calendar": "week", "timeZone": "Europe/Berlin"},
        ),
        (
            {"duration": "1Q", "calendar": {"startTime": "2022-02-15 12:30:00", "timeZone": "UTC"}},
            {"calendar": "quarter", "start": "2022-02-15T12:30"},
        ),
        (
            {"duration": "1Y", "calendar": {"startTime": "2020-10-01 00:00:00", "timeZone": "UTC"}},
            {"calendar": "year", "start": "2020-10-01T00:00"},
        ),
    ],
)
def test_windows(window: dict[str, Any], read: Any) -> None:
    assert read_slo(READER, slo(timeWindow=[window]))["window"] == read


def test_a_window_that_is_not_named_is_left_to_what_follows() -> None:
    assert "window" not in read_slo(READER, slo(timeWindow=None))


def test_a_window_of_minutes_was_probably_meant_to_be_of_months() -> None:
    rolling = slo(timeWindow=[{"duration": "1m", "isRolling": True}])
    assert read_slo(READER, rolling)["window"] == "1m"
    assert "months as `M`" in notes(READER, rolling, NoteKind.WARNING)[0]
    start = {"startTime": "2022-01-01 00:00:00", "timeZone": "UTC"}
    calendar = slo(timeWindow=[{"duration": "1m", "isRolling": False, "calendar": start}])
    assert read_slo(READER, calendar)["window"] == {"calendar": "month"}
    assert "taken for one of a month" in notes(READER, calendar, NoteKind.WARNING)[0]


@pytest.mark.parametrize(
    ("objective", "read"),
    [
        ({"target": 0.999}, "99.9%"),
        ({"target": "0.99"}, "99%"),
        ({"targetPercent": 99.95}, "99.95%"),
        ({"target": 0.9999999}, "99.99999%"),
        ({"target": 0.29}, "29%"),
    ],
)
def test_objectives_are_exact(objective: dict[str, Any], read: str) -> None:
    assert read_slo(READER, slo(objectives=[objective]))["objective"] == read


def test_each_of_several_objectives_is_an_slo() -> None:
    objectives = [
        {"displayName": "Internal goal", "target": 0.995},
        {"displayName": "SLA", "target": 0.99},
        {"target": 0.9},
    ]
    text = slo(objectives=objectives)
    (reading,) = read_all(READER, text)
    assert [(each.slo["name"], each.slo["objective"]) for each in reading.slos] == [
        ("availability-internal-goal", "99.5%"),
        ("availability-sla", "99%"),
        ("availability-objective-3", "90%"),
    ]
    assert "each objective is an SLO of its own" in notes(READER, text, NoteKind.CHANGED)[0]


SEPARATE = """
apiVersion: openslo/v1
kind: SLO
metadata:
  name: availability
  labels: {team: shop, env: [prod, dev]}
  annotations: {governor/channel: "#shop"}
spec:
  service: shop
  indicatorRef: requests
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
  alertPolicies: [{alertPolicyRef: fast}, {alertPolicyRef: unknown}]
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: requests}
spec:
  ratioMetric:
    counter: true
    bad: {metricSource: {metricSourceRef: eu, spec: {query: 'errors_total'}}}
    total: {metricSource: {metricSourceRef: eu, spec: {query: 'all_total', unit: requests}}}
---
apiVersion: openslo/v1
kind: DataSource
metadata: {name: eu}
spec:
  type: Thanos
  connectionDetails: [{url: "http://thanos:9090/"}, {token: secret}]
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: fast}
spec:
  alertWhenBreaching: true
  alertWhenResolved: true
  conditions: [{conditionRef: burning}]
  notificationTargets: [{targetRef: on-call}]
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: burning}
spec:
  severity: page
  condition: {kind: burnrate, op: gte, threshold: 14.4, lookbackWindow: 1h, alertAfter: 5m}
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: on-call}
spec: {target: pagerduty}
---
apiVersion: openslo/v1
kind: Service
metadata: {name: shop, displayName: The shop, labels: {tier: one}}
spec: {description: Sells things}
"""


def test_objects_in_other_documents_are_found() -> None:
    readings = read_all(READER, SEPARATE)
    assert [reading.outcome for reading in readings] == [Outcome.PARTLY, *[Outcome.PART] * 6]
    (read,) = readings[0].slos
    assert read.slo["sli"] == {"eu": {"total": "all_total", "bad": "errors_total"}}
    assert read.description == "Sells things"
    assert read.labels == {"tier": "one", "team": "shop"}
    assert read.annotations == {"governor/channel": "#shop"}
    said = {reading.title: [note.message for note in reading.notes] for reading in readings}
    alert = "burnAlerts: [{severity: page, burn: 14.4, long: 1h, short: 5m}]"
    assert any(alert in message for message in said["SLO availability"])
    assert any("`unknown` is not among the documents" in message for message in said["SLO availability"])
    assert any("`env` has several values" in message for message in said["SLO availability"])
    assert any("`unit` is not known" in message for message in said["SLI requests"])
    (connection,) = said["DataSource eu"]
    assert "sources: {eu: {url: http://thanos:9090}}" in connection
    assert "secret" not in connection
    assert any("alertWhenResolved" in message for message in said["AlertPolicy fast"])
    assert any("the notification target `on-call`" in message for message in said["AlertPolicy fast"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (slo(indicator={"thresholdMetric": source("x")}), "needs `op` and `value`"),
        (slo(indicator={"description": "none"}), "neither `ratioMetric` nor `thresholdMetric`"),
        (slo(ratio(total=None)), "needs `total`"),
        (slo(ratio(good=None)), "one of `good` and `bad`"),
        (slo(ratio(total={"metricSource": {"type": "AppDynamics", "spec": {"path": "x"}}})), "`AppDynamics`"),
        (slo(ratio(total={"metricSource": {"spec": {"query": "x"}}})), "neither a type of source"),
        (slo(ratio(total={"metricSource": {"type": "Prometheus", "spec": {}}})), "query` is missing"),
        (slo(ratio(total=source("sum((x)"))), "is not closed"),
        (
            slo({"ratioMetric": {"rawType": "success", "raw": source("x", type="Governor")}}),
            "sli` is missing",
        ),
        (slo(counted("CloudWatch", "SELECT SUM(a)", "SELECT SUM(b)")), "read by `namespace`, `metricName`"),
        (slo(counted("Datadog", "avg:a{*}", "avg:b{*}")), "Datadog: `avg:a{*}` does not count events"),
        (slo(counted("Loki", "{app=~'.+'}", LINES)), "does not count the events in $window"),
        (slo({"thresholdMetric": source("x", type="Datadog")}), "of Datadog only occurrences are counted"),
        (slo({"thresholdMetric": source("SELECT 1", type="Redshift")}), "for a source of the type `sql`"),
        (slo(indicator=None, objectives=[{"target": 1.0}]), "objective of 100%"),
        (slo(indicator=None, objectives=[{"target": 99.9}]), "fraction below 1"),
        (slo(indicator=None, objectives=[{"target": "many"}]), "must be a number"),
        (slo(indicator=None, objectives=[{}]), "target` is missing"),
        (slo(indicator=None, objectives=[]), "no objective"),
        (slo(indicator=None, budgetingMethod="Often"), "must be Occurrences, Timeslices"),
        (slo(timeWindow=[{"duration": "Week", "isRolling": True}]), "must be a duration such as"),
        (
            slo(timeWindow=[{"duration": "3w", "calendar": {"startTime": "2022-01-01 00:00:00"}}]),
            "window of 3w",
        ),
        (slo(timeWindow=[{"duration": "2Y", "isRolling": True}]), "Governor's are of 30s to 400d"),
        (slo(timeWindow=[{"duration": "4w", "isRolling": False}]), "needs `calendar`"),
        (slo(timeWindow=[{"duration": "4w"}, {"duration": "1w"}]), "several time windows"),
        (slo(budgetingMethod="Timeslices", objectives=[{"target": 0.9}]), "timeSliceWindow` is missing"),
        (
            slo(
                budgetingMethod="Timeslices",
                objectives=[{"target": 0.9, "timeSliceTarget": 0.9, "timeSliceWindow": "7m"}],
            ),
            "a part of an hour",
        ),
        (
            slo(indicator=None, objectives=[{"target": 0.9, "indicatorRef": "other", "compositeWeight": 2}]),
            "composite SLO",
        ),
        (slo(indicatorRef="nowhere", indicator=None), "`nowhere` is not among the documents"),
        ("{apiVersion: openslo/v3, kind: SLO, metadata: {name: x}, spec: {}}", "version of OpenSLO"),
        ("{apiVersion: openslo/v1, kind: Rocket, metadata: {name: x}, spec: {}}", "not `Rocket`"),
        ("{apiVersion: openslo/v1, kind: SLO, metadata: [], spec: {}}", "must be a mapping"),
        ("{apiVersion: openslo/v1, kind: SLO}", "`spec` is missing"),
    ],
)
def test_what_is_refused_says_why(text: str, why: str) -> None:
    assert why in refusal(READER, text)


ALPHA = """
apiVersion: openslo/v1alpha
kind: SLO
metadata: {name: requests-availability, displayName: Requests}
spec:
  service: shop
  description: Requests that succeed
  budgetingMethod: Occurrences
  objectives:
    - ratioMetrics:
        good: {source: prometheus, queryType: promql, query: 'sum(rate(good_total[{{.window}}]))'}
        total: {source: prometheus, queryType: promql, query: 'sum(rate(all_total[{{.window}}]))'}
      target: 0.999
  timeWindows: [{count: 30, unit: Day}]
"""


def test_the_first_version_is_read_as_sloth_reads_it() -> None:
    assert read_slo(READER, ALPHA) == {
        "name": "requests-availability",
        "objective": "99.9%",
        "window": "30d",
        "sli": {"prometheus": {"total": "all_total", "good": "good_total"}},
    }
    assert notes(READER, ALPHA, NoteKind.WARNING) == []


def test_a_threshold_of_the_first_version() -> None:
    text = """
apiVersion: openslo/v1alpha
kind: SLO
metadata: {name: lag}
spec:
  service: shop
  budgetingMethod: Occurrences
  indicator: {thresholdMetric: {source: prometheus, queryType: promql, query: max(lag)}}
  objectives: [{op: lte, value: 5, target: 0.9}]
  timeWindows: [{count: 1, unit: Month, isRolling: false, calendar: {startTime: 2022-01-01 00:00:00}}]
"""
    assert read_slo(READER, text) == {
        "name": "lag",
        "objective": "90%",
        "window": {"calendar": "month"},
        "sli": {"prometheus": {"gauge": "max(lag)", "goodWhen": "<= 5"}},
    }
    assert notes(READER, text, NoteKind.WARNING) == []


def test_a_source_within_a_metric_of_the_next_version() -> None:
    metric = {
        "dataSourceSpec": {"type": "Prometheus", "connectionDetails": {"accessToken": "secret"}},
        "spec": {"query": "max(lag)"},
    }
    text = slo({"thresholdMetric": metric}, objectives=[{"op": "lt", "value": 1.5, "target": 0.9}])
    text = text.replace("openslo/v1", "openslo.com/v2alpha")
    assert read_slo(READER, text)["sli"] == {"prometheus": {"gauge": "max(lag)", "goodWhen": "< 1.5"}}
    (message,) = notes(READER, text, NoteKind.OMITTED)
    assert message == "how it is reached stands in the Workspace, under `sources`"


def test_a_mixture_of_versions_is_told() -> None:
    mixed = ALPHA.replace("v1alpha", "v1")
    assert read_slo(READER, mixed) == read_slo(READER, ALPHA)
    warnings = notes(READER, mixed, NoteKind.WARNING)
    assert any("`ratioMetrics` is written as in openslo/v1alpha" in each for each in warnings)
    assert any("`timeWindows` is written as in openslo/v1alpha" in each for each in warnings)
    other = slo().replace("openslo/v1", "openslo/v1alpha")
    assert read_slo(READER, other) == read_slo(READER, slo())
    assert any("openslo/v1, and the document says" in each for each in notes(READER, other, NoteKind.WARNING))


SECOND = """
apiVersion: openslo.com/v2alpha
kind: SLO
metadata: {name: availability}
spec:
  serviceRef: shop
  sli:
    metadata: {name: requests}
    spec:
      ratioMetric:
        counter: true
        good: {dataSourceRef: eu, spec: {query: 'sum(good_total)'}}
        total: {dataSourceRef: eu, spec: {query: 'sum(all_total)'}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
"""


def test_the_next_version_is_read_too() -> None:
    assert read_slo(READER, SECOND)["sli"] == {"eu": {"total": "all_total", "good": "good_total"}}
    assert "the query is Prometheus'" in notes(READER, SECOND, NoteKind.CHANGED)[0]


def test_what_the_operator_osko_writes_is_read() -> None:
    text = slo(objectives=[{"target": "0.99"}]).replace("openslo/v1", "openslo.com/v1")
    assert read_slo(READER, text)["objective"] == "99%"


def test_lines_of_loki_and_counts_of_datadog() -> None:
    assert read_slo(READER, slo(counted("Loki", ALL_LINES, LINES)))["sli"] == {
        "loki": {
            "total": 'sum(count_over_time({app="shop"}[$window]))',
            "bad": 'sum(count_over_time({app="shop"} |= "status=5" [$window]))',
        }
    }
    hits, errors = "sum:web.hits{*}.as_count()", "sum:web.hits{code:500}.as_count()"
    datadog = slo(counted("Datadog", hits, errors, metricSourceRef="My_Datadog"))
    assert read_slo(READER, datadog)["sli"] == {"my-datadog": {"total": hits, "bad": errors}}


def test_metrics_of_cloudwatch() -> None:
    def metric(name: str, **more: Any) -> dict[str, Any]:
        spec = {"namespace": "AWS/ApplicationELB", "metricName": name, **more}
        return {"metricSource": {"metricSourceRef": "aws", "type": "CloudWatch", "spec": spec}}

    total = metric("RequestCount", dimensions=[{"name": "LoadBalancer", "value": "app/shop/1"}])
    bad = metric("HTTPCode_Target_5XX_Count", stat="Sum", dimensions={"LoadBalancer": "app/shop/1"})
    assert read_slo(READER, slo({"ratioMetric": {"counter": False, "total": total, "bad": bad}}))["sli"] == {
        "aws": {
            "metrics": {
                "bad": {
                    "namespace": "AWS/ApplicationELB",
                    "metric": "HTTPCode_Target_5XX_Count",
                    "dimensions": {"LoadBalancer": "app/shop/1"},
                    "stat": "Sum",
                },
                "total": {
                    "namespace": "AWS/ApplicationELB",
                    "metric": "RequestCount",
                    "dimensions": {"LoadBalancer": "app/shop/1"},
                },
            },
            "bad": "bad",
            "total": "total",
        }
    }


def test_fields_that_nobody_knows_are_noted() -> None:
    text = slo(colour="blue")
    (message,) = notes(READER, text, NoteKind.OMITTED)
    assert message == "`spec.colour` is not a field that Governor knows of OpenSLO"


def test_other_documents_are_not_recognized() -> None:
    for version in ("governor/v1", "sloth.slok.dev/v1", None, 3):
        assert not READER.recognizes({"apiVersion": version, "kind": "SLO"})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged(draw: st.DrawFn) -> list[ForeignDocument]:
    """Return the documents of a set with a few of their values replaced by any others."""
    values = list(yaml.safe_load_all(SEPARATE)) + [yaml.safe_load(text) for text in (ALPHA, SECOND, slo())]
    for _ in range(draw(st.integers(1, 3))):
        place: Any = draw(st.sampled_from(values))
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            place[key] = draw(VALUES)
            break
    return [ForeignDocument("any.yaml", 1, value) for value in values]


@given(damaged())
def test_whatever_a_document_holds_is_read_or_refused(documents: list[ForeignDocument]) -> None:
    known = [document for document in documents if READER.recognizes(document.value)]
    readings = READER.read(known, "prometheus")
    assert [reading.document for reading in readings] == known
    for reading in readings:
        assert reading.refusal is None or (reading.slos == () and not reading.refusal.endswith("."))
        for each in reading.slos:
            valid(each.slo)


@needs_trial
@pytest.mark.parametrize("file", trial_files("openslo"), ids=lambda file: file.name)
def test_official_documents_are_read_or_refused_for_a_reason(file: Any) -> None:
    for reading in read_all(READER, file.read_text(encoding="utf-8")):
        for each in reading.slos:
            valid(each.slo)
        if reading.refusal is not None:
            assert (
                reading.is_unsupported
                or "among the documents" in reading.refusal
                or "needs" in reading.refusal
            )


@pytest.mark.parametrize(
    "parts",
    [
        {"good": source(GOOD, metricSourceRef="eu")},
        {"good": source(GOOD, metricSourceRef="eu"), "total": source(SELECTOR, metricSourceRef="us")},
        {"total": source(ALL_LINES, type="Loki")},
    ],
)
def test_queries_of_different_sources_are_refused(parts: dict[str, Any]) -> None:
    assert refusal(READER, slo(ratio(**parts))) == "its queries are asked of different sources"
