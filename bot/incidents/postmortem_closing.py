"""Closes postmortems: what keeps one open is said, and what follows is written down in one transaction.

IncidentError
└── NotClosable   something is still missing, or nothing is there to close

The document is kept in its channel and both channels are archived by steps; `archivist.py` takes them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.cost import Costs
from bot.incidents.incident import Incident, IncidentError
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import IncidentMessageWriter, IncidentSnapshot
from bot.incidents.postmortem import Obstacle, obstacle
from bot.incidents.records import actions as action_book
from bot.incidents.records import incidents as records
from bot.incidents.records import steps
from bot.incidents.snapshot_reader import SnapshotReader
from bot.store.database import Database
from bot.store.outbox import enqueue


class NotClosableError(IncidentError):
    """The postmortem stays open; `obstacle` is why."""

    def __init__(self, why: Obstacle) -> None:
        super().__init__(str(why))
        self.obstacle = why


@dataclass(frozen=True, slots=True)
class ClosedPostmortem:
    """The incident, and whether its postmortem was closed just now; `tried_again` what Slack had refused."""

    view: IncidentSnapshot
    is_new: bool
    tried_again: bool = False


class PostmortemClosing:
    """The one way to close a postmortem."""

    def __init__(
        self,
        *,
        database: Database,
        lifecycle: IncidentLifecycle,
        costs: Costs,
        snapshots: SnapshotReader,
        voice: IncidentMessageWriter,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._lifecycle = lifecycle
        self._costs = costs
        self._snapshots = snapshots
        self._voice = voice
        self._now = now

    async def close(self, id_: int, *, by: str) -> ClosedPostmortem:
        """Close the postmortem of an incident; again: archive what could not be archived before.

        Raises `UnknownIncident`, `NotClosableError`.
        """
        now, view = self._now(), await self._snapshots.of(id_)
        was_costly = await self._costs.calls_for_postmortem(view.incident, now)
        async with self._database.transaction() as connection:
            before = await records.read(connection, id_, lock=True)
            actions = await action_book.read(connection, incident_id=id_)
            if why := obstacle(before, actions, was_costly=was_costly):
                raise NotClosableError(why)
            if before.finished_at is not None:
                closed = ClosedPostmortem(
                    view, is_new=False, tried_again=await self._try_again(connection, id_)
                )
            else:
                closed = await self._close(connection, replace(view, actions=actions), by, now)
        return closed

    async def _close(
        self, connection: AsyncConnection, view: IncidentSnapshot, by: str, now: datetime
    ) -> ClosedPostmortem:
        def finished(known: Incident) -> Incident:
            return replace(known, finished_at=now)

        id_ = view.incident.id
        after = await self._lifecycle.change_within(
            connection, id_, "postmortem_closed", finished, by=by, now=now
        )
        rooms = await steps.read_rooms(connection, id_)
        for room in rooms.values():
            await steps.close_room(connection, room)
        view = replace(view, incident=after, rooms=rooms)
        await enqueue(connection, self._voice.closed(view, by), now)
        return ClosedPostmortem(view, is_new=True)

    async def _try_again(self, connection: AsyncConnection, id_: int) -> bool:
        """Plan once more what was given up; return whether there was anything."""
        rooms = (await steps.read_rooms(connection, id_)).values()
        busy = {step.room for step in await steps.read_pending(connection) if step.incident_id == id_}
        left = [one for one in rooms if one.channel_id and not one.is_archived and one.kind not in busy]
        for room in left:
            await steps.close_room(connection, room)
        return bool(left)
