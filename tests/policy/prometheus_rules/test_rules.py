"""The rules of policies: what they cover, how they are labelled, and what Prometheus says to them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog.catalog import Catalog
from bot.catalog.error_budget_policy import ErrorBudgetPolicy, OnMissingData
from bot.catalog.slo import (
    Condition,
    CounterSli,
    CounterSlicesSli,
    DowntimeSli,
    EventsSli,
    LatencySli,
    NativeHistogramSli,
    Operator,
    Sli,
)
from bot.catalog.source_slis import PluginSli
from bot.catalog.sources import PrometheusSettings
from bot.catalog.teams import Teams
from bot.catalog.window import CalendarUnit, CalendarWindow
from bot.policy.loader import load
from bot.policy.prometheus_rules.files import rule_file
from bot.policy.prometheus_rules.rules import WithoutRules, export
from tests.policy.prometheus_rules.scenario import promtool
from tests.support import values
from tests.support.paths import ROOT
from tests.support.values import QUIET, STANDARD

FREEZING = replace(STANDARD, on_missing_data=OnMissingData.FREEZE)
LATENCY = LatencySli(
    "prometheus", "http_request_duration_seconds", 'service="checkout"', timedelta(seconds=0.3)
)
QUERY = CounterSli(
    "prometheus", "sum(increase(jobs_total[$window]))", good="sum(increase(done_total[$window]))"
)


def catalog_of(sli: Sli, policy: ErrorBudgetPolicy = STANDARD, **changes: Any) -> Catalog:
    return values.catalog(values.service(slos=(values.slo(sli=sli, **changes),), policy=policy))


def written(catalog: Catalog, folder: Path, left_out: tuple[WithoutRules, ...] = ()) -> Mapping[str, Path]:
    exported = export(catalog, left_out)
    files = {}
    for source, groups in exported.groups.items():
        files[source] = folder / f"{source}.yaml"
        files[source].write_text(rule_file("acme", source, groups, exported.left_out_of(source)))
    return files


def rules_of(catalog: Catalog, source: str = "prometheus") -> list[Mapping[str, Any]]:
    return [rule for group in export(catalog).groups[source] for rule in group["rules"]]


def alerts_of(catalog: Catalog) -> list[Mapping[str, Any]]:
    return [rule for rule in rules_of(catalog) if "alert" in rule]


def test_prometheus_takes_the_rules_of_the_example_shop_without_a_word(tmp_path: Path) -> None:
    (file,) = written(load(ROOT / "policies"), tmp_path).values()
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", file) == ""
    names = {group["name"] for group in yaml.safe_load(file.read_text())["groups"]}
    assert {"checkout/availability", "checkout/latency", "search/freshness", "search/availability"} <= names
    text = file.read_text()
    assert "# - checkout/orders: its events are pushed to the bot" in text
    assert "# - checkout/uptime: it counts the minutes of recorded incidents" in text


def test_sums_and_native_histograms_have_rules_too(tmp_path: Path) -> None:
    both = CounterSli("prometheus", 'a_total{s="x"} + b_total', bad='a_total{s="x",code="500"} + c_total')
    native = NativeHistogramSli("prometheus", "latency", 's="x"', timedelta(milliseconds=300))
    for name, sli in (("sum", both), ("native", native)):
        catalog = catalog_of(sli)
        folder = tmp_path / name
        folder.mkdir()
        (file,) = written(catalog, folder).values()
        assert promtool("check", "rules", file) == ""
    assert "increase(a_total + b_total" not in str(rules_of(catalog_of(both)))


def test_the_same_policies_give_the_same_file() -> None:
    texts = [
        [
            rule_file("acme", source, groups, ())
            for source, groups in export(load(ROOT / "policies")).groups.items()
        ]
        for _ in range(2)
    ]
    assert texts[0] == texts[1]


def test_an_alert_says_for_whom_and_how_urgent_it_is() -> None:
    fast, _, slow = alerts_of(catalog_of(values.prometheus_sli()))
    assert fast["alert"] == "ErrorBudgetBurn"
    assert fast["labels"] == {
        "service": "checkout",
        "slo": "availability",
        "severity": "page",
        "burn": "14.4",
        "long": "1h",
        "team": "@sre",
        "channel": "#checkout",
    }
    assert slow["labels"]["severity"] == "ticket"
    assert "ratio_rate1h" in fast["expr"]
    assert ">= 0.0144" in fast["expr"]
    assert fast["annotations"]["summary"] == (
        "checkout: the availability budget burns at least 14.4 times as fast as it may"
    )
    assert (
        "99.9% must be good over 30d. At that rate a whole budget is spent in 2 d 2 h."
        in (fast["annotations"]["description"])
    )
    assert "error_budget_remaining:ratio" in fast["annotations"]["budget_left"]


def test_without_a_reliability_team_the_developers_are_named_and_without_any_nobody() -> None:
    def team(teams: Teams) -> str | None:
        service = values.service(
            slos=(values.slo(sli=values.prometheus_sli()),), policy=STANDARD, teams=teams, channel="T012/#pay"
        )
        labels: Mapping[str, str] = alerts_of(values.catalog(service))[0]["labels"]
        assert labels["channel"] == "#pay"
        return labels.get("team")

    assert team(Teams(("@devs", "U1"), ())) == "@devs,U1"
    assert team(Teams()) is None


def test_a_calendar_window_has_burn_alerts_and_no_sum_of_its_budget(tmp_path: Path) -> None:
    window = CalendarWindow(CalendarUnit.MONTH, "Europe/London")
    catalog = catalog_of(values.prometheus_sli(), window=window)
    alerts = alerts_of(catalog)
    assert len(alerts) == 3
    assert "budget_left" not in alerts[0]["annotations"]
    assert "the month (Europe/London)" in alerts[0]["annotations"]["description"]
    assert not [rule for rule in rules_of(catalog) if "remaining" in rule.get("record", "")]
    (file,) = written(catalog, tmp_path).values()
    assert promtool("check", "rules", file) == ""


COUNTERS = CounterSli("prometheus", "requests_total", bad="failed_total")
AT_LEAST_99 = Condition(Operator.AT_LEAST, Decimal("0.99"))
METRICSQL = CounterSli(
    "prometheus", "sum(increase(requests_total[$window]))", bad="union(failed_total, lost_total)[$window]"
)
LONG_SLICES = CounterSlicesSli(COUNTERS, timedelta(minutes=10), AT_LEAST_99)


@pytest.mark.parametrize("sli", [EventsSli(), DowntimeSli(), PluginSli("lake", "{}"), LONG_SLICES, METRICSQL])
def test_what_no_prometheus_measures_is_left_out_with_the_reason(sli: Sli) -> None:
    exported = export(catalog_of(sli))
    assert not exported.groups
    assert [(each.name, bool(each.reason)) for each in exported.left_out] == [("checkout/availability", True)]


def test_a_policy_without_burn_alerts_has_no_rules_unless_missing_data_matters() -> None:
    (left_out,) = export(catalog_of(values.prometheus_sli(), QUIET)).left_out
    assert left_out == WithoutRules(
        "checkout/availability", "its policy quiet has no `burnAlerts`", "prometheus"
    )
    freezing = catalog_of(values.prometheus_sli(), replace(QUIET, on_missing_data=OnMissingData.FREEZE))
    assert [rule["alert"] for rule in rules_of(freezing)] == ["SloNotMeasured"]


def test_each_source_has_its_own_rules_and_names_what_it_lacks(tmp_path: Path) -> None:
    here, there = values.prometheus_sli("here"), replace(values.prometheus_sli("there"), source="mimir")
    catalog = values.catalog(
        values.service("here", slos=(values.slo(service="here", sli=here),), policy=STANDARD),
        values.service("there", slos=(values.slo(service="there", sli=there),), policy=STANDARD),
        values.service("quiet", slos=(values.slo(service="quiet", sli=there),), policy=QUIET),
    )
    files = written(catalog, tmp_path)
    assert set(files) == {"prometheus", "mimir"}
    texts = {source: file.read_text() for source, file in files.items()}
    assert "there" not in texts["prometheus"]
    assert ("quiet/availability" in texts["mimir"], "quiet/availability" in texts["prometheus"]) == (
        True,
        False,
    )


SERIES: Mapping[str, tuple[Sli, list[str]]] = {
    "bad": (values.prometheus_sli(), ['http_requests_total{service="checkout",code="200"}']),
    "query": (QUERY, ["jobs_total", "done_total"]),
    "histogram": (
        LATENCY,
        [
            'http_request_duration_seconds_count{service="checkout"}',
            'http_request_duration_seconds_bucket{service="checkout",le="0.3"}',
        ],
    ),
}


@pytest.mark.parametrize("kind", SERIES)
def test_missing_data_alerts_after_the_series_end_where_the_policy_freezes(kind: str, tmp_path: Path) -> None:
    sli, series = SERIES[kind]
    (file,) = written(catalog_of(sli, FREEZING), tmp_path).values()
    there = 'ALERTS{alertname="SloNotMeasured",alertstate="firing"}'
    labels = 'service="checkout",slo="availability",severity="ticket",team="@sre",channel="#checkout"'
    fired = f'ALERTS{{alertname="SloNotMeasured",alertstate="firing",{labels}}}'
    gone = "100m" if kind == "query" else "40m"
    test = {
        "interval": "1m",
        "input_series": [{"series": each, "values": "0+60x20 stale"} for each in series],
        "promql_expr_test": [
            {"expr": there, "eval_time": "19m", "exp_samples": []},
            {"expr": there, "eval_time": gone, "exp_samples": [{"labels": fired, "value": 1}]},
        ],
    }
    cases = tmp_path / "test.yaml"
    cases.write_text(
        yaml.safe_dump({"rule_files": [str(file)], "evaluation_interval": "1m", "tests": [test]})
    )
    assert promtool("test", "rules", cases) == ""


def test_slow_requests_burn_and_series_without_the_bucket_do_not_count(tmp_path: Path) -> None:
    (file,) = written(catalog_of(LATENCY), tmp_path).values()
    name = "http_request_duration_seconds"
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f'{name}_count{{service="checkout",pod="a"}}', "values": "0+100x60"},
            {"series": f'{name}_bucket{{service="checkout",pod="a",le="0.3"}}', "values": "0+75x60"},
            {"series": f'{name}_bucket{{service="checkout",pod="a",le="1"}}', "values": "0+100x60"},
            # A pod of another version, whose buckets end elsewhere.
            {"series": f'{name}_count{{service="checkout",pod="b"}}', "values": "0+100x60"},
            {"series": f'{name}_bucket{{service="checkout",pod="b",le="1"}}', "values": "0+100x60"},
        ],
        "promql_expr_test": [
            {
                "expr": "sum(service_slo:errors_per_events:ratio_rate5m)",
                "eval_time": "30m",
                "exp_samples": [{"labels": "{}", "value": 0.25}],
            }
        ],
    }
    cases = tmp_path / "test.yaml"
    cases.write_text(
        yaml.safe_dump({"rule_files": [str(file)], "evaluation_interval": "1m", "tests": [test]})
    )
    assert promtool("test", "rules", cases) == ""


@pytest.mark.parametrize("kind", SERIES)
def test_of_a_source_with_a_delay_events_are_counted_up_to_so_long_ago(kind: str, tmp_path: Path) -> None:
    sli, _ = SERIES[kind]
    settings = PrometheusSettings("http://localhost:9090", delay=timedelta(minutes=10))
    catalog = catalog_of(sli, FREEZING)
    catalog = replace(catalog, workspace=replace(catalog.workspace, sources={"prometheus": settings}))
    (file,) = written(catalog, tmp_path).values()
    # All is well for 20 minutes, then everything fails; the newest samples come ten minutes late.
    counts = {
        'http_requests_total{service="checkout",code="200"}': "0+60x20 1200x30",
        'http_requests_total{service="checkout",code="500"}': "0x20 0+60x30",
        "jobs_total": "0+60x50",
        "done_total": "0+60x20 1200x30",
        'http_request_duration_seconds_count{service="checkout"}': "0+60x50",
        'http_request_duration_seconds_bucket{service="checkout",le="0.3"}': "0+60x20 1200x30",
    }
    ratio = "sum(service_slo:errors_per_events:ratio_rate5m)"
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": counted} for series, counted in counts.items()],
        "promql_expr_test": [
            {"expr": ratio, "eval_time": "29m", "exp_samples": [{"labels": "{}", "value": 0}]},
            {"expr": ratio, "eval_time": "40m", "exp_samples": [{"labels": "{}", "value": 1}]},
            {"expr": 'ALERTS{alertname="SloNotMeasured"}', "eval_time": "55m", "exp_samples": []},
        ],
    }
    cases = tmp_path / "test.yaml"
    cases.write_text(
        yaml.safe_dump({"rule_files": [str(file)], "evaluation_interval": "1m", "tests": [test]})
    )
    assert promtool("test", "rules", cases) == ""


def test_what_is_left_of_the_budget_is_weighed_by_events(tmp_path: Path) -> None:
    (file,) = written(catalog_of(values.prometheus_sli()), tmp_path).values()
    # Few requests fail while there are many, many while there are few: 30 of 66,030, of which 66.03 may.
    # The mean of the shares would be far below 0.
    many, few = "0+1000x60 60000+100x60", "0x60 0+0.5x60"
    test = {
        "interval": "1m",
        "input_series": [
            {"series": 'http_requests_total{service="checkout",code="200"}', "values": many},
            {"series": 'http_requests_total{service="checkout",code="500"}', "values": few},
        ],
        "promql_expr_test": [
            {
                "expr": f"abs(service_slo:error_budget_remaining:ratio - {1 - 30 / 66.03}) < bool 0.03",
                "eval_time": "120m",
                "exp_samples": [
                    {"labels": '{service="checkout",slo="availability"}', "value": 1},
                ],
            }
        ],
    }
    cases = tmp_path / "test.yaml"
    cases.write_text(
        yaml.safe_dump({"rule_files": [str(file)], "evaluation_interval": "1m", "tests": [test]})
    )
    assert promtool("test", "rules", cases) == ""


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)


@settings(max_examples=15, deadline=None)
@given(description=TEXT, reason=TEXT, objective=st.decimals("0.5", "0.99999", places=5))
def test_no_text_of_a_person_breaks_the_rules(
    tmp_path_factory: pytest.TempPathFactory, description: str, reason: str, objective: Any
) -> None:
    service = values.service(
        slos=(values.slo(sli=values.prometheus_sli(), objective=objective),),
        policy=FREEZING,
        description=f"{description} {{{{ {description} # '\" `",
    )
    left_out = (WithoutRules("other", f"{reason} # {{{{"),)
    (file,) = written(values.catalog(service), tmp_path_factory.mktemp("rules"), left_out).values()
    assert promtool("check", "rules", file) == ""
