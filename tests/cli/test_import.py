"""`governor import`: what it prints of each document, what it writes, and its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.catalog.slo import CounterSli
from bot.cli.boundary import run_command
from bot.cli.main import cli
from bot.policy.loader import load
from tests.policy.conftest import WORKSPACE
from tests.policy.formats.test_pyrra import PYRRA
from tests.policy.formats.test_sloth import FILE, PLUGIN

REPORT = """
slos/checkout.yaml:1: Sloth, service checkout: read with omissions, 1 SLO
    line 12: carried over differently: the alerts `Errors` are not raised; burn alerts are those of the
        ErrorBudgetPolicy
    line 13: not carried over: the SLO `latency` is left out: the plug-in `sloth-common/coredns`, a program in
        Go, makes its SLI and cannot run here; `sloth generate` prints the queries that it stands for
1 document: 1 read with omissions; 1 service, 1 SLO
no channel is named for checkout: it takes the annotation governor/channel, a `channel` under `defaults` of
    `imports` in the Workspace document, or a Service document of that name; `--channel` names one for all
"""

Run = Callable[..., tuple[int, str, str]]
GROUPED = f"{PYRRA}      grouping: [route]\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command in an empty folder; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run_import(*words: str) -> tuple[int, str, str]:
        code = run_command(cli, ["import", *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_import


def write(name: str, text: str) -> None:
    file = Path(name)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_each_document_and_each_thing_left_out_has_a_line(run: Run) -> None:
    write("slos/checkout.yaml", PLUGIN)
    write("slos/values.yaml", "a: 1\n")
    code, printed, errors = run("slos")
    assert (code, errors) == (0, "")
    assert all(len(line) <= 80 for line in printed.splitlines())
    assert " ".join(printed.split()) == " ".join(REPORT.split())


def test_what_is_written_is_what_is_read(run: Run) -> None:
    write("slos/a.yaml", f"{PLUGIN}---\n{PYRRA}")
    write("slos/b.yaml", GROUPED.replace("checkout-errors", "checkout-routes"))
    write("own/workspace.yaml", WORKSPACE)
    code, printed, _ = run("slos", "--write", "own", "--channel", "#slo")
    assert code == 0
    names = ["checkout-errors.yaml", "checkout-routes-route.yaml", "checkout.yaml", "workspace.yaml"]
    assert sorted(file.name for file in Path("own").iterdir()) == names
    assert f"written: own/{names[0]}" in printed
    text = Path("own/checkout.yaml").read_text(encoding="utf-8")
    assert text.startswith("# From slos/a.yaml:1, service checkout.\n")
    assert "# - Not carried over (slos[1], line 13): the SLO `latency` is left out" in text
    imports = "  imports: [{folder: ../slos, defaults: [{channel: '#slo'}]}]\n"
    write("read/workspace.yaml", WORKSPACE + imports)
    written, read = load(Path("own"), {}), load(Path("read"), {})
    assert written.services == read.services
    assert sorted(slo.key for slo in written.slos) == [
        "checkout-errors/checkout-errors",
        "checkout/availability",
    ]


def test_nothing_is_written_over_without_force(run: Run) -> None:
    write("slos/a.yaml", FILE)
    write("own/checkout.yaml", "mine")
    code, printed, errors = run("slos", "--write", "own", "--channel", "#slo")
    assert (code, printed) == (2, "")
    assert "nothing is written: own/checkout.yaml would be overwritten; --force does so" in errors
    assert Path("own/checkout.yaml").read_text(encoding="utf-8") == "mine"
    assert run("slos", "--write", "own", "--channel", "#slo", "--force")[0] == 0
    assert "mine" not in Path("own/checkout.yaml").read_text(encoding="utf-8")


def test_a_service_without_a_channel_is_not_written(run: Run) -> None:
    write("slos/a.yaml", f"{FILE}---\n{PYRRA}")
    code, printed, errors = run("slos", "--write", "own")
    assert (code, errors) == (1, "1 fault\n")
    assert "the service `checkout` has no channel" in " ".join(printed.split())
    assert [file.name for file in Path("own").iterdir()] == ["checkout-errors.yaml"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILE.replace("99.9", "101"), "line 6: the objective `101` is not between 0 and 100"),
        (f"{FILE}  x: [", "slos/a.yaml:13:"),
        (FILE.replace("service: checkout", "service: {{ .Values.name }}"), "this is a template of Helm"),
        (f"{FILE}---\n{FILE}", "`availability` is already an SLO of the service `checkout`"),
    ],
)
def test_what_is_refused_is_told_with_its_line(text: str, message: str, run: Run) -> None:
    write("slos/a.yaml", text)
    code, printed, _ = run("slos")
    assert code == 1
    assert message in " ".join(printed.split())


def test_machines_get_json(run: Run) -> None:
    write("slos/a.yaml", PLUGIN)
    code, printed, _ = run("slos/a.yaml", "--json", "--window", "7d", "--source", "mimir")
    found = json.loads(printed)
    assert code == 0
    (document,) = found["documents"]
    assert {key: document[key] for key in ("file", "line", "tool", "outcome", "refusal", "slos")} == {
        "file": "slos/a.yaml",
        "line": 1,
        "tool": "Sloth",
        "outcome": "read with omissions",
        "refusal": None,
        "slos": [{"service": "checkout", "name": "availability"}],
    }
    assert [(note["kind"], note["line"]) for note in document["notes"]] == [
        ("carried over differently", 12),
        ("not carried over", 13),
    ]
    (service,) = found["services"]
    (slo,) = service["spec"]["slos"]
    assert (slo["window"], list(slo["sli"])) == ("7d", ["mimir"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no file or folder nowhere"),
        (["empty"], "there is no SLO document of a tool that Governor knows here"),
        (["slos", "--channel", "slo"], "--channel: `slo` is not a channel"),
        (["slos", "--window", "soon"], "--window: `soon` is not a duration"),
        (["slos", "--window", "9y"], "--window: `9y` is not a duration"),
        (["slos", "--source", "A B"], "--source: `A B` is not a name"),
    ],
)
def test_what_cannot_be_told_is_code_2(words: list[str], message: str, run: Run) -> None:
    write("slos/a.yaml", FILE)
    Path("empty").mkdir()
    code, printed, errors = run(*words)
    assert (code, printed) == (2, "")
    assert message in errors


OPENSLO = {
    "apiVersion": "openslo/v1",
    "kind": "SLO",
    "metadata": {"name": "availability", "annotations": {"governor/channel": "#shop"}},
    "spec": {
        "service": "shop",
        "indicator": {
            "metadata": {"name": "requests"},
            "spec": {
                "ratioMetric": {
                    "counter": True,
                    "bad": {"metricSource": {"type": "Prometheus", "spec": {"query": "sum(bad_total)"}}},
                    "total": {"metricSource": {"type": "Prometheus", "spec": {"query": "sum(all_total)"}}},
                }
            },
        },
        "timeWindow": [{"duration": "4w", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.99}],
    },
}


def test_documents_in_json_and_in_lists_are_read_in_folders_too(run: Run) -> None:
    write("slos/shop.json", json.dumps([OPENSLO, {**OPENSLO, "metadata": {"name": "other"}}], indent="\t"))
    write("slos/package.json", '{"name": "shop", "scripts": {"lint": "\\u002e"}}')
    code, out, _ = run("slos", "--write", "policies")
    assert code == 0
    assert "2 documents: 2 read whole; 1 service, 2 SLOs" in out
    write("policies/workspace.yaml", WORKSPACE)
    assert {slo.name for slo in load(Path("policies"), {}).slos} == {"availability", "other"}


def test_documents_in_json_are_read_where_they_are(run: Run) -> None:
    del run
    write("slos/shop.json", json.dumps(OPENSLO))
    write("policies/workspace.yaml", f"{WORKSPACE.rstrip()}\n  imports: [{{folder: ../slos}}]\n")
    assert [slo.key for slo in load(Path("policies"), {}).slos] == ["shop/availability"]


def test_an_slo_of_another_source_than_prometheus_is_one_of_that_type(run: Run) -> None:
    slo = json.loads(json.dumps(OPENSLO))
    ratio = slo["spec"]["indicator"]["spec"]["ratioMetric"]
    for key, query in (("bad", "sum:a{code:500}.as_count()"), ("total", "sum:a{*}.as_count()")):
        ratio[key] = {"metricSource": {"metricSourceRef": "dd", "type": "Datadog", "spec": {"query": query}}}
    write("slos/shop.yaml", json.dumps(slo))
    code, _, err = run("slos", "--write", "policies")
    assert (code, err) == (0, "")
    datadog = "dd: {type: datadog, apiKey: key, applicationKey: key}"
    workspace = WORKSPACE.replace("  sources:\n", f"  sources:\n    {datadog}\n")
    assert datadog in workspace
    write("policies/workspace.yaml", workspace)
    (read,) = load(Path("policies"), {}).slos
    assert read.sli == CounterSli("dd", "sum:a{*}.as_count()", "sum:a{code:500}.as_count()")
