"""`governor convert`: policies as OpenSLO, printed or in files, and `governor import` of the result."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bot.cli.boundary import run_command
from bot.cli.main import cli
from bot.policy.loader import load
from tests.policy.formats.openslo_rules import broken_rules
from tests.support.paths import ROOT

SHOP = str(ROOT / "policies")
ONLY_TEMPLATE = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  sources: {prometheus: {url: "http://localhost:9090"}}
---
apiVersion: governor/v1
kind: Service
metadata: {name: every}
spec:
  forEach: {label: service}
  channel: "#services"
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def governor(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: object) -> tuple[int, str, str]:
        code = run_command(cli, [*map(str, words)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_the_policies_are_printed_as_openslo(governor: Run) -> None:
    code, out, err = governor("convert", SHOP, "--to", "openslo")
    assert code == 0
    documents = list(yaml.safe_load_all(out))
    assert {document["kind"] for document in documents} >= {"Service", "SLO", "DataSource", "AlertPolicy"}
    assert [fault for document in documents for fault in broken_rules(document)] == []
    assert "Goal checkout: OpenSLO has nothing like it; it is left out" in err
    assert "SLO checkout/uptime: no other program can ask for `downtime`" in err


def test_importing_what_was_written_gives_the_same_slos(governor: Run, tmp_path: Path) -> None:
    code, out, _ = governor("convert", SHOP, "--to", "openslo", "--write", tmp_path / "openslo")
    assert code == 0
    assert "checkout.yaml" in out
    policies = tmp_path / "policies"
    code, _, err = governor("import", tmp_path / "openslo", "--write", policies)
    assert (code, err) == (0, "")
    before = load(Path(SHOP), {})
    own = [each for file in Path(SHOP).glob("*.yaml") for each in yaml.safe_load_all(file.read_text())]
    kept = [each for each in own if each["kind"] in {"Workspace", "ErrorBudgetPolicy"}]
    (policies / "kept.yaml").write_text(yaml.safe_dump_all(kept))
    after = load(policies, {})
    assert set(after.slos) == set(before.slos)


def test_json_has_documents_files_and_remarks(governor: Run, tmp_path: Path) -> None:
    code, out, _ = governor("convert", SHOP, "--to", "openslo", "--write", tmp_path, "--json")
    printed = json.loads(out)
    assert code == 0
    assert [fault for document in printed["documents"] for fault in broken_rules(document)] == []
    assert str(tmp_path / "data_sources.yaml") in printed["files"]
    assert {"subject", "message"} == set(printed["remarks"][0])


def test_files_of_others_stay_as_they_are(governor: Run, tmp_path: Path) -> None:
    (tmp_path / "checkout.yaml").write_text("mine: true\n")
    code, out, err = governor("convert", SHOP, "--to", "openslo", "--write", tmp_path)
    assert (code, out) == (2, "")
    assert "checkout.yaml was not written by `governor convert`, so it stays" in err
    assert (tmp_path / "checkout.yaml").read_text() == "mine: true\n"
    assert [file.name for file in tmp_path.iterdir()] == ["checkout.yaml"]
    assert (
        "is a file; name a folder"
        in governor("convert", SHOP, "--to", "openslo", "--write", tmp_path / "checkout.yaml")[2]
    )


def test_writing_again_changes_nothing(governor: Run, tmp_path: Path) -> None:
    assert governor("convert", SHOP, "--to", "openslo", "--write", tmp_path)[0] == 0
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert governor("convert", SHOP, "--to", "openslo", "--write", tmp_path)[0] == 0
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == before


def test_templates_are_named_and_nothing_is_written_of_them(governor: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(ONLY_TEMPLATE)
    code, out, err = governor("convert", tmp_path, "--to", "openslo")
    documents = list(yaml.safe_load_all(out))
    assert (code, [document["kind"] for document in documents]) == (0, ["DataSource"])
    assert "OpenSLO has no templates" in err


def test_policies_without_services_and_sources_make_nothing(governor: Run, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(ONLY_TEMPLATE.partition("  sources:")[0])
    code, out, err = governor("convert", tmp_path, "--to", "openslo")
    assert (code, out) == (1, "")
    assert "nothing that OpenSLO can say" in err
