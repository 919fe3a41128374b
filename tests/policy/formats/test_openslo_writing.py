"""Policies as documents of OpenSLO: valid ones, and reading them back gives the same SLOs."""

import copy
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.documents.documents import KINDS, Document
from bot.policy.documents.objectives import SloSpec
from bot.policy.formats.openslo.files import MARK, as_json, file_text
from bot.policy.formats.openslo.reader import OpenSloReader
from bot.policy.formats.openslo.writing import Conversion, openslo_of
from bot.policy.formats.reading import ForeignDocument, NoteKind, Outcome, Reading
from bot.policy.loader import read
from tests.policy.formats.openslo_rules import broken_rules

WORKSPACE: Final[dict[str, Any]] = {
    "apiVersion": "governor/v1",
    "kind": "Workspace",
    "metadata": {"name": "acme"},
    "spec": {
        "channels": {"announcements": "#releases"},
        "sources": {
            "prometheus": {"url": "http://user:secret@prometheus:9090", "bearerToken": "token"},
            "eu-1": {"url": "http://mimir:9009/prometheus"},
        },
    },
}


def document(value: Mapping[str, Any]) -> Document:
    return KINDS[value["kind"]].model_validate(value)


def service(*slos: Mapping[str, Any], name: str = "shop", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "governor/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"channel": "#shop", "slos": list(slos), **spec},
    }


def slo(sli: Any, **other: Any) -> dict[str, Any]:
    return {"name": "availability", "objective": "99.9%", "window": "30d", "sli": sli} | other


def converted(*values: Mapping[str, Any]) -> Conversion:
    return openslo_of([document(each) for each in (WORKSPACE, *values)])


def read_back(conversion: Conversion) -> list[Reading]:
    """Return what becomes of the files when they are read again, after being written out."""
    documents = [
        ForeignDocument(file.name, 1, value)
        for file in conversion.files
        for value in yaml.safe_load_all(file_text(file, "policies"))
    ]
    return list(OpenSloReader().read(documents, "unused"))


def slos_back(conversion: Conversion) -> list[SloSpec]:
    readings = read_back(conversion)
    assert [reading.refusal for reading in readings if reading.refusal] == []
    found = []
    for reading in readings:
        for each in reading.slos:
            policy = each.annotations.get("governor/policy")
            named = {"errorBudgetPolicy": policy} if policy else {}
            found.append(SloSpec.model_validate({**each.slo, **named}))
    return found


SELECTORS = st.builds(
    lambda name, labels: name + (f"{{{','.join(labels)}}}" if labels else ""),
    st.from_regex(r"[a-z][a-z_]{0,12}_total", fullmatch=True),
    st.lists(
        st.builds(
            "{}{}{}".format,
            st.from_regex(r"[a-z_]{1,6}", fullmatch=True),
            st.sampled_from(["=", "!=", "=~", "!~"]),
            st.text(st.sampled_from('ab1 "\\{}é|.+'), max_size=6).map(
                lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            ),
        ),
        max_size=3,
    ),
)
COUNTED = st.lists(SELECTORS, min_size=1, max_size=3).map(" + ".join) | SELECTORS.map(
    lambda selector: f"sum(increase({selector}[$window]))"
)
NUMBERS = st.decimals(min_value="-1000", max_value="1000", places=4).map(lambda number: f"{number:f}")
LENGTHS = st.sampled_from(["1m", "2m", "5m", "15m", "1h"])
CONDITIONS = st.builds("{} {}".format, st.sampled_from(["==", "!=", ">", ">=", "<", "<=", "≥", "≤"]), NUMBERS)
SHARES = st.builds(
    "{} {}%".format,
    st.sampled_from(["==", ">=", ">", "≥"]),
    st.decimals(min_value="0.001", max_value="99.999", places=3).map(lambda number: f"{number:f}"),
)
GAUGES = SELECTORS | st.just("(saturation) < bool 0.5") | SELECTORS.map(lambda each: f"max({each})")


