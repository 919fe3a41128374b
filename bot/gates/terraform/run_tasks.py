"""Run tasks: answered at once with 200, then with `passed` or `failed` where HCP Terraform says.

It gives up on a task that says nothing for ten minutes, and on any after an hour: a longer freeze ends
`failed`, with the reason. The token of a task is kept for as long as it may be needed, an hour.
https://developer.hashicorp.com/terraform/cloud-docs/api-docs/run-tasks/run-tasks-integration
"""

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from bot.bounded_body import parse_json
from bot.catalog.current import CurrentCatalog
from bot.catalog.gates import TerraformWorkspace
from bot.freezes.verdict import Change, VerdictAnswer
from bot.gates.platform_calls import call
from bot.gates.waits.answerer import PlatformGoneError
from bot.gates.waits.limits import CallLimit
from bot.gates.waits.records import GateWaits
from bot.gates.waits.wait import PlatformCall, Question, Seen, Wait, WaitStanding
from bot.texts import clean_line, is_name

PLATFORM: Final = "terraform"
SIGNATURE: Final = "X-TFC-Task-Signature"
TOLD_EVERY: Final = timedelta(minutes=5)
"""How often a waiting run hears that it still waits; ten minutes are allowed."""
GIVES_UP_AFTER: Final = timedelta(minutes=55)
"""How long a run waits for the end of a freeze; an hour is allowed."""
_MOST_BYTES: Final = 1024 * 1024
_MOST_TEXT: Final = 400
_LIMITS: Final = (CallLimit("call", 25, timedelta(seconds=1)),)
_PULL_REQUEST = re.compile(r"/(?:pull|merge_requests|pull-requests)/(\d{1,9})(?:\D|$)")
_TEST_TOKEN: Final = "test-token"  # noqa: S105 - what HCP Terraform sends to see whether anybody answers


