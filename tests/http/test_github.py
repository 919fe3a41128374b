"""GitHub's deliveries: signed ones are kept once and stand on the timeline, all others change nothing."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.http.github import is_signed
from tests.http.whole import GITHUB_SECRET, TOKEN, Whole, whole_bot

SHA = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


def delivery(**status: object) -> dict[str, Any]:
    """The members of `deployment_status` that matter, in GitHub's shape."""
    return {
        "action": "created",
        "deployment": {"id": 145988746, "sha": SHA, "ref": "main", "created_at": "2026-11-23T09:00:00Z"},
        "deployment_status": {
            "state": "success",
            "environment": "production",
            "created_at": "2026-11-23T09:01:30Z",
            "creator": {"login": "octocat"},
            "target_url": "https://ci.example/42",
            **status,
        },
        "repository": {"full_name": "Acme/Checkout", "html_url": "https://github.com/Acme/Checkout"},
    }


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_bot(tmp_path) as whole:
        yield whole


async def deliver(
    whole: Whole, body: object, *, secret: str = GITHUB_SECRET, event: str = "deployment_status"
) -> tuple[int, dict[str, Any]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": event}
    url = f"{whole.url}/webhooks/github"
    async with aiohttp.ClientSession() as session, session.post(url, data=raw, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


def test_the_signature_of_githubs_own_documentation_fits() -> None:
    secret = "It's a Secret to Everybody"
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert is_signed(b"Hello, World!", signature, [secret])
    assert is_signed(b"Hello, World!", signature, ["a newer one", secret])
    assert not is_signed(b"Hello, World?", signature, [secret])
    assert not is_signed(b"Hello, World!", signature.removeprefix("sha256="), [secret])
    assert not is_signed(b"Hello, World!", signature, [])


async def test_an_outcome_is_kept_once_however_often_it_is_told(whole: Whole) -> None:
    told = [await deliver(whole, delivery()) for _ in range(3)]
    assert [(status, answer["recorded"]) for status, answer in told] == [
        (202, ["checkout"]), (202, []), (202, []),
    ]  # fmt: skip
    assert (await deliver(whole, delivery(state="failure")))[1]["recorded"] == ["checkout"]
    rows = await whole.rows()
    assert (rows["deployments"], rows["audit"]) == (2, 2)


async def test_a_deployment_before_an_incident_stands_on_its_timeline_with_who_and_link(whole: Whole) -> None:
    await deliver(whole, delivery())
    opening = {"title": "Down", "severity": "sev3", "services": ["checkout"], "key": "k"}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    base = f"{whole.url}/api/v1/incidents"
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(base, json=opening) as answer:
            id_ = (await answer.json())["id"]
        async with session.get(f"{base}/{id_}/postmortem.md") as answer:
            document = await answer.text()
    line = next(line for line in document.splitlines() if "deployment succeeded" in line)
    assert "6113728 to production" in line
    assert "octocat" in line
    assert "https://ci.example/42" in line


@pytest.mark.parametrize(
    ("body", "event", "why"),
    [
        ({"zen": "Keep it logically awesome."}, "ping", "only the event deployment_status is used"),
        (delivery(state="in_progress"), "deployment_status", "the deployment has not ended yet"),
        (
            delivery() | {"repository": {"full_name": "acme/other", "html_url": "https://github.com/a"}},
            "deployment_status",
            "no service names this repository",
        ),
    ],
)
async def test_what_is_of_no_use_is_taken_and_says_why(
    whole: Whole, body: object, event: str, why: str
) -> None:
    assert await deliver(whole, body, event=event) == (202, {"recorded": [], "ignored": why})
    assert (await whole.rows())["deployments"] == 0


async def test_forged_and_senseless_deliveries_are_refused(whole: Whole) -> None:
    assert (await deliver(whole, delivery(), secret="guessed"))[0] == 401
    assert (await deliver(whole, b"{"))[0] == 400
    assert (await deliver(whole, []))[0] == 422
    assert (await deliver(whole, delivery(created_at="yesterday")))[0] == 422
    assert (await deliver(whole, delivery(environment="a\x00b")))[0] == 422
    assert (await whole.rows())["deployments"] == 0
