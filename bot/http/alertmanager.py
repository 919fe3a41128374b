"""`POST /webhooks/alertmanager`: opens incidents from Alertmanager's notifications.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config (version 4 of the format)
"""

from datetime import UTC
from typing import Literal

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bot.clock import Clock
from bot.http.auth import TokenVerifier
from bot.http.operations import BAD_BODY, Operation, add_operations
from bot.http.request_body import Instant, read_body, read_json
from bot.http.response_models import AlertsAnswer
from bot.http.rights import Right
from bot.incidents.alert import Alert, Notification
from bot.incidents.alerts.receiver import AlertReceiver

MOST_ALERTS = 1_000


class AlertBody(BaseModel):
    """One alert. `endsAt` of a firing one is a guess, or the year 1."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: Instant  # noqa: N815 - Alertmanager's word
    endsAt: AwareDatetime | None = None  # noqa: N815
    fingerprint: str = Field(min_length=1, max_length=64)


class NotificationBody(BaseModel):
    """The alerts of one group."""

    model_config = ConfigDict(extra="ignore")

    groupKey: str = Field(min_length=1, max_length=10_000)  # noqa: N815
    alerts: list[AlertBody] = Field(max_length=MOST_ALERTS)


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
        body = read_body(NotificationBody, await read_json(request))
        notification = Notification(body.groupKey, tuple(_alert(alert) for alert in body.alerts))
        incidents = await self._receiver.take(notification, self._clock.now())
        return web.json_response({"incidents": list(incidents)})


def _alert(body: AlertBody) -> Alert:
    is_resolved = body.status == "resolved"
    # `endsAt` may be in the year 1, which cannot be converted from every time zone.
    ended = max(body.endsAt or body.startsAt, body.startsAt) if is_resolved else None
    return Alert(
        fingerprint=body.fingerprint,
        started_at=body.startsAt,
        ended_at=None if ended is None else ended.astimezone(UTC),
        labels=body.labels,
        annotations=body.annotations,
    )
