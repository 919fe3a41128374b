"""Pushed events: counted once, all of a call's or none."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest

from bot.catalog.window import Span
from tests.http.conftest import House
from tests.support.values import DAY, NOW

GOOD: dict[str, Any] = {"service": "checkout", "slo": "availability", "good": 999, "bad": 1}


async def post(house: House, body: object, raw: bytes | None = None) -> tuple[int, dict[str, Any]]:
    data = json.dumps(body).encode() if raw is None else raw
    async with house.client.post(f"{house.url}/api/v1/events", data=io.BytesIO(data)) as answer:
        return answer.status, await answer.json(content_type=None)


async def counted(house: House) -> tuple[float, float]:
    availability = house.policies.services["checkout"].slos[0]
    now = NOW + timedelta(minutes=1)
    (events,) = await house.ledger.counts(availability, [Span(now - 30 * DAY, now)], now)
    return events.bad, events.total


async def test_one_event_or_a_list_is_accepted(house: House) -> None:
    assert await post(house, GOOD) == (202, {"accepted": 1, "duplicates": 0})
    assert await post(house, [GOOD, GOOD]) == (202, {"accepted": 2, "duplicates": 0})
    assert await counted(house) == (3, 3000)


async def test_an_id_is_counted_once(house: House) -> None:
    named = GOOD | {"id": "batch-1"}
    assert await post(house, [named, named]) == (202, {"accepted": 1, "duplicates": 1})
    assert await post(house, named) == (202, {"accepted": 0, "duplicates": 1})
    assert await counted(house) == (1, 1000)


async def test_events_of_the_past_count_in_their_time(house: House) -> None:
    await post(house, GOOD | {"at": (NOW - 40 * DAY).isoformat()})
    await post(house, GOOD | {"at": (NOW - 20 * DAY).isoformat()})
    assert await counted(house) == (1, 1000)


FAULTY: list[tuple[Any, str]] = [
    ({"slo": "availability", "good": 1, "bad": 0}, "service"),
    (GOOD | {"service": "nobody"}, "service"),
    (GOOD | {"slo": "nothing"}, "slo"),
    (GOOD | {"slo": "orders"}, "slo"),
    (GOOD | {"good": -1}, "good"),
    (GOOD | {"bad": "1"}, "bad"),
    (GOOD | {"bad": True}, "bad"),
    (GOOD | {"bad": None}, "bad"),
    (GOOD | {"at": "yesterday"}, "at"),
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
    house: House, event: Any, field: str
) -> None:
    status, body = await post(house, [GOOD, event, GOOD])
    assert status == 422
    assert [(fault["index"], fault["field"]) for fault in body["errors"]] == [(1, field)]
    assert await counted(house) == (0, 0)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"good": NaN}', b"[" * 100_000])
async def test_what_is_not_json_is_400(house: House, raw: bytes) -> None:
    status, _ = await post(house, None, raw)
    assert status == 400


async def test_a_body_that_is_too_large_is_413(house: House) -> None:
    status, body = await post(house, None, b" " * (5 * 1024 * 1024))
    assert status == 413
    assert "at most" in body["detail"]


async def test_too_many_events_in_one_call_are_refused(house: House) -> None:
    status, _ = await post(house, [GOOD] * 10_001)
    assert status == 422
