"""The command line: what it prints, and the exit codes that CI relies on."""

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot.store.migrate import upgrade
from tests.policy.conftest import SERVICE, WORKSPACE
from tests.support.paths import ROOT
from tests.support.running import API_TOKEN, Bot
from tests.support.servers import free_port, running_prometheus

NOBODY = "http://127.0.0.1:9"


def governor(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command line with just these variables in its environment."""
    env = {"PATH": os.environ["PATH"], "COLUMNS": "200", **environ}
    command = [sys.executable, "-m", "bot", *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=env | {"PYTHONPATH": str(ROOT)}, cwd=ROOT, check=False
    )


def test_check_passes_the_example_shop_and_names_every_fault_of_a_broken_one(tmp_path: Path) -> None:
    good = governor("check")
    assert (good.returncode, good.stderr) == (0, "")
    assert "3 services" in good.stdout
    for document in (ROOT / "policies").glob("*.yaml"):
        broken = document.read_text().replace("objective:", "objectve:").replace("#releases", "#Releases")
        (tmp_path / document.name).write_text(broken)
    bad = governor("check", str(tmp_path))
    assert bad.returncode == 1
    assert "workspace.yaml:" in bad.stdout
    assert bad.stdout.count("did you mean `objective`?") >= 3
    found = json.loads(governor("check", str(tmp_path), "--json").stdout)
    assert found["ok"] is False
    assert {"file", "line", "column", "message", "allowed"} <= found["faults"][0].keys()


def test_check_needs_no_source_and_says_for_how_many_services_a_document_stands(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "all.yaml").write_text(
        WORKSPACE.replace("http://localhost:9090", url)
        + "---\n"
        + SERVICE.replace("spec:", "spec:\n  forEach: {label: service}").replace("#ch", "#%{service}-ch")
    )
    alone = governor("check", str(tmp_path))
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "0 services, 0 SLOs, no faults" in alone.stdout
    assert "Service/checkout: how many services it makes is not known" in " ".join(alone.stdout.split())
    (standing,) = json.loads(governor("check", str(tmp_path), "--json").stdout)["for_each"]
    assert (standing["services"], standing["source"]) == (None, "prometheus")
    assert url in standing["problem"]
    broken = (tmp_path / "all.yaml").read_text().replace("%{service}", "%{servce}")
    (tmp_path / "all.yaml").write_text(broken)
    refused = governor("check", str(tmp_path))
    assert refused.returncode == 1
    assert "`%{servce}` is not the value of `service`" in " ".join(refused.stdout.split())


def test_check_names_burn_alerts_that_no_outage_can_fire(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(
        f"{WORKSPACE}---\n{SERVICE}".replace("objective: 99.9", "objective: 90")
    )
    checked = governor("check", str(tmp_path))
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "the burn alert of 14.4 over 1h never fires" in " ".join(checked.stdout.split())
    found = json.loads(governor("check", str(tmp_path), "--json").stdout)
    assert set(found["unreachable_alerts"]) == {"checkout/availability"}


async def test_check_names_the_slos_that_cannot_be_measured_where_the_source_answers(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    async with running_prometheus(tmp_path) as prometheus:
        workspace = WORKSPACE.replace("http://localhost:9090", prometheus.url)
        service = SERVICE.replace("events: {}", "prometheus: {total: gone_total, bad: errors_total}")
        (folder / "all.yaml").write_text(f"{workspace}---\n{service}")
        checked = await asyncio.to_thread(governor, "check", str(folder))
        assert (checked.returncode, checked.stderr) == (0, "")
        assert "checkout/availability: cannot be measured now: no series match gone_total" in checked.stdout
        found = json.loads((await asyncio.to_thread(governor, "check", str(folder), "--json")).stdout)
        assert found["ok"] is True
        assert set(found["unmeasured"]) == {"checkout/availability"}
    silent = await asyncio.to_thread(governor, "check", str(folder))
    assert silent.returncode == 0
    assert "prometheus: it is not known whether its SLOs can be measured" in silent.stdout


def test_schema_is_json_schema() -> None:
    schema = json.loads(governor("schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_run_without_credentials_says_what_is_missing() -> None:
    refused = governor("run")
    assert refused.returncode == 2
    assert "SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_run_with_broken_policies_prints_them_and_ends(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text("apiVersion: governor/v1\nkind: Workspce\n")
    refused = governor(
        "run",
        SLACK_BOT_TOKEN="xoxb-1",
        SLACK_SIGNING_SECRET="secret",
        POLICIES_DIR=str(tmp_path),
        DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/governor.db",
    )
    assert refused.returncode == 1
    assert "workspace.yaml:2:" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("environ", [{"PORT": "http"}, {"LOG_LEVEL": "loud"}])
def test_an_environment_that_makes_no_sense_is_one_clear_line(environ: dict[str, str]) -> None:
    refused = governor("run", **environ)
    assert refused.returncode == 2
    assert next(iter(environ)) in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [("gate", "checkout"), ("budget",), ("explain", "checkout"), ("audit",)])
def test_a_bot_that_does_not_answer_is_could_not_tell(words: tuple[str, ...]) -> None:
    refused = governor(*words, "--url", NOBODY, GOVERNOR_API_TOKEN="x")
    assert refused.returncode == 2
    assert "is it running?" in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("fly",),
        ("gate",),
        ("gate", "checkout", "--wait", "soon"),
        ("audit", "--since", "then"),
        ("explain", "a/b/c"),
    ],
)
def test_wrong_usage_is_could_not_tell(words: tuple[str, ...]) -> None:
    refused = governor(*words, "--url", NOBODY) if words[:1] != () and words[0] != "fly" else governor(*words)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


async def test_the_gate_answers_by_exit_code(bot: Bot) -> None:
    known = {"GOVERNOR_API_TOKEN": API_TOKEN, "GOVERNOR_URL": bot.url}
    await bot.api("POST", "events", json={"service": "checkout", "slo": "orders", "good": 999, "bad": 1})
    opened = governor("gate", "checkout", "--change", "PR-12", **known)
    assert (opened.returncode, opened.stdout.splitlines()[0]) == (0, "yes: checkout is open to this change")
    await bot.api("POST", "events", json={"service": "checkout", "slo": "orders", "good": 0, "bad": 99})
    await bot.until_state("checkout", "frozen")
    refused = governor("gate", "checkout", **known)
    assert refused.returncode == 1
    assert "budget hold" in refused.stdout
    unproven = governor("gate", "checkout", "--kind", "security", **known)
    assert (unproven.returncode, "is not proven" in unproven.stdout) == (1, True)
    proof = ("--kind", "security", "--proof", "CVE-2026-1234")
    exempt = governor("gate", "checkout", *proof, "--json", **known)
    assert (exempt.returncode, json.loads(exempt.stdout)["exemption"]) == (0, "security")
    waited = governor("gate", "checkout", "--wait", "1s", **known)
    assert waited.returncode == 1
    unknown = governor("gate", "chekout", **known)
    assert unknown.returncode == 2
    assert "did you mean checkout?" in unknown.stderr
    shown = governor("budget", **known)
    assert "frozen" in shown.stdout
    explained = governor("explain", "checkout", **known)
    assert explained.returncode == 0
    assert "Remaining = 1 − bad ÷ budget" in explained.stdout
    assert json.loads(governor("explain", "checkout", "--json", **known).stdout)["state"] == "ok"
    assert "did you mean" in governor("explain", "checkut/orders", **known).stderr
    assert "service.frozen" in governor("audit", "--since", "1h", **known).stdout
    forbidden = governor("gate", "checkout", GOVERNOR_URL=bot.url, GOVERNOR_API_TOKEN="wrong")
    assert (forbidden.returncode, "not valid" in forbidden.stderr) == (2, True)


async def store_at(path: Path, version: str | None = None) -> str:
    """Make a database at this version, or the newest; return its URL."""
    url = f"sqlite+aiosqlite:///{path}"
    await upgrade(url)
    if version is not None:
        with sqlite3.connect(path) as store:
            store.execute("UPDATE alembic_version SET version_num = ?", (version,))
    return url


@pytest.mark.parametrize(
    ("words", "code"), [(("migrate",), 2), (("token", "list"), 2), (("run",), 1), (("doctor",), 1)]
)
async def test_tables_of_a_newer_program_are_one_clear_line(
    words: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    url = await store_at(tmp_path / "governor.db", "9999")
    (tmp_path / "all.yaml").write_text(f"{WORKSPACE}\n---\n{SERVICE}")
    environ = {
        "DATABASE_URL": url,
        "POLICIES_DIR": str(tmp_path),
        "PORT": str(free_port()),
        "SLACK_API_URL": NOBODY,
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": "secret-1",
    }
    ended = await asyncio.to_thread(governor, *words, **environ)
    assert ended.returncode == code
    assert "at version 9999" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


async def test_run_says_what_it_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(f"{WORKSPACE}\n---\n{SERVICE}")
    environ = {
        "POLICIES_DIR": str(tmp_path),
        "SLACK_API_URL": NOBODY,
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": "secret-1",
    }
    away = f"postgresql+asyncpg://governor@127.0.0.1:{free_port()}/governor"
    ended = await asyncio.to_thread(governor, "run", **environ, DATABASE_URL=away)
    assert ended.returncode == 1
    assert "the database of DATABASE_URL cannot be used" in ended.stderr
    (tmp_path / "damaged.db").write_bytes(b"no database" * 1_000)
    damaged = f"sqlite+aiosqlite:///{tmp_path}/damaged.db"
    ended = await asyncio.to_thread(governor, "run", **environ, DATABASE_URL=damaged)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "file is not a database" in ended.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        url = await store_at(tmp_path / "governor.db")
        ended = await asyncio.to_thread(governor, "run", **environ, DATABASE_URL=url, PORT=port)
    assert ended.returncode == 1
    assert f"governor: cannot listen on 127.0.0.1:{port}: " in ended.stderr
