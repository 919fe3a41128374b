"""`GET /api/v1/velocity`: the five delivery measures of a service or team, beside what they cost."""

from datetime import timedelta
from typing import Final

from aiohttp import web

from bot.catalog.window import Span
from bot.clock import Clock
from bot.freezes.status import StatusReader
from bot.http.auth import TokenVerifier
from bot.http.operations import BAD_QUERY, Operation, QueryParameter, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import read_instant
from bot.http.rights import Right
from bot.http.velocity.answers import VelocityAnswer
from bot.http.velocity.serializers import velocity_json
from bot.velocity.cost_reader import CostReader
from bot.velocity.reader import DEFAULT_SPAN, LONGEST_SPAN, VelocityReader
from bot.velocity.scope import (
    UnknownScopeError,
    VelocityScope,
    all_services,
    service_of_that_name,
    team_scope,
)

_LONGEST: Final = f"{LONGEST_SPAN // timedelta(days=1)} days"


class VelocityEndpoint:
    """Says how fast services ship."""

    def __init__(
        self,
        status_reader: StatusReader,
        velocity: VelocityReader,
        costs: CostReader,
        clock: Clock,
        tokens: TokenVerifier,
    ) -> None:
        self._status_reader = status_reader
        self._velocity = velocity
        self._costs = costs
        self._clock = clock
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the route; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "GET",
        "/api/v1/velocity",
        tag="deployments",
        summary="How fast a service, a team or all services ship, and what that costs",
        right=Right.SERVICES_READ,
        query=(
            QueryParameter("service", "A service; left out with `team`, all services together."),
            QueryParameter("team", "The handle of a user group: all services whose `teams` name it."),
            QueryParameter("since", "The start, as RFC 3339; 90 days before `until` if left out."),
            QueryParameter("until", "The end, as RFC 3339; now if left out."),
        ),
        answers={200: VelocityAnswer},
        refusals=BAD_QUERY | {404: "There is no such service or team; `near` lists similar names."},
    )
    async def velocity(self, request: web.Request) -> web.Response:
        """Return the measures; raises `ProblemError` 404 for an unknown name, 400 for a time that is none."""
        scope, span = self._scope(request), self._span(request)
        velocity = await self._velocity.velocity(scope, span)
        statuses = [await self._status_reader.service(name) for name in scope.service_names]
        budgets = {status.service.name: status.budgets for status in statuses}
        return web.json_response(velocity_json(velocity, await self._costs.costs(scope, span, budgets)))

    def _scope(self, request: web.Request) -> VelocityScope:
        service, team = (request.query.get(name, "").strip() for name in ("service", "team"))
        if service and team:
            raise ProblemError(400, "name a `service` or a `team`, not both")
        catalog = self._status_reader.catalog
        try:
            if service:
                return service_of_that_name(catalog, service)
            return team_scope(catalog, team) if team else all_services(catalog)
        except UnknownScopeError as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error

    def _span(self, request: web.Request) -> Span:
        now = self._clock.now()
        end = min(read_instant(request, "until") or now, now)
        start = read_instant(request, "since") or end - DEFAULT_SPAN
        if start >= end:
            raise ProblemError(400, "`since` must be before `until`, and before now")
        if end - start > LONGEST_SPAN:
            raise ProblemError(400, f"from `since` to `until` may be {_LONGEST} at most")
        return Span(start, end)
