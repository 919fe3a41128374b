"""The component for GitLab CI/CD: valid by GitLab's schema, and its script run in a real shell."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.gates.test_progressive import Platform
from tests.support.paths import ROOT
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, start_bot
from tests.support.servers import find_program, free_port

COMPONENT = ROOT / "templates" / "governor-gate.yml"


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with start_bot(tmp_path) as running_bot, aiohttp.ClientSession() as session:
        platform = Platform(running_bot, session)

        async def allowed() -> int:
            return (await platform.metric(tool="kargo"))[0]

        await eventually(allowed, lambda status: status == 200)
        yield platform


def documents() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header with the inputs, and the job."""
    header, jobs = yaml.safe_load_all(COMPONENT.read_text(encoding="utf-8"))
    (job,) = jobs.values()
    return header["spec"]["inputs"], job


def filled_in(**given: str) -> tuple[dict[str, Any], str]:
    """Return the job as GitLab makes it of the inputs, and the file without its header."""
    inputs, _ = documents()
    text = COMPONENT.read_text(encoding="utf-8").partition("\n---\n")[2]
    for name, described in inputs.items():
        value = given.get(name.replace("-", "_"), described.get("default"))
        assert value is not None, name
        text = text.replace(f"$[[ inputs.{name} ]]", str(value))
    assert "inputs." not in text
    (job,) = yaml.safe_load(text).values()
    return job, text


async def run(url: str, shell: str = "sh", **given: str) -> tuple[int, str]:
    """Run the script as a runner does: each variable in the environment, errors end it."""
    job, _ = filled_in(**{"service": "checkout", "url": url, "wait_minutes": "0"} | given)
    (script,) = job["script"]
    environ = {
        "PATH": os.environ["PATH"], "GOVERNOR_TOKEN": given.get("token", TOKEN), "CI_COMMIT_SHA": "3f1c2ab",
        "CI_MERGE_REQUEST_IID": "12", "GATE_POLL_S": "1",
    } | job["variables"]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        find_program(shell), "-euc", script, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode is not None
    return process.returncode, said.decode()


def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_it_is_valid_by_the_schema_that_gitlab_publishes(tmp_path: Path) -> None:
    # Its header is a document of its own, which the schema describes as the key `spec`.
    header = yaml.safe_load(COMPONENT.read_text(encoding="utf-8").partition("\n---\n")[0])
    _, jobs = filled_in(service="checkout")
    for name, text in (("header.yml", yaml.safe_dump(header)), ("jobs.yml", jobs)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        command = [
            "check-jsonschema",
            "--builtin-schema",
            "vendor.gitlab-ci",
            "--data-transform",
            "gitlab-ci",
        ]
        done = subprocess.run([*command, tmp_path / name], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_input_is_described_and_used() -> None:
    inputs, _ = documents()
    text = COMPONENT.read_text(encoding="utf-8").partition("\n---\n")[2]
    assert all(described["description"] for described in inputs.values())
    assert all(f"$[[ inputs.{name} ]]" in text for name in inputs)
    assert [name for name, described in inputs.items() if "default" not in described] == ["service"]


@pytest.mark.parametrize("shell", ["sh", "bash"])
async def test_it_says_yes_no_and_that_nobody_knows(platform: Platform, shell: str) -> None:
    url = platform.bot.url
    assert await run(url, shell) == (0, "checkout is open to !12\n")
    assert (await run(url, shell, service="chekout"))[0] == 2
    assert (await run(url, shell, token="wrong"))[0] == 2
    assert (await run(nowhere(), shell))[0] == 2
    code, said = await run(nowhere(), shell, if_unavailable="open")
    assert (code, "shipping all the same" in said) == (0, True)
    await platform.freeze()
    code, said = await run(url, shell)
    assert (code, "peak sale" in said, TOKEN in said) == (1, True, False)
    assert (await run(url, shell, if_unavailable="open"))[0] == 1


async def test_it_waits_until_the_service_opens(platform: Platform) -> None:
    await platform.freeze()
    waiting = asyncio.create_task(run(platform.bot.url, wait_minutes="1"))
    await asyncio.sleep(1.5)
    assert not waiting.done()
    governor = platform.bot.governor
    service = governor.watcher.current.catalog.services["checkout"]
    await governor.parts.budgets.hold_registry.lift(service, by="U1", reason="", now=governor.clock.now())
    assert (await waiting)[0] == 0


async def test_it_does_not_wait_for_what_must_go_back(platform: Platform) -> None:
    await platform.flagger("confirm-rollout", checksum="PR-12")
    platform.burn()
    code, said = await run(platform.bot.url, change="PR-12", wait_minutes="1")
    assert (code, "must go back" in said) == (1, True)
