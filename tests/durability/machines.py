"""State machines of hypothesis whose steps are coroutines; each run has an event loop and a database."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy.exc import SQLAlchemyError

T = TypeVar("T")

AWAY = (SQLAlchemyError, OSError, TimeoutError)
"""What a database raises that fails."""


class AsyncMachine(RuleBasedStateMachine):
    """A state machine with a loop of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._loop.run_until_complete(step)

    def teardown(self) -> None:
        """Check what must come true in the end, and close everything."""
        try:
            self.run(self.end())
        finally:
            self.run(self.close())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def end(self) -> None:
        """Check what must be once all faults are over."""

    async def close(self) -> None:
        """Close what was opened."""


def effort(examples: int, steps: int, *, shrinks: bool = False) -> settings:
    """Return how much is tried, the same each time; what fails is made shorter if it `shrinks`."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrinks else (Phase.generate,),
    )
