"""The flags that are on and were changed a short while ago, by the bot or elsewhere."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from bot.catalog.current import CurrentCatalog
from bot.flags.flag import FlagState, state_from_json, subject
from bot.flags.records.history import CHANGES
from bot.store.database import Database
from bot.store.tables.core import audit
from bot.store.tables.flags import flag_sightings


@dataclass(frozen=True, slots=True)
class ChangedFlag:
    """A flag as it was last seen, with when and by whom it was changed last."""

    state: FlagState
    at: datetime
    by: str


class RecentChanges:
    """Reads recent changes from the store; it asks no flag system."""

    def __init__(self, database: Database, current: CurrentCatalog) -> None:
        self._database = database
        self._current = current

    async def of(self, services: Collection[str], since: datetime) -> Sequence[ChangedFlag]:
        """Return the flags of the services that are on and were changed since a time, the last first."""
        known = self._current.catalog.services
        flags = {flag for name in services if name in known for flag in known[name].flags}
        if not flags:
            return []
        rows, changed = flag_sightings.c, []
        async with self._database.reading() as connection:
            seen = await connection.execute(select(rows.state).where(rows.flag.in_(flags)))
            for state in map(state_from_json, seen.scalars().all()):
                last = (
                    select(audit.c.at, audit.c.actor)
                    .where(audit.c.subject == subject(state.flag, state.environment))
                    .where(audit.c.action.in_(CHANGES), audit.c.at >= since)
                    .order_by(audit.c.id.desc())
                )
                row = (await connection.execute(last.limit(1))).one_or_none()
                if row is not None and not state.is_off:
                    changed.append(ChangedFlag(state, row.at, row.actor))
        return sorted(changed, key=lambda flag: flag.at, reverse=True)