def form(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(keys)


SLICES = form(of=LENGTHS, goodWhen=SHARES)
SPECS = st.one_of(
    form(total=COUNTED, bad=COUNTED),
    form(total=COUNTED, good=COUNTED),
    form(total=COUNTED, bad=COUNTED, slices=SLICES),
    form(total=COUNTED, good=COUNTED, slices=SLICES),
    form(
        histogram=st.sampled_from(["latency_seconds", "size_bytes"]),
        match=st.sampled_from(['job="shop"', 'job="shop",code=~"2.."', 'a = "b" ,']),
        threshold=st.sampled_from(["1ms", "300ms", "2s", "1h30m", "1500ms"]),
    ),
    form(histogram=st.just("latency_seconds"), threshold=st.sampled_from(["5ms", "250ms"])),
    form(histogram=st.just("latency_seconds"), native=st.just(True), threshold=st.just("250ms")),  # noqa: FBT003
    form(ratio=SELECTORS | SELECTORS.map(lambda each: f"1 - avg({each})")),
    form(gauge=GAUGES),
    form(gauge=GAUGES, goodWhen=CONDITIONS),
    form(gauge=GAUGES, slices=form(of=LENGTHS, goodWhen=CONDITIONS)),
)
SLIS = st.one_of(
    st.just({"events": {}}),
    st.just({"downtime": {}}),
    st.builds(lambda source, spec: {source: spec}, st.sampled_from(["prometheus", "eu-1"]), SPECS),
)
WINDOWS = st.one_of(
    st.integers(30, 400 * 86_400).map(lambda seconds: f"{seconds}s"),
    st.sampled_from(["30d", "4w", "12h", "1h30m", "90s"]),
    st.fixed_dictionaries(
        {"calendar": st.sampled_from(["week", "month", "quarter", "year"])},
        optional={
            "timeZone": st.sampled_from(["UTC", "Europe/Berlin"]),
            "start": st.sampled_from(["2020-01-21T12:30", "2024-01-01T06:00", "2024-02-29"]),
        },
    ),
)
OBJECTIVES = st.integers(1, 10**15 - 1).map(lambda digits: f"{Decimal(digits).scaleb(-13):f}%")
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
SLOS = st.builds(
    lambda name, objective, window, sli, policy: {
        "name": name,
        "objective": objective,
        "window": window,
        "sli": sli,
        **({"errorBudgetPolicy": policy} if policy else {}),
    },
    NAMES,
    OBJECTIVES,
    WINDOWS,
    SLIS,
    st.none() | st.just("strict"),
)


@given(st.lists(SLOS, min_size=1, max_size=4, unique_by=lambda each: each["name"]))
def test_own_slos_come_back_from_openslo_as_they_were(slos: list[dict[str, Any]]) -> None:
    conversion = converted(service(*slos))
    assert slos_back(conversion) == [SloSpec.model_validate(each) for each in slos]


@given(SLOS)
def test_what_is_written_keeps_the_rules_of_openslo(one: dict[str, Any]) -> None:
    for file in converted(service(one)).files:
        for value in file.documents:
            assert broken_rules(as_json(value)) == []


@given(SLOS)
def test_openslo_comes_back_from_the_own_format_as_it_was(one: dict[str, Any]) -> None:
    first = converted(service(one))
    readings = [reading for reading in read_back(first) if reading.slos]
    again = converted(service(*({**each.slo, **policy_of(each.annotations)} for each in readings[0].slos)))
    assert [as_json(each) for each in slo_documents(again)] == [
        as_json(each) for each in slo_documents(first)
    ]


def policy_of(annotations: Mapping[str, str]) -> dict[str, str]:
    policy = annotations.get("governor/policy")
    return {"errorBudgetPolicy": policy} if policy else {}


def slo_documents(conversion: Conversion) -> list[Mapping[str, Any]]:
    return [each for file in conversion.files for each in file.documents if each["kind"] == "SLO"]


def test_a_usual_slo_needs_no_annotation() -> None:
    counters = {"prometheus": {"total": 'a_total{job="x"}', "bad": 'a_total{job="x",code=~"5.."}'}}
    (written,) = slo_documents(converted(service(slo(counters))))
    assert "annotations" not in written["metadata"]
    assert as_json(written["spec"]) == {
        "service": "shop",
        "indicator": {
            "metadata": {"name": "availability"},
            "spec": {
                "ratioMetric": {
                    "counter": True,
                    "bad": metric('a_total{job="x",code=~"5.."}'),
                    "total": metric('a_total{job="x"}'),
                }
            },
        },
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.999}],
        "alertPolicies": [{"alertPolicyRef": f"standard-burn-{number}"} for number in (1, 2, 3)],
    }


