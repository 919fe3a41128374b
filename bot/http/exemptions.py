"""`/api/v1/exemptions`: asks that a change may ship through a freeze, and says how far that has come."""

from datetime import datetime, timedelta
from typing import Any, Literal

from aiohttp import web
from pydantic import AwareDatetime, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.clock import Clock
from bot.freezes.exemptions.requests import ExemptionRequests, ExemptionWaitingError, waiting_for_agent
from bot.freezes.exemptions.states import ExemptionRecord, find_open, read_record, read_records
from bot.freezes.status import StatusReader, UnknownServiceError
from bot.http.auth import CALLER, TokenVerifier, is_agent
from bot.http.deployments.reports import NonBlankLine
from bot.http.operations import (
    BAD_BODY,
    BAD_QUERY,
    UNKNOWN_SERVICE,
    Operation,
    QueryParameter,
    add_operations,
)
from bot.http.problems import ProblemError
from bot.http.request_body import TextInstant, read_body, read_json
from bot.http.request_text import FreeText, RequestBody
from bot.http.response_models import Answer
from bot.http.rights import Right
from bot.http.serializers import instant
from bot.store.database import Database

_LONGEST = timedelta(days=365)
_LATER = {"Retry-After": "600"}
MOST_WAITING = 20
"""How many requests of one agent may wait: each calls people."""
_UNKNOWN = {404: "There is no such exemption."}


class ExemptionBody(RequestBody):
    """What may ship through a freeze, and why; for 24 hours from the approval if `until` is left out.

    `commit` binds it to that commit of the change. `kind` and `proof` say what the change is and what proves
    it; whoever decides sees them.
    """

    model_config = ConfigDict(extra="forbid")

    service: NonBlankLine = Field(min_length=1, max_length=100)
    change: NonBlankLine = Field(min_length=1, max_length=200)
    reason: FreeText = Field(min_length=1, max_length=1_000)
    commit: NonBlankLine | None = Field(None, min_length=7, max_length=200)
    kind: NonBlankLine | None = Field(None, min_length=1, max_length=200)
    proof: NonBlankLine | None = Field(None, min_length=1, max_length=200)
    until: TextInstant | None = None


class ExemptionAnswer(Answer):
    """An exemption that somebody asked for."""

    id: int
    state: Literal["pending", "granted", "declined", "used", "expired"]
    service: str
    change: str
    commit: str | None
    """The only commit of the change that it is for; null for any."""
    reason: str
    kind: str | None
    proof: str | None
    by: str
    by_agent: bool
    """Whether an agent asked, by its token."""
    asked_at: AwareDatetime
    decided_by: str | None
    decided_at: AwareDatetime | None
    comment: str | None
    until: AwareDatetime | None
    """When it ends; null until it is granted, where no end was asked for."""
    used_for: str | None
    """The deployment that used it."""


class ExemptionsAnswer(Answer):
    """The newest exemptions that somebody asked for, at most 200."""

    exemptions: list[ExemptionAnswer]


