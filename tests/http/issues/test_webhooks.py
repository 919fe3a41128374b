"""Events about issues: the vendors' payloads, with right, wrong and missing secrets."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.incidents.issues.following import IssueLinks
from bot.incidents.issues.tracked import issue_of
from bot.incidents.records.actions import Actions, NewAction
from bot.incidents.visibility import OPERATOR
from tests.support.clock import NOW
from tests.support.github import deliver
from tests.support.running_bot import GITLAB_SECRET, JIRA_SECRET, TOKEN, RunningBot, start_bot

URLS = (
    "https://github.com/octocat/Hello-World/issues/1",
    "https://example.com/gitlab-org/gitlab-test/-/issues/23",
    "https://your-domain.atlassian.net/browse/SCRUM-10",
)


def github(action: str) -> dict[str, Any]:
    return {
        "action": action,
        "issue": {
            "url": "https://api.github.com/repos/octocat/Hello-World/issues/1",
            "html_url": URLS[0],
            "number": 1,
            "state": "closed" if action == "closed" else "open",
        },
        "repository": {
            "full_name": "octocat/Hello-World",
            "html_url": "https://github.com/octocat/Hello-World",
        },
    }


def gitlab(action: str, kind: str = "issue") -> dict[str, Any]:
    return {
        "object_kind": kind,
        "event_type": "issue",
        "project": {"id": 1, "web_url": "https://example.com/gitlab-org/gitlab-test"},
        "object_attributes": {"id": 301, "iid": 23, "state": "closed", "action": action, "url": URLS[1]},
    }


def jira(category: str, event: str = "jira:issue_updated") -> dict[str, Any]:
    status = {"name": "Done", "statusCategory": {"id": 3, "key": category, "name": "Done"}}
    return {
        "timestamp": 1525698237764,
        "webhookEvent": event,
        "issue": {
            "id": "10000",
            "self": "https://your-domain.atlassian.net/rest/api/2/issue/10000",
            "key": "SCRUM-10",
            "fields": {"summary": "Limit the pool", "status": status},
        },
    }


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    """A bot with an action for each tracker, 1 to 3."""
    async with start_bot(tmp_path) as bot:
        database = bot.governor.database
        for number, url in enumerate(URLS, start=1):
            await Actions(database).add(NewAction(f"Work {number}", "checkout"), by="U0SAM", now=NOW)
            await IssueLinks(database).link(number, issue_of(url), by="U0SAM", now=NOW)
        yield bot


async def done(bot: RunningBot) -> list[int]:
    """Return the numbers of the actions that are done."""
    actions = await Actions(bot.governor.database).of_service("checkout", OPERATOR, is_open=False)
    return [action.id for action in actions if action.done_at is not None]


async def post(
    bot: RunningBot, path: str, body: object, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    raw = json.dumps(body).encode()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{bot.url}/webhooks/{path}", data=raw, headers=headers or {}) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


def jira_signature(body: object, secret: str = JIRA_SECRET) -> dict[str, str]:
    digest = hmac.digest(secret.encode(), json.dumps(body).encode(), hashlib.sha256).hex()
    return {"X-Hub-Signature": f"sha256={digest}"}


async def test_actions_follow_issues_of_all_three(bot: RunningBot) -> None:
    token = {"X-Gitlab-Token": GITLAB_SECRET}
    assert (await deliver(bot, github("closed"), event="issues"))[0] == 202
    assert await post(bot, "gitlab", gitlab("close"), token) == (202, {"ignored": None})
    assert await post(bot, "jira", jira("done"), jira_signature(jira("done"))) == (202, {"ignored": None})
    assert await done(bot) == [1, 2, 3]
    await deliver(bot, github("reopened"), event="issues")
    await post(bot, "gitlab", gitlab("reopen"), token)
    body = jira("indeterminate")
    await post(bot, "jira", body, jira_signature(body))
    assert await done(bot) == []
    # What says nothing of the state changes nothing.
    for ignored in (
        await deliver(bot, github("labeled"), event="issues"),
        await post(bot, "gitlab", gitlab("update"), token),
        await post(bot, "gitlab", gitlab("close", "note"), token),
        await post(
            bot, "jira", jira("done", "comment_created"), jira_signature(jira("done", "comment_created"))
        ),
    ):
        assert (ignored[0], bool(ignored[1]["ignored"])) == (202, True)
    assert await done(bot) == []


async def test_wrong_and_missing_secrets_are_refused(bot: RunningBot) -> None:
    body = jira("done")
    refused = [
        await deliver(bot, github("closed"), event="issues", secret="wrong"),
        await deliver(bot, github("closed"), event="issues", secret=None),
        await post(bot, "gitlab", gitlab("close")),
        await post(bot, "gitlab", gitlab("close"), {"X-Gitlab-Token": "wrong"}),
        await post(bot, "jira", body),
        await post(bot, "jira", body, jira_signature(body, "wrong")),
        await post(bot, "jira", body, {"X-Hub-Signature": JIRA_SECRET}),
    ]
    assert [status for status, _ in refused] == [401] * len(refused)
    # A token may report deployments, but closes no issue.
    status, answer = await deliver(bot, github("closed"), event="issues", secret=None, token=TOKEN)
    assert (status, bool(answer["ignored"])) == (202, True)
    assert await done(bot) == []


async def test_senseless_events_are_refused_and_unknown_issues_taken(bot: RunningBot) -> None:
    token = {"X-Gitlab-Token": GITLAB_SECRET}
    assert (await post(bot, "gitlab", {"object_kind": "issue"}, token))[0] == 422
    nothing = {"webhookEvent": "jira:issue_updated"}
    assert (await post(bot, "jira", nothing, jira_signature(nothing)))[0] == 422
    assert (await post(bot, "jira", [], jira_signature([])))[0] == 202
    other = gitlab("close")
    other["object_attributes"]["url"] = "https://example.com/other/project/-/issues/1"
    assert (await post(bot, "gitlab", other, token))[0] == 202
    assert await done(bot) == []
