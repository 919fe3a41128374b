"""The Web API over HTTP: `/slack-api/{method}`, as strict as Slack's.

Checks come in this order: injected faults, rate limits, unknown method, token, missing
arguments, missing scopes, and those of the method itself. Arguments come from the query,
a form or JSON. Every call is recorded in `calls`, for the assertions of tests.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from bot.sandbox.fake_slack.api_call import ApiCall, Platform
from bot.sandbox.fake_slack.errors import FakeSlackError
from bot.sandbox.fake_slack.fault_injection import FaultInjector, InjectedFault
from bot.sandbox.fake_slack.methods import METHODS
from bot.sandbox.fake_slack.model import Json
from bot.sandbox.fake_slack.scopes import require_scopes
from bot.sandbox.fake_slack.slack_facts import METHODS as FACTS
from bot.sandbox.fake_slack.workspace import BOT_USER_ID

log = structlog.get_logger(__name__)

_MAX_RECORDED_CALLS: Final = 2000
_RATE_LIMITED: Final = {"ok": False, "error": "ratelimited"}


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call and its response; `fault` is set if one was injected."""

    method: str
    args: Json
    answer: Json
    fault: InjectedFault | None = None

    @property
    def error(self) -> str | None:
        """The error code, None if the call succeeded."""
        return None if self.answer.get("ok") else str(self.answer.get("error"))


class WebApi:
    """The Web API of one workspace."""

    def __init__(self, platform: Platform, faults: FaultInjector, *, token: str) -> None:
        self.platform = platform
        self.faults = faults
        self.token = token
        self.calls: deque[RecordedCall] = deque(maxlen=_MAX_RECORDED_CALLS)
        self.listeners: list[Callable[[RecordedCall], None]] = []

    def add_routes(self, app: web.Application) -> None:
        """Serve `/slack-api/{method}` and the upload URLs."""
        app.router.add_route("*", "/slack-api/{method}", self.answer)
        app.router.add_post("/slack-upload/{file}", self._upload)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Handle a call over HTTP, rate limits and injected faults included."""
        method = request.match_info["method"]
        args = await read_arguments(request)
        fault = self.faults.decide(method)
        if fault is InjectedFault.RATE_LIMITED:
            self._record(RecordedCall(method, args, _RATE_LIMITED, fault))
            return _rate_limited(self.faults.retry_after_s)
        if fault is InjectedFault.SERVER_ERROR:
            self._record(RecordedCall(method, args, {"ok": False, "error": "http_500"}, fault))
            return web.Response(status=500, text="Internal Server Error")
        wait_s = self._rate_limit(method, args)
        if wait_s is not None:
            self._record(RecordedCall(method, args, _RATE_LIMITED))
            return _rate_limited(wait_s)
        answer = self.call(method, args)
        self._record(RecordedCall(method, args, answer, fault))
        if fault is InjectedFault.CUT and request.transport is not None:
            request.transport.abort()
        elif fault is InjectedFault.SLOW:
            await asyncio.sleep(self.faults.slow_s)
        elif fault is InjectedFault.NONSENSE:
            body, content_type = self.faults.nonsense()
            return web.Response(text=body, content_type=content_type)
        planned = self.faults.planned_answer(method)
        if planned is not None:
            return web.Response(text=planned, content_type="application/json")
        return web.json_response(answer, headers={"X-OAuth-Scopes": ",".join(self.platform.scopes)})

    def _record(self, call: RecordedCall) -> None:
        self.calls.append(call)
        for listener in self.listeners:
            listener(call)

    def call(self, method: str, args: Json) -> Json:
        """Carry out a call without rate limits and faults; return the response body."""
        try:
            return self._carry_out(method, args)
        except FakeSlackError as refusal:
            log.info("slack_refused", method=method, error=refusal.code, faults=refusal.messages)
            return refusal.answer()

    def _carry_out(self, method: str, args: Json) -> Json:
        if method not in METHODS:
            raise FakeSlackError("unknown_method", req_method=method)
        token = args.pop("token", None)
        if method != "api.test":
            self._check_token(token)
        call = ApiCall(method, args, self.platform, BOT_USER_ID)
        missing = [name for name in FACTS[method].required if call.args.get(name) is None]
        if missing:
            messages = [f"[ERROR] missing required field: {name}" for name in missing]
            raise FakeSlackError("invalid_arguments", messages)
        require_scopes(call)
        if (refusal := self.faults.refusal(method)) is not None:
            raise FakeSlackError(refusal)
        return {"ok": True, **METHODS[method](call)}

    def _check_token(self, token: object) -> None:
        if not token:
            raise FakeSlackError("not_authed")
        if token != self.token:
            raise FakeSlackError("invalid_auth")

    def _rate_limit(self, method: str, args: Json) -> int | None:
        if method not in METHODS:
            return None
        wait_s = self.platform.rates.retry_after_method(method)
        if wait_s is not None or method != "chat.postMessage":
            return wait_s
        try:
            channel = self.platform.workspace.channel(str(args.get("channel", "")))
        except FakeSlackError:
            return None
        return self.platform.rates.retry_after_message(channel.id)

    async def _upload(self, request: web.Request) -> web.Response:
        file = self.platform.workspace.files.get(request.match_info["file"])
        if file is None:
            return web.Response(status=404, text="file not found")
        file.content = await _uploaded_bytes(request)
        file.is_uploaded = True
        return web.Response(text=f"OK - {len(file.content)}")


def _rate_limited(wait_s: int) -> web.Response:
    return web.json_response(_RATE_LIMITED, status=429, headers={"Retry-After": str(wait_s)})


async def _uploaded_bytes(request: web.Request) -> bytes:
    if not request.content_type.startswith("multipart/"):
        return await request.read()
    form = await request.post()
    for part in form.values():
        if isinstance(part, web.FileField):
            return part.file.read()
    return b""


async def read_arguments(request: web.Request) -> Json:
    """Return the arguments of a call, the bearer token as `token`."""
    args: Json = dict(request.query)
    if request.content_type == "application/json":
        body = await request.text()
        try:
            parsed = json.loads(body) if body else {}
        except json.JSONDecodeError:
            parsed = {}
        args |= parsed if isinstance(parsed, dict) else {}
    else:
        form = await request.post()
        args |= {key: value for key, value in form.items() if isinstance(value, str)}
    authorization = request.headers.get("Authorization", "")
    if authorization.startswith("Bearer "):
        args["token"] = authorization.removeprefix("Bearer ")
    return args
