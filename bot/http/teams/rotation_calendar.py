"""`GET /rotations/{rotation}.ics`: a rotation as a calendar that apps subscribe to.

Calendar apps send no headers, so the address itself holds a secret of the rotation. Without the right one
the answer is the same whether or not there is such a rotation.
"""

import hmac
from collections.abc import Awaitable, Callable, Collection, Mapping

from aiohttp import web

from bot.catalog.current import CurrentCatalog
from bot.catalog.rotation import Rotation
from bot.catalog.teams import TeamUnknownError
from bot.clock import Clock
from bot.http.operations import Operation, QueryParameter, add_operations
from bot.http.problems import ProblemError
from bot.teams.rotations.calendar import CONTENT_TYPE, as_icalendar, people_of
from bot.teams.rotations.control import RotationControl

Names = Callable[[str | None, Collection[str]], Awaitable[Mapping[str, str]]]
"""Returns the display names of people in a Slack workspace (the main one for None), by their ids."""

_COMING = 13
_CACHE = "private, max-age=300"


class RotationCalendar:
    """The endpoint of calendars."""

    def __init__(self, control: RotationControl, current: CurrentCatalog, names: Names, clock: Clock) -> None:
        self._control = control
        self._current = current
        self._names = names
        self._clock = clock

    def add_routes(self, app: web.Application) -> None:
        """Add the route."""
        add_operations(app, self)

    @Operation(
        "GET",
        "/rotations/{rotation}.ics",
        tag="rotations",
        summary="A rotation as a calendar; `/rotation calendar` in Slack gives its address",
        query=(QueryParameter("token", "The secret in the address."),),
        path_schemas={"rotation": {"type": "string"}},
        answers={200: "iCalendar (RFC 5545), times in UTC."},
        answer_type=CONTENT_TYPE,
        refusals={
            404: "There is no such rotation, or the token is not its own.",
            503: "Slack does not say now who is in the teams; `Retry-After` says when to come back.",
        },
    )
    async def _get(self, request: web.Request) -> web.Response:
        rotation = await self._allowed(request)
        try:
            outlook = await self._control.outlook(rotation, _COMING)
        except TeamUnknownError as error:
            raise ProblemError(
                503, "Slack does not say now who is in the teams", headers={"Retry-After": "60"}
            ) from error
        team = self._current.workspace.of(rotation.services[0]).elsewhere
        names = await self._names(team, people_of(outlook))
        text = as_icalendar(outlook, names, self._clock.now())
        headers = {"Cache-Control": _CACHE}
        return web.Response(text=text, content_type=CONTENT_TYPE, charset="utf-8", headers=headers)

    async def _allowed(self, request: web.Request) -> Rotation:
        """Return the rotation whose secret the query has; raises `ProblemError` 404."""
        rotation = self._current.catalog.rotations.get(request.match_info["rotation"])
        known = await self._control.known_calendar_secret(rotation) if rotation is not None else None
        sent = request.query.get("token", "").encode(errors="surrogatepass")
        if rotation is None or known is None or not hmac.compare_digest(sent, known.encode()):
            raise ProblemError(404, "there is no such calendar")
        return rotation