class ExemptionsEndpoint:
    """The endpoint of exemptions. People decide in Slack; what is asked again while it waits is the same."""

    def __init__(
        self,
        status_reader: StatusReader,
        requests: ExemptionRequests,
        database: Database,
        clock: Clock,
        tokens: TokenVerifier,
    ) -> None:
        self._status_reader = status_reader
        self._requests = requests
        self._database = database
        self._clock = clock
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the routes; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "POST",
        "/api/v1/exemptions",
        tag="gate",
        summary="Ask that a change may ship through a freeze; people decide in the service's channel",
        right=Right.EXEMPTIONS_WRITE,
        body=ExemptionBody,
        answers={202: ExemptionAnswer},
        refusals=BAD_BODY | UNKNOWN_SERVICE,
    )
    async def _post(self, request: web.Request) -> web.Response:
        body, now = read_body(ExemptionBody, await read_json(request)), self._clock.now()
        if body.until is not None and not now < body.until <= now + _LONGEST:
            raise ProblemError(
                422,
                "`until` is not within the next year",
                errors=[{"field": "until", "message": "a time within the next year"}],
            )
        try:
            service = self._status_reader.find(body.service)
        except UnknownServiceError as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error
        async with self._database.reading() as connection:
            known = await find_open(connection, service.name, body.change, body.commit, now)
        if known is not None:
            return web.json_response(exemption_json(known), status=202)
        await self._check_patience(request, now)
        try:
            asked = await self._requests.ask(
                service,
                change=body.change,
                by=request[CALLER],
                reason=body.reason,
                keep_for=None,
                request=None,
                now=now,
                commit=body.commit,
                kind=body.kind,
                proof=body.proof,
                until=body.until,
                by_agent=is_agent(request),
            )
        except ExemptionWaitingError as error:
            asked = error.waiting
        async with self._database.reading() as connection:
            record = await self._record(connection, asked.id)
        return web.json_response(exemption_json(record), status=202)

    async def _check_patience(self, request: web.Request, now: datetime) -> None:
        """Raise `ProblemError` 429 where an agent asks for more than people can be expected to decide."""
        if not is_agent(request):
            return
        async with self._database.reading() as connection:
            waiting = await waiting_for_agent(connection, request[CALLER], now)
        if waiting >= MOST_WAITING:
            raise ProblemError(
                429, f"{waiting} requests of yours wait for a decision already", headers=_LATER
            )

    @Operation(
        "GET",
        "/api/v1/exemptions/{id}",
        tag="gate",
        summary="How far an exemption has come",
        right=Right.EXEMPTIONS_READ,
        answers={200: ExemptionAnswer},
        refusals=_UNKNOWN,
    )
    async def _get(self, request: web.Request) -> web.Response:
        number = request.match_info["id"]
        if not (number.isascii() and number.isdigit() and len(number) <= 15):
            raise ProblemError(404, f"there is no exemption {number}")
        async with self._database.reading() as connection:
            return web.json_response(exemption_json(await self._record(connection, int(number))))

    @Operation(
        "GET",
        "/api/v1/exemptions",
        tag="gate",
        summary="The newest exemptions that somebody asked for",
        right=Right.EXEMPTIONS_READ,
        query=(QueryParameter("service", "Only this service.", {"type": "string", "maxLength": 200}),),
        answers={200: ExemptionsAnswer},
        refusals=UNKNOWN_SERVICE | BAD_QUERY,
    )
    async def _list(self, request: web.Request) -> web.Response:
        name = request.query.get("service")
        try:
            service = self._status_reader.find(name).name if name else None
        except UnknownServiceError as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error
        async with self._database.reading() as connection:
            found = await read_records(connection, service, self._clock.now())
        return web.json_response({"exemptions": [exemption_json(record) for record in found]})

    async def _record(self, connection: AsyncConnection, id_: int) -> ExemptionRecord:
        record = await read_record(connection, id_, self._clock.now())
        if record is None:
            raise ProblemError(404, f"there is no exemption {id_}")
        return record


def exemption_json(record: ExemptionRecord) -> dict[str, Any]:
    """Return what somebody asked for as JSON."""
    asked, granted = record.asked, record.granted
    until = granted.until if granted is not None else asked.until
    return {
        "id": asked.id,
        "state": str(record.state),
        "service": asked.service,
        "change": asked.change,
        "commit": asked.commit,
        "reason": asked.reason,
        "kind": asked.kind,
        "proof": asked.proof,
        "by": asked.by,
        "by_agent": asked.by_agent,
        "asked_at": instant(asked.asked_at),
        "decided_by": record.decided_by,
        "decided_at": instant(record.decided_at) if record.decided_at else None,
        "comment": record.comment or None,
        "until": instant(until) if until else None,
        "used_for": record.used_for,
    }
