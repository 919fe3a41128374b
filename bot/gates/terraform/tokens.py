"""Forgets the tokens of run tasks after the hour in which they may be used, whatever became of the task."""

from datetime import timedelta
from typing import Final

from sqlalchemy import select, update

from bot.clock import Clock
from bot.gates.terraform.run_tasks import PLATFORM
from bot.store.database import Database
from bot.store.tables.gate_waits import gate_waits
from bot.tasks import records
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import PlannedTask, RetryRule

KIND: Final = "terraform token"
FORGOTTEN_AFTER: Final = timedelta(hours=1)


class TokenForgetting:
    """Plans to forget the token of a question."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def plan(self, key: str) -> None:
        """Forget it in an hour; what is planned already stays."""
        now = self._clock.now()
        async with self._database.transaction(in_turn=False) as connection:
            await records.plan(self._database, connection, PlannedTask(KIND, key, now + FORGOTTEN_AFTER), now)


class TokenHandler(EndsSilently):
    """Takes the token out of one question."""

    kind = KIND
    rule = RetryRule()

    async def run(self, attempt: TaskAttempt) -> None:
        """Leave everything of the question but the token."""
        own = (gate_waits.c.platform == PLATFORM) & (gate_waits.c.key == attempt.task.key)
        async with attempt.completing() as connection:
            row = (await connection.execute(select(gate_waits.c.place).where(own))).one_or_none()
            if row is not None:
                place = dict(row.place) | {"token": None}
                values = {"place": place, "version": gate_waits.c.version + 1}
                await connection.execute(update(gate_waits).where(own).values(**values))
