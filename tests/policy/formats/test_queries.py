"""PromQL of other tools, read into selectors where the ledger can count them."""

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.policy.formats.queries import QueryError, ReadSli, events_sli, ratio_sli, selector_sli

TOTAL = 'http_requests_total{job="shop"}'
BAD = 'http_requests_total{job="shop",code=~"5.."}'
COUNTED = {"total": TOTAL, "bad": BAD}


def rate(selector: str, window: str = "{{.window}}") -> str:
    return f"sum(rate({selector}[{window}]))"


@pytest.mark.parametrize(
    "bad",
    [
        rate(BAD),
        f"({rate(BAD)})",
        f"{rate(BAD)} or vector(0)",
        f"({rate(BAD)}) OR on() vector(0)",
        f"{rate(BAD)} or on () (vector(0))",
        f"{rate(BAD)} > 0",
        f"clamp_min({rate(BAD)}, 0)",
        f"sum(rate({BAD}[{{{{ .window }}}}]))",
        f"sum(sum(rate({BAD}[5m])))",
        f"sum(rate({BAD}[$window]))",
        f"sum(rate({BAD}[window]))",
        f"sum(rate({BAD}[${{window}}]))",
        rate("""http_requests_total{job='shop', code=~`5..`}"""),
    ],
)
def test_a_query_that_counts_is_its_selector(bad: str) -> None:
    assert events_sli(rate(TOTAL), bad=bad) == ReadSli(COUNTED)


def test_increases_are_counted_like_rates_and_a_mixture_of_both_is_probably_a_mistake() -> None:
    increases = [f"sum(increase({selector}[{{{{.window}}}}]))" for selector in (TOTAL, BAD)]
    assert events_sli(increases[0], bad=increases[1]) == ReadSli(COUNTED)
    mixture = events_sli(rate(TOTAL), bad=increases[1])
    assert mixture.spec == COUNTED
    assert "count the events of different times" in "".join(mixture.warnings)
    assert events_sli(rate(TOTAL), bad=f"{rate(BAD)} + {increases[1]}").is_ratio
    assert not events_sli(rate(TOTAL, "5m"), bad=rate(BAD, "10m")).warnings


@pytest.mark.parametrize("length", [400, 100_000])
@pytest.mark.parametrize(
    ("before", "inner", "after"),
    [("(", "x", ")"), ("sum(", "x", ")"), ("-", "x", ""), ("", "x", "+x"), ("", "x", " or x")],
)
def test_a_query_that_is_too_long_for_the_parser_is_asked_as_it_is(
    length: int, before: str, inner: str, after: str
) -> None:
    query = before * length + inner + after * length
    assert ratio_sli(query) == ReadSli({"ratio": query})


def test_matchers_do_not_make_a_query_long() -> None:
    selector = "".join(("requests_total{", ",".join(f'a{number}="(){number}"' for number in range(400)), "}"))
    assert events_sli(rate(TOTAL), bad=rate(selector)).spec == {"total": TOTAL, "bad": selector}


def test_the_good_events_stay_the_good_ones() -> None:
    good = 'http_requests_total{job="shop",code!~"5.."}'
    assert events_sli(rate(TOTAL), good=rate(good)).spec == {"total": TOTAL, "good": good}


def test_all_less_some_are_the_others() -> None:
    difference = f"{rate(TOTAL)} - {rate(BAD)}"
    assert events_sli(rate(TOTAL), bad=difference).spec == {"total": TOTAL, "good": BAD}
    assert events_sli(rate(TOTAL), good=difference).spec == COUNTED


def test_matchers_in_another_order_select_the_same() -> None:
    total, same = 'a_total{x="1",y="2"}', 'a_total{y="2",x="1"}'
    difference = f"{rate(same)} - {rate('b_total')}"
    assert events_sli(rate(total), bad=difference).spec == {"total": total, "good": "b_total"}


