"""`governor deploy`: the report that `record` makes, what `import` begins, what they say of the answer."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bot.cli.deployments.deploy import report
from bot.cli.deployments.deploy_import import describe
from tests.support.clock import DAY, NOW
from tests.support.github import api
from tests.support.github_api import TOKEN as GITHUB_TOKEN
from tests.support.github_api import FakeGitHub
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
        sys.executable, "-m", "bot", "deploy", *arguments,
        env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


async def test_it_is_recorded_once_and_refusals_have_their_own_exit_codes(tmp_path: Path) -> None:
    async with start_bot(tmp_path) as running_bot:
        own = ("record", "--service", "checkout", "--commit", "v2", "--key", "build-42")
        assert await governor(running_bot.url, *own) == (0, "recorded: v2 to production, succeeded\n")
        code, printed = await governor(running_bot.url, *own, "--json")
        assert (code, json.loads(printed)["recorded"]) == (0, [])
        code, printed = await governor(running_bot.url, "record", "--service", "checkuot", "--commit", "v2")
        assert (code, "there is no service checkuot" in printed) == (1, True)
        assert (await governor(running_bot.url, "record", "--service", "checkout"))[0] == 2
        _, body = await api(running_bot, "GET", "deployments")
        assert [each["commit"] for each in body["deployments"]] == ["v2"]
    assert (await governor("http://127.0.0.1:9", *own))[0] == 2


async def test_the_history_is_imported_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    github = FakeGitHub(now=lambda: now)
    github.commit(0)
    for number in range(1, 4):
        github.deploy(2 * number, github.commit(number, number - 1), now - number * 9 * DAY, "success")
    async with (
        github.server() as server,
        start_bot(
            tmp_path, github_token=GITHUB_TOKEN, github_api_url=str(server.make_url("")).rstrip("/")
        ) as running_bot,
    ):
        code, printed = await governor(running_bot.url, "import", "checkout", "--json")
        (done,) = json.loads(printed)["imports"]
        assert (code, done["repository"], done["state"], done["read"]) == (0, "acme/checkout", "done", 3)
        _, body = await api(running_bot, "GET", "deployments")
        assert len(body["deployments"]) == 3
        code, printed = await governor(running_bot.url, "import", "Acme/Checkout", "--since", "12d")
        day = f"{now - 12 * DAY:%Y-%m-%d}"
        told = f"acme/checkout: imported since {day}, 1 deployment read, 0 new\n"
        assert (code, printed) == (0, told)
        code, printed = await governor(running_bot.url, "import", "acme/other")
        assert (code, printed) == (1, "governor: no service names the repository acme/other\n")
        code, printed = await governor(running_bot.url, "import", "--since", "400d")
        assert (code, printed) == (1, "governor: at most 366 days ago\n")
        github.refuse = lambda *_: web.json_response({"message": "Not Found"}, status=404)
        code, printed = await governor(running_bot.url, "import")
        assert (code, "given up (GitHub answered 404: Not Found)" in printed) == (1, True)
        async with aiohttp.ClientSession() as session, session.get(f"{running_bot.url}/readyz") as answer:
            check = (await answer.json())["checks"]["imports"]
        failed = {"acme/checkout": "GitHub answered 404: Not Found"}
        assert check == {"ok": False, "running": {}, "given_up": failed}


async def test_without_a_token_for_github_the_import_says_so(tmp_path: Path) -> None:
    async with start_bot(tmp_path) as running_bot:
        code, printed = await governor(running_bot.url, "import", "checkout")
        assert (code, "GITHUB_TOKEN is not set where the bot runs" in printed) == (1, True)
        assert (await governor(running_bot.url, "import", "--since", "soon"))[0] == 2
        assert await api(running_bot, "GET", "deployments/imports") == (200, {"imports": []})
    assert (await governor("http://127.0.0.1:9", "import"))[0] == 2


def test_an_import_that_waits_says_for_what() -> None:
    progress = {
        "repository": "acme/checkout",
        "since": "2026-08-25T09:00:00Z",
        "state": "pending",
        "read": 40,
        "recorded": 1,
        "waits_until": "2026-11-23T10:05:00Z",
        "problem": None,
    }
    assert describe(progress) == (
        "acme/checkout: 40 deployments read, 1 new; waits until 10:05Z for GitHub's rate limit"
    )
    running = describe(progress | {"waits_until": None})
    assert running == "acme/checkout: importing since 2026-08-25, 40 deployments read, 1 new"
