"""Asks GitHub about the issues that actions follow, every quarter of an hour: no webhook is needed then.

Only issues of the server that the token is for are asked about, and at no other address than that of its API:
whatever address people link, the token goes nowhere else.

https://docs.github.com/en/rest/issues/issues#get-an-issue
https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
"""

import re
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from yarl import URL

from bot.deployments.github.client import (
    GitHubClient,
    GitHubError,
    GitHubRateLimitError,
    GitHubRefusedError,
    GitHubUnavailableError,
)
from bot.incidents.issues.following import IssueLinks, LinkedIssue
from bot.incidents.issues.tracked import Tracker
from bot.store.database import Database
from bot.tasks import records
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import PlannedTask, RetryRule

log = structlog.get_logger(__name__)

KIND: Final = "github issues"
EVERY: Final = timedelta(minutes=15)
FOLLOWED_FOR: Final = timedelta(days=30)
"""How long after an action was done its issue is still asked about: it may be reopened."""
MOST_ISSUES: Final = 500

_NAME = re.compile(r"(?!\.{1,2}/)([\w.-]+)/(?!\.{1,2}#)([\w.-]+)#([0-9]+)", re.ASCII)


class IssueStatePart(BaseModel):
    """An issue, of which only the state is read."""

    model_config = ConfigDict(extra="ignore")

    state: Literal["open", "closed"]


class GitHubIssues:
    """The issues at one server, by the address of its API. What was read is remembered with its ETag."""

    def __init__(self, client: GitHubClient, api_url: str) -> None:
        self._client = client
        self._place = web_place(api_url)
        self._known: dict[str, tuple[str, bool]] = {}

    def has(self, issue: LinkedIssue) -> bool:
        """Return whether an issue is at this server."""
        return issue.key.partition("/")[0] == self._place and _NAME.fullmatch(issue.name) is not None

    async def is_closed(self, issue: LinkedIssue) -> bool:
        """Return whether an issue is closed; raises `GitHubError`."""
        match = _NAME.fullmatch(issue.name)
        if match is None:
            raise GitHubRefusedError(404, "this is not an issue at GitHub")
        path = f"repos/{match[1]}/{match[2]}/issues/{match[3]}"
        etag, was_closed = self._known.get(issue.key, (None, False))
        page = await self._client.changed(path, etag)
        if page is None:
            return was_closed
        is_closed = _read(page.body)
        self._known.pop(issue.key, None)
        if page.etag is not None:
            self._known[issue.key] = (page.etag, is_closed)
        return is_closed


class GitHubIssuePolling(EndsSilently):
    """Lets actions follow their issues at GitHub by asking for these, as events of a webhook would."""

    kind = KIND
    rule = RetryRule(first_wait=timedelta(minutes=1), longest_wait=EVERY)

    def __init__(self, database: Database, issues: GitHubIssues, *, can_ask: bool) -> None:
        self._database = database
        self._links = IssueLinks(database)
        self._issues = issues
        self._can_ask = can_ask
        self._refused: dict[str, str] = {}

    async def plan(self, now: datetime) -> None:
        """Begin to ask, where there is a token; once begun it goes on."""
        if self._can_ask:
            async with self._database.transaction() as connection:
                await records.plan(self._database, connection, PlannedTask(KIND, "github", now), now)

    async def run(self, attempt: TaskAttempt) -> None:
        """Ask about each issue; GitHub's rate limit and outages put the rest off to the next time."""
        after = EVERY
        try:
            if self._can_ask:
                await self._follow_all(attempt.now)
        except GitHubRateLimitError as error:
            after = max(after, error.after)
        except GitHubUnavailableError as error:
            log.warning("issues_not_read", tracker="github", problem=str(error))
        async with attempt.completing():
            attempt.repeat(attempt.now + after)

    async def _follow_all(self, now: datetime) -> None:
        found = await self._links.linked(Tracker.GITHUB, since=now - FOLLOWED_FOR, most=MOST_ISSUES)
        for issue in filter(self._issues.has, found):
            try:
                is_closed = await self._issues.is_closed(issue)
            except GitHubRefusedError as error:
                self._tell_once(issue, error)
                continue
            self._refused.pop(issue.key, None)
            await self._links.follow(Tracker.GITHUB, issue.key, is_closed=is_closed, now=now)

    def _tell_once(self, issue: LinkedIssue, error: GitHubError) -> None:
        if self._refused.get(issue.key) != str(error):
            self._refused[issue.key] = str(error)
            log.warning("issue_not_read", tracker="github", action=issue.action, problem=str(error))


def web_place(api_url: str) -> str:
    """Return the host, with a port that is not the usual one, at which people read the issues of an API.

    `https://api.github.com` has those of github.com, `https://HOST/api/v3` those of HOST.
    """
    url = URL(api_url)
    host = (url.host or "").casefold()
    if not url.path.strip("/"):
        host = host.removeprefix("api.")
    return host if url.explicit_port is None else f"{host}:{url.explicit_port}"


def _read(body: Any) -> bool:
    try:
        return IssueStatePart.model_validate(body).state == "closed"
    except ValidationError as error:
        raise GitHubUnavailableError("GitHub answered without an issue") from error