@pytest.mark.parametrize(
    ("query", "is_good", "spec"),
    [
        ("{bad} / {total}", False, COUNTED),
        ("1 - {good} / {total}", False, {"total": TOTAL, "good": BAD}),
        ("1 - ({good} / {total})", False, {"total": TOTAL, "good": BAD}),
        ("vector(1) - {good} / {total}", False, {"total": TOTAL, "good": BAD}),
        ("({total} - {good}) / {total}", False, {"total": TOTAL, "good": BAD}),
        ("clamp_max(clamp_min(1 - ({good} / {total}), 0), 1)", False, {"total": TOTAL, "good": BAD}),
        ("clamp({bad} / ({total} > 0), 0, 1) or vector(0)", False, COUNTED),
        ("{good} / {total}", True, {"total": TOTAL, "good": BAD}),
        ("1 - {bad} / {total}", True, COUNTED),
        ("1 - (1 - {good} / {total})", True, {"total": TOTAL, "good": BAD}),
    ],
)
def test_a_share_of_two_counts_is_counted(query: str, is_good: bool, spec: dict[str, str]) -> None:
    text = query.format(bad=rate(BAD), good=rate(BAD), total=rate(TOTAL))
    assert ratio_sli(text, is_good=is_good).spec == spec


def test_sums_of_several_counters_stay_sums() -> None:
    total = f"{rate('a_total')} + {rate('b_total')}"
    bad = f"""{rate('a_total{code="500"}')} + ({rate('b_total{code="13"}')} or vector(0))"""
    assert events_sli(total, bad=bad).spec == {
        "total": "a_total + b_total",
        "bad": 'a_total{code="500"} + b_total{code="13"}',
    }
    less = f"({total}) - ({bad})"
    assert events_sli(total, good=less).spec["bad"] == 'a_total{code="500"} + b_total{code="13"}'


def test_what_is_counted_by_labels_is_told() -> None:
    sli = ratio_sli(f"sum by (route) (rate({BAD}[5m])) / sum(rate({TOTAL}[5m])) by (route)")
    assert (sli.spec, sli.by) == (COUNTED, ("route",))


def test_what_is_counted_by_different_labels_is_not_added_up_in_silence() -> None:
    bad, total = f"sum by (code) (rate({BAD}[5m]))", rate(TOTAL, "5m")
    asked = f"({bad}) / ({total})"
    assert events_sli(total, bad=bad).spec == {"ratio": asked}
    assert ratio_sli(asked).spec == {"ratio": asked}


@pytest.mark.parametrize(
    ("whole", "bound", "threshold"),
    [
        ("request_duration_seconds_count", "0.4", "400ms"),
        ("request_duration_seconds_count", "5.0", "5s"),
        ('request_duration_seconds_bucket{le="+Inf"}', "60", "1m"),
    ],
)
def test_a_bucket_of_a_histogram_is_a_latency(whole: str, bound: str, threshold: str) -> None:
    bucket = f'request_duration_seconds_bucket{{le="{bound}"}}'
    spec = {"histogram": "request_duration_seconds", "threshold": threshold}
    assert events_sli(rate(whole), good=rate(bucket)).spec == spec
    assert events_sli(rate(whole), bad=f"{rate(whole)} - {rate(bucket)}").spec == spec


def test_a_latency_has_the_matchers_of_both() -> None:
    total = 'request_duration_seconds_count{verb!="WATCH",job="api"}'
    good = 'request_duration_seconds_bucket{job="api",le="1",verb!="WATCH"}'
    spec = events_sli(rate(total), good=rate(good)).spec
    assert spec == {
        "histogram": "request_duration_seconds",
        "match": 'job="api",verb!="WATCH"',
        "threshold": "1s",
    }


