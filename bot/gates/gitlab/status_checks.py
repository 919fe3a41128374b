"""External status checks on merge requests: answered at once, and again when the services open.

GitLab sets a check that stays `pending` for two minutes to failed by itself; the merge request can go on
as soon as the check is answered with `passed`.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from bot.bounded_body import parse_json
from bot.catalog.current import CurrentCatalog
from bot.catalog.gates import GitLabProject
from bot.freezes.verdict import Change, VerdictAnswer
from bot.gates.gitlab.client import GitLabClient
from bot.gates.waits.limits import CallLimit
from bot.gates.waits.records import GateWaits
from bot.gates.waits.wait import PlatformCall, Question, Seen, Wait, WaitStanding, WaitState
from bot.texts import is_name

PLATFORM: Final = "gitlab"
SIGNATURE: Final = "X-Gitlab-Signature"
_MOST_BYTES: Final = 1024 * 1024
_LIMITS: Final = (CallLimit("call", 300, timedelta(minutes=1)),)
_OVER = frozenset({"closed", "merged"})


class StatusCheckHook:
    """Takes what GitLab sends for an external status check: `/gates/gitlab/status-checks`."""

    def __init__(self, waits: GateWaits, current: CurrentCatalog, secrets: Sequence[str], url: str) -> None:
        self._waits = waits
        self._current = current
        self._secrets = tuple(secrets)
        self._account = url

    def add_routes(self, app: web.Application) -> None:
        """Add the address."""
        app.router.add_post("/gates/gitlab/status-checks", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.clone(client_max_size=_MOST_BYTES).read()
        if not is_signed(body, request.headers.get(SIGNATURE, ""), self._secrets):
            raise web.HTTPUnauthorized(reason=f"the signature in {SIGNATURE} is missing or wrong")
        event = read_event(body)
        project = self._project(event["path"])
        if project is None:
            return _taken(f"the policies name no project {event['path']}")
        if event["state"] in _OVER:
            await self._waits.withdraw(PLATFORM, event["key"])
            return _taken("the merge request is over")
        await self._ask(event, project)
        return _taken(None)

    async def _ask(self, event: Mapping[str, Any], project: GitLabProject) -> None:
        if event["before"]:
            # GitLab takes answers for the newest commit only.
            await self._waits.withdraw(PLATFORM, _key(event, event["before"]))
        change = Change(f"!{event['number']}", environment=project.environment, commit=event["sha"])
        question = Question(
            platform=PLATFORM,
            account=self._account,
            key=str(event["key"]),
            kind="status check",
            services=project.services,
            changes=(change,),
            place={name: event[name] for name in ("project", "number", "sha", "check")},
        )
        await self._waits.ask_again(question, after=(WaitState.ANSWERED, WaitState.GONE))

    def _project(self, path: str) -> GitLabProject | None:
        projects = self._current.workspace.gates.gitlab
        return next((each for each in projects if each.project.casefold() == path.casefold()), None)


class StatusCheckAnswers:
    """The answers to external status checks."""

    platform = PLATFORM
    limits: Sequence[CallLimit] = _LIMITS

    def __init__(self, client: GitLabClient) -> None:
        self._client = client

    def next_call(self, wait: Wait, standing: WaitStanding, now: datetime) -> PlatformCall | None:
        """Return `passed` or `failed` where that is certain; `pending` once while it waits."""
        del now
        if standing.answer is VerdictAnswer.GO:
            return PlatformCall("passed", "passed", ("call",))
        if standing.answer is VerdictAnswer.BACK:
            return PlatformCall("failed", "failed", ("call",))
        return PlatformCall("pending", None, ("call",)) if wait.note is None else None

    async def send(self, wait: Wait, call: PlatformCall) -> Mapping[str, Any]:
        """Set the status of the check."""
        place = wait.place
        await self._client.answer_status_check(
            place["project"], place["number"], sha=place["sha"], check=place["check"], status=call.note
        )
        return {}

    async def look(self, wait: Wait) -> Seen:
        """Return whether the merge request still waits for this commit."""
        place = wait.place
        found = await self._client.merge_request(place["project"], place["number"])
        if found.get("state") in _OVER or found.get("sha") not in {None, place["sha"]}:
            return Seen(is_waiting=False)
        status = await self._client.status_check(place["project"], place["number"], place["check"])
        if status is None:
            return Seen(is_waiting=False)
        return Seen(is_waiting=False, outcome=status) if status == "passed" else Seen(is_waiting=True)


def is_signed(body: bytes, signature: str, secrets: Sequence[str]) -> bool:
    """Return whether the signature, hex digits, fits one of the secrets; compares in constant time."""
    sent = signature.strip().removeprefix("sha256=").casefold().encode(errors="surrogatepass")
    matches = [
        hmac.compare_digest(sent, hmac.digest(secret.encode(), body, hashlib.sha256).hex().encode())
        for secret in secrets
    ]
    return any(matches)


def read_event(body: bytes) -> Mapping[str, Any]:
    """Return what is read of an event; raises `HTTPBadRequest`."""
    try:
        payload = parse_json(body)
        attributes, project = payload["object_attributes"], payload["project"]
        event: dict[str, Any] = {
            "path": _text(project["path_with_namespace"]),
            "project": _number(project["id"]),
            "number": _number(attributes["iid"]),
            "sha": _text(attributes["last_commit"]["id"]),
            "check": _number(payload["external_approval_rule"]["id"]),
            "state": _text(attributes.get("state", "")),
            "before": _text(attributes.get("oldrev") or ""),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise web.HTTPBadRequest(reason="an external status check sends something else") from error
    return event | {"key": _key(event, event["sha"])}


def _key(event: Mapping[str, Any], sha: str) -> str:
    return f"{event['project']}!{event['number']} {sha} {event['check']}"


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 500 or not is_name(value):
        raise ValueError("no name")
    return value


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**53:
        raise ValueError("no number")
    return value


def _taken(ignored: str | None) -> web.Response:
    return web.json_response({"ignored": ignored}, status=202)
