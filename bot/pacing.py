"""Keeps long calculations from blocking the event loop."""

import asyncio
import time
from collections import deque
from weakref import WeakKeyDictionary

_LONGEST_S = 0.003
_LONGEST_FIRST_S = 0.0005


class Pacer:
    """Lets other tasks run in the course of a calculation: await it between its parts, however short.

    Of calculations that go on for longer one runs in each round of the event loop: many at once delay an
    answer no more than one does.
    """

    def __init__(self) -> None:
        self._until = time.perf_counter() + _LONGEST_FIRST_S

    async def __call__(self) -> None:
        """Let other tasks run, if they have waited for a few milliseconds."""
        if time.perf_counter() > self._until:
            await _take_turn()
            self._until = time.perf_counter() + _LONGEST_S


class _Turns:
    """Gives one of those that wait its turn in each round of an event loop, the first come first."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, loop: asyncio.AbstractEventLoop) -> None:
        turn = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._give, loop)
        self._waiting.append(turn)
        await turn

    def _give(self, loop: asyncio.AbstractEventLoop) -> None:
        turn = self._waiting.popleft()
        if not turn.cancelled():
            turn.set_result(None)
        if self._waiting:
            loop.call_soon(self._give, loop)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


async def _take_turn() -> None:
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop)
    if turns is None:
        turns = _turns[loop] = _Turns()
    await turns.take(loop)
