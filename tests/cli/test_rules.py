"""`governor rules`: where the rules go, what is said of those that are left out, and what is refused."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bot.cli.boundary import run_command
from bot.cli.main import cli
from tests.policy.prometheus_rules.scenario import promtool
from tests.support.paths import ROOT
from tests.support.servers import Exporter, Prometheus, running_exporter, running_prometheus

SHOP = str(ROOT / "policies")
TWO_SOURCES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  sources:
    metrics: {url: "http://localhost:9090"}
    mimir: {url: "http://localhost:9009/prometheus"}
---
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  channel: "#checkout"
  slos:
    - name: availability
      objective: 99.9
      window: 30d
      sli: {metrics: {total: requests_total, bad: 'requests_total{code="500"}'}}
    - name: orders
      objective: 99
      window: 30d
      sli: {mimir: {total: orders_total, bad: orders_lost_total}}
"""
FOR_EACH = """
apiVersion: governor/v1
kind: Workspace
metadata: {{name: acme}}
spec:
  channels: {{announcements: "#releases"}}
  sources: {{metrics: {{url: "{url}"}}}}
---
apiVersion: governor/v1
kind: Service
metadata: {{name: every}}
spec:
  forEach: {{source: metrics, label: service}}
  channel: "#services"
  slos:
    - name: availability
      objective: 99.9
      window: 30d
      sli:
        metrics:
          total: http_requests_total{{service="%{{service}}"}}
          bad: http_requests_total{{service="%{{service}}",code="500"}}
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def governor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("bot.cli.console.out.width", 200, raising=False)

    def run(*words: object) -> tuple[int, str, str]:
        code = run_command(cli, ["rules", *map(str, words)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def folder_of(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "all.yaml").write_text(text)
    return folder


def test_rules_are_printed_and_what_is_left_out_is_said_beside_them(governor: Run, tmp_path: Path) -> None:
    code, out, err = governor(SHOP)
    assert code == 0
    file = tmp_path / "rules.yaml"
    file.write_text(out)
    assert promtool("check", "rules", file) == ""
    assert "governor: left out: checkout/orders: its events are pushed to the bot" in err


def test_strict_fails_where_an_slo_has_no_rules(governor: Run, tmp_path: Path) -> None:
    assert governor(SHOP, "--strict")[0] == 1
    folder = folder_of(tmp_path, TWO_SOURCES)
    assert governor(folder, "--strict", "--write", tmp_path / "rules")[0] == 0


def test_each_source_has_a_file_in_a_folder_which_is_made(governor: Run, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, TWO_SOURCES)
    code, out, _ = governor(folder, "--write", tmp_path / "new" / "rules")
    files = sorted((tmp_path / "new" / "rules").iterdir())
    assert (code, [file.name for file in files]) == (0, ["metrics.rules.yaml", "mimir.rules.yaml"])
    assert "3 alerts for the Prometheus of mimir" in out
    assert promtool("check", "rules", *files) == ""
    before = [file.read_text() for file in files]
    assert governor(folder, "--write", tmp_path / "new" / "rules")[0] == 0
    assert [file.read_text() for file in files] == before


@pytest.mark.parametrize("options", [(), ("--write", "{tmp}/rules.yaml")])
def test_rules_for_two_servers_do_not_go_into_one_file(
    options: tuple[str, ...], governor: Run, tmp_path: Path
) -> None:
    words = [option.replace("{tmp}", str(tmp_path)) for option in options]
    code, out, err = governor(folder_of(tmp_path, TWO_SOURCES), *words)
    assert (code, out) == (2, "")
    assert "the rules are for 2 sources, metrics, mimir: write one file each with --write DIR" in err


def test_one_source_can_be_chosen(governor: Run, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, TWO_SOURCES)
    code, out, _ = governor(folder, "--source", "mimir")
    assert code == 0
    assert {group["name"] for group in yaml.safe_load(out)["groups"]} == {
        "checkout/orders",
        "checkout/orders/budget",
    }
    code, _, err = governor(folder, "--source", "mimr")
    assert (code, "did you mean mimir?" in err) == (2, True)


def test_a_file_of_somebody_else_is_never_replaced(governor: Run, tmp_path: Path) -> None:
    file = tmp_path / "alerts.yaml"
    file.write_text("groups: []\n")
    code, _, err = governor(SHOP, "--write", file)
    assert (code, file.read_text()) == (2, "groups: []\n")
    assert "was not written by `governor rules`" in err


def test_a_place_that_cannot_be_written_is_one_line(governor: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = governor(SHOP, "--write", tmp_path / "file" / "rules.yaml")
    assert code == 2
    assert "Traceback" not in err


def test_faults_of_the_policies_are_printed_and_nothing_is_written(governor: Run, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, TWO_SOURCES.replace("objective: 99\n", "objective: 101\n"))
    code, out, _ = governor(folder, "--write", tmp_path / "rules.yaml")
    assert code == 1
    assert "objective" in out
    assert not (tmp_path / "rules.yaml").exists()


def test_machines_get_the_groups_the_files_and_what_is_left_out(governor: Run, tmp_path: Path) -> None:
    code, out, _ = governor(SHOP, "--json", "--write", tmp_path / "rules.yaml")
    body = json.loads(out)
    assert code == 0
    assert body["sources"]["prometheus"]["file"] == str(tmp_path / "rules.yaml")
    written = yaml.safe_load((tmp_path / "rules.yaml").read_text())
    assert written["groups"] == body["sources"]["prometheus"]["groups"]
    assert "checkout/uptime" in {each["name"] for each in body["left_out"]}


def test_services_of_a_label_are_left_out_and_said_how_to_have_them(governor: Run, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, FOR_EACH.format(url="http://127.0.0.1:9"))
    code, out, err = governor(folder)
    assert (code, out) == (0, "")
    assert "left out: every: `forEach` makes its services as the source has them; --discover asks" in err
    code, _, err = governor(folder, "--discover", "--strict")
    assert code == 1
    assert "left out: every: http://127.0.0.1:9 cannot be reached" in err


async def test_services_of_a_label_can_be_asked_for(tmp_path: Path) -> None:
    async with running_exporter() as exporter, running_prometheus(tmp_path, [exporter]) as prometheus:
        await _seen(exporter, prometheus)
        folder = folder_of(tmp_path, FOR_EACH.format(url=prometheus.url))
        file = tmp_path / "rules.yaml"
        done = await asyncio.to_thread(
            subprocess.run,
            [
                sys.executable,
                "-m",
                "bot",
                "rules",
                str(folder),
                "--discover",
                "--strict",
                "--write",
                str(file),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    names = {group["name"] for group in yaml.safe_load(file.read_text())["groups"]}
    assert {"cart/availability", "search/availability"} <= names


async def _seen(exporter: Exporter, prometheus: Prometheus) -> None:
    for service in ("cart", "search"):
        exporter.count("http_requests_total", 1, service=service, code="200")
    while len(await prometheus.query("http_requests_total")) < 2:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.1)
