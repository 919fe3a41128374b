"""The operator's and CI's API under `/api/v1/`: services, the gate, pushed events, the audit log."""

from aiohttp import web

from bot.freezes.status import StatusReader, UnknownServiceError
from bot.http.auth import TokenVerifier, require_token
from bot.http.events import EventsEndpoint
from bot.http.gate import GateEndpoint
from bot.http.problems import Handler, ProblemError
from bot.http.request_body import read_since
from bot.http.rights import Right
from bot.http.serializers import audit_json, service_json
from bot.store import audit
from bot.store.database import Database


class Api:
    """Puts the API's routes into an aiohttp application."""

    def __init__(
        self,
        *,
        status_reader: StatusReader,
        events: EventsEndpoint,
        database: Database,
        tokens: TokenVerifier,
    ) -> None:
        self._status_reader = status_reader
        self._events = events
        self._gate = GateEndpoint(status_reader)
        self._database = database
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add every route, each behind a bearer token with its right."""
        self._add(app, "GET", "/api/v1/services", self._services, Right.SERVICES_READ)
        self._add(app, "GET", "/api/v1/services/{service}", self._service, Right.SERVICES_READ)
        self._add(app, "GET", "/api/v1/gate/{service}", self._gate.get, Right.GATE_READ)
        self._add(app, "POST", "/api/v1/events", self._events.post, Right.EVENTS_WRITE)
        self._add(app, "GET", "/api/v1/audit", self._audit, Right.AUDIT_READ)
        app.router.add_route("*", "/api/{rest:.*}", _nothing_here)

    def _add(
        self,
        app: web.Application,
        method: str,
        path: str,
        handler: Handler,
        right: Right,
    ) -> None:
        app.router.add_route(method, path, require_token(self._tokens, handler, right))

    async def _services(self, _request: web.Request) -> web.Response:
        statuses = await self._status_reader.services()
        return web.json_response({"services": [service_json(status) for status in statuses]})

    async def _service(self, request: web.Request) -> web.Response:
        try:
            status = await self._status_reader.service(request.match_info["service"])
        except UnknownServiceError as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error
        return web.json_response(service_json(status))

    async def _audit(self, request: web.Request) -> web.Response:
        after, since = _cursor(request), read_since(request)
        async with self._database.reading() as connection:
            rows = await audit.read(
                connection,
                since=since,
                service=request.query.get("service") or None,
                actor=request.query.get("actor") or None,
                after_id=after,
                limit=audit.PAGE + 1,
            )
        page = rows[: audit.PAGE]
        following = str(page[-1].id) if len(rows) > audit.PAGE else None
        return web.json_response({"rows": [audit_json(row) for row in page], "next": following})


async def _nothing_here(_request: web.Request) -> web.Response:
    raise web.HTTPNotFound


def _cursor(request: web.Request) -> int:
    raw = request.query.get("cursor", request.query.get("next", "0"))
    if not raw.isascii() or not raw.isdigit() or len(raw) > 18:
        raise ProblemError(400, "`cursor` is what an earlier answer gave as `next`")
    return int(raw)
