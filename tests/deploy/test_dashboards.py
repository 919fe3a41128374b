"""The dashboards and alerts: their form by Grafana's own types, their queries on Prometheus beside a bot.

Grafana itself is in no registry that the tests may use, so nothing here draws a panel.
"""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import kubernetes_validate
import pytest
import yaml

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from tests.deploy.test_metrics import documented, use
from tests.support.helm import helm
from tests.support.npm import installed
from tests.support.paths import DOCS, ROOT
from tests.support.running import eventually, meanwhile
from tests.support.running_bot import TOKEN, RunningBot, start_bot
from tests.support.servers import Exporter, find_program, running_prometheus

DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "alerts.yaml"
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
CASES = ROOT / "tests" / "deploy" / "alerts_cases.yaml"
PACKAGES = ("@grafana/schema@13.2.3", "typescript@5.9.3")
PANELS = {
    "stat": "stat/panelcfg/x/StatPanelCfg",
    "bargauge": "bargauge/panelcfg/x/BarGaugePanelCfg",
    "timeseries": "timeseries/panelcfg/x/TimeSeriesPanelCfg",
    "state-timeline": "statetimeline/panelcfg/x/StateTimelinePanelCfg",
}
"""The kinds of panels, and where their options are described."""
FROM_PROMETHEUS = {"job", "instance", "le"}
MAY_BE_EMPTY = {"Due tasks", "Attempts at tasks", "Faults"}
"""Panels that have nothing to show where nothing is due and nothing is wrong."""

# JSON has the values of enumerations, and leaves out what Grafana fills in.
_JSON_OF = """
type Json<T> = unknown extends T ? unknown
  : T extends string ? `${T}`
  : T extends Array<infer Item> ? Json<Item>[]
  : T extends object ? { [Key in keyof T]?: Json<T[Key]> }
  : T;
"""
_NAME = re.compile(r"\b(?:governor|process)_[a-z_]+")
_BY = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")


def board(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def queries() -> Iterator[tuple[str, str]]:
    """Return every query, with the title of its panel or the name of its alert."""
    for file in DASHBOARDS:
        for panel in board(file)["panels"]:
            for target in panel["targets"]:
                yield panel["title"], target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


def test_queries_use_metrics_and_labels_that_there_are() -> None:
    metrics = documented()
    for title, query in queries():
        used = [_known(name, set(metrics)) for name in _NAME.findall(query)]
        assert used, title
        labels = FROM_PROMETHEUS.union(*(metrics[name].labels for name in used))
        assert _labels(query) <= labels, title


def _labels(query: str) -> set[str]:
    grouped = {label for group in _BY.findall(query) for label in re.findall(r"\w+", group)}
    return grouped | set(_LABEL.findall(query))


def _known(name: str, metrics: set[str]) -> str:
    base = re.sub("_(bucket|sum|count)$", "", name)
    found = name if name in metrics else base
    assert found in metrics, name
    return found


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.name)
def test_a_dashboard_is_laid_out_without_gaps_and_overlaps(file: Path) -> None:
    panels = board(file)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert panel["description"]
        taken |= cells
    assert taken == {(x, y) for x in range(24) for y in range(max(y for _, y in taken) + 1)}


def test_dashboards_are_what_grafanas_own_types_allow(tmp_path: Path) -> None:
    source = ['import type { Dashboard } from "@grafana/schema";', _JSON_OF]
    for kind, place in PANELS.items():
        name = kind.replace("-", "")
        module = f"@grafana/schema/dist/esm/raw/composable/{place}_types.gen"
        source.append(f'import type {{ Options as {name} }} from "{module}";')
    for number, file in enumerate(DASHBOARDS):
        source.append(f"const board{number}: Json<Dashboard> = {file.read_text()};")
        source += [
            f"const options{number}_{panel['id']}: Json<{panel['type'].replace('-', '')}> = "
            f"{json.dumps(panel['options'])};"
            for panel in board(file)["panels"]
            if "options" in panel
        ]
    assert compiled(tmp_path, "\n".join(source)) == ""
    misspelt = "\n".join(source).replace('"gridPos"', '"gridpos"', 1)
    assert "gridpos" in compiled(tmp_path, misspelt)


