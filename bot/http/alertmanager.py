"""`POST /webhooks/alertmanager`: opens incidents from Alertmanager's notifications.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config (version 4 of the format)
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field

from bot.clock import Clock
from bot.http.auth import TokenVerifier
from bot.http.operations import BAD_BODY, Operation, add_operations
from bot.http.request_body import read_body, read_json
from bot.http.request_text import FREE, FreeText, RequestBody
from bot.http.response_models import AlertsAnswer
from bot.http.rights import Right
from bot.incidents.alert import Alert, Notification
from bot.incidents.alerts.receiver import AlertReceiver

MOST_BYTES: Final = 16 * 1024 * 1024
"""Alertmanager sends all alerts of a group in one body, some 10,000 of them; the token is known then."""

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9998, 12, 31, tzinfo=UTC)


def _texts(value: Any) -> Any:
    """Return labels or annotations as texts, without those that are null; none for null."""
    if not isinstance(value, dict):
        return {} if value is None else value
    texts = {name: text for name, text in value.items() if text is not None}
    return {name: str(text) if isinstance(text, int | float) else text for name, text in texts.items()}


def _within_range(at: datetime | None) -> datetime | None:
    """Return the time in UTC; one so far away that adding a day to it may overflow becomes the nearest."""
    if at is None:
        return None
    if _EARLIEST.year <= at.year <= _LATEST.year:
        return at.astimezone(UTC)
    return _EARLIEST if at.year < _EARLIEST.year else _LATEST


Texts = Annotated[dict[str, str], BeforeValidator(_texts), FREE]
"""Labels or annotations: what is null counts as left out."""


class AlertBody(RequestBody):
    """One alert. `endsAt` of a firing one is a guess, or the year 1. Old versions send no `fingerprint`."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: Texts = Field(default_factory=dict)
    annotations: Texts = Field(default_factory=dict)
    startsAt: Annotated[AwareDatetime, AfterValidator(_within_range)]  # noqa: N815 - Alertmanager's word
    endsAt: Annotated[  # noqa: N815
        AwareDatetime | None, BeforeValidator(lambda at: at or None), AfterValidator(_within_range)
    ] = None
    fingerprint: Annotated[str, BeforeValidator(lambda text: text or "")] = Field("", max_length=64)


class NotificationBody(RequestBody):
    """The alerts of one group; `truncatedAlerts` more were left out (`max_alerts`)."""

    model_config = ConfigDict(extra="ignore")

    groupKey: FreeText = Field(min_length=1)  # noqa: N815
    alerts: Annotated[list[AlertBody], BeforeValidator(lambda alerts: [] if alerts is None else alerts)]
    truncatedAlerts: Annotated[int, BeforeValidator(lambda count: count or 0)] = Field(0, ge=0, le=2**53)  # noqa: N815


class AlertmanagerWebhook:
    """The webhook of Alertmanager. A repeated notification changes nothing."""

    def __init__(self, receiver: AlertReceiver, clock: Clock, tokens: TokenVerifier) -> None:
        self._receiver = receiver
        self._clock = clock
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the route."""
        add_operations(app, self, self._tokens)

    @Operation(
        "POST",
        "/webhooks/alertmanager",
        tag="webhooks",
        summary="Alertmanager's notifications",
        right=Right.ALERTS_WRITE,
        body=NotificationBody,
        answers={200: AlertsAnswer},
        refusals=BAD_BODY,
    )
    async def _post(self, request: web.Request) -> web.Response:
        body = read_body(NotificationBody, await read_json(request.clone(client_max_size=MOST_BYTES)))
        alerts = tuple(_alert(alert) for alert in body.alerts)
        notification = Notification(body.groupKey, alerts, body.truncatedAlerts)
        incidents = await self._receiver.take(notification, self._clock.now())
        return web.json_response({"incidents": list(incidents)})


def _alert(body: AlertBody) -> Alert:
    is_resolved = body.status == "resolved"
    ended = max(body.endsAt or body.startsAt, body.startsAt) if is_resolved else None
    return Alert(
        fingerprint=body.fingerprint or _fingerprint(body.labels),
        started_at=body.startsAt,
        ended_at=ended,
        labels=body.labels,
        annotations=body.annotations,
    )


def _fingerprint(labels: dict[str, str]) -> str:
    """Return what identifies an alert whose sender gives it no fingerprint."""
    return hashlib.sha256(json.dumps(sorted(labels.items())).encode()).hexdigest()[:16]
