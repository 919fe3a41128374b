"""The readiness check on flags: what the bot has to restore and cannot."""

from bot.flags.records import reverts
from bot.http.health import ReadinessCheck
from bot.store.database import Database

_SHOWN_REVERTS = 20


class FlagReadiness:
    """Names the reverts that failed and are tried again. One that was given up is no longer among them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def flags(self) -> ReadinessCheck:
        """Whether every flag that was to go back has gone back."""
        async with self._database.reading() as connection:
            failing = await reverts.failing(connection)
        shown = [
            {
                "flag": revert.state.flag,
                "environment": revert.state.environment,
                "problem": revert.problem,
                "retry_at": revert.retry_at.isoformat() if revert.retry_at else None,
            }
            for revert in failing[:_SHOWN_REVERTS]
        ]
        detail = {"not_reverted": shown, "count": len(failing)}
        return ReadinessCheck("flags", ok=not failing, vital=False, detail=detail)
