"""Reads a folder in a thread of its own, for a limited time: a file on a mount may block for ever.

Such a thread cannot be ended. It is a daemon, so that the process can end without it, and while it is blocked
no further one is started.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class BlockedError(OSError):
    """Reading has not ended in time; the attempt may still be going on."""


class FolderReader:
    """Calls functions that read files, one at a time, each for at most `limit_s` seconds."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._blocked: threading.Thread | None = None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns; raises `BlockedError`, and what the function raises."""
        if self._blocked is not None and self._blocked.is_alive():
            raise BlockedError("an earlier attempt to read it is still running")
        self._blocked = None
        outcome: Future[T] = Future()

        def work() -> None:
            try:
                outcome.set_result(function(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - raised again where the outcome is awaited
                outcome.set_exception(error)

        thread = threading.Thread(target=work, name="policies", daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(self._limit_s):
                # Shielded: the thread sets an outcome in any case, and must find it as it was.
                return await asyncio.shield(asyncio.wrap_future(outcome))
        except TimeoutError as error:
            if thread.is_alive():
                self._blocked = thread
            raise BlockedError(f"reading did not finish within {self._limit_s:g} s") from error