def compiled(folder: Path, source: str) -> str:
    """Return what TypeScript's compiler says against the source."""
    node, packages = installed(*PACKAGES, peers=False)
    modules = folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(packages / "node_modules")
    (folder / "boards.ts").write_text(source)
    options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "preserve", "--target", "es2022"]
    done = subprocess.run(
        [str(node), str(modules / "typescript/bin/tsc"), *options, "boards.ts"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return "\n".join(line[:400] for line in done.stdout.splitlines()[:20])


def test_prometheus_accepts_the_alerts_and_each_fires_when_it_should() -> None:
    for arguments in (["check", "rules", str(ALERTS)], ["test", "rules", str(CASES)]):
        command = [find_program("promtool"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried_while_it_fires_and_while_it_does_not() -> None:
    tried: dict[bool, set[str]] = {True: set(), False: set()}
    for case in yaml.safe_load(CASES.read_text())["tests"]:
        for each in case["alert_rule_test"]:
            tried[bool(each["exp_alerts"])].add(each["alertname"])
    names = {rule["alert"] for rule in rules()}
    assert tried == {True: names, False: names}


def test_each_alert_has_a_section_that_says_what_to_do() -> None:
    sections = set(re.findall(r"^### (\w+)$", (DOCS / "operating.md").read_text(), re.MULTILINE))
    assert sections == {rule["alert"] for rule in rules()}
    for rule in rules():
        assert rule["annotations"]["runbook_url"] == f"docs/operating.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}


def test_the_chart_brings_the_same_files(tmp_path: Path) -> None:
    chart = DEPLOY / "helm" / "governor"
    values = tmp_path / "values.yaml"
    on = {"enabled": True}
    values.write_text(
        yaml.safe_dump(
            {
                "existingSecret": "s",
                "existingPolicies": "p",
                "alerts": on | {"docsUrl": "https://docs.example.com/governor/", "labels": {"a": "b"}},
                "dashboards": on,
            }
        )
    )
    done = helm("template", "shop", str(chart), "--values", str(values))
    assert done.returncode == 0, done.stderr
    made = {each["kind"]: each for each in yaml.safe_load_all(done.stdout) if each}
    source = ALERTS.read_text().replace("url: docs/", "url: https://docs.example.com/governor/")
    assert made["PrometheusRule"]["spec"] == yaml.safe_load(source)
    assert made["PrometheusRule"]["metadata"]["labels"]["a"] == "b"
    kubernetes_validate.validate(made["ConfigMap"], "1.35", strict=True)
    assert made["ConfigMap"]["metadata"]["labels"]["grafana_dashboard"] == "1"
    boards = {name: json.loads(text) for name, text in made["ConfigMap"]["data"].items()}
    assert boards == {file.name: board(file) for file in DASHBOARDS}
    # Links, not copies.
    files = chart / "files"
    assert (files / "alerts.yaml").resolve() == ALERTS
    assert sorted(file.resolve() for file in (files / "grafana").iterdir()) == DASHBOARDS


async def test_every_query_has_an_answer_from_a_bot_that_is_scraped(tmp_path: Path) -> None:
    async with start_bot(tmp_path) as bot:
        target = Exporter(urlsplit(bot.url).netloc)
        async with running_prometheus(tmp_path, [target], scrape_every_s=0.5) as prometheus:
            await work(bot)
            async with (
                meanwhile(keep_asking(bot)),
                aiohttp.ClientSession(f"{prometheus.url}/api/v1/") as session,
            ):
                for title, query in queries():
                    is_alert = title.startswith("Governor")
                    may_be_empty = is_alert or title in MAY_BE_EMPTY
                    ask = partial(answer, session, query)
                    result = await ask() if may_be_empty else await eventually(ask, bool, within_s=20)
                    assert not (is_alert and result), (title, result)


async def answer(session: aiohttp.ClientSession, query: str) -> list[Any]:
    """Return what Prometheus answers to a query as Grafana would send it."""
    sent = query.replace("$__rate_interval", "5m").replace("$service", ".*")
    async with session.get("query", params={"query": sent}) as response:
        content = await response.json()
        assert response.status == 200, (query, content)
    result: list[Any] = content["data"]["result"]
    return [sample for sample in result if sample["value"][1] != "NaN"]


async def work(bot: RunningBot) -> None:
    """Let the bot do a bit of everything: a freeze, a rate limit, deployments, one of which fails."""
    bot.slack.faults.once(InjectedFault.RATE_LIMITED, "chat.postMessage")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(f"{bot.url}/api/v1/", headers=headers) as session:
        for key, state in (("d1", "failed"), ("d2", "succeeded")):
            body = {"service": "checkout", "key": key, "state": state, "commit": key}
            async with session.post("deployments", json=body) as response:
                assert response.status in {200, 201, 202}, await response.text()
        await bot.governor.parts.velocity.measure()
        await use(bot)
        event = {"service": "checkout", "slo": "orders", "good": 1000, "bad": 200}
        async with session.post("events", json=event) as response:
            assert response.status == 202


async def keep_asking(bot: RunningBot) -> None:
    """Send commands and ask the gate, so that counters rise between scrapes."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(f"{bot.url}/api/v1/", headers=headers) as session:
        while True:
            await bot.slack.person("dana").says("/budget", "#checkout")
            async with session.get("gate/checkout") as response:
                assert response.status == 200
            await asyncio.sleep(0.3)
