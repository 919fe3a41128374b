"""The due tasks of rotations: a period begins, and somebody who serves goes away. Pure."""

from datetime import datetime
from typing import Final

from bot.catalog.rotation import Rotation
from bot.tasks.task import PlannedTask
from bot.teams.rotations.period import Absence

PERIOD: Final = "rotation period"
"""The kind of the task that hands over from one pair to the next."""
ABSENCE: Final = "rotation absence"
"""The kind of the task that looks for a stand-in when somebody goes away."""


def period_task(rotation: Rotation, begins_at: datetime, due_at: datetime | None = None) -> PlannedTask:
    """Return the task that begins a period, due when it begins unless another time is given."""
    key = f"{rotation.name} {begins_at.isoformat()}"
    return PlannedTask(PERIOD, key, due_at or begins_at, {"rotation": rotation.name})


def absence_task(rotation: Rotation, absence: Absence) -> PlannedTask:
    """Return the task that is due when an absence begins."""
    payload = {"rotation": rotation.name, "absence": absence.id}
    return PlannedTask(ABSENCE, f"{rotation.name} {absence.id}", absence.from_at, payload)
