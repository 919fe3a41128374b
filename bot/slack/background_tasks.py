"""Work that goes on after Slack was acknowledged: tracked, bounded, answered for, drained at the end."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 64
DEADLINE_S = 60.0

Work = Callable[[], Awaitable[None]]
Apologise = Callable[[str], Awaitable[None]]
"""Tells the person that their job failed; takes the error's id."""


class BackgroundTasks:
    """Runs jobs as tasks, at most `most_at_once` at a time, each for at most `deadline_s`."""

    def __init__(self, most_at_once: int = MOST_AT_ONCE, deadline_s: float = DEADLINE_S) -> None:
        self._places = asyncio.Semaphore(most_at_once)
        self._deadline_s = deadline_s
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, name: str, work: Work, apologise: Apologise) -> None:
        """Begin a job and return at once; should it fail, it is logged and `apologise` called."""
        task = asyncio.get_running_loop().create_task(self._run(name, work, apologise), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> int:
        """Wait for the jobs under way; cancel what is not done by then, and return how many that were."""
        if not self._tasks:
            return 0
        _, late = await asyncio.wait(set(self._tasks), timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            log.warning("jobs_cancelled", count=len(late))
        return len(late)

    async def _run(self, name: str, work: Work, apologise: Apologise) -> None:
        async with self._places:
            try:
                async with asyncio.timeout(self._deadline_s):
                    await work()
            except Exception:  # the boundary of a job: one failure must not touch others
                error_id = secrets.token_hex(4)
                log.exception("job_failed", job=name, error_id=error_id)
                await self._sorry(name, error_id, apologise)

    async def _sorry(self, name: str, error_id: str, apologise: Apologise) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await apologise(error_id)
        except Exception:  # an apology that fails is only logged
            log.exception("apology_failed", job=name, error_id=error_id)
