"""The clock that replicas share."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier

from bot.clock import SharedClock
from bot.slack.events_endpoint import verify_signatures_by

TOLERANCE = timedelta(seconds=0.1)
SECRET = "a signing secret"


def shared(ahead: timedelta) -> SharedClock:
    """Return a clock whose database is so far ahead of this machine."""
    clock = SharedClock()
    clock.set(datetime.now(UTC) + ahead, time.monotonic())
    return clock


def test_before_the_first_look_it_is_the_machines() -> None:
    assert abs(SharedClock().now() - datetime.now(UTC)) < TOLERANCE


def test_it_shows_the_databases_time_whatever_the_machines_clock_is_set_to() -> None:
    before = datetime.now(UTC)
    clock = shared(timedelta(minutes=3))
    with time_machine.travel(before + timedelta(hours=5), tick=True):
        assert abs(clock.now() - (before + timedelta(minutes=3))) < TOLERANCE


def test_a_look_that_brings_nothing_new_does_not_make_it_jump() -> None:
    clock = shared(timedelta())
    before = clock.now()
    clock.set(before - timedelta(seconds=0.2), time.monotonic())
    assert before <= clock.now() < before + TOLERANCE


def test_it_follows_the_database_where_that_is_set() -> None:
    clock = shared(timedelta())
    clock.set(datetime.now(UTC) - timedelta(hours=1), time.monotonic())
    assert abs(clock.now() - datetime.now(UTC) + timedelta(hours=1)) < TOLERANCE


@pytest.mark.parametrize(("ahead", "status"), [(timedelta(minutes=4), 404), (timedelta(minutes=6), 401)])
async def test_signatures_grow_stale_by_the_shared_clock(ahead: timedelta, status: int) -> None:
    bolt = AsyncApp(signing_secret=SECRET, token="xoxb-1", request_verification_enabled=True)
    verify_signatures_by(bolt, shared(ahead))
    timestamp, body = str(int(time.time())), "command=%2Fnothing&team_id=T1&user_id=U1"
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=timestamp, body=body)
    headers: dict[str, str | Sequence[str]] = {
        "X-Slack-Request-Timestamp": [timestamp],
        "X-Slack-Signature": [str(signature)],
    }
    bolt._async_middleware_list[:] = [
        middleware
        for middleware in bolt._async_middleware_list
        if "Verification" in type(middleware).__name__
    ]
    response = await bolt.async_dispatch(AsyncBoltRequest(body=body, headers=headers))
    assert response.status == status
