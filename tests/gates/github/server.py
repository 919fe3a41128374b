"""A server that answers an App as GitHub's REST API is documented, its limits and errors included.

https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
https://docs.github.com/en/rest/actions/workflow-runs
https://docs.github.com/en/rest/checks/runs
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.clock import MINUTE, NOW

APP_ID = "4711"
INSTALLATION = 1
REPOSITORY_ID = 17273051
REPOSITORY = "octo-org/octo-repo"
_PERMISSIONS = {
    "actions": "read", "checks": "write", "contents": "read", "deployments": "write", "members": "read",
    "metadata": "read", "pull_requests": "read",
}  # fmt: skip


@cache
def private_key() -> str:
    """Return a key in PEM; one for all tests, since making one takes its time."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@dataclass
class Review:
    """What was said of a deployment: a note without a state, or the answer."""

    environment: str
    state: str | None
    comment: str
    at: datetime


@dataclass
class GitHubServer:
    """The state of the server. `fault` may say what goes wrong with a call, by its method and path.

    A fault is a response, or `cut` for half an answer, `lost` for a call that is done and never answered.
    """

    now: Callable[[], datetime] = lambda: NOW
    permissions: dict[str, str] = field(default_factory=lambda: dict(_PERMISSIONS))
    pending: dict[int, list[str]] = field(default_factory=dict)
    reviews: dict[int, list[Review]] = field(default_factory=dict)
    checks: dict[int, dict[str, Any]] = field(default_factory=dict)
    refs: set[str] = field(default_factory=set)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    merged: dict[str, list[int]] = field(default_factory=dict)
    compared: list[str] = field(default_factory=list)
    events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    teams: dict[str, set[str]] = field(default_factory=dict)
    environments: list[dict[str, Any]] = field(default_factory=list)
    rules: dict[str, list[str]] = field(default_factory=dict)
    branch_rules: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    redelivered: list[int] = field(default_factory=list)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    posts: list[datetime] = field(default_factory=list)
    contents: list[datetime] = field(default_factory=list)
    limited: int = 0
    final: list[str] = field(default_factory=list)
    fault: Callable[[str, str], web.Response | str | None] = lambda *_: None
    url: str = ""

    def notes(self, run: int) -> list[str]:
        return [review.comment for review in self.reviews.get(run, []) if review.state is None]

    def states(self, run: int) -> list[str]:
        return [review.state for review in self.reviews.get(run, []) if review.state is not None]

    def check_of(self, head_sha: str) -> dict[str, Any]:
        (found,) = [run for run in self.checks.values() if run["head_sha"] == head_sha]
        return found

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        repo = "/repos/{owner}/{repo}"
        app.add_routes(
            [
                web.post("/app/installations/{id}/access_tokens", self._make_token),
                web.get(f"{repo}/installation", self._installation),
                web.get("/app", self._app),
                web.get("/app/hook/deliveries", self._deliveries),
                web.post("/app/hook/deliveries/{id}/attempts", self._redeliver),
                web.post(f"{repo}/actions/runs/{{run}}/deployment_protection_rule", self._review),
                web.get(f"{repo}/actions/runs/{{run}}/pending_deployments", self._pending),
                web.get(f"{repo}/actions/runs/{{run}}/approvals", self._approvals),
                web.post(f"{repo}/check-runs", self._create_check),
                web.patch(f"{repo}/check-runs/{{id}}", self._update_check),
                web.get(f"{repo}/check-runs/{{id}}", self._check),
                web.get(f"{repo}/commits/{{sha}}/check-runs", self._checks_of),
                web.get(f"{repo}/commits/{{sha}}/pulls", self._pulls_of),
                web.get(f"{repo}/pulls/{{number}}", self._pull),
                web.get(f"{repo}/compare/{{span}}", self._compare),
                web.get(f"{repo}/git/ref/{{ref:.+}}", self._ref),
                web.get(f"{repo}/issues/{{number}}/events", self._events),
                web.get("/orgs/{org}/teams/{team}/memberships/{login}", self._membership),
                web.get(f"{repo}/environments", self._environments),
                web.get(f"{repo}/environments/{{name}}/deployment_protection_rules", self._rules),
                web.get(f"{repo}/rules/branches/{{branch}}", self._branch_rules),
                web.get(repo, self._repository),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        fault = self.fault(request.method, request.path)
        if isinstance(fault, web.Response):
            return fault
        if not self._is_allowed(request):
            return problem(401, "Bad credentials")
        if request.method in {"POST", "PATCH"} and not request.path.startswith("/app"):
            refused = await self._count(request)
            if refused is not None:
                return refused
        answer: web.StreamResponse = await handler(request)
        if fault is not None:
            if fault == "cut":
                cut = web.StreamResponse(
                    headers={"Content-Length": "100", "Content-Type": "application/json"}
                )
                await cut.prepare(request)
                await cut.write(b'{"id"')
            assert request.transport is not None
            request.transport.close()
        return answer

    def _is_allowed(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        is_for_app = request.path.startswith("/app") or request.path.endswith("/installation")
        if is_for_app:
            public = serialization.load_pem_private_key(private_key().encode(), None).public_key()
            claims = jwt.decode(token, public, algorithms=["RS256"])  # type: ignore[arg-type]
            assert claims["iss"] == APP_ID
            assert claims["exp"] - claims["iat"] <= 600
            return scheme.casefold() == "bearer"
        known = self.tokens.get(token)
        return known is not None and self.now() < known["until"]

    def may(self, request: web.Request, permission: str, level: str = "read") -> bool:
        token = self.tokens[request.headers["Authorization"].partition(" ")[2]]["permissions"]
        return token.get(permission) in {level, "write"}

    async def _count(self, request: web.Request) -> web.Response | None:
        """Refuse what is above 180 posts or 80 new contents a minute."""
        body = await request.json()
        is_note = request.path.endswith("deployment_protection_rule") and "state" not in body
        is_content = is_note or (request.method == "POST" and request.path.endswith("/check-runs"))
        since = self.now() - MINUTE
        posts = [at for at in self.posts if at > since]
        contents = [at for at in self.contents if at > since]
        if len(posts) >= 180 or (is_content and len(contents) >= 80):
            self.limited += 1
            return secondary_limit()
        self.posts.append(self.now())
        if is_content:
            self.contents.append(self.now())
        return None

    async def _make_token(self, request: web.Request) -> web.Response:
        body = await request.json()
        lacking = [name for name in body["permissions"] if name not in self.permissions]
        if lacking:
            return problem(422, "The permissions requested are not granted to this installation.")
        assert body.get("repository_ids") == [REPOSITORY_ID] or body.get("repositories") == ["octo-repo"]
        token = f"ghs_{len(self.tokens)}ForTestsOnly"
        until = self.now() + timedelta(hours=1)
        self.tokens[token] = {"permissions": body["permissions"], "until": until}
        answer = {"token": token, "expires_at": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return web.json_response(answer | {"permissions": body["permissions"]}, status=201)

    async def _installation(self, request: web.Request) -> web.Response:
        if f"{request.match_info['owner']}/{request.match_info['repo']}" != REPOSITORY:
            return problem(404, "Not Found")
        return web.json_response({"id": INSTALLATION, "app_id": int(APP_ID), "permissions": self.permissions})

    async def _app(self, _request: web.Request) -> web.Response:
        events = ["deployment_protection_rule", "merge_group", "pull_request", "check_run"]
        return web.json_response(
            {"id": int(APP_ID), "slug": "governor", "permissions": self.permissions, "events": events}
        )

    async def _deliveries(self, request: web.Request) -> web.Response:
        most = min(int(request.query.get("per_page", 30)), 100)
        start = int(request.query.get("cursor", "v1_0").removeprefix("v1_"))
        headers = {}
        if start + most < len(self.deliveries):
            following = f"{self.url}{request.path}?per_page={most}&cursor=v1_{start + most}"
            headers["Link"] = f'<{following}>; rel="next"'
        return web.json_response(self.deliveries[start : start + most], headers=headers)

    async def _redeliver(self, request: web.Request) -> web.Response:
        self.redelivered.append(int(request.match_info["id"]))
        return web.json_response({}, status=202)

    async def _review(self, request: web.Request) -> web.Response:
        if not self.may(request, "deployments", "write"):
            return forbidden()
        run, body = int(request.match_info["run"]), await request.json()
        environment, state, comment = body["environment_name"], body.get("state"), body.get("comment", "")
        if environment not in self.pending.get(run, []):
            return problem(422, "There is no pending deployment for this environment.")
        assert len(comment) <= 1_024
        assert state in {None, "approved", "rejected"}
        said = self.reviews.setdefault(run, [])
        if state is None and len(self.notes(run)) >= 10:
            return problem(422, "Too many status reports for this deployment.")
        said.append(Review(environment, state, comment, self.now()))
        if state is not None:
            self.pending[run].remove(environment)
            self.final.append(f"deployment {run}")
        return web.Response(status=204)

    async def _pending(self, request: web.Request) -> web.Response:
        names = self.pending.get(int(request.match_info["run"]))
        if names is None:
            return problem(404, "Not Found")
        return web.json_response(
            [
                {"environment": {"id": 1, "name": name}, "wait_timer": 0, "current_user_can_approve": False}
                for name in names
            ]
        )

    async def _approvals(self, request: web.Request) -> web.Response:
        said = self.reviews.get(int(request.match_info["run"]), [])
        return web.json_response(
            [
                {
                    "state": review.state or "pending",
                    "comment": review.comment,
                    "environments": [{"id": 1, "name": review.environment}],
                    "user": {"login": "governor[bot]", "id": 1},
                }
                for review in said
            ]
        )

    async def _create_check(self, request: web.Request) -> web.Response:
        if not self.may(request, "checks", "write"):
            return forbidden()
        body = await request.json()
        _assert_check(body)
        number = 1000 + len(self.checks)
        run = {"id": number, "conclusion": None} | body
        self.checks[number] = run
        self._note_conclusion(run)
        return web.json_response(run, status=201)

    async def _update_check(self, request: web.Request) -> web.Response:
        run = self.checks.get(int(request.match_info["id"]))
        if run is None:
            return problem(404, "Not Found")
        body = await request.json()
        assert "head_sha" not in body
        _assert_check(run | body)
        run |= body
        self._note_conclusion(run)
        return web.json_response(run)

    def _note_conclusion(self, run: dict[str, Any]) -> None:
        if run["status"] == "completed":
            self.final.append(f"check {run['head_sha']}")

    async def _check(self, request: web.Request) -> web.Response:
        run = self.checks.get(int(request.match_info["id"]))
        return problem(404, "Not Found") if run is None else web.json_response(run)

    async def _checks_of(self, request: web.Request) -> web.Response:
        found = [
            run
            for run in self.checks.values()
            if run["head_sha"] == request.match_info["sha"] and run["name"] == request.query["check_name"]
        ]
        return web.json_response({"total_count": len(found), "check_runs": found})

    async def _pulls_of(self, request: web.Request) -> web.Response:
        numbers = self.merged.get(request.match_info["sha"], [])
        return web.json_response([self.pulls[number] for number in numbers])

    async def _pull(self, request: web.Request) -> web.Response:
        pull = self.pulls.get(int(request.match_info["number"]))
        return problem(404, "Not Found") if pull is None else web.json_response(pull)

    async def _compare(self, request: web.Request) -> web.Response:
        if not self.may(request, "contents"):
            return forbidden()
        commits = [{"sha": f"{i:040x}", "commit": {"message": said}} for i, said in enumerate(self.compared)]
        return web.json_response({"status": "ahead", "total_commits": len(commits), "commits": commits})

    async def _ref(self, request: web.Request) -> web.Response:
        ref = f"refs/{request.match_info['ref']}"
        return web.json_response({"ref": ref}) if ref in self.refs else problem(404, "Not Found")

    async def _events(self, request: web.Request) -> web.Response:
        events = self.events.get(int(request.match_info["number"]), [])
        start = (int(request.query["page"]) - 1) * 100
        return web.json_response(events[start : start + 100])

    async def _membership(self, request: web.Request) -> web.Response:
        names = request.match_info
        members = self.teams.get(f"{names['org']}/{names['team']}", set())
        if names["login"] not in members:
            return problem(404, "Not Found")
        return web.json_response({"role": "member", "state": "active"})

    async def _environments(self, _request: web.Request) -> web.Response:
        return web.json_response({"total_count": len(self.environments), "environments": self.environments})

    async def _rules(self, request: web.Request) -> web.Response:
        slugs = self.rules.get(request.match_info["name"], [])
        listed = [{"id": i, "enabled": True, "app": {"id": i, "slug": slug}} for i, slug in enumerate(slugs)]
        return web.json_response({"total_count": len(listed), "custom_deployment_protection_rules": listed})

    async def _branch_rules(self, _request: web.Request) -> web.Response:
        return web.json_response(self.branch_rules)

    async def _repository(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"id": REPOSITORY_ID, "full_name": REPOSITORY, "default_branch": "main", "private": False}
        )


def _assert_check(body: dict[str, Any]) -> None:
    """Refuse what GitHub refuses of a check run."""
    assert body["name"]
    assert body["head_sha"]
    assert body["status"] in {"queued", "in_progress", "completed"}
    assert (body["status"] == "completed") == (body.get("conclusion") is not None)
    conclusions = {
        None,
        "success",
        "failure",
        "neutral",
        "cancelled",
        "skipped",
        "timed_out",
        "action_required",
    }
    assert body.get("conclusion") in conclusions
    assert body["output"]["title"]
    assert len(body["output"]["summary"].encode()) <= 65_535
    assert len(body["actions"]) <= 3
    for action in body["actions"]:
        assert 0 < len(action["label"]) <= 20
        assert 0 < len(action["description"]) <= 40
        assert 0 < len(action["identifier"]) <= 20


def problem(status: int, message: str, **headers: str) -> web.Response:
    """Return an error as GitHub writes it."""
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return web.json_response(body, status=status, headers=headers)


def forbidden() -> web.Response:
    return problem(403, "Resource not accessible by integration")


def secondary_limit(after_s: int = 10) -> web.Response:
    return problem(403, "You have exceeded a secondary rate limit.", **{"Retry-After": str(after_s)})


@asynccontextmanager
async def serving_github(github: GitHubServer) -> AsyncIterator[GitHubServer]:
    """Serve it for the time of the block."""
    async with TestServer(github.application()) as server:
        github.url = str(server.make_url("")).rstrip("/")
        yield github