@pytest.mark.parametrize(
    ("total", "good"),
    [
        ("request_duration_seconds_count", 'request_duration_seconds_bucket{le="0.4",code="200"}'),
        ("request_duration_milliseconds_count", 'request_duration_milliseconds_bucket{le="400"}'),
        ("request_duration_seconds_count", 'request_duration_seconds_bucket{le=~"0.4|0.40"}'),
        ("request_duration_seconds_count", 'request_duration_seconds_bucket{le="+Inf"}'),
        ("request_duration_seconds_count", 'request_duration_seconds_bucket{le="0.00005"}'),
        ("request_duration_seconds_count", 'request_duration_seconds_bucket{le="soon"}'),
    ],
)
def test_another_bucket_is_a_counter_like_any(total: str, good: str) -> None:
    assert events_sli(rate(total), good=rate(good)).spec == {"total": total, "good": good}


def test_a_bad_query_that_counts_the_good_bucket_is_warned_of() -> None:
    total, bucket = "request_duration_seconds_count", 'request_duration_seconds_bucket{le="0.4"}'
    sli = events_sli(rate(total), bad=rate(bucket))
    assert sli.spec == {"total": total, "bad": bucket}
    assert sli.warnings == (
        "the bad events are those of a histogram's bucket, at or below 0.4: these are usually the good ones",
    )


def test_what_is_not_summed_is_summed_and_told() -> None:
    sli = events_sli(f"rate({TOTAL}[5m])", bad=f"rate({BAD}[5m])")
    assert sli.spec == COUNTED
    assert len(sli.changes) == 2
    assert all("is not summed in the query" in change for change in sli.changes)


@pytest.mark.parametrize(
    "query",
    [
        "1 - (sum(sum_over_time(satisfaction[5m])) / sum(count_over_time(satisfaction[5m])))",
        f"sum(irate({BAD}[5m])) / {rate(TOTAL, '5m')}",
        f"{rate(BAD, '5m')} * 2 / {rate(TOTAL, '5m')}",
        f"sum(rate({BAD}[5m] offset 1h)) / {rate(TOTAL, '5m')}",
        f"sum(rate({BAD}[5m] @ end())) / {rate(TOTAL, '5m')}",
        f"sum(rate(a[5m]) - rate(b[5m])) / {rate(TOTAL, '5m')}",
        f"sum without (code) (rate({BAD}[5m])) / {rate(TOTAL, '5m')}",
        f"sum by (a) (rate({BAD}[5m])) / {rate(TOTAL, '5m')}",
        f"{rate(BAD, '5m')} > bool 0",
        f"clamp_max({rate(BAD, '5m')}, 0.5) / {rate(TOTAL, '5m')}",
        f"clamp_max({rate(BAD, '5m')}, 1) / {rate(TOTAL, '5m')}",
        f"clamp_max({rate(BAD, '5m')}, 0) / {rate(TOTAL, '5m')}",
        f"clamp({rate(BAD, '5m')}, 0, 1) / {rate(TOTAL, '5m')}",
        f"{rate(BAD, '5m')} / clamp_min({rate(TOTAL, '5m')}, 1)",
        f"{rate(BAD, '5m')} / sum(clamp_min(rate({TOTAL}[5m]), 1))",
        f"clamp_min({rate(BAD, '5m')} / {rate(TOTAL, '5m')}, 1)",
        f"clamp_max({rate(BAD, '5m')} / {rate(TOTAL, '5m')}, 0)",
        f"{rate(BAD, '5m')} / ({rate(TOTAL, '5m')} > 10)",
        f"{rate(BAD, '5m')} / {rate(TOTAL, '5m')} or vector(1)",
        f"2 - {rate(BAD, '5m')} / {rate(TOTAL, '5m')}",
        f'sum(rate(a{{x="1" or y="2"}}[5m])) / {rate(TOTAL, "5m")}',
        f"avg(rate({BAD}[5m])) / {rate(TOTAL, '5m')}",
        "probe_failed",
    ],
)
def test_another_shape_is_asked_as_it_is(query: str) -> None:
    assert ratio_sli(query) == ReadSli({"ratio": query})
    assert ratio_sli(query).is_ratio
    assert ratio_sli(query, is_good=True).spec == {"ratio": f"1 - ({query})"}


