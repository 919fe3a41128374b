"""`GET /api/v1/gate/{service}`: the gate, which says whether a change may ship."""

import time
from collections.abc import Callable, Mapping

from aiohttp import web

from bot.freezes.exemptions.passages import Passages
from bot.freezes.status import NotMeasuredYetError, StatusReader, UnknownServiceError
from bot.freezes.verdict import Change
from bot.http.auth import CALLER, is_agent
from bot.http.operations import BAD_QUERY, NOT_MEASURED_YET, UNKNOWN_SERVICE, Operation, QueryParameter
from bot.http.problems import ProblemError
from bot.http.request_body import FLAG_SCHEMA, read_flag
from bot.http.response_models import GateAnswer
from bot.http.rights import Right
from bot.http.serializers import verdict_json
from bot.tracing.spans import span

_MAX_LENGTH = 200
_SOON = {"Retry-After": "5"}
_TEXT_SCHEMA = {"type": "string", "maxLength": _MAX_LENGTH}

ObserveVerdict = Callable[[str, float], None]
"""Takes the verdict (`go`, `wait`, `back`) and the seconds until it was there."""


class GateEndpoint:
    """The gate's endpoint. A refusal is 200 with `allow: false`, or 423 with `strict=1`."""

    def __init__(
        self,
        status_reader: StatusReader,
        passages: Passages,
        observe: ObserveVerdict = lambda _verdict, _seconds: None,
    ) -> None:
        self._observe = observe
        self._status_reader = status_reader
        self._passages = passages

    @Operation(
        "GET",
        "/api/v1/gate/{service}",
        tag="gate",
        summary="Whether a change may ship",
        right=Right.GATE_READ,
        query=(
            QueryParameter("change", "The change to ship, such as PR-12.", _TEXT_SCHEMA),
            QueryParameter("kind", "Its kind, such as security.", _TEXT_SCHEMA),
            QueryParameter("proof", "What proves the kind: CVE-2026-1234, incident 12.", _TEXT_SCHEMA),
            QueryParameter("commit", "The commit of the change.", _TEXT_SCHEMA),
            QueryParameter("environment", "Where it ships to; left out, any freeze bars it.", _TEXT_SCHEMA),
            QueryParameter("strict", "With 1, a refusal is 423.", FLAG_SCHEMA),
        ),
        answers={200: GateAnswer, 423: GateAnswer},
        refusals=UNKNOWN_SERVICE | BAD_QUERY | NOT_MEASURED_YET,
    )
    async def get(self, request: web.Request) -> web.Response:
        """Return the verdict, and record the kind or the exemption that let the change through.

        Raises `ProblemError`: 404 for an unknown service, 400 for an invalid query, 503 before the first
        measurement.
        """
        with span("gate", "server", parent=request.headers.get("traceparent")) as recorded:
            response = await self._answer(request)
            recorded.note("http.response.status_code", response.status)
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        started_s = time.perf_counter()
        strict = read_flag(request, "strict")
        change = Change(
            _text_parameter(request.query, "change"),
            _text_parameter(request.query, "kind"),
            _text_parameter(request.query, "environment"),
            _text_parameter(request.query, "commit"),
            _text_parameter(request.query, "proof"),
            by_agent=is_agent(request),
        )
        try:
            service = self._status_reader.find(request.match_info["service"])
            verdict = await self._status_reader.verdict(service.name, change)
        except UnknownServiceError as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error
        except NotMeasuredYetError as error:
            raise ProblemError(503, str(error), headers=_SOON) from error
        # Before the answer: what passes a freeze is written down, or does not pass.
        await self._passages.record(service, verdict, request[CALLER], verdict.as_of)
        self._observe(str(verdict.answer), time.perf_counter() - started_s)
        status = 423 if strict and not verdict.allow else 200
        answer = {**verdict_json(verdict), "gate_unavailable": service.gate_unavailable}
        headers = {} if verdict.retry_after is None else {"Retry-After": str(answer["retry_after"])}
        return web.json_response(answer, status=status, headers=headers)


def _text_parameter(query: Mapping[str, str], name: str) -> str | None:
    value = query.get(name, "").strip()
    if len(value) > _MAX_LENGTH:
        raise ProblemError(400, f"`{name}` may have at most {_MAX_LENGTH} characters")
    return value or None