class RunTaskHook:
    """Takes what HCP Terraform sends for a run task: `/gates/terraform/run-tasks`."""

    def __init__(
        self,
        waits: GateWaits,
        current: CurrentCatalog,
        keys: Sequence[str],
        url: str,
        forget_later: Callable[[str], Awaitable[None]],
    ) -> None:
        self._waits = waits
        self._forget_later = forget_later
        self._current = current
        self._keys = tuple(keys)
        self._url = url

    def add_routes(self, app: web.Application) -> None:
        """Add the address."""
        app.router.add_post("/gates/terraform/run-tasks", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.clone(client_max_size=_MOST_BYTES).read()
        if not is_signed(body, request.headers.get(SIGNATURE, ""), self._keys):
            raise web.HTTPUnauthorized(reason=f"the signature in {SIGNATURE} is missing or wrong")
        payload = _read(body)
        if payload.get("access_token") == _TEST_TOKEN:
            # So it is asked when the run task is set up, to see whether anybody answers.
            return web.Response()
        question = self._question(payload)
        await self._forget_later(question.key)
        await self._waits.ask(question)
        return web.Response()

    def _question(self, payload: Mapping[str, Any]) -> Question:
        try:
            organization, name = _text(payload["organization_name"]), _text(payload["workspace_name"])
            callback, token = (
                _text(payload["task_result_callback_url"], 1_000),
                _text(payload["access_token"], 4_000),
            )
            key, run = _text(payload["task_result_id"]), _text(payload["run_id"])
            stage = _text(payload["stage"])
            pull_request = _PULL_REQUEST.search(_text(payload.get("vcs_pull_request_url") or "", 1_000))
            commit = _text(payload.get("vcs_commit_url") or "", 1_000).rpartition("/")[2]
        except (KeyError, ValueError) as error:
            raise web.HTTPBadRequest(reason="a run task sends something else") from error
        if not _is_below(callback, self._url):
            raise web.HTTPBadRequest(reason=f"the run task is not answered at {self._url}")
        workspace = self._workspace(f"{organization}/{name}")
        change = Change(
            f"PR-{pull_request[1]}" if pull_request else run,
            environment=workspace.environment if workspace else None,
            commit=commit or None,
        )
        unknown = None if workspace else f"the policies name no workspace {organization}/{name}"
        return Question(
            platform=PLATFORM,
            account=organization.casefold(),
            key=key,
            kind=stage,
            services=workspace.services if workspace else (),
            changes=(change,),
            place={"callback": callback, "token": token, "refused": unknown},
            begins=stage == "pre_apply",
        )

    def _workspace(self, name: str) -> TerraformWorkspace | None:
        workspaces = self._current.workspace.gates.terraform
        return next((each for each in workspaces if each.workspace.casefold() == name.casefold()), None)


class RunTaskAnswers:
    """The answers to run tasks."""

    platform = PLATFORM
    limits: Sequence[CallLimit] = _LIMITS

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def next_call(self, wait: Wait, standing: WaitStanding, now: datetime) -> PlatformCall | None:
        """Return the answer, or a sign of life every few minutes; a long freeze ends with a no."""
        place, costs = wait.place, ("call",)
        reasons = "; ".join(standing.reasons)
        if place.get("refused"):
            return PlatformCall(str(place["refused"]), "failed", costs)
        if standing.answer is VerdictAnswer.GO:
            return PlatformCall("open to this change", "passed", costs)
        if standing.answer is VerdictAnswer.BACK:
            return PlatformCall(reasons, "failed", costs)
        if now - wait.asked_at >= GIVES_UP_AFTER:
            return PlatformCall(
                f"still frozen after {GIVES_UP_AFTER // timedelta(minutes=1)} minutes: {reasons}",
                "failed",
                costs,
            )
        told = place.get("told_at")
        if told is None or now - datetime.fromisoformat(told) >= TOLD_EVERY or wait.note != reasons:
            return PlatformCall(reasons, None, costs, {"at": now.isoformat()})
        return None

    async def send(self, wait: Wait, call_: PlatformCall) -> Mapping[str, Any]:
        """Tell HCP Terraform; once it has its answer, the token is forgotten."""
        if wait.place["token"] is None:
            raise PlatformGoneError("the token of the run task is over")
        attributes = {"status": call_.outcome or "running", "message": clean_line(call_.note, _MOST_TEXT)}
        headers = {
            "Authorization": f"Bearer {wait.place['token']}",
            "Content-Type": "application/vnd.api+json",
        }
        body = {"data": {"type": "task-results", "attributes": attributes}}
        await call(self._session, "PATCH", str(wait.place["callback"]), headers=headers, json=body)
        return {"token": None} if call_.is_final else {"told_at": call_.content["at"]}

    async def look(self, wait: Wait) -> Seen:
        """Return that it waits: nobody can ask, and the same answer once more changes nothing."""
        del wait
        return Seen(is_waiting=True)


def is_signed(body: bytes, signature: str, keys: Sequence[str]) -> bool:
    """Return whether the signature, hex digits, fits one of the keys; compares in constant time."""
    sent = signature.strip().casefold().encode(errors="surrogatepass")
    matches = [
        hmac.compare_digest(sent, hmac.digest(key.encode(), body, hashlib.sha512).hex().encode())
        for key in keys
    ]
    return any(matches)


def _read(body: bytes) -> Mapping[str, Any]:
    try:
        payload = parse_json(body)
    except ValueError as error:
        raise web.HTTPBadRequest(reason="the body is not JSON") from error
    if not isinstance(payload, Mapping) or payload.get("payload_version") != 1:
        raise web.HTTPBadRequest(reason="`payload_version` is 1")
    return payload


def _text(value: Any, most: int = 200) -> str:
    if not isinstance(value, str) or len(value) > most or not is_name(value):
        raise ValueError("no name")
    return value


def _is_below(address: str, base: str) -> bool:
    """Return whether an address is one of the server's: a token goes nowhere else."""
    try:
        asked, own = urlsplit(address), urlsplit(base)
        same = (asked.scheme, asked.hostname, asked.port) == (own.scheme, own.hostname, own.port)
    except ValueError:
        return False
    return same and asked.username is None
