"""Keeps long calculations from blocking the event loop."""

import asyncio
import time

_LONGEST_S = 0.003


class Pacer:
    """Lets other tasks run in the course of a calculation: await it between its parts, however short."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def __call__(self) -> None:
        """Let other tasks run, if they have waited for a few milliseconds."""
        if time.perf_counter() - self._since > _LONGEST_S:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
