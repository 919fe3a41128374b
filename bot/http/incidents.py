"""`/api/v1/incidents`: the API to open, change and read incidents."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import ConfigDict, Field

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.http.auth import CALLER, TokenVerifier, is_agent, viewer_of
from bot.http.operations import (
    BAD_BODY,
    BAD_QUERY,
    SERVICE_PARAMETER,
    UNKNOWN_SERVICE,
    Operation,
    QueryParameter,
    add_operations,
)
from bot.http.problems import ProblemError
from bot.http.request_body import FLAG_SCHEMA, TextInstant, read_body, read_flag, read_json, read_since
from bot.http.request_text import FreeText, RequestBody
from bot.http.response_models import IncidentAnswer, IncidentReportAnswer, IncidentsAnswer
from bot.http.rights import Right
from bot.http.serializers import incident_json, report_json
from bot.incidents.duplicates.merging import Merging
from bot.incidents.incident import (
    MOST_TITLE,
    IllegalChangeError,
    IncidentChange,
    Severity,
    Status,
    UnknownIncidentError,
)
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.incidents.ports import Names
from bot.incidents.report_reader import ReportReader
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.snapshot_reader import SnapshotReader
from bot.incidents.visibility import may_see
from bot.incidents.workflow.channel_creation import team_of
from bot.incidents.workflow.runner import StepRunner

CHANNEL_WITHIN_S = 5.0
"""How long an answer waits for Slack to create the channel, which is null if that takes longer."""
MOST_SERVICES = 50
_MOST_LISTED = 200
_ASSUMED = 1.0
"""The share of requests that failed where a machine does not say how many did."""
_PATH = "/api/v1/incidents"
_INCIDENT_PATH = rf"{_PATH}/{{id:[0-9]{{1,15}}}}"
_ID_SCHEMA = {"id": {"type": "integer", "minimum": 1, "maximum": 999_999_999_999_999}}
_UNKNOWN_INCIDENT = {404: "There is no such incident, or the token may not see it."}
_PRIVATE = {Right.INCIDENTS_READ_PRIVATE: "private incidents"}
_REPORT_PERIOD = timedelta(days=90)

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]


class OpeningBody(RequestBody):
    """A new incident. `impact` is the share of requests that failed, 1 if left out."""

    model_config = ConfigDict(extra="forbid")

    title: FreeText = Field(min_length=1, max_length=MOST_TITLE)
    severity: Severity
    services: list[str] = Field(max_length=MOST_SERVICES)
    key: str = Field(min_length=1, max_length=200)
    started_at: TextInstant | None = None
    impact: Share | None = None
    private: bool = Field(default=False, strict=True)


class ChangeBody(RequestBody):
    """What to change of an incident; what is left out stays as it is.

    `merged_into` is the number of the incident that it is a duplicate of; it comes alone, or with the status
    `merged`.
    """

    model_config = ConfigDict(extra="forbid")

    status: Status | None = None
    severity: Severity | None = None
    started_at: TextInstant | None = None
    ended_at: TextInstant | None = None
    impact: Share | None = None
    title: FreeText | None = Field(default=None, min_length=1, max_length=MOST_TITLE)
    services: list[str] | None = Field(default=None, max_length=MOST_SERVICES)
    merged_into: int | None = Field(default=None, ge=1, le=999_999_999_999_999, strict=True)


class IncidentsEndpoint:
    """The endpoint of incidents."""

    def __init__(
        self,
        *,
        lifecycle: IncidentLifecycle,
        merging: Merging,
        snapshots: SnapshotReader,
        reports: ReportReader,
        step_runner: StepRunner,
        current: CurrentCatalog,
        clock: Clock,
        tokens: TokenVerifier,
        names: Names,
    ) -> None:
        self._names = names
        self._lifecycle = lifecycle
        self._merging = merging
        self._snapshots = snapshots
        self._reports = reports
        self._step_runner = step_runner
        self._current = current
        self._clock = clock
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the routes; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "POST",
        _PATH,
        tag="incidents",
        summary="Open an incident, or find the one that its key opened before",
        right=Right.INCIDENTS_WRITE,
        body=OpeningBody,
        answers={200: IncidentAnswer, 201: IncidentAnswer},
        refusals=BAD_BODY,
    )
    async def _open(self, request: web.Request) -> web.Response:
        body = read_body(OpeningBody, await read_json(request))
        self._check_services(body.services)
        new_incident = NewIncident(
            key=body.key,
            title=body.title,
            severity=body.severity,
            services=tuple(body.services),
            by=request[CALLER],
            started_at=body.started_at,
            share=body.impact,
            assumed_share=_ASSUMED,
            private=body.private,
        )
        try:
            opened = await self._lifecycle.open(new_incident, self._clock.now())
        except IllegalChangeError as error:
            raise _illegal_change(error) from error
        if not may_see(opened.incident, viewer_of(request)):
            missing = Right.INCIDENTS_READ_PRIVATE
            raise ProblemError(
                403,
                f"this key belongs to a private incident; the token {request[CALLER]} does not have "
                f"the right {missing}",
                missing=missing,
            )
        snapshot = await self._step_runner.channel_of(opened.incident.id, CHANNEL_WITHIN_S)
        return web.json_response(incident_json(snapshot), status=201 if opened.is_new else 200)

    @Operation(
        "PATCH",
        _INCIDENT_PATH,
        tag="incidents",
        summary="Change an incident",
        right=Right.INCIDENTS_WRITE,
        path_schemas=_ID_SCHEMA,
        body=ChangeBody,
        answers={200: IncidentAnswer},
        refusals=_UNKNOWN_INCIDENT | BAD_BODY,
    )
    async def _change(self, request: web.Request) -> web.Response:
        if is_agent(request):
            # Whoever ends an incident ends the hold that it has on services.
            raise ProblemError(403, "agents open incidents; people and pipelines change them")
        body = read_body(ChangeBody, await read_json(request))
        before = (await self._snapshot(request)).incident
        id_ = before.id
        if body.merged_into is not None:
            return await self._merge(request, id_, body)
        self._check_services(body.services or (), among=before.services)
        change = IncidentChange(
            status=body.status,
            severity=body.severity,
            started_at=body.started_at,
            ended_at=body.ended_at,
            share=body.impact,
            keeps_assumed=True,
            title=body.title,
            services=None if body.services is None else tuple(body.services),
        )
        try:
            await self._lifecycle.change(id_, change, by=request[CALLER], now=self._clock.now())
        except IllegalChangeError as error:
            raise _illegal_change(error) from error
        return web.json_response(incident_json(await self._snapshots.of(id_)))

    async def _merge(self, request: web.Request, id_: int, body: ChangeBody) -> web.Response:
        into, alone = body.merged_into or 0, {"merged_into", "status"}
        if body.status not in {None, Status.MERGED} or body.model_fields_set - alone:
            raise _illegal_change(IllegalChangeError("merged_into", "merge it by itself; change it before"))
        try:
            await self._check_visible(into, request)
            await self._merging.merge(id_, into, by=request[CALLER], now=self._clock.now())
        except UnknownIncidentError as error:
            raise _illegal_change(IllegalChangeError("merged_into", str(error))) from error
        except IllegalChangeError as error:
            raise _illegal_change(error) from error
        return web.json_response(incident_json(await self._snapshots.of(id_)))

    @Operation(
        "GET",
        _INCIDENT_PATH,
        tag="incidents",
        summary="One incident",
        right=Right.INCIDENTS_READ,
        more_with=_PRIVATE,
        path_schemas=_ID_SCHEMA,
        answers={200: IncidentAnswer},
        refusals=_UNKNOWN_INCIDENT,
    )
    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(incident_json(await self._snapshot(request)))

    @Operation(
        "GET",
        _PATH,
        tag="incidents",
        summary="Incidents, the newest first",
        right=Right.INCIDENTS_READ,
        more_with=_PRIVATE,
        query=(
            SERVICE_PARAMETER,
            QueryParameter("open", "With 1, only those that are not resolved.", FLAG_SCHEMA),
        ),
        answers={200: IncidentsAnswer},
        refusals=BAD_QUERY,
    )
    async def _list(self, request: web.Request) -> web.Response:
        service = request.query.get("service") or None
        is_open = read_flag(request, "open")
        listed = await self._snapshots.list(
            viewer_of(request), unresolved=is_open, service=service, limit=_MOST_LISTED
        )
        return web.json_response({"incidents": [incident_json(snapshot) for snapshot in listed]})

    @Operation(
        "GET",
        f"{_PATH}/report",
        tag="incidents",
        summary=(
            "A report on the incidents of a period: how many, how quickly resolved, where the budget went"
        ),
        right=Right.INCIDENTS_READ,
        more_with=_PRIVATE,
        query=(
            QueryParameter("since", "The earliest time, as RFC 3339; 90 days ago if left out."),
            SERVICE_PARAMETER,
        ),
        answers={200: IncidentReportAnswer},
        refusals=UNKNOWN_SERVICE | BAD_QUERY,
    )
    async def _report(self, request: web.Request) -> web.Response:
        now = self._clock.now()
        service = request.query.get("service") or None
        if service is not None and service not in self._current.catalog.services:
            raise ProblemError(404, f"there is no service {service}")
        since = read_since(request) or now - _REPORT_PERIOD
        viewer = viewer_of(request)
        report, _ = await self._reports.report(
            since, now, service, may_see=lambda incident: may_see(incident, viewer)
        )
        return web.json_response(report_json(report))

    @Operation(
        "GET",
        f"{_INCIDENT_PATH}/postmortem.md",
        tag="incidents",
        summary="An incident's postmortem",
        right=Right.INCIDENTS_READ,
        more_with=_PRIVATE,
        path_schemas=_ID_SCHEMA,
        answers={200: "Markdown."},
        answer_type="text/markdown",
        refusals=_UNKNOWN_INCIDENT,
    )
    async def _postmortem(self, request: web.Request) -> web.Response:
        snapshot = await self._snapshot(request)
        document = snapshot.postmortem
        names = await self._names(team_of(self._current.workspace, snapshot.incident), document.people)
        return web.Response(
            text=replace(document, names=names).markdown(), content_type="text/markdown", charset="utf-8"
        )

    async def _check_visible(self, id_: int, request: web.Request) -> None:
        """Raise `UnknownIncidentError` unless the token may see the incident."""
        if not may_see((await self._snapshots.of(id_)).incident, viewer_of(request)):
            raise UnknownIncidentError(id_)

    async def _snapshot(self, request: web.Request) -> IncidentSnapshot:
        try:
            snapshot = await self._snapshots.of(int(request.match_info["id"]))
        except UnknownIncidentError as error:
            raise _unknown(error, request) from error
        if not may_see(snapshot.incident, viewer_of(request)):
            raise _unknown(UnknownIncidentError(snapshot.incident.id), request)
        return snapshot

    def _check_services(self, names: Sequence[str], among: Collection[str] = ()) -> None:
        """Raise unless each name is one of the policies', or of those that the incident has."""
        known = {*self._current.catalog.services, *among}
        faults = [
            {"field": f"services.{index}", "message": f"there is no service {name}"}
            for index, name in enumerate(names)
            if name not in known
        ]
        if faults:
            raise ProblemError(422, faults[0]["message"], errors=faults)


def _unknown(error: UnknownIncidentError, request: web.Request) -> ProblemError:
    """Return that there is none of that number, the same as for a private one that the token may not see."""
    if viewer_of(request).sees_private:
        return ProblemError(404, str(error))
    needed = f"private ones need the right {Right.INCIDENTS_READ_PRIVATE}"
    return ProblemError(404, f"{error} that this token may see; {needed}")


def _illegal_change(error: IllegalChangeError) -> ProblemError:
    return ProblemError(422, str(error), errors=[{"field": error.field, "message": str(error)}])
