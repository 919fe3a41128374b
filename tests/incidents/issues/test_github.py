"""Actions follow issues at GitHub that it is asked about: its documented answers, and its refusals."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.deployments.github.client import GitHubClient
from bot.diagnostics.findings import FindingState
from bot.diagnostics.issue_checks import issue_findings
from bot.incidents.action import Action
from bot.incidents.issues.following import IssueLinks, LinkedIssue
from bot.incidents.issues.github import EVERY, KIND, GitHubIssuePolling, GitHubIssues, web_place
from bot.incidents.issues.tracked import issue_of
from bot.incidents.records.actions import Actions, NewAction
from bot.incidents.visibility import OPERATOR
from bot.settings import Settings
from bot.store import audit
from bot.store.database import Database
from bot.tasks import records
from bot.tasks.runner import TaskRunner
from tests.support.clock import DAY, HOUR, NOW, StoppedClock

TOKEN = "ghp_ForTestsOnly"


@dataclass
class IssueServer:
    """Answers as documented for `GET /repos/{owner}/{repo}/issues/{n}`, with ETags."""

    states: dict[str, str] = field(default_factory=dict)
    refusal: tuple[int, dict[str, Any], dict[str, str]] | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        response = self._response(request)
        self.asked.append((request.path, response.status))
        return response

    def _response(self, request: web.Request) -> web.Response:
        if self.refusal is not None:
            status, body, headers = self.refusal
            return web.json_response(body, status=status, headers=headers)
        state = self.states.get(request.path)
        if state is None:
            return web.json_response({"message": "Not Found", "status": "404"}, status=404)
        etag = f'W/"{state}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.json_response(
            {"id": 1, "number": 12, "state": state, "title": "Limit the pool", "pull_request": None},
            headers={"ETag": etag, "X-RateLimit-Remaining": "4999"},
        )


@dataclass
class Polled:
    """A database whose actions follow issues at the server, as if that were github.com."""

    server: IssueServer
    url: str
    session: aiohttp.ClientSession
    database: Database
    clock: StoppedClock
    actions: Actions
    links: IssueLinks
    tasks: TaskRunner

    async def link(self, url: str) -> Action:
        action = await self.actions.add(NewAction("Limit the pool", "checkout"), by="U0SAM", now=NOW)
        return await self.links.link(action.id, issue_of(url), by="U0SAM", now=NOW)

    async def is_done(self, action: Action) -> bool:
        return (await self.actions.find(action.id, OPERATOR)).done_at is not None

    async def pass_time(self, after: timedelta = EVERY) -> None:
        """Let that time pass, and do all that is due then."""
        self.clock.time += after
        while await self.tasks.tick():
            pass

    async def due_after(self) -> timedelta:
        """Return after what time GitHub is asked again."""
        async with self.database.reading() as connection:
            (task,) = await records.read_pending(connection, KIND)
        return task.due_at - self.clock.time

    async def audited(self) -> list[tuple[str, str]]:
        async with self.database.reading() as connection:
            rows = await audit.read(connection)
        return [(row.entry.actor, row.entry.action) for row in rows if row.entry.actor == "github"]


class AtGitHub(GitHubIssues):
    """Has the issues of github.com, and asks the server of the test for them."""

    def __init__(self, client: GitHubClient) -> None:
        super().__init__(client, "https://api.github.com")


@pytest.fixture
async def polled(database: Database) -> AsyncIterator[Polled]:
    server, clock, app = IssueServer(), StoppedClock(), web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    async with TestServer(app) as running, aiohttp.ClientSession() as session:
        url = str(running.make_url("")).rstrip("/")
        polling = GitHubIssuePolling(
            database, AtGitHub(GitHubClient(session, url, TOKEN, clock)), can_ask=True
        )
        tasks = TaskRunner(database, clock)
        tasks.register([polling])
        await polling.plan(clock.now())
        await polling.plan(clock.now())
        yield Polled(server, url, session, database, clock, Actions(database), IssueLinks(database), tasks)


PATH = "/repos/Acme/Shop/issues/12"
ISSUE = "https://github.com/Acme/Shop/issues/12"


async def test_an_action_is_done_and_reopened_as_its_issue_is(polled: Polled) -> None:
    action = await polled.link(ISSUE)
    for state, done in [("open", False), ("closed", True), ("closed", True), ("open", False)]:
        polled.server.states[PATH] = state
        await polled.pass_time()
        assert await polled.is_done(action) is done
    assert await polled.audited() == [("github", "action.done"), ("github", "action.reopened")]
    # What had not changed was not sent again.
    assert polled.server.asked == [(PATH, 200), (PATH, 200), (PATH, 304), (PATH, 200)]
    assert await polled.due_after() == EVERY


async def test_an_action_that_is_linked_to_a_closed_issue_later_is_done_too(polled: Polled) -> None:
    polled.server.states[PATH] = "closed"
    await polled.link(ISSUE)
    await polled.pass_time()
    later = await polled.link(ISSUE)
    await polled.pass_time()
    assert await polled.is_done(later)
    assert polled.server.asked == [(PATH, 200), (PATH, 304)]


async def test_the_token_goes_to_no_other_server_and_no_other_path(polled: Polled) -> None:
    for url in (
        "https://evil.example/Acme/Shop/issues/12",
        "https://api.github.com/Acme/Shop/issues/12",
        "https://github.com:8443/Acme/Shop/issues/12",
        "https://github.com/../Shop/issues/12",
        "https://github.com/Acme/../issues/12",
        "https://gitlab.com/acme/shop/-/issues/3",
        "https://acme.atlassian.net/browse/SHOP-7",
    ):
        await polled.link(url)
    await polled.pass_time()
    assert polled.server.asked == []


async def test_actions_that_were_done_long_ago_are_not_asked_about(polled: Polled) -> None:
    polled.server.states[PATH] = "closed"
    await polled.link(ISSUE)
    await polled.pass_time()
    await polled.pass_time(31 * DAY)
    assert len(polled.server.asked) == 1


@pytest.mark.parametrize(
    ("refusal", "after"),
    [
        ((403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0"}), EVERY),
        ((429, {"message": "secondary rate limit"}, {"Retry-After": "3600"}), HOUR),
        ((401, {"message": "Bad credentials"}, {}), EVERY),
        ((502, {"message": "Server Error"}, {}), EVERY),
        ((200, {"message": "no issue"}, {}), EVERY),
    ],
    ids=["rate limit", "secondary limit", "wrong token", "outage", "nonsense"],
)
async def test_limits_and_outages_put_all_off_and_change_nothing(
    polled: Polled, refusal: tuple[int, dict[str, Any], dict[str, str]], after: timedelta
) -> None:
    actions = [await polled.link(ISSUE), await polled.link("https://github.com/Acme/Shop/issues/13")]
    polled.server.refusal = refusal
    await polled.pass_time()
    assert len(polled.server.asked) == 1
    assert await polled.due_after() == after
    polled.server.refusal = None
    polled.server.states = {PATH: "closed", PATH.replace("12", "13"): "closed"}
    await polled.pass_time(after)
    assert [await polled.is_done(action) for action in actions] == [True, True]


async def test_an_issue_that_is_gone_is_told_once_and_delays_no_other(polled: Polled) -> None:
    await polled.link("https://github.com/Acme/Gone/issues/1")
    action = await polled.link(ISSUE)
    gone = await polled.link("https://github.com/Acme/Gone/issues/2")
    polled.server.states[PATH] = "closed"
    with structlog.testing.capture_logs() as logs:
        await polled.pass_time()
        await polled.pass_time()
    assert await polled.is_done(action)
    told = [each["action"] for each in logs if each["event"] == "issue_not_read"]
    assert sorted(told) == [action.id - 1, gone.id]


async def test_the_doctor_names_the_actions_whose_issues_cannot_be_read(polled: Polled) -> None:
    settings = Settings(github_token=TOKEN, github_api_url=f"{polled.url}")

    async def findings(chosen: Settings = settings) -> list[tuple[str, FindingState, str]]:
        found = await issue_findings(chosen, polled.database, polled.session, polled.clock)
        return [(each.subject, each.state, each.detail) for each in found]

    assert await findings() == []
    here = issue_of(ISSUE)
    place = web_place(polled.url)
    action = await polled.actions.add(NewAction("Limit", "checkout"), by="U0SAM", now=NOW)
    moved = replace(here, key=here.key.replace("github.com", place))
    await polled.links.link(action.id, moved, by="U0SAM", now=NOW)
    assert await findings() == [(f"action {action.id}", FindingState.FAULT, "GitHub answered 404: Not Found")]
    polled.server.states[PATH] = "open"
    assert [state for _, state, _ in await findings()] == [FindingState.OK]
    polled.server.refusal = (401, {"message": "Bad credentials"}, {})
    assert await findings() == [("GitHub", FindingState.FAULT, "GitHub answered 401: Bad credentials")]
    assert await findings(Settings(github_api_url=polled.url)) == []


@pytest.mark.parametrize(
    ("api", "place"),
    [
        ("https://api.github.com", "github.com"),
        ("https://api.github.com/", "github.com"),
        ("https://api.acme.ghe.com", "acme.ghe.com"),
        ("https://git.acme.example/api/v3", "git.acme.example"),
        ("https://git.acme.example:8443/api/v3", "git.acme.example:8443"),
    ],
)
def test_issues_are_read_where_the_api_is(api: str, place: str) -> None:
    assert web_place(api) == place


def test_only_names_of_issues_are_put_into_addresses() -> None:
    issues = AtGitHub(GitHubClient(None, "https://api.github.com", TOKEN, StoppedClock()))  # type: ignore[arg-type]
    assert issues.has(LinkedIssue("github.com/acme/shop#1", "Acme/Shop#1", 1))
    assert not issues.has(LinkedIssue("github.com/../shop#1", "../Shop#1", 1))
