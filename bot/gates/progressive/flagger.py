"""Flagger's webhooks: confirmations that wait out a freeze, and a rollback where the change does harm.

Flagger takes up to 202 for yes and anything above for no; it sends no header of ours, so the token stands in
the address. A `confirm-…` that says no only waits. A `rollback` that says *yes* rolls back: it answers 200
for `back` alone, and whatever fails is no yes.
"""

from typing import Any

from aiohttp import web

from bot.bounded_body import parse_json
from bot.freezes.status import NotMeasuredYetError, UnknownServiceError
from bot.freezes.verdict import Change, Verdict, VerdictAnswer
from bot.gates.progressive.questions import MOST, FindCaller, GateQuestions, require_caller
from bot.texts import is_name

CONFIRMATIONS = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")
_NO = 423
_MOST_TEXT = 500


class FlaggerGate:
    """The gate of Flagger: `/gates/flagger/TOKEN/SERVICE/HOOK`."""

    def __init__(self, questions: GateQuestions, find_caller: FindCaller) -> None:
        self._questions = questions
        self._find_caller = find_caller

    def add_routes(self, app: web.Application) -> None:
        """Add an address for each hook."""
        for hook in CONFIRMATIONS:
            app.router.add_post(f"/gates/flagger/{{token}}/{{service}}/{hook}", self._confirm)
        app.router.add_post("/gates/flagger/{token}/{service}/rollback", self._roll_back)

    async def _confirm(self, request: web.Request) -> web.Response:
        verdict = await self._ask(request)
        return web.Response(text=_text(verdict), status=200 if verdict.allow else _NO)

    async def _roll_back(self, request: web.Request) -> web.Response:
        verdict = await self._ask(request)
        is_back = verdict.answer is VerdictAnswer.BACK
        return web.Response(text=_text(verdict), status=200 if is_back else _NO)

    async def _ask(self, request: web.Request) -> Verdict:
        caller = await require_caller(self._find_caller, request.match_info["token"])
        change = _change(await _read(request))
        try:
            return await self._questions.ask(request.match_info["service"], change, caller, begins=True)
        except UnknownServiceError as error:
            raise web.HTTPNotFound(reason=str(error)) from error
        except NotMeasuredYetError as error:
            raise web.HTTPServiceUnavailable(reason=str(error), headers={"Retry-After": "5"}) from error


def _text(verdict: Verdict) -> str:
    """Return the answer in a line: Flagger puts it into its events."""
    return f"{verdict.answer}: {'; '.join(verdict.reasons)}"[:_MOST_TEXT]


async def _read(request: web.Request) -> dict[str, Any]:
    try:
        body = parse_json(await request.read() or b"{}")
    except ValueError as error:
        raise web.HTTPBadRequest(reason="the body is not JSON") from error
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(reason="the body is not an object")
    return body


def _change(body: dict[str, Any]) -> Change:
    """Return the revision that Flagger ships; its metadata may name the change, its environment and proof."""
    metadata = body.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    words = {"change": body.get("checksum"), **named}
    texts = {
        name: value.strip()
        for name in ("change", "kind", "environment", "commit", "proof")
        if isinstance(value := words.get(name), str) and value.strip()
    }
    if any(len(text) > MOST for text in texts.values()):
        raise web.HTTPBadRequest(reason=f"at most {MOST} characters for each name")
    if not all(is_name(text) for text in texts.values()):
        raise web.HTTPBadRequest(reason="names have no control characters and no lone surrogates")
    return Change(
        texts.get("change"),
        texts.get("kind"),
        texts.get("environment"),
        texts.get("commit"),
        texts.get("proof"),
    )
