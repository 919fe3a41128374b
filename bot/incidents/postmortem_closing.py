"""Closes postmortems: checks that nothing is missing, and plans the closing steps in one transaction.

IncidentError
├── EmptySectionsError   sections of the document are empty, and nobody has confirmed that they stay so
└── NotClosableError     something is still missing, or there is nothing to close

Steps upload the document to its channel and archive both channels; `workflow/archiving.py` carries them out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.formatting import listed
from bot.incidents.cost import Costs
from bot.incidents.incident import Incident, IncidentError
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import IncidentMessageWriter
from bot.incidents.postmortem import Obstacle, empty_sections, obstacle
from bot.incidents.records import actions as action_records
from bot.incidents.records import incidents as records
from bot.incidents.records import steps
from bot.incidents.records.channels import read_channels
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.snapshot_reader import SnapshotReader
from bot.store.database import Database
from bot.store.outbox import enqueue


class NotClosableError(IncidentError):
    """The postmortem stays open; `obstacle` is why."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(str(obstacle))
        self.obstacle = obstacle


class EmptySectionsError(IncidentError):
    """The postmortem stays open until it is confirmed; `sections` are the headings of those left empty."""

    def __init__(self, sections: Sequence[str]) -> None:
        super().__init__(f"{listed(sections)} {'is' if len(sections) == 1 else 'are'} still empty")
        self.sections = sections


@dataclass(frozen=True, slots=True)
class ClosedPostmortem:
    """The incident, and whether its postmortem was closed just now.

    `tried_again`: it was closed before, and archiving that Slack had refused is planned once more.
    """

    snapshot: IncidentSnapshot
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
        messages: IncidentMessageWriter,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._lifecycle = lifecycle
        self._costs = costs
        self._snapshots = snapshots
        self._messages = messages
        self._now = now

    async def close(self, id_: int, *, by: str, confirmed: bool = True) -> ClosedPostmortem:
        """Close the postmortem of an incident, or retry archiving the channels of a closed one.

        Raises `UnknownIncidentError`, `NotClosableError`, and unless it is `confirmed` `EmptySectionsError`.
        """
        now, snapshot = self._now(), await self._snapshots.of(id_)
        was_costly = await self._costs.calls_for_postmortem(snapshot.incident, now)
        async with self._database.transaction() as connection:
            before = await records.read(connection, id_, lock=True)
            actions = await action_records.read(connection, incident_id=id_)
            if reason := obstacle(before, actions, was_costly=was_costly):
                raise NotClosableError(reason)
            if before.finished_at is not None:
                closed = ClosedPostmortem(
                    snapshot, is_new=False, tried_again=await self._retry_archiving(connection, id_)
                )
            elif not confirmed and (empty := empty_sections(before, actions)):
                raise EmptySectionsError(empty)
            else:
                closed = await self._close(connection, replace(snapshot, actions=actions), by, now)
        return closed

    async def _close(
        self, connection: AsyncConnection, snapshot: IncidentSnapshot, by: str, now: datetime
    ) -> ClosedPostmortem:
        def finished(before: Incident) -> Incident:
            return replace(before, finished_at=now)

        id_ = snapshot.incident.id
        after = await self._lifecycle.change_within(
            connection, id_, "postmortem_closed", finished, by=by, now=now
        )
        channels = await read_channels(connection, id_)
        for channel in channels.values():
            await steps.close_channel(connection, channel)
        snapshot = replace(snapshot, incident=after, channels=channels)
        await enqueue(connection, self._messages.closed(snapshot, by), now)
        return ClosedPostmortem(snapshot, is_new=True)

    async def _retry_archiving(self, connection: AsyncConnection, id_: int) -> bool:
        """Plan archiving anew for channels whose steps were given up; return whether there are any."""
        channels = (await read_channels(connection, id_)).values()
        busy = {step.channel_kind for step in await steps.read_pending(connection) if step.incident_id == id_}
        to_archive = [
            channel
            for channel in channels
            if channel.channel_id and not channel.is_archived and channel.kind not in busy
        ]
        for channel in to_archive:
            await steps.close_channel(connection, channel)
        return bool(to_archive)
