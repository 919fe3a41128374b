"""Documents of Sloth: what is carried over, what is noted with its line, what is refused and why."""

from pathlib import Path
from typing import Any

import pytest

from bot.policy.formats.reading import NoteKind, Outcome
from tests.policy.formats.foreign_texts import read, read_one, said

FILE = """\
version: prometheus/v1
service: checkout
labels: {owner: shop}
slos:
  - name: availability
    objective: 99.9
    description: Orders go through.
    sli:
      events:
        error_query: sum(rate(http_requests_total{job="checkout",code=~"5.."}[{{.window}}]))
        total_query: sum(rate(http_requests_total{job="checkout"}[{{.window}}]))
    alerting: {name: Errors}
"""
CRD = """\
apiVersion: sloth.slok.dev/v1
kind: PrometheusServiceLevel
metadata: {name: slos, namespace: shop, labels: {app: sloth}, annotations: {governor/channel: "#shop"}}
spec:
  service: checkout
  labels: {owner: shop}
  slos:
    - name: availability
      objective: 99.9
      description: Orders go through.
      sli:
        events:
          errorQuery: sum(rate(http_requests_total{job="checkout",code=~"5.."}[{{.window}}]))
          totalQuery: sum(rate(http_requests_total{job="checkout"}[{{.window}}]))
      alerting: {name: Errors}
"""
COUNTERS = {
    "total": 'http_requests_total{job="checkout"}',
    "bad": 'http_requests_total{job="checkout",code=~"5.."}',
}
SLO: dict[str, Any] = {"name": "availability", "objective": 99.9, "sli": {"prometheus": COUNTERS}}


@pytest.mark.parametrize("text", [FILE, CRD], ids=["file", "crd"])
def test_both_kinds_of_documents_say_the_same(text: str, tmp_path: Path) -> None:
    reading = read_one(tmp_path, text)
    (slo,) = reading.slos
    assert reading.outcome is Outcome.WHOLE
    assert [(note.kind, note.message) for note in reading.notes] == [
        (
            NoteKind.CHANGED,
            "the alerts `Errors` are not raised; burn alerts are those of the ErrorBudgetPolicy",
        )
    ]
    assert (slo.service, slo.slo, slo.description) == ("checkout", SLO, "Orders go through.")
    assert slo.labels["owner"] == "shop"


def test_a_document_of_kubernetes_has_its_labels_namespace_and_annotations_too(tmp_path: Path) -> None:
    (slo,) = read_one(tmp_path, CRD).slos
    assert slo.labels == {"namespace": "shop", "app": "sloth", "owner": "shop"}
    assert slo.annotations == {"governor/channel": "#shop"}


def test_a_file_holds_several_documents_and_a_document_several_slos(tmp_path: Path) -> None:
    second = FILE.partition("slos:\n")[2].replace("availability", "orders")
    readings = read(tmp_path, f"{FILE}---\n{FILE.replace('checkout', 'search')}{second}")
    assert [[(slo.service, slo.slo["name"]) for slo in reading.slos] for reading in readings] == [
        [("checkout", "availability")],
        [("search", "availability"), ("search", "orders")],
    ]
    assert [reading.document.line for reading in readings] == [1, 14]


def test_a_list_of_kubernetes_stands_for_its_documents(tmp_path: Path) -> None:
    item = "".join(f"    {line}\n" for line in CRD.splitlines())
    text = f"apiVersion: v1\nkind: List\nitems:\n  -\n{item}  - {{apiVersion: v1, kind: ConfigMap}}\n"
    reading = read_one(tmp_path, text)
    assert [slo.slo for slo in reading.slos] == [SLO]
    assert reading.document.line_of(("spec", "slos", 0, "objective")) == 13


RAW = """\
version: prometheus/v1
service: wifi
slos:
  - name: satisfaction
    objective: 95
    sli: {raw: {error_ratio_query: "QUERY"}}
"""


