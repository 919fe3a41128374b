"""Changes that have begun to take traffic: from then on the canary guard watches what they do.

Whoever ships step by step tells of a change when it first asks, a pipeline when it has deployed it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Service
from bot.freezes.verdict import Change, GuardFailure
from bot.store.database import Database
from bot.store.tables.deployments import begun_changes as rows

LONGEST_WATCH = timedelta(days=7)
"""The longest time for which a guard may watch."""


@dataclass(frozen=True, slots=True)
class BegunChange:
    """A change of a service, and since when it takes traffic."""

    service: str
    change: str
    began_at: datetime

    def is_of(self, change: Change) -> bool:
        """Return whether it is this change, by its name or its commit."""
        return self.change.casefold() in {name.casefold() for name in (change.id, change.commit) if name}


FindGuardFailure = Callable[[Service, BegunChange], Awaitable[GuardFailure | None]]
"""Returns what the guard found against a change since it began; None while nothing shows harm."""


async def nothing_found(_service: Service, _begun: BegunChange) -> GuardFailure | None:
    """Return that nothing speaks against any change."""
    return None


async def begin(
    database: Database,
    connection: AsyncConnection,
    service: str,
    change: str,
    *,
    told_by: str,
    at: datetime,
    anew: bool = False,
) -> None:
    """Note that a change takes traffic.

    What is known already keeps its time, unless the change begins `anew` at a later one: what began before
    may be told late.
    """
    values = {"service": service, "change": change[:200], "began_at": at, "told_by": told_by}
    insertion = database.insert(rows).values(values)
    if anew:
        later = {"began_at": at, "told_by": told_by}
        insertion = insertion.on_conflict_do_update(
            index_elements=["service", "change"], set_=later, where=rows.c.began_at < at
        )
    else:
        insertion = insertion.on_conflict_do_nothing(index_elements=["service", "change"])
    await connection.execute(insertion)


async def read_begun(connection: AsyncConnection, now: datetime) -> Sequence[BegunChange]:
    """Return the changes that a guard may still watch."""
    query = select(rows).where(rows.c.began_at > now - LONGEST_WATCH).order_by(rows.c.id)
    return [BegunChange(row.service, row.change, row.began_at) for row in await connection.execute(query)]