def metric(query: str) -> dict[str, Any]:
    return {"metricSource": {"metricSourceRef": "prometheus", "type": "Prometheus", "spec": {"query": query}}}


def test_an_annotation_that_is_out_of_date_does_not_count() -> None:
    exact = slo({"prometheus": {"gauge": "up", "goodWhen": "== 1"}}, window="90s")
    (written,) = slo_documents(converted(service(exact)))
    value = as_json(written)
    assert set(value["metadata"]["annotations"]) == {"governor/sli", "governor/window"}
    value["spec"]["objectives"][0]["value"] = 0.5
    value["spec"]["timeWindow"] = [{"duration": "3m", "isRolling": True}]
    (reading,) = OpenSloReader().read([ForeignDocument("x.yaml", 1, value)], "prometheus")
    (read,) = reading.slos
    assert read.slo["window"] == "3m"
    assert read.slo["sli"] == {"prometheus": {"gauge": "(up) == bool 1", "goodWhen": ">= 0.5"}}
    warnings = [note.message for note in reading.notes if note.kind is NoteKind.WARNING]
    assert sum("says something else than" in each for each in warnings) == 2


@pytest.mark.parametrize("text", ["{", "[]", '{"prometheus": {"total": 3}}', '{"a": {}, "b": {}}', "null"])
def test_an_annotation_that_is_no_sli_does_not_count(text: str) -> None:
    (written,) = slo_documents(converted(service(slo({"prometheus": {"gauge": "up"}}))))
    value = as_json(written)
    value["metadata"]["annotations"]["governor/sli"] = text
    (reading,) = OpenSloReader().read([ForeignDocument("x.yaml", 1, value)], "prometheus")
    assert reading.outcome is Outcome.PARTLY
    assert reading.slos[0].slo["sli"] == {"prometheus": {"gauge": "(up) == bool 1", "goodWhen": ">= 1"}}


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["prometheus", "total", "gauge", "goodWhen", "slices", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.text() | ANY_JSON.map(json.dumps), st.text(), st.sampled_from(["Prometheus", "Loki", "SQL", "x"]))
def test_whatever_annotations_hold_the_document_is_read_by_itself(sli: str, window: str, kind: str) -> None:
    (written,) = slo_documents(converted(service(slo({"prometheus": {"gauge": "up", "goodWhen": "> 0"}}))))
    value = as_json(written)
    value["metadata"]["annotations"] = {"governor/sli": sli, "governor/window": window}
    value["spec"]["indicator"]["spec"]["thresholdMetric"]["metricSource"]["type"] = kind
    (reading,) = OpenSloReader().read([ForeignDocument("x.yaml", 1, value)], "prometheus")
    if kind != "Prometheus":
        assert reading.is_unsupported
        return
    (read,) = reading.slos
    assert read.slo["sli"] == {"prometheus": {"gauge": "up", "goodWhen": "> 0"}}
    assert read.slo["window"] == "30d"


def test_slos_of_one_name_in_two_services_have_names_of_their_own() -> None:
    counters = {"prometheus": {"total": "a_total", "bad": "b_total"}}
    conversion = converted(service(slo(counters)), service(slo(counters), name="cart"))
    names = [each["metadata"]["name"] for each in slo_documents(conversion)]
    assert names == ["shop-availability", "cart-availability"]
    found = [each for reading in read_back(conversion) for each in reading.slos]
    assert [(each.service, each.slo["name"]) for each in found] == [
        ("shop", "availability"),
        ("cart", "availability"),
    ]


