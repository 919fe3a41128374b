"""Background tasks after the acknowledgement: tracked, limited, reported on failure, drained at shutdown."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import structlog

from bot.tracing.spans import span

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 64
DEADLINE_S = 60.0

Work = Callable[[], Awaitable[None]]
ReportFailure = Callable[[str, Exception], Awaitable[None]]
"""Tells the person that their task failed; takes the error's id and the error."""


class BackgroundTasks:
    """Runs tasks, at most `most_at_once` at a time, each for at most `deadline_s`."""

    def __init__(self, most_at_once: int = MOST_AT_ONCE, deadline_s: float = DEADLINE_S) -> None:
        self._slots = asyncio.Semaphore(most_at_once)
        self._deadline_s = deadline_s
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, name: str, work: Work, report_failure: ReportFailure) -> None:
        """Start a task and return at once; if it fails, log it and call `report_failure`."""
        task = asyncio.get_running_loop().create_task(self._run(name, work, report_failure), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float) -> int:
        """Wait for the running tasks, then cancel the rest; return how many were cancelled."""
        if not self._tasks:
            return 0
        _, late = await asyncio.wait(set(self._tasks), timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            log.warning("jobs_cancelled", count=len(late))
        return len(late)

    async def _run(self, name: str, work: Work, report_failure: ReportFailure) -> None:
        async with self._slots:
            try:
                with span(f"handle {name}"):
                    async with asyncio.timeout(self._deadline_s):
                        await work()
            except Exception as error:  # the boundary of a task: one failure must not touch others
                error_id = secrets.token_hex(4)
                log.exception("job_failed", job=name, error_id=error_id)
                await self._report(name, error_id, error, report_failure)

    async def _report(
        self, name: str, error_id: str, error: Exception, report_failure: ReportFailure
    ) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await report_failure(error_id, error)
        except Exception:  # a report that fails is only logged
            log.exception("failure_not_reported", job=name, error_id=error_id)
