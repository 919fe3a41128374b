"""A server that answers as GitHub's REST API is documented: comparisons, deployments, pages, rate limits.

https://docs.github.com/en/rest/commits/commits#compare-two-commits
https://docs.github.com/en/rest/deployments
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.clock import NOW

TOKEN = "ghp_ForTestsOnly"
_HOUR = timedelta(hours=1)


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class GitCommit:
    """A commit; `parents` are hashes, the first of them on the branch."""

    sha: str
    parents: tuple[str, ...]
    message: str
    authored_at: datetime
    committed_at: datetime

    def as_json(self) -> dict[str, Any]:
        person = {"name": "Monalisa Octocat", "email": "mona@github.com"}
        return {
            "sha": self.sha,
            "node_id": "MDY6Q29tbWl0",
            "commit": {
                "author": person | {"date": stamp(self.authored_at)},
                "committer": person | {"date": stamp(self.committed_at)},
                "message": self.message,
                "tree": {"sha": self.sha},
                "comment_count": 0,
            },
            "author": {"login": "octocat", "id": 1, "type": "User"},
            "parents": [{"sha": parent} for parent in self.parents],
        }


def sha(name: object) -> str:
    """Return a hash for a name of the tests."""
    return f"{name}".encode().hex().ljust(40, "0")[:40]


@dataclass
class FakeGitHub:
    """The state of the server. `limit` requests are allowed until `reset_after` has passed on its clock.

    `refuse` may answer a request itself, by its number and path.
    """

    now: Callable[[], datetime] = lambda: NOW
    limit: int = 5_000
    commits: dict[str, GitCommit] = field(default_factory=dict)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    statuses: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuse: Callable[[int, str], web.Response | None] = lambda *_: None
    remaining: int = 5_000
    resets_at: datetime = NOW

    def commit(
        self, name: object, *parents: object, message: str = "", written: timedelta | None = None
    ) -> str:
        """Add a commit, committed a minute after the one before; `written` is how long before that."""
        committed = NOW - timedelta(days=100) + len(self.commits) * timedelta(minutes=1)
        own = sha(name)
        self.commits[own] = GitCommit(
            own,
            tuple(sha(parent) for parent in parents),
            message or f"Change {name}",
            committed - (written or timedelta()),
            committed,
        )
        return own

    def deploy(self, id_: int, commit: str, began_at: datetime, *states: str, **fields: Any) -> None:
        """Add a deployment with statuses a minute apart; later ones stand first, as at GitHub."""
        creator = {"login": "octocat", "id": 1, "type": "User"}
        deployment = {
            "id": id_,
            "sha": commit,
            "ref": "main",
            "task": "deploy",
            "payload": {},
            "original_environment": "production",
            "environment": "production",
            "description": None,
            "creator": creator,
            "created_at": stamp(began_at),
            "updated_at": stamp(began_at),
            "transient_environment": False,
            "production_environment": False,
        } | fields
        deployment["production_environment"] = deployment["environment"] == "production"
        self.deployments.append(deployment)
        self.statuses[id_] = [
            {
                "id": id_ * 10 + index,
                "state": state,
                "creator": creator,
                "description": "",
                "environment": deployment["environment"],
                "target_url": f"https://github.com/acme/checkout/actions/runs/{id_ // 2}/job/{id_}",
                "log_url": "",
                "created_at": stamp(began_at + (index + 1) * timedelta(minutes=1)),
            }
            for index, state in enumerate(states)
        ][::-1]

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._meter])
        base = "/repos/{owner}/{repo}"
        app.router.add_get(f"{base}/compare/{{basehead}}", self._compare)
        app.router.add_get(f"{base}/deployments", self._list)
        app.router.add_get(f"{base}/deployments/{{id}}/statuses", self._statuses)
        return app

    def server(self) -> TestServer:
        return TestServer(self.application())

    @web.middleware
    async def _meter(self, request: web.Request, handler: Any) -> web.StreamResponse:
        now = self.now()
        self.asked.append(request.path_qs)
        if now >= self.resets_at:
            self.resets_at, self.remaining = now + _HOUR, self.limit
        headers = {"Date": format_datetime(now, usegmt=True)}
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Bad credentials"}, status=401, headers=headers)
        response: web.StreamResponse | None = self.refuse(len(self.asked), request.path)
        if response is None and self.remaining <= 0:
            body = {"message": "API rate limit exceeded for user ID 1.", "documentation_url": "https://…"}
            response = web.json_response(body, status=403)
        elif response is None:
            self.remaining -= 1
            response = await handler(request)
        response.headers.update(headers)
        response.headers["X-RateLimit-Limit"] = str(self.limit)
        response.headers["X-RateLimit-Remaining"] = str(self.remaining)
        response.headers["X-RateLimit-Reset"] = str(int(self.resets_at.timestamp()))
        return response

    async def _compare(self, request: web.Request) -> web.Response:
        base, _, head = request.match_info["basehead"].partition("...")
        if base not in self.commits or head not in self.commits:
            return web.json_response({"message": "Not Found", "status": "404"}, status=404)
        ours, theirs = self._history(head), self._history(base)
        ahead = [each for each in self.commits if each in ours - theirs]
        behind = len(theirs - ours)
        status = {(0, 0): "identical", (1, 0): "ahead", (0, 1): "behind", (1, 1): "diverged"}
        page = int(request.query.get("page", "1"))
        per_page = min(100, int(request.query.get("per_page", "30")))
        body = {
            "status": status[bool(ahead), bool(behind)],
            "ahead_by": len(ahead),
            "behind_by": behind,
            "total_commits": len(ahead),
            "commits": [
                self.commits[each].as_json() for each in ahead[(page - 1) * per_page : page * per_page]
            ],
        }
        if page == 1:
            body["files"] = [{"filename": "a.py", "additions": 2, "deletions": 1, "changes": 3}] * bool(ahead)
        return web.json_response(body, headers=_links(request, page, per_page, len(ahead)))

    async def _list(self, request: web.Request) -> web.Response:
        page = int(request.query.get("page", "1"))
        per_page = min(100, int(request.query.get("per_page", "30")))
        newest = sorted(self.deployments, key=lambda each: each["id"], reverse=True)
        own = newest[(page - 1) * per_page : page * per_page]
        return web.json_response(own, headers=_links(request, page, per_page, len(newest)))

    async def _statuses(self, request: web.Request) -> web.Response:
        own = self.statuses.get(int(request.match_info["id"]))
        if own is None:
            return web.json_response({"message": "Not Found"}, status=404)
        return web.json_response(own)

    def _history(self, commit: str) -> set[str]:
        found: set[str] = set()
        waiting = [commit]
        while waiting:
            each = waiting.pop()
            if each in self.commits and each not in found:
                found.add(each)
                waiting += self.commits[each].parents
        return found


def _links(request: web.Request, page: int, per_page: int, total: int) -> dict[str, str]:
    last = max(1, -(-total // per_page))
    if page >= last:
        return {}
    links = {"next": page + 1, "last": last}
    return {
        "Link": ", ".join(
            f'<{request.url.update_query(page=str(number))}>; rel="{name}"' for name, number in links.items()
        )
    }
