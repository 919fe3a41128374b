"""The backend in place of one that could not be opened."""

from collections.abc import Sequence

from bot.flags.backend import AppliedChange, BackendCapabilities, ChangePlan, HistoryEntry, MisconfiguredError
from bot.flags.change import FlagChange
from bot.flags.flag import FlagState


class MisconfiguredBackend:
    """In place of a flag system whose settings are wrong: every method raises that error."""

    capabilities = BackendCapabilities(finest_share=None)

    def __init__(self, name: str, error: MisconfiguredError) -> None:
        self.name = name
        self._error = error

    async def list(self, environment: str) -> Sequence[FlagState]:
        """Raise `MisconfiguredError`."""
        del environment
        raise self._error

    async def read(self, flag: str, environment: str) -> FlagState:
        """Raise `MisconfiguredError`."""
        del flag, environment
        raise self._error

    async def plan(self, flag: str, environment: str, change: FlagChange) -> ChangePlan:
        """Raise `MisconfiguredError`."""
        del flag, environment, change
        raise self._error

    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        """Raise `MisconfiguredError`."""
        del flag, environment, change, version, note
        raise self._error

    async def history(self, flag: str, environment: str) -> Sequence[HistoryEntry]:
        """Raise `MisconfiguredError`."""
        del flag, environment
        raise self._error

    async def check(self) -> None:
        """Raise `MisconfiguredError`."""
        raise self._error
