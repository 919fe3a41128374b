"""Actions that follow issues: which addresses are issues, and what becomes of the action."""

import pytest

from bot.incidents.action import Action
from bot.incidents.issues.following import IssueLinks
from bot.incidents.issues.tracked import Tracker, UnknownIssueError, issue_of, jira_key
from bot.incidents.records.actions import Actions, NewAction, UnknownActionError
from bot.incidents.visibility import OPERATOR
from bot.store import audit
from bot.store.database import Database
from tests.support.clock import HOUR, NOW

ISSUE = issue_of("https://github.com/Acme/Shop/issues/12#issuecomment-1")


@pytest.mark.parametrize(
    ("url", "tracker", "key", "name"),
    [
        ("https://github.com/Acme/Shop/issues/12", Tracker.GITHUB, "github.com/acme/shop#12", "Acme/Shop#12"),
        (
            "https://gitlab.com/acme/web/shop/-/issues/3",
            Tracker.GITLAB,
            "gitlab.com/acme/web/shop#3",
            "acme/web/shop#3",
        ),
        ("https://gitlab.com/acme/shop/issues/3", Tracker.GITLAB, "gitlab.com/acme/shop#3", "acme/shop#3"),
        ("https://git.acme.example/a/b/-/work_items/3", Tracker.GITLAB, "git.acme.example/a/b#3", "a/b#3"),
        ("https://acme.atlassian.net/browse/shop-7", Tracker.JIRA, "acme.atlassian.net/shop-7", "SHOP-7"),
        ("https://acme.example:8443/jira/browse/SHOP-7", Tracker.JIRA, "acme.example:8443/shop-7", "SHOP-7"),
    ],
)
def test_the_known_addresses_of_issues(url: str, tracker: Tracker, key: str, name: str) -> None:
    issue = issue_of(url)
    assert (issue.tracker, issue.key, issue.name) == (tracker, key, name)


def test_what_follows_the_address_is_left_out() -> None:
    assert ISSUE.url == "https://github.com/Acme/Shop/issues/12"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://github.com/acme/shop/issues/12",
        "https://github.com/acme/shop/pull/12",
        "https://github.com/acme/shop/issues/new",
        "https://user:secret@github.com/acme/shop/issues/12",
        "https://github.com/acme/shop/issues/12\n",
        "https:///acme/shop/issues/12",
        "https://acme.example/browse/12",
        "javascript:alert(1)",
        "https://[::1",
        "https://github.com/" + "a" * 600 + "/shop/issues/12",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    if url.endswith("\n"):
        assert issue_of(url) == issue_of(url.strip())
        return
    with pytest.raises(UnknownIssueError):
        issue_of(url)


def test_jira_s_events_name_the_issue_by_its_server_and_number() -> None:
    assert (
        jira_key("https://Acme.atlassian.net/rest/api/2/issue/99291", "SHOP-7") == "acme.atlassian.net/shop-7"
    )
    assert jira_key("nonsense", "SHOP-7") == jira_key("https://acme.example/", "7") == ""


class Linked:
    """An action that is linked to an issue."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.actions, self.links = Actions(database), IssueLinks(database)

    async def begin(self) -> None:
        await self.actions.add(NewAction("Limit the pool", "checkout"), by="U0SAM", now=NOW)
        await self.links.link(1, ISSUE, by="U0SAM", now=NOW)

    async def event(self, *, is_closed: bool, key: str = ISSUE.key) -> None:
        await self.links.follow(Tracker.GITHUB, key, is_closed=is_closed, now=NOW + HOUR)

    async def action(self) -> Action:
        return await self.actions.find(1, OPERATOR)

    async def audited(self) -> list[tuple[str, str]]:
        async with self.database.reading() as connection:
            return [(row.entry.actor, row.entry.action) for row in await audit.read(connection)]


@pytest.fixture
async def linked(database: Database) -> Linked:
    made = Linked(database)
    await made.begin()
    return made


async def test_an_action_is_done_with_its_issue_and_reopened_with_it(linked: Linked) -> None:
    await linked.event(is_closed=True)
    await linked.event(is_closed=True)
    assert (await linked.action()).done_at == NOW + HOUR
    await linked.event(is_closed=False)
    assert (await linked.action()).done_at is None
    assert (await linked.audited())[1:] == [
        ("U0SAM", "action.linked"),
        ("github", "action.done"),
        ("github", "action.reopened"),
    ]


async def test_what_people_did_since_stays_until_the_issue_changes(linked: Linked) -> None:
    await linked.actions.done(1, by="U0SAM", now=NOW)
    # The first that is heard of the issue is that it is open: nothing was reopened.
    await linked.event(is_closed=False)
    assert (await linked.action()).done_at == NOW
    await linked.event(is_closed=True)
    assert (await linked.action()).done_at == NOW


async def test_other_issues_and_unlinked_ones_change_nothing(linked: Linked) -> None:
    await linked.event(is_closed=True, key="github.com/acme/shop#13")
    await linked.links.unlink(1, by="U0SAM", now=NOW)
    await linked.event(is_closed=True)
    action = await linked.action()
    assert (action.done_at, action.issue) == (None, None)
    assert (await linked.audited())[-1] == ("U0SAM", "action.unlinked")


async def test_no_action_is_linked_that_is_not_there(linked: Linked) -> None:
    with pytest.raises(UnknownActionError):
        await linked.links.link(7, ISSUE, by="U0SAM", now=NOW)
