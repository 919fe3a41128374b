"""Trying again what fails for a while, by tenacity, which comes in only where the first attempt fails.

Each use of tenacity leaves a reference cycle of 23 objects that holds the call's arguments until garbage is
collected. Almost every call succeeds at once, and needs none of that.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying

T = TypeVar("T")


async def retried(call: Callable[[], Awaitable[T]], retrying: Callable[[], AsyncRetrying]) -> T:
    """Call until it succeeds or what `retrying` makes gives up; that counts the first attempt too."""
    try:
        return await call()
    except Exception as error:  # noqa: BLE001 - tenacity says which errors are tried again
        failures = [error]

    async def attempt() -> T:
        if failures:
            raise failures.pop()
        return await call()

    return await retrying()(attempt)
