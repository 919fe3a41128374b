"""`GET /api/v1/services/{service}/spending`: what spent a service's budgets, in rows that add up."""

from typing import Any, Literal

from aiohttp import web
from pydantic import AwareDatetime

from bot.deployments.deployment import Deployment
from bot.freezes.explanation import number_text
from bot.freezes.explanation_reader import UnknownSloError
from bot.freezes.status import StatusReader, UnknownServiceError
from bot.http.auth import RIGHTS, viewer_of
from bot.http.operations import Operation, QueryParameter
from bot.http.problems import ProblemError
from bot.http.response_models import Answer
from bot.http.rights import Right
from bot.http.serializers import instant, window_text
from bot.incidents.incident import Incident
from bot.incidents.visibility import may_see
from bot.spending.attribution import Cause, FlagInEnvironment
from bot.spending.breakdown import SpendingBreakdown, SpentRow, as_seen
from bot.spending.reader import SpendingReader, chosen_budgets


class SpentRowAnswer(Answer):
    """What one cause spent. The members that name it are null where they do not apply."""

    kind: Literal["incident", "deployment", "flag", "rest"]
    spent: str
    """Bad events, or seconds of downtime, with all digits."""
    share: float
    """Of what was spent."""
    percent: float
    """Of the budget, to a tenth, so rounded that the rows add up to the SLO's `percent`."""
    hidden: bool
    """Whether these are the incidents that the token may not see, together."""
    at: AwareDatetime | None
    incident: int | None
    title: str | None
    deployment: str | None
    commit: str | None
    url: str | None
    flag: str | None
    environment: str | None


class SloSpendingAnswer(Answer):
    """Where one budget went. The rows' `spent` add up to `spent`, which is what the budget has counted."""

    name: str
    window: str
    start: AwareDatetime
    end: AwareDatetime
    unit: Literal["events", "seconds"]
    spent: str
    budget: str
    """How many events may be bad in the window, or seconds."""
    percent: float
    """Of the budget, to a tenth."""
    attributed_within_s: float
    """How long after a deployment or a raised flag spending is attributed to it."""
    rows: list[SpentRowAnswer]


class SpendingAnswer(Answer):
    """Where a service's budgets went; SLOs of which nothing is counted are left out."""

    service: str
    slos: list[SloSpendingAnswer]


class SpendingEndpoint:
    """Says what spent budgets."""

    def __init__(self, status_reader: StatusReader, spending: SpendingReader) -> None:
        self._status_reader = status_reader
        self._spending = spending

    @Operation(
        "GET",
        "/api/v1/services/{service}/spending",
        tag="services",
        summary="Where the error budgets went: incidents, deployments, flags and the rest",
        right=Right.SERVICES_READ,
        more_with={
            Right.INCIDENTS_READ: "incidents by number and title",
            Right.INCIDENTS_READ_PRIVATE: "private ones too",
        },
        query=(QueryParameter("slo", "Name of the SLO; all of the service if left out."),),
        answers={200: SpendingAnswer},
        refusals={404: "There is no such service or SLO; `near` lists similar names."},
    )
    async def spending(self, request: web.Request) -> web.Response:
        """Return where the budgets went; raises `ProblemError` 404 for an unknown service or SLO."""
        try:
            status = await self._status_reader.service(request.match_info["service"])
            budgets = chosen_budgets(status, request.query.get("slo") or None)
        except (UnknownServiceError, UnknownSloError) as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error
        found = await self._spending.where(status.service, budgets)
        viewer, reads_incidents = viewer_of(request), Right.INCIDENTS_READ in request[RIGHTS]
        seen = [
            as_seen(each, lambda incident: reads_incidents and may_see(incident, viewer)) for each in found
        ]
        return web.json_response({"service": status.service.name, "slos": [*map(_slo_json, seen)]})


def _slo_json(found: SpendingBreakdown) -> dict[str, Any]:
    rows = zip(found.rows, found.shares, found.tenths, strict=True)
    return {
        "name": found.slo.name,
        "window": window_text(found.slo.window),
        "start": instant(found.window.start),
        "end": instant(found.window.end),
        "unit": found.unit,
        "spent": number_text(found.spent),
        "budget": number_text(found.budget),
        "percent": found.spent_tenths / 10,
        "attributed_within_s": found.within.total_seconds(),
        "rows": [_row_json(row, float(share), tenths / 10) for row, share, tenths in rows],
    }


def _row_json(row: SpentRow, share: float, percent: float) -> dict[str, Any]:
    cause = row.causes[0] if len(row.causes) == 1 else Cause(row.kind)
    subject = cause.subject
    incident = subject if isinstance(subject, Incident) else None
    deployment = subject if isinstance(subject, Deployment) else None
    flag = subject if isinstance(subject, FlagInEnvironment) else None
    return {
        "kind": str(row.kind),
        "spent": number_text(row.spent),
        "share": share,
        "percent": percent,
        "hidden": row.is_hidden,
        "at": instant(cause.at),
        "incident": incident.id if incident else None,
        "title": incident.title if incident else None,
        "deployment": deployment.id if deployment else None,
        "commit": deployment.commit if deployment else None,
        "url": (deployment.url or None) if deployment else None,
        "flag": flag.flag if flag else None,
        "environment": flag.environment if flag else deployment.environment if deployment else None,
    }
