"""Reads a folder in a thread of its own, for a limited time: a file on a mount may block for ever.

A thread that computes is not blocked, however long a busy machine takes for thousands of documents. One that
waits cannot be ended. It is a daemon, so that the process can end without it, and while it is blocked
no further one is started.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

_WORKING_SHARE = 0.01
"""A thread that computed for this share of the time limit was not blocked in it."""
_MOST_LIMITS = 20
"""After so many time limits it counts as blocked, whatever it does."""

P = ParamSpec("P")
T = TypeVar("T")


class BlockedError(OSError):
    """Reading has not ended in time; the attempt may still be going on."""


class FolderReader:
    """Calls functions that read files, one at a time; one that does nothing for `limit_s` s is blocked."""

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
        # Waited for, never cancelled: the thread sets an outcome in any case, and must find it as it was.
        reading = asyncio.wrap_future(outcome)
        for _ in range(_MOST_LIMITS):
            before_s = _computed_s(thread)
            finished, _ = await asyncio.wait([reading], timeout=self._limit_s)
            if finished:
                return reading.result()
            if _computed_s(thread) - before_s < _WORKING_SHARE * self._limit_s:
                break
        self._blocked = thread
        raise BlockedError(f"reading did nothing for {self._limit_s:g} s, or never ends")


def _computed_s(thread: threading.Thread) -> float:
    """Return how many seconds the thread has computed; 0 where the system does not say, or it has ended."""
    if not hasattr(time, "pthread_getcpuclockid") or thread.ident is None or not thread.is_alive():
        return 0.0
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    except OSError:
        return 0.0
