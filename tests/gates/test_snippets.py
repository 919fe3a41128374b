"""The snippets of docs/gates.md and the GitHub Action, run against a real bot, or read as what they are."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.gates.test_progressive import Platform
from tests.support.paths import DOCS, ROOT
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, start_bot
from tests.support.servers import find_program, free_port
from tests.support.shell_blocks import blocks, shell_blocks

PAGE = DOCS / "gates.md"
ACTION = ROOT / ".github" / "actions" / "gate"
SNIPPETS = [block.text for block in shell_blocks(PAGE)]
GOVERNOR, CURL = SNIPPETS
ADDRESS = "https://governor.example.com"


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with start_bot(tmp_path) as running_bot, aiohttp.ClientSession() as session:
        platform = Platform(running_bot, session)

        async def allowed() -> int:
            return (await platform.metric(tool="kargo"))[0]

        await eventually(allowed, lambda status: status == 200)
        yield platform


async def run(command: list[str], url: str, **more: str) -> tuple[int, str]:
    """Run a command as a pipeline would; return its exit code and what it said."""
    environ = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "GOVERNOR_URL": url, "GOVERNOR_TOKEN": TOKEN, "GOVERNOR_API_TOKEN": TOKEN,
        "CHANGE": "PR-12", "COMMIT": "3f1c2ab",
    } | more  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode is not None
    return process.returncode, said.decode()


async def shell(snippet: str, url: str) -> tuple[int, str]:
    """Run a snippet of the page, with waits that a test can stand."""
    quick = snippet.replace("--wait 30m", "--wait 1s").replace("--retry-max-time 300", "--retry-max-time 1")
    return await run(["bash", "-c", quick], url)


async def action(url: str, **inputs: str) -> tuple[int, str]:
    given = {
        "SERVICE": "checkout", "ENVIRONMENT": "production", "KIND": "", "PROOF": "", "WAIT_MINUTES": "0",
        "IF_UNAVAILABLE": "closed", "POLL_S": "1",
    } | inputs  # fmt: skip
    return await run([find_program("bash"), str(ACTION / "gate.sh")], url, **given)


def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["governor", "curl"])
async def test_the_commands_say_yes_and_no_by_their_exit_code(platform: Platform, snippet: str) -> None:
    refused = 1 if snippet == GOVERNOR else 22
    assert (await shell(snippet, platform.bot.url))[0] == 0
    await platform.freeze()
    assert (await shell(snippet, platform.bot.url))[0] == refused
    assert (await shell(snippet, nowhere()))[0] not in {0, 1, 22}


async def test_an_unreachable_bot_is_a_yes_only_where_that_is_asked_for(platform: Platform) -> None:
    is_open = GOVERNOR.replace("--if-unavailable closed", "--if-unavailable open")
    code, said = await shell(is_open, nowhere())
    assert (code, "going on, as --if-unavailable open says" in said) == (0, True)
    assert (await shell(GOVERNOR, nowhere()))[0] == 2
    # A refused question is no outage.
    assert (await shell(is_open.replace("checkout", "chekout"), platform.bot.url))[0] == 2
    await platform.freeze()
    assert (await shell(is_open, platform.bot.url))[0] == 1
    code, _ = await shell(f"{CURL.rstrip()} || [ $? -ne 22 ]", nowhere())
    assert code == 0
    code, _ = await shell(f"{CURL.rstrip()} || [ $? -ne 22 ]", platform.bot.url)
    assert code == 1


async def test_the_action_says_yes_no_and_that_nobody_knows(platform: Platform) -> None:
    url = platform.bot.url
    assert await action(url) == (0, "checkout is open to this change\n")
    assert (await action(url, SERVICE="chekout"))[0] == 2
    assert (await action(url, GOVERNOR_TOKEN="wrong"))[0] == 2
    assert (await action(url, IF_UNAVAILABLE="maybe"))[0] == 2
    assert (await action(nowhere()))[0] == 2
    code, said = await action(nowhere(), IF_UNAVAILABLE="open")
    assert (code, "::warning::" in said) == (0, True)
    await platform.freeze()
    code, said = await action(url)
    assert (code, "peak sale" in said, TOKEN in said) == (1, True, False)


async def test_the_action_waits_until_the_service_opens(platform: Platform) -> None:
    await platform.freeze()
    waiting = asyncio.create_task(action(platform.bot.url, WAIT_MINUTES="1"))
    await asyncio.sleep(1.5)
    assert not waiting.done()
    governor = platform.bot.governor
    service = governor.watcher.current.catalog.services["checkout"]
    await governor.parts.budgets.hold_registry.lift(service, by="U1", reason="", now=governor.clock.now())
    assert (await waiting)[0] == 0


async def test_the_action_does_not_wait_for_what_is_to_go_back(platform: Platform) -> None:
    await platform.flagger("confirm-rollout", checksum="PR-12")
    platform.burn()
    code, said = await action(platform.bot.url, WAIT_MINUTES="1")
    assert (code, "is to be taken back" in said) == (1, True)


def test_the_action_hands_all_its_inputs_on() -> None:
    described = yaml.safe_load((ACTION / "action.yml").read_text())
    (step,) = described["runs"]["steps"]
    handed = {re.findall(r"inputs\.([a-z-]+)", value)[0] for value in step["env"].values()}
    assert handed == set(described["inputs"])
    script = (ACTION / "gate.sh").read_text()
    assert all(f"${name}" in script or f"${{{name}" in script for name in step["env"])


def yaml_blocks() -> list[Any]:
    return [yaml.safe_load(block.text) for block in blocks(PAGE) if block.info == "yaml"]


def test_the_pages_workflow_names_inputs_of_the_action() -> None:
    ((used,),) = [block for block in yaml_blocks() if isinstance(block, list)]
    inputs = yaml.safe_load((ACTION / "action.yml").read_text())["inputs"]
    assert set(used["with"]) <= set(inputs)
    required = {name for name, described in inputs.items() if described.get("required")}
    assert required <= set(used["with"])
    assert (ROOT / used["uses"] / "action.yml").exists()


def addresses(value: object) -> list[str]:
    """Return every address of the bot in a snippet."""
    if isinstance(value, str):
        return re.findall(rf"{re.escape(ADDRESS)}(/gates/[^?\"]*)", value)
    if isinstance(value, Mapping):
        return [found for each in value.values() for found in addresses(each)]
    return [found for each in value for found in addresses(each)] if isinstance(value, list) else []


async def test_every_address_of_a_snippet_is_served(platform: Platform) -> None:
    found = [address for block in yaml_blocks() for address in addresses(block)]
    assert len(found) == 6
    app = platform.bot.governor.server.app
    for address in found:
        is_get = "/flagger/" not in address
        method = "GET" if is_get else "POST"
        match = [
            route
            for route in app.router.routes()
            if route.method == method
            and route.resource is not None
            and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.resource.canonical), address)
        ]
        assert match, address


def test_the_analysis_outlives_an_outage_of_an_hour_and_pauses_on_a_freeze() -> None:
    (template,) = [
        block
        for block in yaml_blocks()
        if isinstance(block, Mapping) and block.get("kind") == "AnalysisTemplate"
    ]
    (metric,) = template["spec"]["metrics"]
    # An error is asked again after ten seconds.
    assert metric["consecutiveErrorLimit"] * 10 >= 3_600
    assert (metric["successCondition"], metric["failureCondition"]) == (
        'result.verdict == "go"',
        'result.verdict == "back"',
    )