def test_a_raw_query_is_a_ratio_over_time_and_one_of_counters_counts(tmp_path: Path) -> None:
    kept = "1 - (sum_over_time(wifi:ratio[{{.window}}]) / count_over_time(wifi:ratio[{{ .window }}]))"
    quotient = "sum(rate(a_total{b='c'}[{{.window}}])) / sum(rate(a_total[{{.window}}]))"
    slis = [
        dict(slo.slo["sli"]["prometheus"])
        for query in (kept, quotient)
        for slo in read_one(tmp_path, RAW.replace("QUERY", query)).slos
    ]
    assert slis == [
        {"ratio": "1 - (sum_over_time(wifi:ratio[5m]) / count_over_time(wifi:ratio[5m]))"},
        {"total": "a_total", "bad": 'a_total{b="c"}'},
    ]


def test_a_query_that_counts_by_a_label_is_one_for_each_value(tmp_path: Path) -> None:
    text = FILE.replace("sum(rate", "sum by (route) (rate")
    (slo,) = read_one(tmp_path, text).slos
    assert slo.for_each == ("route",)


def test_what_is_said_of_alerts_is_noted_once_with_its_line(tmp_path: Path) -> None:
    alerting = """\
    alerting:
      name: CheckoutErrors
      labels: {team: shop}
      annotations: {runbook: "https://wiki/checkout", governor/channel: "#checkout"}
      page_alert: {labels: {severity: page, slack_channel: "#alerts"}}
      ticket_alert: {disable: true}
"""
    reading = read_one(tmp_path, FILE.replace("    alerting: {name: Errors}\n", alerting))
    assert reading.outcome is Outcome.PARTLY
    texts = "the labels `team`, `severity`, `slack_channel` and the annotations `runbook`"
    policy = "burn alerts are those of the ErrorBudgetPolicy"
    assert said(reading, NoteKind.OMITTED) == [
        (
            12,
            f"the name `CheckoutErrors`, {texts} of its alerts; {policy}; the channel may be `#alerts`",
        ),
        (17, f"Sloth is told to raise no such alert; {policy}"),
    ]
    assert reading.slos[0].annotations == {"governor/channel": "#checkout"}


def test_disabled_alerts_are_noted_together(tmp_path: Path) -> None:
    both = "{page_alert: {disable: true}, ticket_alert: {disable: true}}"
    reading = read_one(tmp_path, FILE.replace("alerting: {name: Errors}", f"alerting: {both}"))
    assert [message for _, message in said(reading, NoteKind.OMITTED)] == [
        "Sloth is told to raise no alerts; burn alerts are those of the ErrorBudgetPolicy"
    ]


PLUGIN = (
    FILE + "  - {name: latency, objective: 99, sli: {plugin: {id: sloth-common/coredns, options: {a: b}}}}\n"
)


def test_alerts_without_a_name_are_warned_about_as_sloth_refuses_them(tmp_path: Path) -> None:
    reading = read_one(tmp_path, FILE.replace("{name: Errors}", "{ticket_alert: {disable: true}}"))
    assert said(reading, NoteKind.WARNING) == [
        (12, "Sloth refuses alerts without a `name`; Governor needs none")
    ]


def test_an_sli_of_a_plug_in_is_left_out_and_the_others_are_read(tmp_path: Path) -> None:
    reading = read_one(tmp_path, PLUGIN)
    assert [slo.slo for slo in reading.slos] == [SLO]
    ((line, message),) = said(reading, NoteKind.OMITTED)
    assert line == 13
    assert message.startswith("the SLO `latency` is left out: the plug-in `sloth-common/coredns`")


def test_a_document_of_plug_ins_alone_is_refused_but_not_at_fault(tmp_path: Path) -> None:
    head, _, slos = PLUGIN.partition("slos:\n")
    reading = read_one(tmp_path, f"{head}slos:\n{slos.splitlines()[-1]}\n")
    assert (reading.outcome, reading.is_unsupported) == (Outcome.REFUSED, True)
    assert "plug-in `sloth-common/coredns`" in str(reading.refusal)


