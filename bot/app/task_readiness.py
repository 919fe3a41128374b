"""The readiness check on tasks that are due: those that nobody has done in time."""

from bot.http.health import ReadinessCheck
from bot.tasks.runner import LATE_AFTER, TaskRunner


class TaskReadiness:
    """Counts the tasks that are late, by kind. One that was given up is no longer among them."""

    def __init__(self, tasks: TaskRunner) -> None:
        self._tasks = tasks

    async def tasks(self) -> ReadinessCheck:
        """Whether everything that was due has been done."""
        late = dict(await self._tasks.late())
        detail = {"late": late, "after_seconds": int(LATE_AFTER.total_seconds())}
        return ReadinessCheck("tasks", ok=not late, vital=False, detail=detail)
