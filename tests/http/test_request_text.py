"""Control characters and lone surrogates: cleaned from what people read, refused in ids, on both stores."""

import copy
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import pytest
import structlog
from sqlalchemy import select
from yarl import URL

from bot.http.openapi import served_operations
from bot.http.operations import Operation
from bot.http.request_text import RequestBody
from bot.store.tables.core import metadata
from bot.texts import REPLACEMENT, clean, clean_all, clean_line, is_name
from tests.http.test_hostile import command, signed
from tests.support.github import delivery
from tests.support.running_bot import GITLAB_SECRET, JIRA_SECRET, TOKEN, RunningBot, start_bot

HOSTILE = ("\x00", "\x1b[31m", "\x07", "\ud800", "\udfff", "\x9b2J", "\r", "\x7f")
AT = "2026-11-23T09:00:00Z"
EXAMPLES: dict[str, Any] = {
    "/api/v1/events": {"service": "checkout", "slo": "orders", "good": 1, "bad": 0, "id": "e1"},
    "/api/v1/incidents": {"title": "Down", "severity": "sev3", "services": ["checkout"], "key": "k1"},
    "/api/v1/incidents/{id}": {"status": "identified", "severity": "sev3"},
    "/api/v1/deployments": {
        "service": "checkout", "key": "d1", "state": "succeeded", "commit": "abc",
        "environment": "production", "ref": "main", "by": "dana", "url": "https://ci.example/1",
        "change": "PR-1", "kind": "fix",
    },
    "/webhooks/alertmanager": {
        "groupKey": '{}:{service="checkout"}',
        "alerts": [
            {
                "status": "firing", "startsAt": AT, "fingerprint": "f1",
                "labels": {"alertname": "Errors", "service": "checkout", "severity": "warning"},
                "annotations": {"summary": "Errors on checkout"},
            }
        ],
    },
    "/api/v1/exemptions": {
        "service": "checkout", "change": "PR-12", "reason": "down", "commit": "3f1c2ab", "kind": "security",
        "proof": "CVE-2026-1234",
    },
    "/api/v1/deployments/imports": {"service": "checkout", "repository": "acme/checkout"},
    "/webhooks/argocd": {
        "app": "checkout", "phase": "Succeeded", "revision": "abc", "startedAt": AT, "username": "dana",
        "source": {"repoURL": "https://github.com/acme/checkout"}, "url": "https://argocd.example/1",
    },
    "/webhooks/github": delivery(of={"payload": {"change": "PR-1", "kind": "fix"}}),
    "/webhooks/gitlab": {
        "object_kind": "issue",
        "object_attributes": {"url": "https://gitlab.com/acme/shop/-/issues/3", "action": "close"},
    },
    "/webhooks/jira": {
        "webhookEvent": "jira:issue_updated",
        "issue": {
            "key": "SHOP-7",
            "self": "https://acme.atlassian.net/rest/api/2/issue/1",
            "fields": {"status": {"statusCategory": {"key": "done"}}},
        },
    },
}  # fmt: skip


@pytest.fixture
async def running_bot(tmp_path: Path, url: str) -> AsyncIterator[RunningBot]:
    with structlog.testing.capture_logs():
        # Nothing answers there: imports can be begun, and nobody is asked.
        github = {"github_token": "t", "github_api_url": "http://127.0.0.1:9"}
        async with start_bot(tmp_path, url, **github) as running_bot:
            yield running_bot


def operations(running_bot: RunningBot) -> list[tuple[str, str, Operation]]:
    """Return every described operation."""
    served = served_operations(running_bot.governor.server.app)
    return [(method, path, operation) for method, path, operation in served if operation is not None]


def spoilt(body: Any, text: str) -> Iterator[Any]:
    """Return the body once for each of its texts, with the hostile text at its end."""
    for path in _texts(body):
        changed = copy.deepcopy(body)
        part = changed
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] += text
        yield changed


def _texts(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, str):
        yield at
    elif isinstance(value, dict | list):
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(member, (*at, key))


async def stored_texts(running_bot: RunningBot) -> list[str]:
    """Return all texts of the database."""
    async with running_bot.governor.database.reading() as connection:
        rows = [row for table in metadata.sorted_tables for row in await connection.execute(select(table))]
    values = [value for row in rows for value in row]
    texts = [value for value in values if isinstance(value, str)]
    return texts + [value for each in values if isinstance(each, dict | list) for value in _leaves(each)]


def _leaves(value: Any) -> Iterator[str]:
    for path in _texts(value):
        part = value
        for key in path:
            part = part[key]
        yield part


async def test_no_hostile_text_in_a_body_breaks_an_operation_or_reaches_the_store(
    running_bot: RunningBot,
) -> None:
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "X-GitHub-Event": "deployment_status",
        "X-Gitlab-Token": GITLAB_SECRET,
        "Content-Type": "application/json",
    }
    described = [
        (method, path) for method, path, operation in operations(running_bot)
        if isinstance(operation.body, type) and issubclass(operation.body, RequestBody)
    ]  # fmt: skip
    # A body of another kind has no text of ours: Slack's form, contexts of flags; Flagger's is tested below,
    # that of agents in `agents/test_malformed.py`, those of platforms with their adapters.
    others = {path for _, path, operation in operations(running_bot) if operation.body} - set(EXAMPLES)
    platforms = {"/gates/github", "/gates/gitlab/status-checks", "/gates/terraform/run-tasks"}
    elsewhere = {"/slack/events", "/mcp", *platforms}
    assert all(path in elsewhere or "ofrep" in path or "flagger" in path for path in others)
    assert {path for _, path in described} == set(EXAMPLES)
    wrong, accepted = [], 0
    async with aiohttp.ClientSession(headers=headers) as session:

        async def send(method: str, path: str, body: Any) -> int:
            address, text = running_bot.url + path.replace("{id}", "1"), json.dumps(body).encode()
            digest = hmac.new(JIRA_SECRET.encode(), text, hashlib.sha256).hexdigest()
            signature = {"X-Hub-Signature": f"sha256={digest}"}
            async with session.request(method, address, data=text, headers=signature) as answer:
                await answer.read()
                return answer.status

        for method, path in described:
            assert await send(method, path, EXAMPLES[path]) < 300, path
            for text in HOSTILE:
                for body in spoilt(EXAMPLES[path], text):
                    status = await send(method, path, body)
                    accepted += status < 300
                    wrong += [(path, text, status)] if status >= 500 else []
    assert wrong == []
    assert accepted > 0
    assert [text for text in await stored_texts(running_bot) if any(bad in text for bad in HOSTILE)] == []