@pytest.mark.parametrize(
    ("plugins", "kind"),
    [
        ("{id: sloth.dev/contrib/info_labels/v1, config: {labels: {a: b}}}", NoteKind.OMITTED),
        ("{id: sloth.dev/contrib/validate_victoria_metrics/v1}", NoteKind.CHANGED),
        ("{id: sloth.dev/core/debug/v1, priority: 5}", NoteKind.CHANGED),
    ],
)
def test_plug_ins_of_slos_are_noted(plugins: str, kind: NoteKind, tmp_path: Path) -> None:
    of_all = FILE.replace("slos:\n", f"slo_plugins: {{chain: [{plugins}]}}\nslos:\n")
    of_one = FILE.replace("    alerting", f"    plugins: {{chain: [{plugins}]}}\n    alerting")
    for text, line in ((of_all, 4), (of_one, 12)):
        reading = read_one(tmp_path, text)
        found = {(note.kind, reading.document.line_of(note.path)) for note in reading.notes}
        assert (kind, line) in found


@pytest.mark.parametrize(
    ("text", "right", "wrong", "who"),
    [
        (CRD, "errorQuery", "error_query", "Kubernetes drops it"),
        (CRD, "totalQuery", "total_query", "Kubernetes drops it"),
        (FILE, "total_query", "totalQuery", "Sloth passes over it"),
    ],
)
def test_keys_of_the_other_kind_of_document_are_read_with_a_warning(
    text: str, right: str, wrong: str, who: str, tmp_path: Path
) -> None:
    reading = read_one(tmp_path, text.replace(right, wrong))
    assert [slo.slo for slo in reading.slos] == [SLO]
    ((line, message),) = said(reading, NoteKind.WARNING)
    assert wrong in text.replace(right, wrong).splitlines()[line - 1]
    assert message.startswith(f"`{wrong}` is written `{right}`")
    assert who in message


def test_keys_that_sloth_does_not_know_are_warned_about(tmp_path: Path) -> None:
    reading = read_one(
        tmp_path,
        FILE.replace("    alerting: {name: Errors}", "    objektive: 5\n    alerting: {name: a, foo: 1}"),
    )
    assert said(reading, NoteKind.WARNING) == [
        (12, "Sloth has no key `objektive` here, and passes over it"),
        (13, "Sloth has no key `foo` here, and passes over it"),
    ]


WINDOWS = """\
apiVersion: sloth.slok.dev/v1
kind: AlertWindows
spec:
  sloPeriod: 30d
  page:
    quick: {errorBudgetPercent: 2, shortWindow: 5m, longWindow: 1h}
    slow: {errorBudgetPercent: 5, shortWindow: 30m, longWindow: 6h}
  ticket:
    quick: {errorBudgetPercent: 10, shortWindow: 2h, longWindow: 1d}
    slow: {errorBudgetPercent: 10, shortWindow: 6h, longWindow: 3d}
"""


def test_windows_of_alerts_become_the_lines_of_a_policy(tmp_path: Path) -> None:
    reading = read_one(tmp_path, WINDOWS)
    assert reading.outcome is Outcome.PART
    ((line, message),) = said(reading, NoteKind.OMITTED)
    assert line == 3
    assert message == (
        "write these windows into an ErrorBudgetPolicy: burnAlerts: ["
        "{severity: page, burn: 14.4, long: 1h, short: 5m}, {severity: page, burn: 6, long: 6h, short: 30m}, "
        "{severity: ticket, burn: 3, long: 1d, short: 2h}, {severity: ticket, burn: 1, long: 3d, short: 6h}]"
    )


def test_a_fraction_for_an_objective_is_read_as_sloth_does_with_a_warning(tmp_path: Path) -> None:
    reading = read_one(tmp_path, FILE.replace("99.9", "0.999"))
    assert reading.slos[0].slo["objective"] == "0.999%"
    ((line, message),) = said(reading, NoteKind.WARNING)
    assert (line, "was 0.999 of 1 meant?" in message) == (6, True)


def test_an_objective_of_100_percent_is_left_out(tmp_path: Path) -> None:
    reading = read_one(tmp_path, FILE.replace("99.9", "100"))
    assert (reading.is_unsupported, "leaves no error budget" in str(reading.refusal)) == (True, True)