@given(st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=6, unique=True))
def test_however_slos_are_called_none_takes_the_name_of_another(names: list[tuple[str, str]]) -> None:
    services: dict[str, list[Any]] = {}
    for of, name in names:
        services.setdefault(of, []).append(slo({"events": {}}, name=name))
    conversion = converted(*(service(*slos, name=of) for of, slos in services.items()))
    written = [each["metadata"]["name"] for each in slo_documents(conversion)]
    assert len(set(written)) == len(names)
    assert len({file.name for file in conversion.files}) == len(conversion.files)
    found = [each for reading in read_back(conversion) for each in reading.slos]
    assert {(each.service, each.slo["name"]) for each in found} == set(names)


def plain_metric(query: str) -> dict[str, Any]:
    return {"metricSource": {"metricSourceRef": "eu-1", "type": "Prometheus", "spec": {"query": query}}}


NAMED = st.sampled_from(["a_total", 'a_total{b="c"}', 'a_total{b=~"c|d",e!="f"}'])
THEIR_RATIOS = st.one_of(
    st.builds(
        lambda part, query, total: {"ratioMetric": {"counter": True, part: query, "total": total}},
        st.sampled_from(["good", "bad"]),
        NAMED.map(plain_metric),
        NAMED.map(plain_metric),
    ),
    st.builds(
        lambda query: {"ratioMetric": {"rawType": "failure", "raw": plain_metric(query)}},
        st.sampled_from(["errors:ratio", "1 - avg(probe_success)"]),
    ),
)
THEIR_THRESHOLDS = st.builds(
    lambda query: {"thresholdMetric": plain_metric(query)}, st.sampled_from(["lag", "max(lag) / 2"])
)
SLICED = st.fixed_dictionaries(
    {
        "timeSliceTarget": st.sampled_from([0.5, 0.95, 1]),
        "timeSliceWindow": st.sampled_from(["1m", "15m", "1h"]),
    }
)
COMPARED = st.fixed_dictionaries(
    {"op": st.sampled_from(["lt", "lte", "gt", "gte"]), "value": st.sampled_from([0, 0.25, -3, 1500])}
)
THEIR_SLOS = st.one_of(
    st.tuples(THEIR_RATIOS, st.just("Occurrences"), st.just({})),
    st.tuples(
        THEIR_RATIOS.filter(lambda each: "raw" not in each["ratioMetric"]), st.just("Timeslices"), SLICED
    ),
    st.tuples(THEIR_THRESHOLDS, st.just("Occurrences"), COMPARED),
    st.tuples(
        THEIR_THRESHOLDS, st.just("Timeslices"), st.builds(lambda one, two: one | two, COMPARED, SLICED)
    ),
)
THEIR_WINDOWS = st.one_of(
    st.sampled_from(["1d", "28d", "12h"]).map(lambda duration: {"duration": duration, "isRolling": True}),
    st.builds(
        lambda duration, start, zone: {
            "duration": duration,
            "isRolling": False,
            "calendar": {"startTime": start, "timeZone": zone},
        },
        st.sampled_from(["1w", "1M", "1Q", "1Y"]),
        st.sampled_from(["2024-01-01 00:00:00", "2020-01-21 12:30:00"]),
        st.sampled_from(["UTC", "America/New_York"]),
    ),
)


@given(THEIR_SLOS, THEIR_WINDOWS, st.integers(1, 99_999))
def test_slos_of_openslo_come_back_from_the_own_format_as_they_were(
    form: tuple[dict[str, Any], str, dict[str, Any]], window: dict[str, Any], digits: int
) -> None:
    indicator, method, beside = form
    spec = {
        "service": "shop",
        "indicator": {"metadata": {"name": "availability"}, "spec": indicator},
        "timeWindow": [window],
        "budgetingMethod": method,
        "objectives": [{"target": digits / 100_000, **beside}],
    }
    value = {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "availability"}, "spec": spec}
    assert broken_rules(value) == []
    (reading,) = OpenSloReader().read([ForeignDocument("x.yaml", 1, value)], "prometheus")
    (written,) = slo_documents(converted(service(*(each.slo for each in reading.slos))))
    again = as_json(written)["spec"]
    del again["alertPolicies"]
    assert again == spec


