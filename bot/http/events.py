"""`POST /api/v1/events`: good and bad events pushed by services without a monitoring system."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, ValidationError

from bot.budgets.budget import MOST_EVENTS as MOST_COUNTED
from bot.budgets.ledger.pushed_events import PushedEvent, PushResult, TooManyEventsError, time_fault
from bot.catalog.current import CurrentCatalog
from bot.catalog.slo import EventsSli, Slo
from bot.clock import Clock
from bot.formatting import counted
from bot.http.operations import BAD_BODY, Operation
from bot.http.problems import ProblemError
from bot.http.request_body import read_json
from bot.http.request_text import RequestBody
from bot.http.response_models import EventsAnswer
from bot.http.rights import Right

MOST_EVENTS = 10_000
_MAX_AGE = timedelta(days=400)

Push = Callable[[Sequence[PushedEvent], datetime], Awaitable[PushResult]]


class EventBody(RequestBody):
    """One pushed count. `at` is when it happened, now if left out; `id` makes a repetition harmless."""

    model_config = ConfigDict(extra="forbid")

    service: str
    slo: str
    good: float = Field(ge=0, le=MOST_COUNTED, allow_inf_nan=False, strict=True)
    bad: float = Field(ge=0, le=MOST_COUNTED, allow_inf_nan=False, strict=True)
    at: AwareDatetime | None = None
    id: str | None = Field(None, min_length=1, max_length=200)


_BODY = TypeAdapter(EventBody)


@dataclass(frozen=True, slots=True)
class EventFault:
    """A fault in a field of the event at `index` of the list."""

    index: int
    field: str
    message: str


class EventsEndpoint:
    """The endpoint of pushed events. A request's events are accepted all or not at all."""

    def __init__(self, current: CurrentCatalog, push: Push, clock: Clock) -> None:
        self._current = current
        self._push = push
        self._clock = clock

    @Operation(
        "POST",
        "/api/v1/events",
        tag="events",
        summary="Push good and bad events, all or none of them",
        right=Right.EVENTS_WRITE,
        body=EventBody,
        max_items=MOST_EVENTS,
        answers={202: EventsAnswer},
        refusals=BAD_BODY,
    )
    async def post(self, request: web.Request) -> web.Response:
        """Return 202 with how many were new and how many known. Raises `ProblemError` 422 with each fault."""
        body = await read_json(request)
        items = body if isinstance(body, list) else [body]
        if len(items) > MOST_EVENTS:
            raise ProblemError(422, f"at most {MOST_EVENTS} events in one call; this one has {len(items)}")
        events, faults = self._read(items)
        if faults:
            errors = [asdict(fault) for fault in faults]
            raise ProblemError(422, f"{counted(len(faults), 'fault')}; nothing was accepted", errors=errors)
        try:
            pushed = await self._push(events, self._clock.now())
        except TooManyEventsError as error:
            index = next(index for index, event in enumerate(events) if event.slo == error.slo)
            fault = EventFault(index, "good", str(error))
            raise ProblemError(422, "one fault; nothing was accepted", errors=[asdict(fault)]) from error
        return web.json_response({"accepted": pushed.accepted, "duplicates": pushed.duplicates}, status=202)

    def _read(self, items: Sequence[Any]) -> tuple[list[PushedEvent], list[EventFault]]:
        now = self._clock.now()
        slos = {(slo.service, slo.name): slo for slo in self._current.catalog.slos}
        events: list[PushedEvent] = []
        faults: list[EventFault] = []
        for index, item in enumerate(items):
            try:
                body = _BODY.validate_python(_with_text_time(item))
            except ValidationError as error:
                faults += [_fault(index, item, detail) for detail in error.errors(include_url=False)]
                continue
            checked = _check(body, slos, now)
            if isinstance(checked, Slo):
                at = (body.at or now).astimezone(UTC)
                events.append(PushedEvent(checked, body.good, body.bad, at, body.id))
            else:
                faults.append(EventFault(index, *checked))
        return events, faults


def _with_text_time(item: Any) -> Any:
    """Return the item with an invalid `at` unless it is text: a number could be seconds or milliseconds."""
    if isinstance(item, dict) and "at" in item and not isinstance(item["at"], str | None):
        return item | {"at": "not text"}
    return item


def _check(body: EventBody, slos: dict[tuple[str, str], Slo], now: datetime) -> Slo | tuple[str, str]:
    """Return the SLO that the event counts for, or the faulty field and its fault."""
    if not any(service == body.service for service, _ in slos):
        return "service", f"there is no service {body.service}"
    slo = slos.get((body.service, body.slo))
    if slo is None:
        return "slo", f"{body.service} has no SLO {body.slo}"
    if not isinstance(slo.sli, EventsSli):
        return "slo", f"{slo.key} is not measured by pushed events: its sli is not `events`"
    fault = time_fault(body.at, now, _MAX_AGE) if body.at is not None else None
    return ("at", fault) if fault else slo


def _fault(index: int, item: Any, detail: Any) -> EventFault:
    if not isinstance(item, dict):
        return EventFault(index, "", "must be an object with service, slo, good and bad")
    if detail["loc"][:1] == ("at",):
        return EventFault(
            index, "at", "must be an RFC 3339 time with an offset, such as 2026-11-23T09:00:00Z"
        )
    return EventFault(index, ".".join(map(str, detail["loc"])), detail["msg"])
