"""`/api/v1/webhook-deliveries`: what became of events that were sent out, and how to send one again."""

import json
from typing import Any, Literal

from aiohttp import web
from pydantic import AwareDatetime

from bot.http.auth import CALLER, TokenVerifier
from bot.http.operations import BAD_QUERY, Operation, QueryParameter, add_operations
from bot.http.problems import ProblemError
from bot.http.request_body import read_bytes
from bot.http.response_models import Answer
from bot.http.rights import Right
from bot.http.serializers import instant
from bot.store.database import Database
from bot.webhooks import records
from bot.webhooks.delivery import WebhookDelivery, WebhookState
from bot.webhooks.events import read_event
from bot.webhooks.message import body_of
from bot.webhooks.redelivery import NoDeliveryError, Redeliveries

_PAGE = 100
_NAME = {"type": "string", "maxLength": 100}
_UNKNOWN = {404: "There is no such delivery."}


class DeliveryAnswer(Answer):
    """What became of an event for one webhook."""

    id: int
    webhook: str
    event_id: str
    event: str
    service: str | None
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    created_at: AwareDatetime
    attempted_at: AwareDatetime | None
    delivered_at: AwareDatetime | None
    status: int | None
    """The HTTP status of the last answer."""
    answer: str | None
    """How the last answer began."""
    error: str | None
    redelivered_by: str | None


class DeliveryWithPayloadAnswer(DeliveryAnswer):
    """A delivery with what is sent."""

    payload: dict[str, Any] | None


class DeliveriesAnswer(Answer):
    """Deliveries, the newest first."""

    deliveries: list[DeliveryAnswer]
    next: str | None
    """The `cursor` of the next page."""


class WebhookDeliveriesEndpoint:
    """The endpoint of deliveries."""

    def __init__(self, database: Database, redeliveries: Redeliveries, tokens: TokenVerifier) -> None:
        self._database = database
        self._redeliveries = redeliveries
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the routes; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "GET",
        "/api/v1/webhook-deliveries",
        tag="webhooks",
        summary="What became of events that were sent out, the newest first",
        right=Right.WEBHOOKS_READ,
        query=(
            QueryParameter("webhook", "Only to this webhook.", _NAME),
            QueryParameter("event", "Only events of this type.", _NAME),
            QueryParameter(
                "state", "Only these.", {"type": "string", "enum": [each.value for each in WebhookState]}
            ),
            QueryParameter("cursor", "The `next` of an earlier answer."),
        ),
        answers={200: DeliveriesAnswer},
        refusals=BAD_QUERY,
    )
    async def _list(self, request: web.Request) -> web.Response:
        cursor = request.query.get("cursor", "")
        if cursor and _number(cursor) is None:
            raise ProblemError(400, "`cursor` is the `next` of an earlier answer")
        async with self._database.reading() as connection:
            found = await records.read_deliveries(
                connection,
                endpoint=request.query.get("webhook") or None,
                state=_state(request),
                event=request.query.get("event") or None,
                before=_number(cursor),
                limit=_PAGE + 1,
            )
        page = found[:_PAGE]
        return web.json_response(
            {
                "deliveries": [_json(delivery) for delivery in page],
                "next": str(page[-1].id) if len(found) > _PAGE else None,
            }
        )

    @Operation(
        "GET",
        "/api/v1/webhook-deliveries/{id}",
        tag="webhooks",
        summary="What became of one event for one webhook, and what is sent of it",
        right=Right.WEBHOOKS_READ,
        answers={200: DeliveryWithPayloadAnswer},
        refusals=_UNKNOWN,
    )
    async def _get(self, request: web.Request) -> web.Response:
        id_ = _id(request)
        async with self._database.reading() as connection:
            delivery = await records.read_delivery(connection, id_)
            if delivery is None:
                raise ProblemError(404, f"there is no delivery {id_}")
            row = await read_event(connection, delivery.audit_id)
        payload = None if row is None else json.loads(body_of(row))
        return web.json_response(_json(delivery) | {"payload": payload})

    @Operation(
        "POST",
        "/api/v1/webhook-deliveries/{id}/redeliver",
        tag="webhooks",
        summary="Deliver an event again, also to a webhook that was disabled",
        right=Right.WEBHOOKS_WRITE,
        answers={202: DeliveryAnswer},
        refusals=_UNKNOWN | {409: "The policies have no such webhook any more."},
    )
    async def _redeliver(self, request: web.Request) -> web.Response:
        await read_bytes(request)
        try:
            delivery = await self._redeliveries.ask(_id(request), request[CALLER])
        except NoDeliveryError as error:
            raise ProblemError(409 if error.is_known else 404, str(error)) from error
        return web.json_response(_json(delivery), status=202)


def _id(request: web.Request) -> int:
    number = _number(request.match_info["id"])
    if number is None:
        raise ProblemError(404, f"there is no delivery {request.match_info['id']}")
    return number


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def _state(request: web.Request) -> WebhookState | None:
    text = request.query.get("state", "")
    try:
        return WebhookState(text) if text else None
    except ValueError as error:
        raise ProblemError(400, f"`state` is one of {', '.join(WebhookState)}") from error


def _json(delivery: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "webhook": delivery.endpoint,
        "event_id": delivery.event_id,
        "event": delivery.event,
        "service": delivery.service,
        "state": str(delivery.state),
        "attempts": delivery.attempts,
        "created_at": instant(delivery.created_at),
        "attempted_at": instant(delivery.attempted_at) if delivery.attempted_at else None,
        "delivered_at": instant(delivery.delivered_at) if delivery.delivered_at else None,
        "status": delivery.status,
        "answer": delivery.answer,
        "error": delivery.error,
        "redelivered_by": delivery.redelivered_by,
    }
