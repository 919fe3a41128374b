"""The end of holds whose time runs out: a task for each hold that has an end."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from bot.catalog.catalog import Service
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.hold_writer import HOLD_EXPIRY, log_transitions
from bot.freezes.transition import HoldExpired
from bot.tasks.handler import EndsSilently, TaskAttempt
from bot.tasks.task import RetryRule

_RULE: Final = RetryRule(longest_wait=timedelta(minutes=1))
"""A hold that is not ended keeps people from shipping, so this is never given up."""


class HoldExpiry(EndsSilently):
    """Ends the holds of a service whose time has run out, together, and announces them once."""

    kind = HOLD_EXPIRY
    rule = _RULE

    def __init__(self, hold_registry: HoldRegistry, service_of: Callable[[str], Service]) -> None:
        self._hold_registry = hold_registry
        self._service_of = service_of

    async def run(self, attempt: TaskAttempt) -> None:
        """End the holds whose time has run out, of the service of this one."""
        service = self._service_of(str(attempt.payload["service"]))
        async with attempt.completing() as connection:
            expired = await self._hold_registry.expire_within(connection, service, attempt.now)
        log_transitions(service.name, [HoldExpired(hold) for hold in expired])
