"""What each route is for, takes and answers, in words and models: what the OpenAPI document is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from bot.http import response_models as answers
from bot.http.alertmanager import NotificationBody
from bot.http.deployments import DeploymentBody
from bot.http.events import MOST_EVENTS, EventBody
from bot.http.github import DeploymentStatusBody
from bot.http.incidents import ChangeBody, OpeningBody


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """A parameter of the query."""

    name: str
    means: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class OperationDescription:
    """One route. `answers` maps a status to a model or to words, `refusals` a status to why.

    `most` says that the body may also be a list of that many.
    """

    tag: str
    summary: str
    answers: Mapping[int, type[BaseModel] | str]
    query: tuple[QueryParameter, ...] = ()
    path: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    body: type[BaseModel] | Mapping[str, Any] | None = None
    most: int = 0
    takes: str = "application/json"
    gives: str = "application/json"
    refuses: str = "application/problem+json"
    refusals: Mapping[int, str] = field(default_factory=dict)


_BAD_QUERY = {400: "The query makes no sense."}
_NO_SERVICE = {404: "There is no such service; `near` has those like it."}
_NO_INCIDENT = {404: "There is no such incident."}
_BAD_BODY = {
    400: "The body is not JSON.",
    413: "The body is too large.",
    422: "The body has faults, each named; nothing was done.",
}
_NO_RIGHT = {403: "The token lacks the right.", 429: "The token was used too often."}
_BACK = {
    "code": "Slack's code, good once.",
    "state": "What `/slack/install` gave along.",
    "error": "Slack's word for why there is no code.",
}
_SERVICE = QueryParameter("service", "Only this service.")
_FLAG = {"type": "boolean"}
_NUMBER = {"id": {"type": "integer", "minimum": 1, "maximum": 999_999_999_999_999}}

_API: Mapping[tuple[str, str], OperationDescription] = {
    ("GET", "/api/v1/services"): OperationDescription(
        "services", "All services", {200: answers.ServicesAnswer}
    ),
    ("GET", "/api/v1/services/{service}"): OperationDescription(
        "services", "How a service stands", {200: answers.ServiceAnswer}, refusals=_NO_SERVICE
    ),
    ("GET", "/api/v1/gate/{service}"): OperationDescription(
        "gate",
        "Whether a change may ship",
        {200: answers.GateAnswer, 423: answers.GateAnswer},
        query=(
            QueryParameter(
                "change", "What wants to ship, such as PR-12.", {"type": "string", "maxLength": 200}
            ),
            QueryParameter("kind", "Its kind, such as security.", {"type": "string", "maxLength": 200}),
            QueryParameter("strict", "With 1, a refusal is 423.", {"type": "string", "enum": ["0", "1"]}),
        ),
        refusals=_NO_SERVICE | _BAD_QUERY,
    ),
    ("POST", "/api/v1/events"): OperationDescription(
        "events",
        "Push good and bad events, all or none of them",
        {202: answers.EventsAnswer},
        body=EventBody,
        most=MOST_EVENTS,
        refusals=_BAD_BODY,
    ),
    ("POST", "/api/v1/deployments"): OperationDescription(
        "deployments",
        "Tell how a deployment ended; again with the same key and state, nothing changes",
        {200: answers.DeploymentAnswer, 201: answers.DeploymentAnswer},
        body=DeploymentBody,
        refusals=_BAD_BODY,
    ),
    ("GET", "/api/v1/audit"): OperationDescription(
        "audit",
        "Who changed what and why, oldest first",
        {200: answers.AuditAnswer},
        query=(
            QueryParameter("since", "From when on, as RFC 3339."),
            _SERVICE,
            QueryParameter("actor", "A Slack user id, `governor` or a token's name."),
            QueryParameter("cursor", "What an earlier answer gave as `next`."),
        ),
        refusals=_BAD_QUERY,
    ),
    ("GET", "/api/v1/incidents"): OperationDescription(
        "incidents",
        "Incidents, the newest first",
        {200: answers.IncidentsAnswer},
        query=(_SERVICE, QueryParameter("open", "With 1, those that are not resolved.")),
        refusals=_BAD_QUERY,
    ),
    ("POST", "/api/v1/incidents"): OperationDescription(
        "incidents",
        "Open an incident, or find the one that its key opened before",
        {200: answers.IncidentAnswer, 201: answers.IncidentAnswer},
        body=OpeningBody,
        refusals=_BAD_BODY,
    ),
    ("GET", "/api/v1/incidents/report"): OperationDescription(
        "incidents",
        "What a time's incidents teach: how many, how quickly mended, where the budget went",
        {200: answers.IncidentReportAnswer},
        query=(QueryParameter("since", "From when on, as RFC 3339; 90 days ago if left out."), _SERVICE),
        refusals=_NO_SERVICE | _BAD_QUERY,
    ),
    ("GET", "/api/v1/incidents/{id}"): OperationDescription(
        "incidents", "One incident", {200: answers.IncidentAnswer}, path=_NUMBER, refusals=_NO_INCIDENT
    ),
    ("PATCH", "/api/v1/incidents/{id}"): OperationDescription(
        "incidents",
        "Change an incident",
        {200: answers.IncidentAnswer},
        path=_NUMBER,
        body=ChangeBody,
        refusals=_NO_INCIDENT | _BAD_BODY,
    ),
    ("GET", "/api/v1/incidents/{id}/postmortem.md"): OperationDescription(
        "incidents",
        "An incident's postmortem",
        {200: "Markdown."},
        path=_NUMBER,
        gives="text/markdown",
        refusals=_NO_INCIDENT,
    ),
    ("GET", "/api/openapi.json"): OperationDescription("operating", "This document", {200: "OpenAPI 3.1."}),
}

_WEBHOOKS: Mapping[tuple[str, str], OperationDescription] = {
    ("POST", "/webhooks/alertmanager"): OperationDescription(
        "webhooks",
        "Alertmanager's notifications",
        {200: answers.AlertsAnswer},
        body=NotificationBody,
        refusals=_BAD_BODY,
    ),
    ("GET", "/slack/install"): OperationDescription(
        "slack",
        "The page whose button leads to Slack, where the app is installed in a workspace",
        {200: "The page."},
        gives="text/html",
    ),
    ("GET", "/slack/oauth_redirect"): OperationDescription(
        "slack",
        "Where Slack sends the browser back to, with a code for a token",
        {200: "Installed."},
        query=tuple(QueryParameter(name, means) for name, means in _BACK.items()),
        gives="text/html",
        refuses="text/html",
        refusals={400: "Not installed; the page says why."},
    ),
    ("POST", "/webhooks/github"): OperationDescription(
        "webhooks",
        "GitHub's deployment statuses, signed by GitHub or with a token that has deployments:write",
        {202: answers.DeploymentAnswer},
        body=DeploymentStatusBody,
        refusals=_BAD_BODY | {401: "The signature is not GitHub's, and there is no valid token."} | _NO_RIGHT,
    ),
    ("POST", "/slack/events"): OperationDescription(
        "slack",
        "Slack's commands, interactions and events, signed by Slack",
        {200: "Taken."},
        body={"type": "object"},
        takes="application/x-www-form-urlencoded",
        gives="text/plain",
        refuses="text/plain",
        refusals={400: "No request of Slack's.", 401: "The signature is not Slack's.", 404: "Not known."},
    ),
}

_CONTEXT = {
    "type": "object",
    "properties": {"context": {"type": "object", "properties": {"targetingKey": {"type": "string"}}}},
}
_EVALUATION = {
    400: "The context cannot be read, or lacks its targeting key.",
    401: "A token is configured, and this is not it.",
    404: "There is no such flag or environment.",
}


def _evaluations() -> Mapping[tuple[str, str], OperationDescription]:
    found = {}
    for prefix in ("", "/environments/{environment}"):
        base = f"{prefix}/ofrep/v1/evaluate/flags"
        for path, summary in ((base, "Evaluate every flag"), (f"{base}/{{key}}", "Evaluate a flag")):
            found["POST", path] = OperationDescription(
                "flags",
                f"{summary} of {'an' if prefix else 'the default'} environment (OFREP)",
                {200: "An evaluation, as OFREP has it."},
                body=_CONTEXT,
                refuses="application/json",
                refusals=_EVALUATION,
            )
    return found


_OPERATING: Mapping[tuple[str, str], OperationDescription] = {
    ("GET", "/healthz"): OperationDescription("operating", "Whether the process answers", {200: "It does."}),
    ("GET", "/readyz"): OperationDescription(
        "operating", "Whether everything is ready, in detail", {200: "Ready.", 503: "Not ready."}
    ),
    ("GET", "/metrics"): OperationDescription(
        "operating", "Metrics for Prometheus", {200: "Metrics."}, gives="text/plain"
    ),
}

DESCRIBED: Mapping[tuple[str, str], OperationDescription] = {
    **_API,
    **_WEBHOOKS,
    **_evaluations(),
    **_OPERATING,
}
"""Every route by method and path; a test holds it against what is served."""