def test_bad_events_that_are_those_of_a_bucket_are_warned_about(tmp_path: Path) -> None:
    text = FILE.replace('http_requests_total{job="checkout",code=~"5.."}', 'seconds_bucket{le="0.5"}')
    reading = read_one(tmp_path, text)
    assert [message for _, message in said(reading, NoteKind.WARNING)] == [
        "the bad events are those of a histogram's bucket, at or below 0.5: these are usually the good ones"
    ]


@pytest.mark.parametrize(
    ("text", "change", "line", "message"),
    [
        (FILE, ("99.9", "101"), 6, "the objective `101` is not between 0 and 100"),
        (FILE, ("99.9", "much"), 6, "`much` is not a percentage"),
        (FILE, ("service: checkout", "service: ''"), 2, "`service` is missing"),
        (FILE, ("prometheus/v1", "prometheus/v2"), 1, "Sloth's documents have the version prometheus/v1"),
        (FILE, ("  - name: availability\n", "  - wrong: availability\n"), 5, "`slos[0].name` is missing"),
        (FILE, ("{{.window}}", "5m"), 10, "`error_query` has no {{.window}}"),
        (FILE, (',code=~"5.."', ""), 9, "the bad events and all events are the same query"),
        (FILE, ("events", "evants"), 8, "the SLO `availability` has no SLI"),
        (FILE, ("labels: {owner: shop}", "labels: shop"), 3, "`labels` must be a mapping"),
        (FILE, ("labels: {owner: shop}", "labels: {owner: [a]}"), 3, "`labels.owner` must be text"),
        (
            FILE,
            ("alerting: {name: Errors}", "alerting: {page_alert: {disable: a}}"),
            12,
            "disable` must be true or false",
        ),
        (FILE, ("error_query: sum(", "error_query: sum(("), 9, "a bracket or a quote in"),
        (FILE, ("[{{.window}}]", "[{{.window}} {{.other}}]"), 9, "holds a template that was not filled in"),
        (CRD, ("sloth.slok.dev/v1", "sloth.slok.dev/v2"), 1, "this is not a version of Sloth's"),
        (CRD, ("PrometheusServiceLevel", "SLO"), 2, "the kinds of Sloth are PrometheusServiceLevel and"),
        (
            WINDOWS,
            ("errorBudgetPercent: 2", "errorBudgetPercent: NaN"),
            6,
            "`NaN` within 1h cannot be a part",
        ),
        (WINDOWS, ("longWindow: 1h", "longWindow: 0h"), 6, "within 0s cannot be a part of a budget"),
        (WINDOWS, ("  ticket:", "  tickets:"), 3, "`spec.ticket` is missing"),
        (CRD, ("spec:\n", "version: prometheus/v1\nspec:\n"), 4, "`version` belongs in a document with"),
    ],
)
def test_what_sloth_refuses_is_refused_with_its_line(
    text: str, change: tuple[str, str], line: int, message: str, tmp_path: Path
) -> None:
    reading = read_one(tmp_path, text.replace(*change))
    assert (reading.outcome, reading.is_unsupported) == (Outcome.REFUSED, False)
    assert message in str(reading.refusal)
    assert reading.document.line_of(reading.refused_at) == line


@pytest.mark.parametrize(
    ("written", "half", "line"),
    [("service: checkout", 'service: "check\\ud800out"', 2), ("{owner: shop}", '{"own\\ud800er": shop}', 3)],
)
def test_half_a_character_is_refused_with_its_line(
    tmp_path: Path, written: str, half: str, line: int
) -> None:
    reading = read_one(tmp_path, FILE.replace(written, half))
    assert reading.refusal == "this holds half a character (a lone surrogate)"
    assert reading.document.line == line


def test_a_title_has_no_commands_to_a_terminal(tmp_path: Path) -> None:
    reading = read_one(tmp_path, FILE.replace("service: checkout", 'service: "check\\e[31mout"'))
    assert reading.title == "service check[31mout"
