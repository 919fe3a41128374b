"""Keeps long calculations from blocking the event loop."""

import asyncio
import time
from collections import deque
from weakref import WeakKeyDictionary

_LONGEST_S = 0.002
_LONGEST_FIRST_S = 0.0005
_ROUNDS_BETWEEN = 4
"""So often the event loop goes round before a calculation goes on: enough to receive and answer a request."""


class Pacer:
    """Lets other tasks run in the course of a calculation: await it between its parts, however short.

    Of calculations that go on for longer one runs at a time, and the event loop goes round a few times in
    between: many at once delay an answer no more than one does.
    """

    def __init__(self) -> None:
        self._until = time.perf_counter() + _LONGEST_FIRST_S

    async def __call__(self) -> None:
        """Let other tasks run, if they have waited for a few milliseconds."""
        if time.perf_counter() > self._until:
            await _take_turn()
            self._until = time.perf_counter() + _LONGEST_S


class _Turns:
    """Gives those that wait their turns, the first come first, some rounds of an event loop apart."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, loop: asyncio.AbstractEventLoop) -> None:
        turn = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._give, loop, _ROUNDS_BETWEEN)
        self._waiting.append(turn)
        await turn

    def _give(self, loop: asyncio.AbstractEventLoop, rounds: int) -> None:
        if rounds:
            loop.call_soon(self._give, loop, rounds - 1)
            return
        turn = self._waiting.popleft()
        if not turn.cancelled():
            turn.set_result(None)
        if self._waiting:
            loop.call_soon(self._give, loop, _ROUNDS_BETWEEN)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


async def _take_turn() -> None:
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = _Turns()
    await turns.take(loop)
