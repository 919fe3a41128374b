"""The complete bot as `governor run` builds it, which halts for good in the middle of a flag's change.

Run as `python -m tests.stories.child_flags SHARE before|after MARKER`: once the flag is to be shown to SHARE,
it writes the file MARKER and goes no further, before or after the flag system has taken the change.
"""

import asyncio
import sys
from pathlib import Path

from bot.app.governor import Governor
from bot.flags.backend import AppliedChange, FlagBackend
from bot.flags.change import FlagChange, SetExposure
from bot.settings import read_settings


class Halting:
    """A flag system that stops answering at one share."""

    def __init__(self, inner: FlagBackend, share: float, when: str, marker: Path) -> None:
        self._inner = inner
        self._share = share
        self._when = when
        self._marker = marker

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        """Apply the change, or halt."""
        halts = change == SetExposure(self._share)
        if halts and self._when == "before":
            await self._halt()
        done = await self._inner.apply(flag, environment, change, version=version, note=note)
        if halts:
            await self._halt()
        return done

    async def _halt(self) -> None:
        await asyncio.to_thread(self._marker.touch)
        await asyncio.Event().wait()


async def main(share: str, when: str, marker: str) -> None:
    """Run until killed."""
    async with Governor(read_settings()) as governor:
        board = governor.parts.flags
        halting = Halting(board.backend, float(share), when, Path(marker))
        board.changes._backend = lambda: halting  # type: ignore[assignment, return-value]
        await governor.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
