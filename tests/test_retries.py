"""What fails for a while is tried again; what succeeds at once costs nothing."""

import gc

import pytest
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_none

from bot.retries import retried


def three_times() -> AsyncRetrying:
    """Try three times in all what cannot connect."""
    return AsyncRetrying(
        retry=retry_if_exception_type(ConnectionError),
        stop=stop_after_attempt(3),
        wait=wait_none(),
        reraise=True,
    )


class Failing:
    """Raises the errors, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        """Raise the next error, or answer."""
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_what_fails_less_often_than_it_is_tried_succeeds(failures: int) -> None:
    call = Failing(*[ConnectionError() for _ in range(failures)])
    assert await retried(call, three_times) == "done"
    assert call.calls == failures + 1


async def test_the_first_attempt_counts() -> None:
    call = Failing(*[ConnectionError(str(number)) for number in range(9)])
    with pytest.raises(ConnectionError, match="2"):
        await retried(call, three_times)
    assert call.calls == 3


@pytest.mark.parametrize("before", [0, 1])
async def test_another_error_is_raised_at_once(before: int) -> None:
    call = Failing(*[ConnectionError() for _ in range(before)], ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await retried(call, three_times)
    assert call.calls == before + 1


async def test_success_leaves_nothing_to_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            await retried(Failing(), three_times)
        assert gc.collect() == 0
    finally:
        gc.enable()
