"""The whole bot as a GitHub App: what GitHub delivers, and what it is told, during a freeze and after it."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from bot.freezes.exemptions.requests import OwnRequestError
from bot.freezes.gate.begun import BegunChange
from bot.freezes.verdict import GuardFailure
from bot.gates.github.answerer import GITHUB
from bot.gates.github.redelivery import KIND
from bot.store.tables.exemptions import exemption_requests
from bot.tasks import records
from tests.gates.github import deliveries
from tests.gates.github.deliveries import Delivery
from tests.gates.github.server import (
    APP_ID,
    REPOSITORY,
    GitHubServer,
    private_key,
    problem,
    serving_github,
)
from tests.stories.conftest import POLICIES
from tests.support.clock import DAY, HOUR, MINUTE
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, RunningBot, start_bot

SECRET = "webhook-secret-of-the-app"
HEAD, OTHER = "d" * 40, "e" * 40
GATES = "  gates: {github: {people: {Monalisa: U012ABCDE}}}\n"


def policies(gates: str = GATES) -> str:
    text = POLICIES.replace("acme/checkout", REPOSITORY)
    return text.replace("  permissions: {", f"{gates}  permissions: {{", 1)


class AtGitHub:
    """GitHub beside the running bot: it delivers, and is asked."""

    def __init__(self, running_bot: RunningBot, github: GitHubServer, session: aiohttp.ClientSession) -> None:
        self.bot = running_bot
        self.github = github
        self._session = session

    async def deliver(
        self, event: str, body: object, *, secret: str = SECRET, delivery: str = "72d3162e", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = hmac.digest(secret.encode(), raw, hashlib.sha256).hex()
        sent = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={signature}",
        } | headers
        async with self._session.post(f"{self.bot.url}/gates/github", data=raw, headers=sent) as response:
            return response.status, await response.json(content_type=None)

    async def freeze(self) -> Callable[[], Awaitable[None]]:
        """Freeze the service; return what lifts the freeze."""
        governor = self.bot.governor
        service = governor.watcher.current.catalog.services["checkout"]
        registry = governor.parts.budgets.hold_registry
        await registry.place(
            service, by="U1", reason="peak sale", until=None, request="freeze", now=governor.clock.now()
        )

        async def lift() -> None:
            await registry.lift(service, by="U1", reason="over", request="lift", now=governor.clock.now())

        return lift

    async def overspend(self) -> None:
        """Spend the budget, so that the policy freezes the service."""
        governor = self.bot.governor
        event = {"service": "checkout", "slo": "orders", "good": 1_000, "bad": 500}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        url = f"{self.bot.url}/api/v1/events"
        async with self._session.post(url, json=event, headers=headers) as response:
            assert response.status == 202

        async def is_frozen() -> bool:
            return (await governor.parts.budgets.status_reader.service("checkout")).is_frozen

        await eventually(is_frozen, bool)

    async def approve(self, *, by: str) -> None:
        governor = self.bot.governor
        service = governor.watcher.current.catalog.services["checkout"]
        async with governor.database.reading() as connection:
            number = await connection.scalar(
                select(exemption_requests.c.id).order_by(exemption_requests.c.id.desc())
            )
        await governor.parts.budgets.exemption_requests.approve(
            service, int(number or 0), by=by, comment="", now=governor.clock.now()
        )

    async def requests(self) -> list[tuple[str, str, str, str | None]]:
        async with self.bot.governor.database.reading() as connection:
            rows = await connection.execute(select(exemption_requests).order_by(exemption_requests.c.id))
            return [(row.change, row.by, row.reason, row.commit) for row in rows]

    async def waiting(self) -> int:
        return len(await self.bot.governor.parts.gates.answering.waits.waiting(GITHUB))


@asynccontextmanager
async def at_github(folder: Path, text: str | None = None) -> AsyncIterator[AtGitHub]:
    github = GitHubServer()
    async with serving_github(github):
        settings = {
            "github_api_url": github.url,
            "github_app_id": APP_ID,
            "github_app_private_key": private_key(),
            "github_app_webhook_secret": SECRET,
        }
        async with (
            start_bot(folder, text=text or policies(), **settings) as running_bot,
            aiohttp.ClientSession() as session,
        ):
            governor = running_bot.governor
            github.now = governor.clock.now
            states = governor.parts.budgets.status_reader.gate_states
            service = governor.watcher.current.catalog.services["checkout"]

            async def is_known() -> bool:
                return (await states.of(service, governor.clock.now())).is_known

            await eventually(is_known, bool)
            yield AtGitHub(running_bot, github, session)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[AtGitHub]:
    async with at_github(tmp_path) as place:
        yield place


async def until(condition: Callable[[], object]) -> None:
    async def ask() -> object:
        return condition()

    await eventually(ask, bool)


def test_what_is_built_here_is_githubs_by_the_published_schema() -> None:
    deliveries.assert_ids()
    built = {
        "deployment_protection_rule$requested": deliveries.protection_rule(),
        "merge_group$checks_requested": deliveries.merge_group(),
        "merge_group$destroyed": deliveries.destroyed(),
        "pull_request$opened": deliveries.pull_request(),
        "pull_request$synchronize": deliveries.pull_request("synchronize"),
        "check_run$requested_action": deliveries.button(1, "x"),
    }
    assert {name: deliveries.faults(name, body) for name, body in built.items()} == {
        name: [] for name in built
    }
    broken = deliveries.protection_rule() | {"environment": 1}
    assert deliveries.faults("deployment_protection_rule$requested", broken)


@pytest.mark.parametrize("event", ["merge_group", "pull_request", "check_run", "installation", "push"])
async def test_every_published_example_is_taken(place: AtGitHub, event: str) -> None:
    for body in deliveries.examples(event):
        sent = body | {"installation": deliveries.merge_group()["installation"]}
        status, answer = await place.deliver(event, sent)
        assert (status, bool(answer["result"])) == (202, True), answer


async def test_an_open_service_ships_at_once_and_is_answered_once(place: AtGitHub) -> None:
    place.github.pending[1001] = ["production"]
    for _ in range(3):
        status, _ = await place.deliver("deployment_protection_rule", deliveries.protection_rule())
        assert status == 202
    await until(lambda: place.github.final)
    await place.deliver("deployment_protection_rule", deliveries.protection_rule())
    assert place.github.states(1001) == ["approved"]
    assert place.github.notes(1001) == []
    # A run that is started again asks about another deployment.
    place.github.pending[1001] = ["production"]
    again = deliveries.protection_rule(deployment=77)
    assert (await place.deliver("deployment_protection_rule", again))[1] == {"result": "deployment waits"}
    await until(lambda: len(place.github.final) == 2)


async def test_a_freeze_lets_a_deployment_wait_and_the_lift_approves_it(place: AtGitHub) -> None:
    lift = await place.freeze()
    place.github.pending[1001] = ["production"]
    await place.deliver("deployment_protection_rule", deliveries.protection_rule())
    await until(lambda: place.github.notes(1001))
    (note,) = place.github.notes(1001)
    assert "goes on by itself when the freeze ends" in note
    assert "person hold: peak sale" in note
    assert place.github.states(1001) == []
    await lift()
    await until(lambda: place.github.states(1001))
    assert place.github.states(1001) == ["approved"]
    # Its tokens may do no more than this.
    assert {tuple(sorted(token["permissions"])) for token in place.github.tokens.values()} == {
        ("actions", "deployments"),
        ("contents", "pull_requests"),
    }


async def test_a_run_that_is_started_again_is_answered_again_where_the_first_call_fails(
    place: AtGitHub,
) -> None:
    place.github.pending[1001] = ["production"]
    await place.deliver("deployment_protection_rule", deliveries.protection_rule())
    await until(lambda: place.github.states(1001) == ["approved"])
    failing = [problem(502, "Server Error")]
    place.github.fault = lambda method, path: (
        failing.pop()
        if failing and method == "POST" and path.endswith("deployment_protection_rule")
        else None
    )
    place.github.pending[1001] = ["production"]
    await place.deliver("deployment_protection_rule", deliveries.protection_rule(deployment=77))
    await until(lambda: place.github.states(1001) == ["approved", "approved"])
    assert "Governor lets deployment 77 go on" in place.github.reviews[1001][1].comment


async def test_a_policy_may_reject_instead(tmp_path: Path) -> None:
    async with at_github(tmp_path, policies("  gates: {github: {onFreeze: reject}}\n")) as place:
        await place.freeze()
        place.github.pending[1001] = ["production"]
        await place.deliver("deployment_protection_rule", deliveries.protection_rule())
        await place.deliver("merge_group", deliveries.merge_group())
        await until(lambda: len(place.github.final) == 2)
        assert place.github.states(1001) == ["rejected"]
        assert place.github.check_of("b" * 40)["conclusion"] == "failure"


async def test_a_change_that_does_harm_is_rejected(place: AtGitHub) -> None:
    place.github.pending = {1001: ["staging"], 1002: ["production"]}
    staging = deliveries.protection_rule(environment="staging")
    await place.deliver("deployment_protection_rule", staging)
    await until(lambda: place.github.states(1001) == ["approved"])

    async def find(_service: object, begun: BegunChange) -> GuardFailure | None:
        return GuardFailure(f"{begun.change[:7]} does harm")

    place.bot.governor.parts.budgets.status_reader.find_guard_failure = find
    await place.deliver("deployment_protection_rule", deliveries.protection_rule(1002))
    await until(lambda: place.github.states(1002))
    (review,) = place.github.reviews[1002]
    assert review.state == "rejected"
    assert "aaaaaaa does harm" in review.comment


async def test_a_merge_group_needs_a_yes_for_each_of_its_pull_requests(place: AtGitHub) -> None:
    lift = await place.freeze()
    github, governor = place.github, place.bot.governor
    github.refs.add(deliveries.merge_group()["merge_group"]["head_ref"])
    github.pulls = {104: deliveries.pull(104, HEAD), 103: deliveries.pull(103, OTHER)}
    github.compared = ["Round the total (#103)", "Merge pull request #104 from octo-org/tax", "no number"]
    await place.deliver("merge_group", deliveries.merge_group())
    await until(lambda: github.checks)
    check = github.check_of("b" * 40)
    assert (check["status"], check["conclusion"], check["actions"]) == ("in_progress", None, [])
    assert "PR-103: person hold: peak sale" in check["output"]["summary"]
    service = governor.watcher.current.catalog.services["checkout"]
    registry = governor.parts.budgets.hold_registry
    for change in ("PR-103", "PR-104"):
        assert check["status"] == "in_progress"
        await registry.exempt(
            service, change=change, by="U2", reason="a fix", until=None, request=f"exempt {change}",
            now=governor.clock.now(),
        )  # fmt: skip
    await until(lambda: check["status"] == "completed")
    assert check["conclusion"] == "success"
    await lift()


async def test_a_group_of_more_pull_requests_than_are_asked_about_needs_the_lift(place: AtGitHub) -> None:
    lift, governor = await place.freeze(), place.bot.governor
    place.github.refs.add(deliveries.merge_group()["merge_group"]["head_ref"])
    place.github.compared = [f"Fix (#{number})" for number in range(60, 104)] + [
        f"Fix (#{number})" for number in range(105, 112)
    ]
    for number in range(60, 110):
        await governor.parts.budgets.hold_registry.exempt(
            governor.watcher.current.catalog.services["checkout"], change=f"PR-{number}", by="U2",
            reason="a fix", until=None, request=f"exempt {number}", now=governor.clock.now(),
        )  # fmt: skip
    await place.deliver("merge_group", deliveries.merge_group())
    await until(lambda: place.github.checks)
    assert place.github.check_of("b" * 40)["status"] == "in_progress"
    await lift()
    await until(lambda: place.github.check_of("b" * 40)["conclusion"] == "success")


async def test_a_group_that_cannot_be_read_is_let_through_by_no_exemption(place: AtGitHub) -> None:
    await place.freeze()
    place.github.permissions.pop("contents")
    governor = place.bot.governor
    await governor.parts.budgets.hold_registry.exempt(
        governor.watcher.current.catalog.services["checkout"], change="PR-104", by="U2", reason="a fix",
        until=None, request="exempt", now=governor.clock.now(),
    )  # fmt: skip
    await place.deliver("merge_group", deliveries.merge_group())
    await until(lambda: place.github.checks)
    assert place.github.check_of("b" * 40)["status"] == "in_progress"


async def test_a_group_that_is_destroyed_no_longer_waits(place: AtGitHub) -> None:
    await place.freeze()
    await place.deliver("merge_group", deliveries.merge_group())
    await until(lambda: place.github.checks)
    status, answer = await place.deliver("merge_group", deliveries.destroyed())
    assert (status, answer["result"]) == (202, "merge-group no longer waits")
    assert await place.waiting() == 0


async def test_a_person_asks_for_an_exemption_in_the_pull_request(place: AtGitHub) -> None:
    await place.freeze()
    github = place.github
    await place.deliver("pull_request", deliveries.pull_request(sha=HEAD))
    await until(lambda: github.checks)
    check = github.check_of(HEAD)
    assert (check["conclusion"], check["output"]["title"]) == ("neutral", "Frozen: person hold: peak sale")
    assert [action["label"] for action in check["actions"]] == ["Request exemption"]
    pressed = deliveries.button(check["id"], check["external_id"], login="monalisa")
    for delivery in ("1", "1", "2"):
        status, answer = await place.deliver("check_run", pressed, delivery=delivery)
        assert (status, answer["result"]) == (202, "an exemption was asked for: checkout")
    assert await place.requests() == [("PR-12", "U012ABCDE", "octo-org/octo-repo#12: Round the total", HEAD)]
    await until(lambda: "monalisa asked for an exemption" in check["output"]["summary"])
    assert check["actions"] == []
    with pytest.raises(OwnRequestError):
        await place.approve(by="U012ABCDE")
    await place.approve(by="U2")
    await until(lambda: check["conclusion"] == "success")
    assert len(github.checks) == 1


async def test_a_person_asks_anew_for_a_new_commit_of_the_pull_request(place: AtGitHub) -> None:
    await place.freeze()
    for number, (action, commit) in enumerate((("opened", OTHER), ("synchronize", HEAD)), start=1):
        await place.deliver("pull_request", deliveries.pull_request(action, sha=commit))
        await until(lambda number=number: len(place.github.checks) == number)  # type: ignore[misc]
        check = place.github.check_of(commit)
        pressed = deliveries.button(check["id"], check["external_id"])
        await place.deliver("check_run", pressed, delivery=commit)
    assert [commit for *_, commit in await place.requests()] == [OTHER, HEAD]
    await place.approve(by="U2")
    await until(lambda: place.github.check_of(HEAD)["conclusion"] == "success")
    assert place.github.check_of(OTHER)["conclusion"] == "neutral"


async def test_whoever_is_not_in_the_policies_asks_by_their_login(place: AtGitHub) -> None:
    await place.freeze()
    await place.deliver("pull_request", deliveries.pull_request(sha=HEAD))
    await until(lambda: place.github.checks)
    check = place.github.check_of(HEAD)
    for wrong in ("nothing", "", f"pull-request 1 12 {HEAD}"):
        status, answer = await place.deliver("check_run", deliveries.button(1, wrong))
        assert (status, answer["result"]) == (202, "nothing is to be asked for")
    await place.deliver("check_run", deliveries.button(1, check["external_id"], login="hubot"))
    assert [by for _, by, _, _ in await place.requests()] == ["hubot at GitHub"]


async def test_a_pull_request_may_be_held_until_the_lift(tmp_path: Path) -> None:
    async with at_github(tmp_path, policies("  gates: {github: {pullRequests: wait}}\n")) as place:
        lift = await place.freeze()
        await place.deliver("pull_request", deliveries.pull_request(sha=OTHER))
        await until(lambda: place.github.checks)
        place.github.pulls[12] = deliveries.pull(12, HEAD)
        await place.deliver("pull_request", deliveries.pull_request("synchronize", sha=HEAD))
        await until(lambda: len(place.github.checks) == 2)
        check = place.github.check_of(HEAD)
        assert (check["status"], len(check["actions"])) == ("in_progress", 1)
        # The commit before is no longer what is to be merged.
        await eventually(place.waiting, lambda waiting: waiting == 1)
        await lift()
        await until(lambda: check["status"] == "completed")
        assert check["conclusion"] == "success"
        assert place.github.check_of(OTHER)["status"] == "in_progress"


@pytest.mark.parametrize("back", ["reopened", "synchronize"])
async def test_a_pull_request_that_comes_back_waits_again(tmp_path: Path, back: str) -> None:
    async with at_github(tmp_path, policies("  gates: {github: {pullRequests: wait}}\n")) as place:
        github, lift = place.github, await place.freeze()
        await place.deliver("pull_request", deliveries.pull_request(sha=HEAD))
        await until(lambda: github.checks)
        # It is closed, or another commit is pushed over it, and all is as before in the end.
        github.pulls[12] = deliveries.pull(12, HEAD if back == "reopened" else OTHER)
        if back == "reopened":
            github.pulls[12]["state"] = "closed"
            await place.deliver("pull_request", deliveries.pull_request("closed", sha=HEAD))
        else:
            await place.deliver("pull_request", deliveries.pull_request("synchronize", sha=OTHER))
        others = 0 if back == "reopened" else 1
        await eventually(place.waiting, lambda waiting: waiting == others)
        github.pulls[12] = deliveries.pull(12, HEAD)
        _, answer = await place.deliver("pull_request", deliveries.pull_request(back, sha=HEAD))
        assert answer["result"] == "pull-request waits"
        await eventually(place.waiting, lambda waiting: waiting == 1)
        await lift()
        await until(lambda: github.check_of(HEAD)["conclusion"] == "success")


async def test_a_delivery_that_comes_late_takes_the_newest_commit_for_no_other(tmp_path: Path) -> None:
    async with at_github(tmp_path, policies("  gates: {github: {pullRequests: wait}}\n")) as place:
        github, lift = place.github, await place.freeze()
        github.pulls[12] = deliveries.pull(12, HEAD)
        await place.deliver("pull_request", deliveries.pull_request("synchronize", sha=HEAD))
        await until(lambda: github.checks)
        # GitHub is asked for the delivery before only now.
        await place.deliver("pull_request", deliveries.pull_request(sha=OTHER))
        await until(lambda: "GET /repos/octo-org/octo-repo/pulls/12" in github.asked)
        await lift()
        await until(lambda: github.check_of(HEAD)["conclusion"] == "success")


LABELS = "  gates: {github: {labels: [{label: Security, kind: security, team: octo-org/security}]}}\n"


def labeled(login: str, name: str = "security", event: str = "labeled") -> Delivery:
    return {"event": event, "label": {"name": name}, "actor": {"login": login}}


@pytest.mark.parametrize(
    ("events", "conclusion"),
    [
        ([labeled("hubot"), labeled("monalisa")], "success"),
        ([labeled("monalisa"), labeled("hubot")], "neutral"),
        ([labeled("monalisa", "bug")], "neutral"),
        # It was taken away before the delivery came.
        ([labeled("monalisa"), labeled("hubot", event="unlabeled")], "neutral"),
        ([labeled("monalisa"), labeled("hubot", "bug", "unlabeled")], "success"),
        ([labeled("hubot"), labeled("hubot", event="unlabeled"), labeled("monalisa")], "success"),
        ([labeled("monalisa", "bug")] * 1_000, "neutral"),
        ([], "neutral"),
    ],
)
async def test_a_label_counts_where_a_member_of_the_team_has_set_it(
    tmp_path: Path, events: list[Delivery], conclusion: str
) -> None:
    async with at_github(tmp_path, policies(LABELS)) as place:
        # A person's hold yields to a person alone, a budget's to the kinds of the policy.
        await place.overspend()
        github = place.github
        github.teams = {"octo-org/security": {"monalisa"}}
        await place.deliver("pull_request", deliveries.pull_request(sha=HEAD))
        await until(lambda: github.checks)
        check = github.check_of(HEAD)
        assert check["conclusion"] == "neutral"
        github.events[12] = events
        body = deliveries.pull_request("labeled", sha=HEAD) | {"label": {"name": "security"}}
        body["pull_request"]["labels"] = [{"name": "security"}]
        before = len(github.posts)
        await place.deliver("pull_request", body)
        await until(lambda: len(github.posts) > before)
        assert check["conclusion"] == conclusion
        other = deliveries.pull_request("labeled", sha=HEAD) | {"label": {"name": "bug"}}
        _, answer = await place.deliver("pull_request", other)
        assert answer["result"] == "the action labeled is not used"


async def test_a_repository_that_no_policy_names_waits_and_says_so(tmp_path: Path) -> None:
    async with at_github(tmp_path, POLICIES) as place:
        place.github.pending[1001] = ["production"]
        await place.deliver("deployment_protection_rule", deliveries.protection_rule())
        await place.deliver("pull_request", deliveries.pull_request())
        await until(lambda: place.github.notes(1001))
        assert "no service of the policies is built from this repository" in place.github.notes(1001)[0]
        assert (place.github.states(1001), place.github.checks) == ([], {})
        (tmp_path / "policies" / "all.yaml").write_text(policies())
        await until(lambda: place.github.states(1001) == ["approved"])


async def test_deliveries_that_are_not_githubs_are_refused(place: AtGitHub) -> None:
    body = deliveries.merge_group()
    assert (await place.deliver("merge_group", body, secret="another"))[0] == 401
    unsigned = {"X-Hub-Signature-256": ""}
    assert (await place.deliver("merge_group", body, **unsigned))[0] == 401
    raw = json.dumps(body).encode()
    sha1 = hmac.digest(SECRET.encode(), raw, hashlib.sha1).hex()
    old = {"X-Hub-Signature-256": f"sha1={sha1}"}
    assert (await place.deliver("merge_group", raw, **old))[0] == 401
    assert await place.waiting() == 0


@pytest.mark.parametrize(
    ("event", "body", "status"),
    [
        ("merge_group", b"{", 400),
        ("merge_group", b"[" * 100_000, 400),
        ("merge_group", b"[]", 202),
        ("merge_group", b"{}", 422),
        ("deployment_protection_rule", {"environment": "a\x00b"}, 422),
        ("deployment_protection_rule", {"deployment_callback_url": "https://evil.example/x"}, 422),
        ("deployment_protection_rule", {"deployment": {"id": 1, "sha": "../.."}}, 422),
        ("deployment_protection_rule", {"repository": {"id": 1, "full_name": "../../app"}}, 422),
        ("deployment_protection_rule", {"installation": None}, 422),
    ],
)
async def test_what_cannot_be_read_is_refused_with_a_reason(
    place: AtGitHub, event: str, body: Delivery | bytes, status: int
) -> None:
    sent = body if isinstance(body, bytes) else deliveries.protection_rule() | body
    answered, answer = await place.deliver(event, sent)
    assert answered == status, answer
    assert await place.waiting() == 0


async def test_deliveries_that_were_lost_are_asked_for_again(place: AtGitHub) -> None:
    governor = place.bot.governor
    at = governor.clock.now().isoformat()

    def delivery(number: int, guid: str, code: int, event: str = "merge_group") -> Delivery:
        return {"id": number, "guid": guid, "delivered_at": at, "status_code": code, "event": event}

    old = delivery(9, "old", 502) | {"delivered_at": "2020-01-01T00:00:00Z"}
    place.github.deliveries = [
        delivery(8, "b", 202), delivery(7, "c", 503), delivery(6, "c", 0), delivery(5, "b", 502),
        delivery(4, "d", 422), delivery(3, "e", 502, "push"), delivery(2, "f", 504), old,
    ]  # fmt: skip
    async with governor.database.transaction() as connection:
        await records.move(connection, KIND, "app", governor.clock.now())
    await until(lambda: place.github.redelivered)
    await until(lambda: len(place.github.redelivered) == 2)
    assert place.github.redelivered == [2, 7]


async def test_deliveries_are_looked_for_on_every_page_and_for_hours_only(place: AtGitHub) -> None:
    governor = place.bot.governor
    now = governor.clock.now()

    def delivery(number: int, guid: str, code: int, at: datetime, *, again: bool = False) -> Delivery:
        return {
            "id": number, "guid": guid, "delivered_at": at.isoformat(), "status_code": code,
            "event": "merge_group", "redelivery": again,
        }  # fmt: skip

    arrived = [delivery(1_000 + each, f"a {each}", 202, now) for each in range(250)]
    place.github.deliveries = [
        # One that is refused whenever it is repeated, for longer than half a day.
        delivery(9, "hopeless", 401, now, again=True),
        *arrived[:120],
        delivery(8, "hopeless", 401, now - 5 * MINUTE, again=True),
        delivery(7, "lost", 502, now - HOUR),
        *arrived[120:],
        delivery(6, "lost too", 504, now - 2 * HOUR),
        delivery(5, "hopeless", 401, now - DAY),
    ]
    async with governor.database.transaction() as connection:
        await records.move(connection, KIND, "app", now)
    await until(lambda: len(place.github.redelivered) == 2)
    assert place.github.redelivered == [6, 7]
