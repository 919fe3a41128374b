"""`GET /api/v1/deployments`: what was deployed, newest first, each deployment once."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from aiohttp import web
from pydantic import AwareDatetime

from bot.deployments.history.incident_links import read_incidents
from bot.deployments.history.past_deployment import PastDeployment
from bot.deployments.history.reader import HistoryPage, read_page
from bot.http.auth import RIGHTS, TokenVerifier, viewer_of
from bot.http.operations import BAD_QUERY, SERVICE_PARAMETER, Operation, QueryParameter, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import read_instant
from bot.http.response_models import Answer
from bot.http.rights import Right
from bot.http.serializers import instant
from bot.incidents.records.hidden import read_hidden
from bot.store.database import Database
from bot.texts import is_name

PAGE = 100
"""The most deployments of one answer."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class PastDeploymentAnswer(Answer):
    """A deployment. Jobs of one run of a pipeline are one."""

    id: str
    service: str
    environment: str
    commit: str
    state: Literal["succeeded", "failed"]
    """How the job ended that finished last."""
    started_at: AwareDatetime
    ended_at: AwareDatetime
    by: str
    actor: Literal["person", "pipeline", "agent"]
    changes: int | None
    """How many commits it carried; null where that is not known."""
    changes_state: Literal["unknown", "pending", "known", "unavailable"]
    """What is known of them: nobody asked, they are being asked for, they are known, they cannot be had."""
    changes_note: str | None
    """Why they cannot be had, or what is particular about them."""
    incidents: list[int]
    """The numbers of the incidents that it caused, as somebody said or as a rollback showed."""


class PastDeploymentsAnswer(Answer):
    """A page of deployments; `next` is the cursor of the following one."""

    deployments: list[PastDeploymentAnswer]
    next: str | None


class DeploymentHistoryEndpoint:
    """The endpoint that lists deployments."""

    def __init__(self, database: Database, tokens: TokenVerifier) -> None:
        self._database = database
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the route; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "GET",
        "/api/v1/deployments",
        tag="deployments",
        summary="What was deployed, newest first; jobs of one run of a pipeline are one deployment",
        right=Right.DEPLOYMENTS_READ,
        more_with={
            Right.INCIDENTS_READ: "the incidents that it caused",
            Right.INCIDENTS_READ_PRIVATE: "private ones too",
        },
        query=(
            SERVICE_PARAMETER,
            QueryParameter("since", "The earliest time of its end, as RFC 3339."),
            QueryParameter("until", "The latest time of its end, as RFC 3339."),
            QueryParameter("cursor", "The `next` of an earlier answer."),
        ),
        answers={200: PastDeploymentsAnswer},
        refusals=BAD_QUERY,
    )
    async def list(self, request: web.Request) -> web.Response:
        """Return a page of deployments."""
        since, until = read_instant(request, "since"), read_instant(request, "until")
        after, reads_incidents = _read_cursor(request), Right.INCIDENTS_READ in request[RIGHTS]
        async with self._database.reading() as connection:
            page, following = await read_page(
                connection,
                service=request.query.get("service") or None,
                since=since,
                until=until,
                after=after,
                limit=PAGE,
            )
            caused = await read_incidents(connection, page) if reads_incidents else {}
            hidden = await read_hidden(connection, viewer_of(request))
        deployments = [
            _json(each, [n for n in caused.get(each.last.unit, ()) if n not in hidden.incidents])
            for each in page
        ]
        return web.json_response({"deployments": deployments, "next": following and _cursor(following)})


def _json(deployment: PastDeployment, incidents: list[int]) -> dict[str, Any]:
    return {
        "id": deployment.id,
        "service": deployment.service,
        "environment": deployment.environment,
        "commit": deployment.commit,
        "state": deployment.state.value,
        "started_at": instant(deployment.started_at),
        "ended_at": instant(deployment.ended_at),
        "by": deployment.last.by,
        "actor": deployment.last.actor.value,
        "changes": deployment.changes,
        "changes_state": deployment.best_known.changes_state.value,
        "changes_note": deployment.best_known.changes_note,
        "incidents": incidents,
    }


def _cursor(place: HistoryPage) -> str:
    at = (place.ended_at - _EPOCH) // _MICROSECOND
    text = json.dumps([at, place.service, place.environment, place.unit])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(request: web.Request) -> HistoryPage | None:
    text = request.query.get("cursor") or request.query.get("next")
    if not text:
        return None
    with suppress(ValueError, RecursionError, OverflowError):
        parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        match parts:
            case [int(at), str(service), str(environment), str(unit)] if all(map(is_name, parts[1:])):
                return HistoryPage(_EPOCH + at * _MICROSECOND, service, environment, unit)
    raise ProblemError(400, "`cursor` is the `next` of an earlier answer")
