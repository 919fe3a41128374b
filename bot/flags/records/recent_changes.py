"""Which flags people see that were changed a short while ago, by the bot or behind its back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from bot.catalog.current import CurrentCatalog
from bot.flags.flag import FlagState, state_from_json, subject
from bot.store.database import Database
from bot.store.tables.core import audit
from bot.store.tables.flags import flag_sightings

_CHANGES = ("flag.changed", "flag.drifted")


@dataclass(frozen=True, slots=True)
class ChangedFlag:
    """A flag as it was last seen, with when and by whom it was changed last."""

    state: FlagState
    at: datetime
    by: str


class RecentChanges:
    """Answers from what is written down; it asks no flag system."""

    def __init__(self, database: Database, current: CurrentCatalog) -> None:
        self._database = database
        self._current = current

    async def of(self, services: Collection[str], since: datetime) -> Sequence[ChangedFlag]:
        """Return the flags of the services that are on and were changed since a time, the last first."""
        known = self._current.catalog.services
        named = {flag for name in services if name in known for flag in known[name].flags}
        if not named:
            return []
        rows, found = flag_sightings.c, []
        async with self._database.reading() as connection:
            seen = await connection.execute(select(rows.state).where(rows.flag.in_(named)))
            for state in [state_from_json(one) for one in seen.scalars()]:
                last = (
                    select(audit.c.at, audit.c.actor)
                    .where(audit.c.subject == subject(state.flag, state.environment))
                    .where(audit.c.action.in_(_CHANGES), audit.c.at >= since)
                    .order_by(audit.c.id.desc())
                )
                row = (await connection.execute(last.limit(1))).one_or_none()
                if row is not None and not state.is_off:
                    found.append(ChangedFlag(state, row.at, row.actor))
        return sorted(found, key=lambda one: one.at, reverse=True)
