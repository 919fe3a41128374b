"""`/api/v1/incidents`: machines open incidents, change them and read them."""

from datetime import timedelta
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.http.auth import CALLER, TokenVerifier
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
from bot.http.request_body import Instant, read_json, read_since
from bot.http.response_models import IncidentAnswer, IncidentReportAnswer, IncidentsAnswer
from bot.http.rights import Right
from bot.http.serializers import instant
from bot.incidents.incident import (
    MOST_TITLE,
    IllegalChangeError,
    IncidentChange,
    Severity,
    Status,
    UnknownIncidentError,
)
from bot.incidents.lifecycle import IncidentLifecycle, NewIncident
from bot.incidents.ports import IncidentSnapshot
from bot.incidents.records.steps import ChannelKind
from bot.incidents.report import WORK, DurationSummary, IncidentReport
from bot.incidents.report_reader import ReportReader
from bot.incidents.snapshot_reader import SnapshotReader
from bot.incidents.workflow.runner import StepRunner
from bot.store.addresses import local

CHANNEL_WITHIN_S = 5.0
"""How long an answer waits for Slack to make the channel; it is null if that takes longer."""
_MOST_LISTED = 200
_PATH = "/api/v1/incidents"
_INCIDENT_PATH = rf"{_PATH}/{{id:\d{{1,15}}}}"
_ID_SCHEMA = {"id": {"type": "integer", "minimum": 1, "maximum": 999_999_999_999_999}}
_UNKNOWN_INCIDENT = {404: "There is no such incident."}
_REPORTED = timedelta(days=90)

Body = TypeVar("Body", bound=BaseModel)


def _text_alone(value: Any) -> Any:
    """Read times from text alone: numbers would be taken for seconds or milliseconds at a guess."""
    if value is not None and not isinstance(value, str):
        raise ValueError("must be an RFC 3339 time with an offset, such as 2026-11-23T09:00:00Z")
    return value


Time = Annotated[Instant, BeforeValidator(_text_alone)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]


class OpeningBody(BaseModel):
    """A new incident. `impact` is the share of requests that failed, 1 if left out."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=MOST_TITLE)
    severity: Severity
    services: list[str] = Field(max_length=50)
    key: str = Field(min_length=1, max_length=200)
    started_at: Time | None = None
    impact: Share | None = None
    private: bool = False


class ChangeBody(BaseModel):
    """What to change of an incident; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    status: Status | None = None
    severity: Severity | None = None
    started_at: Time | None = None
    ended_at: Time | None = None
    impact: Share | None = None


