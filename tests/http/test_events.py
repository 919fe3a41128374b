"""Pushed events: counted once; a request's events are accepted all or not at all."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest

from bot.catalog.window import Span
from tests.http.conftest import ApiServer
from tests.support.clock import DAY, NOW

GOOD: dict[str, Any] = {"service": "checkout", "slo": "availability", "good": 999, "bad": 1}


async def post(api_server: ApiServer, body: object, raw: bytes | None = None) -> tuple[int, dict[str, Any]]:
    data = json.dumps(body).encode() if raw is None else raw
    async with api_server.session.post(f"{api_server.url}/api/v1/events", data=io.BytesIO(data)) as response:
        return response.status, await response.json(content_type=None)


async def counts(api_server: ApiServer) -> tuple[float, float]:
    availability = api_server.catalog.services["checkout"].slos[0]
    now = NOW + timedelta(minutes=1)
    (events,) = await api_server.ledger.counts(availability, [Span(now - 30 * DAY, now)], now)
    return events.bad, events.total


async def test_one_event_or_a_list_is_accepted(api_server: ApiServer) -> None:
    assert await post(api_server, GOOD) == (202, {"accepted": 1, "duplicates": 0})
    assert await post(api_server, [GOOD, GOOD]) == (202, {"accepted": 2, "duplicates": 0})
    assert await counts(api_server) == (3, 3000)


async def test_an_id_is_counted_once(api_server: ApiServer) -> None:
    named = GOOD | {"id": "batch-1"}
    assert await post(api_server, [named, named]) == (202, {"accepted": 1, "duplicates": 1})
    assert await post(api_server, named) == (202, {"accepted": 0, "duplicates": 1})
    assert await counts(api_server) == (1, 1000)


async def test_events_of_the_past_count_in_their_time(api_server: ApiServer) -> None:
    await post(api_server, GOOD | {"at": (NOW - 40 * DAY).isoformat()})
    await post(api_server, GOOD | {"at": (NOW - 20 * DAY).isoformat()})
    assert await counts(api_server) == (1, 1000)


FAULTY: list[tuple[Any, str]] = [
    ({"slo": "availability", "good": 1, "bad": 0}, "service"),
    (GOOD | {"service": "nobody"}, "service"),
    (GOOD | {"slo": "nothing"}, "slo"),
    (GOOD | {"slo": "orders"}, "slo"),
    (GOOD | {"good": -1}, "good"),
    (GOOD | {"bad": "1"}, "bad"),
    (GOOD | {"bad": True}, "bad"),
    (GOOD | {"bad": None}, "bad"),
    (GOOD | {"good": 1e308}, "good"),
    (GOOD | {"bad": 2**53 + 2}, "bad"),
    (GOOD | {"at": "yesterday"}, "at"),
    (GOOD | {"at": "9998-01-01T00:00:00Z"}, "at"),
    (GOOD | {"at": "9999-12-31T23:59:59-14:00"}, "at"),
    (GOOD | {"at": "0001-01-01T00:00:00+14:00"}, "at"),
    (GOOD | {"at": "2026-11-23T09:00:00"}, "at"),
    (GOOD | {"at": 1}, "at"),
    (GOOD | {"at": (NOW + DAY).isoformat()}, "at"),
    (GOOD | {"at": (NOW - 500 * DAY).isoformat()}, "at"),
    (GOOD | {"id": ""}, "id"),
    (GOOD | {"id": "x" * 201}, "id"),
    (GOOD | {"extra": 1}, "extra"),
    ("nonsense", ""),
    (None, ""),
    ([], ""),
]


@pytest.mark.parametrize(("event", "field"), FAULTY)
async def test_a_faulty_event_is_named_by_index_and_nothing_is_counted(
    api_server: ApiServer, event: Any, field: str
) -> None:
    status, body = await post(api_server, [GOOD, event, GOOD])
    assert status == 422
    assert [(fault["index"], fault["field"]) for fault in body["errors"]] == [(1, field)]
    assert await counts(api_server) == (0, 0)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"good": NaN}', b"[" * 100_000])
async def test_what_is_not_json_is_400(api_server: ApiServer, raw: bytes) -> None:
    status, _ = await post(api_server, None, raw)
    assert status == 400


async def test_a_body_that_is_too_large_is_413(api_server: ApiServer) -> None:
    status, body = await post(api_server, None, b" " * (5 * 1024 * 1024))
    assert status == 413
    assert "at most" in body["detail"]


async def test_too_many_events_in_one_call_are_refused(api_server: ApiServer) -> None:
    status, _ = await post(api_server, [GOOD] * 10_001)
    assert status == 422


async def test_counts_that_add_up_to_more_than_can_be_told_apart_are_refused(api_server: ApiServer) -> None:
    assert (await post(api_server, [GOOD | {"good": 2**53 - 1, "bad": 1}]))[0] == 202
    status, body = await post(api_server, [GOOD | {"good": 1, "bad": 0}])
    assert status == 422
    assert "more than 9007199254740992 events in all" in body["errors"][0]["message"]
    assert (body["errors"][0]["index"], body["errors"][0]["field"]) == (0, "good")
    bad, total = await counts(api_server)
    assert (bad, total) == (1, 2**53)