def test_what_a_service_says_of_its_people_comes_back() -> None:
    teams = {"development": ["@shop-dev", "U012AB3CD"], "reliability": "@sre"}
    value = service(slo({"events": {}}), description="Sells\nthings", teams=teams, errorBudgetPolicy="strict")
    value["metadata"]["labels"] = {"team": "shop"}
    (read,) = (each for reading in read_back(converted(value)) for each in reading.slos)
    assert read.description == "Sells things"
    assert read.labels == {"team": "shop"}
    assert read.annotations == {
        "governor/channel": "#shop",
        "governor/development-team": "@shop-dev, U012AB3CD",
        "governor/reliability-team": "@sre",
        "governor/policy": "strict",
    }


OTHERS: Final[Mapping[str, Any]] = {
    "logs": {"type": "loki", "url": "http://loki:3100"},
    "dd": {"type": "datadog", "apiKey": "key", "applicationKey": "key"},
    "shop-db": {"type": "sql", "url": "postgresql://shop@db/shop"},
}


@pytest.mark.parametrize(
    ("sli", "is_annotated"),
    [
        (
            {
                "logs": {
                    "total": 'sum(count_over_time({app="a"}[$window]))',
                    "good": 'sum(count_over_time({app="a"} != "bad" [$window]))',
                }
            },
            False,
        ),
        ({"dd": {"total": "sum:a{*}.as_count()", "bad": "sum:a{code:500}.as_count()"}}, False),
        ({"dd": {"slo": "4f1c"}}, True),
        (
            {"shop-db": {"sql": "SELECT bucket, total, bad FROM h WHERE bucket >= :start AND bucket < :end"}},
            True,
        ),
    ],
)
def test_slos_of_other_sources_come_back(sli: dict[str, Any], is_annotated: bool, tmp_path: Path) -> None:
    workspace = copy.deepcopy(WORKSPACE)
    workspace["spec"]["sources"].update(OTHERS)
    files = {"workspace.yaml": workspace, "shop.yaml": service(slo(sli))}
    for name, value in files.items():
        (tmp_path / name).write_text(yaml.safe_dump(value), encoding="utf-8")
    conversion = openslo_of(read(tmp_path, {}).documents)
    found = [each for reading in read_back(conversion) for each in reading.slos]
    assert [each.slo["sli"] for each in found] == [sli]
    (written,) = slo_documents(conversion)
    assert ("governor/sli" in written["metadata"].get("annotations", {})) == is_annotated


def test_what_openslo_cannot_say_is_named() -> None:
    policy = {
        "apiVersion": "governor/v1",
        "kind": "ErrorBudgetPolicy",
        "metadata": {"name": "strict"},
        "spec": {"burnAlerts": [{"severity": "page", "burn": 6.5, "long": "90s", "short": "30s"}]},
    }
    value = service(
        slo({"downtime": {}}), slo({"prometheus": {"gauge": "up"}}, name="up"),
        errorBudgetPolicy="strict", flags=["new"], gateUnavailable="closed",
    )  # fmt: skip
    conversion = converted(policy, value)
    said = [f"{each.subject}: {each.message}" for file in conversion.files for each in file.remarks] + [
        f"{each.subject}: {each.message}" for each in conversion.remarks
    ]
    for expected in (
        "Service shop: OpenSLO cannot say `flags`",
        "Service shop: OpenSLO cannot say `gateUnavailable`",
        "SLO shop/availability: no other program can ask for `downtime`",
        "SLO shop/up: OpenSLO compares no gauge by `==`",
        "ErrorBudgetPolicy strict: only the burn alerts are written",
        "DataSource prometheus: how it is reached is left out, but for its address: `bearerToken`",
        "Workspace acme: only its sources are written",
    ):
        assert any(each.startswith(expected) for each in said), expected
    texts = "".join(file_text(file, "policies") for file in conversion.files)
    assert "secret" not in texts
    assert "token" not in texts
    assert "threshold: 6.5" in texts
    assert "lookbackWindow: 2m" in texts
    assert all(file_text(file, "policies").startswith(MARK) for file in conversion.files)
    assert re.search(r"^# Service shop: OpenSLO cannot say `flags`\.$", texts, re.MULTILINE)