@pytest.mark.parametrize("hook", ["confirm-rollout", "confirm-promotion", "rollback"])
async def test_no_hostile_text_in_a_hook_of_flagger_is_taken(running_bot: RunningBot, hook: str) -> None:
    body = {
        "name": "checkout", "namespace": "shop", "phase": "Progressing", "checksum": "8d5c9f7b6",
        "metadata": {"kind": "fix", "environment": "production", "commit": "abc", "proof": "INC-1"},
    }  # fmt: skip
    address = f"{running_bot.url}/gates/flagger/{TOKEN}/checkout/{hook}"
    async with aiohttp.ClientSession() as session:
        for text in HOSTILE:
            for spoiled in spoilt(body, text):
                async with session.post(address, data=json.dumps(spoiled)) as answer:
                    told = await answer.text()
                named = spoiled["checksum"], *spoiled["metadata"].values()
                is_taken = all(is_name(one.strip()) for one in named)
                assert answer.status in ((200, 423, 503) if is_taken else (400,)), (spoiled, told)
    assert [text for text in await stored_texts(running_bot) if any(bad in text for bad in HOSTILE)] == []


@pytest.mark.parametrize("text", ["%00", "%1B%5B31m", "%07", "%0A", "%7F", "%C2%9B"])
async def test_hostile_text_in_a_path_or_query_is_refused(running_bot: RunningBot, text: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for method, path, operation in operations(running_bot):
            plain = path.replace("{id}", "1").replace("{service}", "checkout")
            plain = plain.replace("{environment}", "production").replace("{key}", "flag")
            addresses = [f"{plain}?{parameter.name}=a{text}" for parameter in operation.query]
            addresses += [f"{plain}?a{text}=1", plain + text]
            for address in addresses:
                url = URL(running_bot.url + address, encoded=True)
                async with session.request(method, url, allow_redirects=False) as answer:
                    assert 400 <= answer.status < 500, address
                    is_problem = answer.content_type == "application/problem+json"
                    assert is_problem or not path.startswith(("/api/", "/webhooks/", "/rotations/")), address


async def test_hostile_headers_break_nothing(running_bot: RunningBot) -> None:
    raw = b"\xff\xfe\xe9".decode("latin-1")
    names: tuple[str, ...] = (
        "Authorization",
        "X-API-Key",
        "X-Hub-Signature-256",
        "X-GitHub-Event",
        "If-None-Match",
    )
    names += ("X-Slack-Signature", "X-Slack-Request-Timestamp", "Content-Type")
    async with aiohttp.ClientSession() as session:
        for method, path, _ in operations(running_bot):
            for name in names:
                value = f"Bearer {raw}" if name == "Authorization" else raw
                url = URL(running_bot.url + quote(path), encoded=True)
                options = {} if method == "GET" else {"data": b"{}"}
                async with session.request(method, url, headers={name: value}, **options) as answer:  # type: ignore[arg-type]
                    assert answer.status < 500, (path, name)


async def test_hostile_text_of_a_slack_command_is_cleaned(running_bot: RunningBot) -> None:
    for number, text in enumerate(["checkout for 1h over\x00 the\x1b[31m top", "lift checkout \x07bell"]):
        body = command(text, f"trigger{number}")
        headers = signed(body, running_bot.slack.signing_secret, time.time())
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{running_bot.url}/slack/events", data=body, headers=headers) as answer,
        ):
            assert answer.status == 200
        await running_bot.governor.parts.slack.app.drain(10)
    form = urlencode({"payload": json.dumps({"type": "block_actions", "user": {"id": "U\ud800"}})}).encode()
    headers = signed(form, running_bot.slack.signing_secret, time.time())
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running_bot.url}/slack/events", data=form, headers=headers) as answer,
    ):
        assert answer.status < 500
    await running_bot.governor.parts.slack.app.drain(10)
    texts = await stored_texts(running_bot)
    assert any("bell" in text for text in texts)
    assert [text for text in texts if any(bad in text for bad in HOSTILE)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\r\nend\rof line", "\nend\nof line"),
        ("\x00\x07\x1b[31mred\x9b", "[31mred"),
        ("half \ud83d of one", f"half {REPLACEMENT} of one"),
        ("whole 😀, joined 👩‍💻", "whole 😀, joined 👩‍💻"),
    ],
)
def test_free_text_is_cleaned(text: str, expected: str) -> None:
    assert clean(text) == expected
    assert clean_all({"a": [text, {"b": text}, 1, None]}) == {"a": [expected, {"b": expected}, 1, None]}


def test_a_line_is_cut_and_names_are_told_from_others() -> None:
    assert clean_line("a\n b\x00" + "c" * 300, 10) == "a bcccccc…"
    assert [is_name(text) for text in ("PR-12", "größe", "a\tb", "a\nb", "\ud800", "a\x85")] == [True] * 2 + [
        False
    ] * 4
