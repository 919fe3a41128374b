"""The limit of edits holds for all replicas together, through restarts, and after Slack has refused one."""

import random

import pytest

from bot.slack.delivery.context import DeliveryTiming
from bot.slack.webapi.edit_rate_limits import MOST_A_MINUTE, EditRateLimit, EditRateLimits

TIER_3 = 50
MINUTE_S = DeliveryTiming().minute_s
STEP_S = 0.25


class Seconds:
    """A monotonic clock that only a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def most_in_a_minute(times: list[float]) -> int:
    """Return the most of the times that lie within any 60 seconds."""
    return max(sum(at <= other < at + 60 for other in times) for at in times)


@pytest.mark.parametrize("replicas", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("restarts_a_minute", [0, 1, 12])
def test_replicas_that_start_anew_stay_below_slacks_limit_together(
    replicas: int, restarts_a_minute: int
) -> None:
    clock, chance = Seconds(), random.Random(replicas * 100 + restarts_a_minute)  # noqa: S311 - reproducible

    def start() -> EditRateLimit:
        return EditRateLimit(MINUTE_S, lambda: replicas, now_s=clock)

    running = [start() for _ in range(replicas)]
    made: list[float] = []
    while clock.now < 300:
        # Quiet for a minute, so that what can be saved is saved; then as many edits as the limit allows.
        if clock.now % 120 > 60:
            for limit in running:
                while limit.acquire() == 0:
                    made.append(clock.now)
        for number in range(replicas):
            if chance.random() < restarts_a_minute * STEP_S / 60:
                running[number] = start()
        clock.now += STEP_S
    assert most_in_a_minute(made) <= TIER_3
    if not restarts_a_minute:
        assert most_in_a_minute(made) >= MOST_A_MINUTE


def test_nothing_is_edited_before_slack_allows_it_again() -> None:
    clock = Seconds()
    limit = EditRateLimit(MINUTE_S, lambda: 1, now_s=clock)
    clock.now = 600.0
    assert limit.acquire() == 0
    limit.pause(30)
    limit.pause(5)
    assert limit.acquire() == 30
    clock.now += 30
    assert limit.acquire() == 0


def test_each_workspace_has_a_limit_of_its_own() -> None:
    limits = EditRateLimits(MINUTE_S)
    assert limits.of("T1") is limits.of("T1")
    assert limits.of("T1") is not limits.of(None)
