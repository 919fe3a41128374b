"""`governor deploy record`: the report that it makes, and what it says of the answer."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from bot.cli.deploy import report
from tests.support.clock import NOW
from tests.support.github import api
from tests.support.running_bot import TOKEN, start_bot

ACTIONS = {
    "GITHUB_SHA": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    "GITHUB_REF_NAME": "main",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_JOB": "deploy",
    "GITHUB_ACTOR": "mona",
    "GITHUB_REPOSITORY": "acme/checkout",
}


def test_github_actions_say_everything() -> None:
    assert report(ACTIONS, "checkout", "production", {}, NOW) == {
        "service": "checkout",
        "environment": "production",
        "commit": ACTIONS["GITHUB_SHA"],
        "ref": "main",
        "run": "42",
        "key": "42 deploy 2 production",
        "by": "mona",
        "url": "https://github.com/acme/checkout/actions/runs/42",
    }


@pytest.mark.parametrize(
    ("environ", "commit", "run"),
    [
        ({"CI_COMMIT_SHA": "a1", "CI_PIPELINE_ID": "7", "CI_JOB_ID": "70"}, "a1", "7"),
        ({"GIT_COMMIT": "b2", "BUILD_TAG": "jenkins-x-8", "BUILD_ID": "8"}, "b2", "jenkins-x-8"),
        ({"BUILD_SOURCEVERSION": "c3", "BUILD_BUILDID": "9"}, "c3", "9"),
    ],
)
def test_other_systems_say_the_commit_and_the_run(environ: dict[str, str], commit: str, run: str) -> None:
    body = report(environ, "checkout", "production", {}, NOW)
    assert (body["commit"], body["run"]) == (commit, run)


def test_what_is_given_counts_and_a_commit_may_be_deployed_again() -> None:
    given = {"commit": "v2", "run": None, "key": None}
    first = report({}, "checkout", "production", given, NOW)
    assert first["key"] == f"v2 {NOW.isoformat()} production"
    assert report(ACTIONS, "checkout", "eu", {"commit": "v2", "key": "k"}, NOW)["key"] == "k"


async def governor(url: str, *arguments: str, token: str = TOKEN) -> tuple[int, str]:
    """Run the command in a clean environment; return the exit code and what it printed."""
    environ = {"PATH": os.environ["PATH"], "GOVERNOR_URL": url, "GOVERNOR_API_TOKEN": token}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "deploy", "record", *arguments,
        env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


async def test_it_is_recorded_once_and_refusals_have_their_own_exit_codes(tmp_path: Path) -> None:
    async with start_bot(tmp_path) as running_bot:
        own = ("--service", "checkout", "--commit", "v2", "--key", "build-42")
        assert await governor(running_bot.url, *own) == (0, "recorded: v2 to production, succeeded\n")
        code, printed = await governor(running_bot.url, *own, "--json")
        assert (code, json.loads(printed)["recorded"]) == (0, [])
        code, printed = await governor(running_bot.url, "--service", "checkuot", "--commit", "v2")
        assert (code, "there is no service checkuot" in printed) == (1, True)
        assert (await governor(running_bot.url, "--service", "checkout"))[0] == 2
        _, body = await api(running_bot, "GET", "deployments")
        assert [each["commit"] for each in body["deployments"]] == ["v2"]
    assert (await governor("http://127.0.0.1:9", *own))[0] == 2
