"""The API under `/api/v1/`: services, the gate, pushed events and the audit log."""

from aiohttp import web

from bot.freezes.exemptions.passages import Passages
from bot.freezes.explanation_reader import ExplanationReader
from bot.freezes.status import StatusReader, UnknownServiceError
from bot.http.auth import TokenVerifier, viewer_of
from bot.http.budget_details import BudgetDetailsEndpoint
from bot.http.budgets.spending import SpendingEndpoint
from bot.http.events import EventsEndpoint
from bot.http.gate import GateEndpoint, ObserveVerdict
from bot.http.operations import (
    BAD_QUERY,
    SERVICE_PARAMETER,
    UNKNOWN_SERVICE,
    Operation,
    QueryParameter,
    add_operations,
)
from bot.http.problems import ProblemError
from bot.http.request_body import read_since
from bot.http.response_models import AuditAnswer, ServiceAnswer, ServicesAnswer
from bot.http.rights import Right
from bot.http.serializers import audit_json, service_json
from bot.incidents import audit_view
from bot.spending.reader import SpendingReader
from bot.store import audit
from bot.store.database import Database


class Api:
    """The endpoints of services and the audit log; adds those of the gate and pushed events, too."""

    def __init__(
        self,
        *,
        status_reader: StatusReader,
        explanations: ExplanationReader,
        spending: SpendingReader,
        events: EventsEndpoint,
        passages: Passages,
        database: Database,
        tokens: TokenVerifier,
        observe_gate: ObserveVerdict = lambda _verdict, _seconds: None,
    ) -> None:
        self._status_reader = status_reader
        self._events = events
        self._gate = GateEndpoint(status_reader, passages, observe_gate)
        self._budget_details = BudgetDetailsEndpoint(status_reader, explanations)
        self._spending = SpendingEndpoint(status_reader, spending)
        self._database = database
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the routes; the rest of `/api/` is 404."""
        for endpoint in (self, self._budget_details, self._spending, self._gate, self._events):
            add_operations(app, endpoint, self._tokens)
        app.router.add_route("*", "/api/{rest:.*}", _not_found)

    @Operation(
        "GET",
        "/api/v1/services",
        tag="services",
        summary="All services",
        right=Right.SERVICES_READ,
        answers={200: ServicesAnswer},
    )
    async def _services(self, _request: web.Request) -> web.Response:
        statuses = await self._status_reader.services()
        return web.json_response({"services": [service_json(status) for status in statuses]})

    @Operation(
        "GET",
        "/api/v1/services/{service}",
        tag="services",
        summary="One service: its state, holds and budgets",
        right=Right.SERVICES_READ,
        answers={200: ServiceAnswer},
        refusals=UNKNOWN_SERVICE,
    )
    async def _service(self, request: web.Request) -> web.Response:
        try:
            status = await self._status_reader.service(request.match_info["service"])
        except UnknownServiceError as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error
        return web.json_response(service_json(status))

    @Operation(
        "GET",
        "/api/v1/audit",
        tag="audit",
        summary="Who changed what and why, oldest first",
        right=Right.AUDIT_READ,
        more_with={Right.INCIDENTS_READ_PRIVATE: "what rows say about private incidents"},
        query=(
            QueryParameter("since", "The earliest time, as RFC 3339."),
            SERVICE_PARAMETER,
            QueryParameter("actor", "A Slack user id, `governor` or a token's name."),
            QueryParameter("cursor", "The `next` of an earlier answer."),
        ),
        answers={200: AuditAnswer},
        refusals=BAD_QUERY,
    )
    async def _audit(self, request: web.Request) -> web.Response:
        after_id, since = _cursor(request), read_since(request)
        async with self._database.reading() as connection:
            rows = await audit_view.read(
                connection,
                viewer_of(request),
                since=since,
                service=request.query.get("service") or None,
                actor=request.query.get("actor") or None,
                after_id=after_id,
                limit=audit.PAGE + 1,
            )
        page = rows[: audit.PAGE]
        next_cursor = str(page[-1].id) if len(rows) > audit.PAGE else None
        return web.json_response({"rows": [audit_json(row) for row in page], "next": next_cursor})


async def _not_found(_request: web.Request) -> web.Response:
    raise web.HTTPNotFound


def _cursor(request: web.Request) -> int:
    cursor = request.query.get("cursor", request.query.get("next", "0"))
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise ProblemError(400, "`cursor` is the `next` of an earlier answer")
    return int(cursor)