class IncidentsEndpoint:
    """Opens, changes and shows incidents, for callers with a token."""

    def __init__(
        self,
        *,
        lifecycle: IncidentLifecycle,
        snapshots: SnapshotReader,
        reports: ReportReader,
        step_runner: StepRunner,
        current: CurrentCatalog,
        clock: Clock,
        tokens: TokenVerifier,
    ) -> None:
        self._lifecycle = lifecycle
        self._snapshots = snapshots
        self._reports = reports
        self._step_runner = step_runner
        self._current = current
        self._clock = clock
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add every route, each behind the bearer token; before the API's own, which takes all the rest."""
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
        opening = NewIncident(
            key=body.key,
            title=body.title,
            severity=body.severity,
            services=tuple(body.services),
            by=request[CALLER],
            started_at=body.started_at,
            share=body.impact,
            private=body.private,
        )
        try:
            opened = await self._lifecycle.open(opening, self._clock.now())
        except IllegalChangeError as error:
            raise _illegal(error) from error
        view = await self._step_runner.channel_of(opened.incident.id, CHANNEL_WITHIN_S)
        return web.json_response(incident_json(view), status=201 if opened.is_new else 200)

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
        body = read_body(ChangeBody, await read_json(request))
        change = IncidentChange(body.status, body.severity, body.started_at, body.ended_at, body.impact)
        id_ = int(request.match_info["id"])
        try:
            await self._lifecycle.change(id_, change, by=request[CALLER], now=self._clock.now())
        except UnknownIncidentError as error:
            raise ProblemError(404, str(error)) from error
        except IllegalChangeError as error:
            raise _illegal(error) from error
        return web.json_response(incident_json(await self._snapshots.of(id_)))

    @Operation(
        "GET",
        _INCIDENT_PATH,
        tag="incidents",
        summary="One incident",
        right=Right.INCIDENTS_READ,
        path_schemas=_ID_SCHEMA,
        answers={200: IncidentAnswer},
        refusals=_UNKNOWN_INCIDENT,
    )
    async def _show(self, request: web.Request) -> web.Response:
        return web.json_response(incident_json(await self._view(request)))

    @Operation(
        "GET",
        _PATH,
        tag="incidents",
        summary="Incidents, the newest first",
        right=Right.INCIDENTS_READ,
        query=(SERVICE_PARAMETER, QueryParameter("open", "With 1, those that are not resolved.")),
        answers={200: IncidentsAnswer},
        refusals=BAD_QUERY,
    )
    async def _list(self, request: web.Request) -> web.Response:
        service = request.query.get("service") or None
        is_open = request.query.get("open") in {"1", "true"}
        found = await self._snapshots.list(unresolved=is_open, service=service, limit=_MOST_LISTED)
        return web.json_response({"incidents": [incident_json(view) for view in found]})

    @Operation(
        "GET",
        f"{_PATH}/report",
        tag="incidents",
        summary="What a time's incidents teach: how many, how quickly mended, where the budget went",
        right=Right.INCIDENTS_READ,
        query=(
            QueryParameter("since", "From when on, as RFC 3339; 90 days ago if left out."),
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
        since = read_since(request) or now - _REPORTED
        report, _ = await self._reports.report(since, now, service, may_see=lambda _: True)
        return web.json_response(report_json(report))

    @Operation(
        "GET",
        f"{_INCIDENT_PATH}/postmortem.md",
        tag="incidents",
        summary="An incident's postmortem",
        right=Right.INCIDENTS_READ,
        path_schemas=_ID_SCHEMA,
        answers={200: "Markdown."},
        answer_type="text/markdown",
        refusals=_UNKNOWN_INCIDENT,
    )
    async def _postmortem(self, request: web.Request) -> web.Response:
        view = await self._view(request)
        return web.Response(text=view.postmortem.markdown(), content_type="text/markdown", charset="utf-8")

    async def _view(self, request: web.Request) -> IncidentSnapshot:
        try:
            return await self._snapshots.of(int(request.match_info["id"]))
        except UnknownIncidentError as error:
            raise ProblemError(404, str(error)) from error

    def _check_services(self, names: list[str]) -> None:
        known = self._current.catalog.services
        faults = [
            {"field": f"services.{index}", "message": f"there is no service {name}"}
            for index, name in enumerate(names)
            if name not in known
        ]
        if faults:
            raise ProblemError(422, faults[0]["message"], errors=faults)


def read_body(kind: type[Body], raw: Any) -> Body:
    """Read a body of the kind; raises `ProblemError` 422 that names each fault."""
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        faults = [
            {"field": ".".join(map(str, detail["loc"])), "message": detail["msg"]}
            for detail in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ProblemError(422, f"{count}; nothing was changed", errors=faults) from error


def incident_json(view: IncidentSnapshot) -> dict[str, Any]:
    """Write down an incident as it stands."""
    incident = view.incident
    return {
        "id": incident.id,
        "key": incident.key,
        "title": incident.title,
        "severity": incident.severity.value,
        "status": incident.status.value,
        "services": list(incident.services),
        "private": incident.private,
        "channel": _channel_json(view, ChannelKind.INCIDENT),
        "postmortem_channel": _channel_json(view, ChannelKind.POSTMORTEM),
        "started_at": instant(incident.started_at),
        "ended_at": instant(incident.ended_at),
        "impact": incident.share,
        "impacts": [
            {
                "start": instant(impact.start),
                "end": instant(impact.end),
                "share": impact.share,
                "service": impact.service,
            }
            for impact in incident.impacts
        ],
        "cost": dict(view.cost),
        "cause": incident.cause.value if incident.cause else None,
        "roles": {role.value: person for role, person in incident.roles.items()},
        "opened_by": incident.opened_by,
        "opened_at": instant(incident.opened_at),
        "acknowledged_at": instant(incident.acknowledged_at),
        "mitigated_at": instant(incident.mitigated_at),
        "resolved_at": instant(incident.resolved_at),
    }


def report_json(report: IncidentReport) -> dict[str, Any]:
    """Write down what a time's incidents teach; lengths in seconds, `spent` as fractions of a budget."""
    return {
        "since": instant(report.since),
        "until": instant(report.until),
        "service": report.service,
        "incidents": report.count,
        "not_resolved": report.is_open,
        "severities": {severity.value: report.severities.get(severity, 0) for severity in Severity},
        "time_to_detect": _taken_json(report.detect),
        "time_to_acknowledge": _taken_json(report.acknowledge),
        "time_to_restore": _taken_json(report.restore),
        "spent": report.spent,
        "causes": [
            {
                "cause": one.cause.value if one.cause else None,
                "spent": one.spent,
                "share": one.share,
                "incidents": list(one.ids),
                "work": WORK[one.cause] if one.cause else None,
            }
            for one in report.shares
        ],
        "costliest": [one.incident.id for one in report.costliest],
        "costliest_share": report.costliest_share,
        "share_before_detection": report.unseen,
        "not_classified": list(report.unclassified),
        "cost_unknown": list(report.unweighed),
    }


def _taken_json(taken: DurationSummary | None) -> dict[str, Any] | None:
    if taken is None:
        return None
    return {
        "median": taken.median.total_seconds(),
        "worst": taken.worst.total_seconds(),
        "worst_incident": taken.worst_id,
        "incidents": taken.count,
    }


def _channel_json(view: IncidentSnapshot, kind: ChannelKind) -> dict[str, Any] | None:
    room = view.rooms.get(kind)
    return {"id": local(room.channel_id), "name": room.name} if room and room.channel_id else None


def _illegal(error: IllegalChangeError) -> ProblemError:
    return ProblemError(422, str(error), errors=[{"field": error.field, "message": str(error)}])
