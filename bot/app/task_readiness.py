"""The readiness checks on tasks that are due and nobody has done in time, and on imports of deployments."""

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.deployments.backfill.imports import DeploymentImports
from bot.http.health import ReadinessCheck
from bot.tasks.runner import LATE_AFTER, TaskRunner
from bot.tasks.task import TaskState


class TaskReadiness:
    """Counts the tasks that are late, by kind. One that was given up is no longer among them."""

    def __init__(self, tasks: TaskRunner) -> None:
        self._tasks = tasks

    async def tasks(self) -> ReadinessCheck:
        """Whether everything that was due has been done."""
        late = dict(await self._tasks.late())
        detail = {"late": late, "after_seconds": int(LATE_AFTER.total_seconds())}
        return ReadinessCheck("tasks", ok=not late, vital=False, detail=detail)


class ImportReadiness:
    """Shows the imports that are under way, and those that were given up."""

    def __init__(self, imports: DeploymentImports, current: CurrentCatalog, clock: Clock) -> None:
        self._imports = imports
        self._current = current
        self._clock = clock

    async def imports(self) -> ReadinessCheck:
        """Whether no import was given up; an import never makes the bot unready."""
        found = await self._imports.progress(self._current.catalog, self._clock.now())
        running = {
            each.repository: {
                "read": each.read,
                "recorded": each.recorded,
                "waits_until": each.waits_until.isoformat() if each.waits_until else None,
            }
            for each in found
            if each.state is TaskState.PENDING
        }
        failed = {each.repository: each.error for each in found if each.state is TaskState.GIVEN_UP}
        detail = {"running": running, "given_up": failed}
        return ReadinessCheck("imports", ok=not failed, vital=False, detail=detail)
