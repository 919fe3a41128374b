"""What an adapter implements so that its platform's questions are answered.

WaitError
├── PlatformLimitError    the platform asks to send nothing for a time
├── PlatformRefusedError  it did not take the call; trying again much later may help
├── PlatformGoneError     it no longer waits for this
└── PlatformUnsureError   it may or may not have taken the call: no answer, or none that can be read
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.gates.waits.limits import CallLimit
from bot.gates.waits.wait import PlatformCall, Seen, Wait, WaitStanding


class WaitError(Exception):
    """A platform could not be told."""


class PlatformLimitError(WaitError):
    """Nothing may be sent before `after` has passed; this call was not taken."""

    def __init__(self, after: timedelta) -> None:
        super().__init__(f"the platform asks to wait {after.total_seconds():.0f} s")
        self.after = after


class PlatformRefusedError(WaitError):
    """The platform did not take the call: a right is missing, or it is not as it should be."""


class PlatformGoneError(WaitError):
    """The platform no longer waits."""


class PlatformUnsureError(WaitError):
    """Nobody knows whether the platform took the call."""


class WaitAnswerer(Protocol):
    """Lets one platform know how what it asked stands."""

    @property
    def platform(self) -> str:
        """The platform whose questions it answers."""
        ...

    @property
    def limits(self) -> Sequence[CallLimit]:
        """What each account of the platform allows."""
        ...

    def next_call(self, wait: Wait, standing: WaitStanding, now: datetime) -> PlatformCall | None:
        """Return what the platform is to be told now; None where there is nothing new to say. No I/O."""
        ...

    async def send(self, wait: Wait, call: PlatformCall) -> Mapping[str, Any]:
        """Tell the platform, within 30 seconds; return what is to be added to the place of the wait.

        Raises a `WaitError`.
        """
        ...

    async def look(self, wait: Wait) -> Seen:
        """Ask the platform what became of the wait; raises a `WaitError`."""
        ...