def test_a_count_that_is_limited_changes_the_ratio_which_is_asked_as_it_is() -> None:
    asked = f"({rate(BAD, '5m')}) / (clamp_min({rate(TOTAL, '5m')}, 1))"
    assert events_sli(f"clamp_min({rate(TOTAL)}, 1)", bad=rate(BAD)).spec == {"ratio": asked}


def test_two_queries_of_another_shape_are_one_ratio_at_each_moment() -> None:
    bad, total = "sum_over_time(count(x < 0.5)[{{.window}}:])", "sum_over_time(count(x)[{{ .window }}:])"
    asked = "(sum_over_time(count(x < 0.5)[5m:])) / (sum_over_time(count(x)[5m:]))"
    assert events_sli(total, bad=bad).spec == {"ratio": asked}
    assert events_sli(total, good=bad).spec == {"ratio": f"1 - {asked}"}


def test_the_language_of_another_server_is_asked_as_it_is_with_a_warning() -> None:
    sli = ratio_sli("1 - histogram_share(0.2, sum by (vmrange) (rate(x_bucket[{{.window}}])))")
    assert sli.is_ratio
    assert "histogram_share" in sli.warnings[0]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("sum(rate(x[5m])", "not closed"),
        ('x{a="b}', "not closed"),
        ('x{a="{{ .Values.job }}"}', "template that was not filled in"),
        ('{{ include "slo" . }}', "template that was not filled in"),
    ],
)
def test_what_cannot_be_read_is_refused(query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        ratio_sli(query)
    with pytest.raises(QueryError, match=message):
        events_sli("sum(rate(x[5m]))", bad=query)


def test_two_parts_or_none_are_refused() -> None:
    with pytest.raises(QueryError, match="neither"):
        events_sli(rate(TOTAL))


@pytest.mark.parametrize("text", ["rate(a[5m])", "a[5m]", "a offset 5m", "a + b", "1"])
def test_a_selector_is_a_selector(text: str) -> None:
    assert selector_sli(TOTAL, bad=BAD).spec == COUNTED
    with pytest.raises(QueryError, match="not a series selector"):
        selector_sli(TOTAL, bad=text)


@given(st.dictionaries(st.sampled_from("abcd"), st.text(max_size=8).filter(lambda text: "\x00" not in text)))
def test_any_value_of_a_label_stays_as_it_is(values: dict[str, str]) -> None:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    quoted = {label: "".join(escapes.get(each, each) for each in value) for label, value in values.items()}
    matchers = ",".join(f'{label}="{value}"' for label, value in quoted.items())
    try:
        promql_parser.parse(f"x{{{matchers}}}")
    except ValueError:
        return
    if "{{" in matchers or "}}" in matchers or "window" in matchers.lower():
        return
    spec = events_sli(f"sum(rate(x{{{matchers}}}[5m]))", bad=rate("y")).spec
    again = promql_parser.parse(spec["total"])
    assert isinstance(again, promql_parser.VectorSelector)
    assert {each.name: each.value for each in again.matchers.matchers} == values


def test_comments_and_lines_are_not_asked_but_texts_are() -> None:
    query = """
        # How many clients are content?
        1 - avg(content{note="a  #b"})  # of all
    """
    assert ratio_sli(query).spec == {"ratio": '1 - avg(content{note="a  #b"})'}


@given(st.text(alphabet='sumrate(){}[]5m/-+x_total"=~,01 or{{.window}}', max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    for read in (
        ratio_sli,
        lambda query: events_sli(query, bad=query),
        lambda query: selector_sli(query, good=query),
    ):
        try:
            spec = read(text).spec
        except QueryError:
            continue
        assert all(spec.values())
