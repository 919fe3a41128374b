"""GitHub's deliveries: a signed one is stored once, all others change nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sqlalchemy import select

from bot.http.deployments.github import is_signed
from bot.http.rights import read_rights
from bot.store import api_tokens, audit
from bot.store.tables.deployments import deployments
from tests.support.github import SHA, deliver, delivery
from tests.support.npm import installed
from tests.support.running_bot import RunningBot, start_bot

PUBLISHED = ("@octokit/webhooks-schemas@7.6.1", "@octokit/webhooks-examples@7.6.1")


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with start_bot(tmp_path) as running_bot:
        yield running_bot


@pytest.fixture(scope="module")
def octokit() -> Path:
    """The folder of what Octokit publishes about GitHub's deliveries."""
    _, folder = installed(*PUBLISHED)
    return folder / "node_modules" / "@octokit"


async def token_for(running_bot: RunningBot, rights: str) -> str:
    async with running_bot.governor.database.transaction() as connection:
        now = running_bot.governor.clock.now()
        return await api_tokens.create(connection, "relay", read_rights(rights), 600, now)


def test_the_signature_of_githubs_own_documentation_fits() -> None:
    secret = "It's a Secret to Everybody"
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert is_signed(b"Hello, World!", signature, [secret])
    assert is_signed(b"Hello, World!", signature, ["a newer one", secret])
    assert not is_signed(b"Hello, World?", signature, [secret])
    assert not is_signed(b"Hello, World!", signature.removeprefix("sha256="), [secret])
    assert not is_signed(b"Hello, World!", signature, [])


def test_these_deliveries_are_githubs_by_the_published_schema(octokit: Path) -> None:
    schema = json.loads((octokit / "webhooks-schemas" / "schema.json").read_text())
    event = schema | {"oneOf": [{"$ref": "#/definitions/deployment_status$created"}]}
    checked = jsonschema.Draft7Validator(event)
    for body in (delivery(), delivery(state="failure"), delivery(state="in_progress", target_url="")):
        assert list(checked.iter_errors(body)) == []
    assert list(checked.iter_errors(delivery(state="over")))


async def test_every_published_example_is_taken(running_bot: RunningBot, octokit: Path) -> None:
    index = json.loads((octokit / "webhooks-examples" / "api.github.com" / "index.json").read_text())
    examples = next(event["examples"] for event in index if event["name"] == "deployment_status")
    assert len(examples) > 1
    for body in examples:
        body["repository"]["full_name"] = "acme/checkout"
        status, answer = await deliver(running_bot, body)
        has_ended = body["deployment_status"]["state"] == "success"
        assert (status, answer["ignored"]) == (202, None if has_ended else "the deployment has not ended yet")
    assert (await running_bot.rows())["deployments"] == 1


async def test_an_outcome_is_stored_once_however_often_it_is_delivered(running_bot: RunningBot) -> None:
    answers = [await deliver(running_bot, delivery()) for _ in range(3)]
    assert [(status, answer["recorded"]) for status, answer in answers] == [
        (202, ["checkout"]), (202, []), (202, []),
    ]  # fmt: skip
    assert (await deliver(running_bot, delivery(state="failure")))[1]["recorded"] == ["checkout"]
    rows = await running_bot.rows()
    assert (rows["deployments"], rows["audit"]) == (2, 2)


async def test_a_token_with_the_right_serves_instead_of_the_signature(running_bot: RunningBot) -> None:
    token = await token_for(running_bot, "deployments:write")
    assert (await deliver(running_bot, delivery(), secret=None, token=token))[1]["recorded"] == ["checkout"]
    async with running_bot.governor.database.reading() as connection:
        (row,) = await audit.read(connection, service="checkout")
    assert (row.entry.actor, row.entry.action) == ("relay", "deployment.succeeded")


async def test_no_token_makes_up_for_a_forged_signature_or_a_missing_right(running_bot: RunningBot) -> None:
    token = await token_for(running_bot, "alerts:write")
    status, problem = await deliver(running_bot, delivery(), secret=None, token=token)
    assert (status, problem["missing"]) == (403, "deployments:write")
    assert (await deliver(running_bot, delivery(), secret="guessed", token=token))[0] == 401
    status, problem = await deliver(running_bot, delivery(), secret=None)
    assert status == 401
    assert "GITHUB_WEBHOOK_SECRET" in problem["detail"]
    assert (await running_bot.rows())["deployments"] == 0


@pytest.mark.parametrize(
    ("target_url", "stored_url"),
    [
        ("https://ci.example/42?a=1&b=2", "https://ci.example/42?a=1&b=2"),
        ("", f"https://github.com/Acme/Checkout/commit/{SHA}"),
        ("javascript:alert(1)", f"https://github.com/Acme/Checkout/commit/{SHA}"),
        ("https://ci.example/|x>", f"https://github.com/Acme/Checkout/commit/{SHA}"),
    ],
)
async def test_a_page_that_cannot_be_shown_gives_way_to_the_commits(
    running_bot: RunningBot, target_url: str, stored_url: str
) -> None:
    await deliver(running_bot, delivery(target_url=target_url))
    async with running_bot.governor.database.reading() as connection:
        row = (await connection.execute(select(deployments))).one()
    assert (row.url, row.by) == (stored_url, "Codertocat at GitHub")


@pytest.mark.parametrize(
    ("body", "event", "why"),
    [
        ({"zen": "Keep it logically awesome."}, "ping", "only deployment_status and signed issues are used"),
        (delivery(state="in_progress"), "deployment_status", "the deployment has not ended yet"),
        (
            delivery() | {"repository": {"full_name": "acme/other", "html_url": "https://github.com/a"}},
            "deployment_status",
            "no service names this repository",
        ),
    ],
)
async def test_what_is_of_no_use_is_taken_and_says_why(
    running_bot: RunningBot, body: dict[str, Any], event: str, why: str
) -> None:
    assert await deliver(running_bot, body, event=event) == (202, {"recorded": [], "ignored": why})
    assert (await running_bot.rows())["deployments"] == 0


async def test_forged_and_senseless_deliveries_are_refused(running_bot: RunningBot) -> None:
    assert (await deliver(running_bot, delivery(), secret="guessed"))[0] == 401
    assert (await deliver(running_bot, b"{"))[0] == 400
    assert (await deliver(running_bot, []))[0] == 422
    assert (await deliver(running_bot, delivery(created_at="yesterday")))[0] == 422
    assert (await deliver(running_bot, delivery(environment="a\x00b")))[0] == 422
    assert (await running_bot.rows())["deployments"] == 0
