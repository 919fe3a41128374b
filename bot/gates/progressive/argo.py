"""Argo Rollouts' web metric, and Kargo's HTTP step.

A metric of Argo Rollouts that fails aborts the rollout, and so do five errors in a row; one that neither
succeeds nor fails pauses it. So it is answered with 200, and what nobody knows, or may not ask, is `unknown`,
which is neither. Only what passes by itself is an error, which is asked again: a rate limit, an outage. Kargo
asks again until its expression is true, and takes errors for what they are.
"""

from typing import Any

from aiohttp import web

from bot.freezes.status import NotMeasuredYetError, UnknownServiceError
from bot.freezes.verdict import Verdict
from bot.gates.progressive.questions import (
    FindCaller,
    GateQuestions,
    bearer,
    change_of,
    require_caller,
)

UNKNOWN = "unknown"
"""The verdict on a service of which nobody knows anything."""


class RolloutsGate:
    """The gate of analysis runs: `/gates/rollouts/SERVICE?change=…`."""

    def __init__(self, questions: GateQuestions, find_caller: FindCaller) -> None:
        self._questions = questions
        self._find_caller = find_caller

    def add_routes(self, app: web.Application) -> None:
        """Add the address."""
        for method in ("GET", "POST"):
            app.router.add_route(method, "/gates/rollouts/{service}", self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        # What a metric sends as its body is not needed, but is read to its end, within the limit.
        await request.read()
        try:
            caller = await require_caller(self._find_caller, bearer(request))
            change = change_of(request)
            verdict = await self._questions.ask(request.match_info["service"], change, caller, begins=True)
        except (UnknownServiceError, NotMeasuredYetError) as error:
            return _unknown(str(error))
        except (web.HTTPUnauthorized, web.HTTPBadRequest) as error:
            return _unknown(error.reason)
        return web.json_response(_json(verdict))


class KargoGate:
    """The gate of promotions: `/gates/kargo/SERVICE?change=…`."""

    def __init__(self, questions: GateQuestions, find_caller: FindCaller) -> None:
        self._questions = questions
        self._find_caller = find_caller

    def add_routes(self, app: web.Application) -> None:
        """Add the address."""
        app.router.add_get("/gates/kargo/{service}", self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        caller = await require_caller(self._find_caller, bearer(request))
        change = change_of(request)
        try:
            verdict = await self._questions.ask(request.match_info["service"], change, caller, begins=False)
        except UnknownServiceError as error:
            raise web.HTTPNotFound(reason=str(error)) from error
        except NotMeasuredYetError as error:
            raise web.HTTPServiceUnavailable(reason=str(error), headers={"Retry-After": "5"}) from error
        return web.json_response(_json(verdict))


def _unknown(reason: str) -> web.Response:
    return web.json_response({"verdict": UNKNOWN, "allow": False, "reasons": [reason]})


def _json(verdict: Verdict) -> dict[str, Any]:
    wait = verdict.retry_after
    return {
        "verdict": str(verdict.answer),
        "allow": verdict.allow,
        "reasons": list(verdict.reasons),
        "retry_after": None if wait is None else round(wait.total_seconds()),
    }
