"""`POST /webhooks/gitlab` and `/webhooks/jira`: what becomes of issues that actions are linked to.

GitLab sends the secret itself in a header, Jira signs the body with it. The answers say nothing of actions,
which may be those of a private incident.

https://docs.gitlab.com/user/project/integrations/webhook_events/#work-item-events
https://developer.atlassian.com/cloud/jira/platform/webhooks/
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic import ConfigDict, Field

from bot.clock import Clock
from bot.http.deployments.github import is_signed
from bot.http.operations import BAD_BODY, Operation, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import MOST_UNSIGNED_BYTES, read_body, read_bytes, read_json
from bot.http.request_text import RequestBody
from bot.http.response_models import IssueAnswer
from bot.incidents.issues.following import IssueLinks
from bot.incidents.issues.tracked import Tracker, UnknownIssueError, issue_of, jira_key

GITLAB_TOKEN = "X-Gitlab-Token"  # noqa: S105 - the header's name
JIRA_SIGNATURE = "X-Hub-Signature"
_GITLAB_STATES = {"close": True, "reopen": False, "open": False}
_REFUSALS = BAD_BODY | {401: "The secret or the signature is missing or wrong."}


class _IssuePart(RequestBody):
    model_config = ConfigDict(extra="ignore")


class GitLabIssuePart(_IssuePart):
    """What happened to the issue: `close`, `reopen` or anything else."""

    url: str = Field(max_length=1_000)
    action: str = Field("", max_length=50)


class GitLabIssueBody(_IssuePart):
    """GitLab's event about an issue."""

    object_attributes: GitLabIssuePart


class JiraCategoryPart(_IssuePart):
    """The kind of a status: `new`, `indeterminate` or `done`."""

    key: str = Field(max_length=50)


class JiraStatusPart(_IssuePart):
    """The status of an issue."""

    statusCategory: JiraCategoryPart  # noqa: N815 - Jira's word


class JiraFieldsPart(_IssuePart):
    """The fields of an issue, of which only the status is read."""

    status: JiraStatusPart


class JiraIssuePart(_IssuePart):
    """The issue: its number and its address in the API."""

    key: str = Field(max_length=50)
    self: str = Field(max_length=1_000)
    fields: JiraFieldsPart


class JiraIssueBody(_IssuePart):
    """Jira's event about an issue."""

    issue: JiraIssuePart


class IssueWebhooks:
    """The webhooks of GitLab and Jira. Several secrets are valid while one is changed."""

    def __init__(
        self, links: IssueLinks, clock: Clock, *, gitlab_secrets: Sequence[str], jira_secrets: Sequence[str]
    ) -> None:
        self._links = links
        self._clock = clock
        self._gitlab_secrets = tuple(gitlab_secrets)
        self._jira_secrets = tuple(jira_secrets)

    def add_routes(self, app: web.Application) -> None:
        """Add the routes."""
        add_operations(app, self)

    @Operation(
        "POST",
        "/webhooks/gitlab",
        tag="webhooks",
        summary="GitLab's issue events, with the secret token",
        body=GitLabIssueBody,
        answers={202: IssueAnswer},
        refusals=_REFUSALS,
    )
    async def _gitlab(self, request: web.Request) -> web.Response:
        sent = request.headers.get(GITLAB_TOKEN, "").encode(errors="surrogatepass")
        matches = [hmac.compare_digest(sent, secret.encode()) for secret in self._gitlab_secrets]
        if not any(matches):
            raise ProblemError(401, f"the secret token in {GITLAB_TOKEN} is missing or wrong{_HOW['gitlab']}")
        payload = await read_json(request.clone(client_max_size=MOST_UNSIGNED_BYTES))
        if not isinstance(payload, Mapping) or payload.get("object_kind") not in {"issue", "work_item"}:
            return _taken("only events about issues are used")
        body = read_body(GitLabIssueBody, payload).object_attributes
        is_closed = _GITLAB_STATES.get(body.action)
        if is_closed is None:
            return _taken("only closed and reopened issues are used")
        return await self._follow(Tracker.GITLAB, body.url, is_closed=is_closed)

    @Operation(
        "POST",
        "/webhooks/jira",
        tag="webhooks",
        summary="Jira's issue events, signed by Jira",
        body=JiraIssueBody,
        answers={202: IssueAnswer},
        refusals=_REFUSALS,
    )
    async def _jira(self, request: web.Request) -> web.Response:
        request = request.clone(client_max_size=MOST_UNSIGNED_BYTES)
        signature = request.headers.get(JIRA_SIGNATURE, "")
        if not is_signed(await read_bytes(request), signature, self._jira_secrets):
            raise ProblemError(401, f"the signature in {JIRA_SIGNATURE} is missing or wrong{_HOW['jira']}")
        payload: Any = await read_json(request)
        event = payload.get("webhookEvent") if isinstance(payload, Mapping) else None
        if event not in {"jira:issue_created", "jira:issue_updated"}:
            return _taken("only created and updated issues are used")
        issue = read_body(JiraIssueBody, payload).issue
        key = jira_key(issue.self, issue.key)
        is_closed = issue.fields.status.statusCategory.key == "done"
        await self._links.follow(Tracker.JIRA, key, is_closed=is_closed, now=self._clock.now())
        return _taken(None)

    async def _follow(self, tracker: Tracker, url: str, *, is_closed: bool) -> web.Response:
        try:
            issue = issue_of(url)
        except UnknownIssueError:
            return _taken("the address is not that of an issue")
        await self._links.follow(tracker, issue.key, is_closed=is_closed, now=self._clock.now())
        return _taken(None)


_HOW = {
    "gitlab": ": set GITLAB_WEBHOOK_SECRET where the bot runs, and the same secret token in GitLab",
    "jira": ": set JIRA_WEBHOOK_SECRET where the bot runs, and the same secret in Jira",
}


def _taken(ignored: str | None) -> web.Response:
    return web.json_response({"ignored": ignored}, status=202)
