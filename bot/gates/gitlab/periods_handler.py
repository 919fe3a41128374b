"""Keeps the freeze periods of projects in step: one task a project, due when its services freeze or open."""

from datetime import timedelta
from typing import Final

import structlog

from bot.catalog.current import CurrentCatalog
from bot.catalog.gates import GitLabProject
from bot.freezes.status import NotMeasuredYetError, UnknownServiceError
from bot.freezes.verdict import Change
from bot.gates.gitlab.client import GitLabClient
from bot.gates.gitlab.freeze_periods import period_from, surplus
from bot.gates.waits.answerer import PlatformLimitError
from bot.gates.waits.answering import VerdictQuestions
from bot.tasks.handler import EndsSilently, TaskAttempt, TryLaterError
from bot.tasks.task import RetryRule

log = structlog.get_logger(__name__)

KIND: Final = "gitlab freeze periods"
_CHECKED_EVERY: Final = timedelta(minutes=10)
_UNKNOWN_FOR: Final = timedelta(seconds=5)


class FreezePeriodsHandler(EndsSilently):
    """Writes a freeze period where one is missing, and deletes its own where none is wanted."""

    kind = KIND
    rule = RetryRule()

    def __init__(self, client: GitLabClient, questions: VerdictQuestions, current: CurrentCatalog) -> None:
        self._client = client
        self._questions = questions
        self._current = current

    async def run(self, attempt: TaskAttempt) -> None:
        """Bring one project into step; one that has left the policies loses its period and is forgotten."""
        name = attempt.task.key
        project = project_named(self._current, name)
        try:
            is_held = project is not None and await self.is_held(project)
        except NotMeasuredYetError as error:
            raise TryLaterError(_UNKNOWN_FOR, str(error)) from error
        try:
            periods = await self._client.freeze_periods(name)
            if is_held and not any(period.is_own for period in periods):
                await self._client.add_freeze_period(name, period_from(attempt.now))
                log.info("gitlab_freeze_period_written", project=name)
            for period in surplus(periods, is_held=is_held):
                if period.id is not None:
                    await self._client.delete_freeze_period(name, period.id)
                    log.info("gitlab_freeze_period_deleted", project=name)
        except PlatformLimitError as error:
            raise TryLaterError(error.after, str(error)) from error
        if project is not None:
            attempt.repeat(attempt.now + _CHECKED_EVERY)
        async with attempt.completing():
            pass

    async def is_held(self, project: GitLabProject) -> bool:
        """Return whether one of the services may not ship there; raises `NotMeasuredYetError`."""
        for service in project.services:
            try:
                verdict = await self._questions.judge(service, Change(environment=project.environment))
            except UnknownServiceError:
                continue
            if not verdict.allow:
                return True
        return False


def project_named(current: CurrentCatalog, name: str) -> GitLabProject | None:
    """Return the project of the policies that gets freeze periods, by its path."""
    projects = current.workspace.gates.gitlab
    return next((each for each in projects if each.project == name and each.freeze_periods), None)
