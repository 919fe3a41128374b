"""Keeps what was posted up to date in place: each room's card, and the notice of it elsewhere.

What a message shows is remembered as a digest, so that nothing is written that shows already.
"""

import asyncio
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import or_, select

from bot.incidents.incident import Status
from bot.incidents.ports import (
    ChannelError,
    IncidentChannelPort,
    IncidentMessageWriter,
    IncidentSnapshot,
    TransientError,
)
from bot.incidents.records import steps
from bot.incidents.records.steps import ChannelKind, IncidentChannel
from bot.incidents.snapshot_reader import SnapshotReader
from bot.store.database import Database
from bot.store.leases import Lease
from bot.store.outbox import DeliveryState, MessageLocation, OutboxMessage, delivery_of, enqueue_tracked
from bot.store.tables.incidents import incidents

log = structlog.get_logger(__name__)

_AGAIN_S = 2.0
_MAY_BE_MENDED = frozenset({"restricted_action"})
_MOST_POSTED_AGAIN = 10
_STILL_SHOWN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _PostedMessage:
    """A message that stands somewhere: which columns remember its key and what it shows."""

    name: str
    key: str
    shown: str | None
    wanted: OutboxMessage


class CardUpdater:
    """Rewrites messages that no longer show what is, every `every_s` (real seconds) or on request."""

    def __init__(
        self,
        database: Database,
        rooms: IncidentChannelPort,
        voice: IncidentMessageWriter,
        snapshots: SnapshotReader,
        *,
        lease: Lease,
        every_s: float,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._voice = voice
        self._snapshots = snapshots
        self._lease = lease
        self._every_s = every_s
        self._requested = asyncio.Event()
        self._posted_again: Counter[tuple[int, ChannelKind, str]] = Counter()

    def request_refresh(self) -> None:
        """Look soon: something changed."""
        self._requested.set()

    async def run(self) -> None:
        """Keep everything up to date until cancelled."""
        while True:
            self._requested.clear()
            try:
                is_done = await self.refresh() if await self._lease.acquire() else True
            except Exception:
                # A loop's tick is a boundary: what failed now is tried again at the next.
                log.exception("cards_not_refreshed")
                is_done = False
            try:
                async with asyncio.timeout(self._every_s if is_done else min(_AGAIN_S, self._every_s)):
                    await self._requested.wait()
            except TimeoutError:
                continue

    async def show(self, view: IncidentSnapshot, kind: ChannelKind) -> bool:
        """Rewrite a room's card if it does not show what is; return whether it does now."""
        return await self._refresh(view, view.rooms[kind])

    async def refresh(self) -> bool:
        """Rewrite what no longer shows what is; return whether all of it does now."""
        done = True
        for id_ in await self._candidates():
            view = await self._snapshots.of(id_)
            done &= all([await self._refresh(view, room) for room in view.rooms.values()])
        return done

    async def _candidates(self) -> list[int]:
        """Return the incidents that are open, or were touched so late that their cards may be behind."""
        is_open = incidents.c.status != Status.RESOLVED
        late = incidents.c.updated_at >= self._snapshots.now() - _STILL_SHOWN
        async with self._database.reading() as connection:
            return list(await connection.scalars(select(incidents.c.id).where(or_(is_open, late))))

    async def _refresh(self, view: IncidentSnapshot, room: IncidentChannel) -> bool:
        """Rewrite what a room has posted; return whether all of it shows what it should."""
        done = True
        for posted in self._posted(view, room):
            digest = digest_of(posted.wanted)
            async with self._database.reading() as connection:
                delivery = await delivery_of(connection, posted.key)
            if (
                delivery is not None
                and delivery.error in _MAY_BE_MENDED
                and delivery.state is DeliveryState.FAILED
            ):
                await self._post_again(room, posted, digest)
            if digest == posted.shown:
                continue
            if delivery is None or delivery.place is None:
                done = False
                continue
            done &= await self._rewrite(room, posted, delivery.place, digest)
        return done

    async def _post_again(self, room: IncidentChannel, posted: _PostedMessage, digest: str) -> None:
        """Post what the place's settings forbade: somebody may have changed them since."""
        which = (room.incident_id, room.kind, posted.name)
        self._posted_again[which] += 1
        if self._posted_again[which] > _MOST_POSTED_AGAIN:
            return
        log.info("card_posted_again", incident=room.incident_id, what=posted.name)
        async with self._database.transaction() as connection:
            key = await enqueue_tracked(connection, posted.wanted, self._snapshots.now())
            changes: dict[str, Any] = {f"{posted.name}_key": key, f"{posted.name}_shown": digest}
            await steps.change_room(connection, room, **changes)

    async def _rewrite(
        self, room: IncidentChannel, posted: _PostedMessage, place: MessageLocation, digest: str
    ) -> bool:
        try:
            await self._rooms.rewrite(place, posted.wanted)
        except TransientError as fault:
            log.info("card_not_rewritten", incident=room.incident_id, error=fault.error)
            return False
        except ChannelError as fault:
            # A message that is gone is not asked for again until there is something new to show.
            log.info("card_gone", incident=room.incident_id, error=fault.error)
        changes: dict[str, Any] = {f"{posted.name}_shown": digest}
        async with self._database.transaction() as connection:
            await steps.change_room(connection, room, **changes)
        return True

    def _posted(self, view: IncidentSnapshot, room: IncidentChannel) -> list[_PostedMessage]:
        found = []
        home = view.rooms.get(ChannelKind.INCIDENT)
        if room.card_key is not None and not room.is_archived:
            card = self._voice.card(view, room.kind)
            found.append(_PostedMessage("card", room.card_key, room.card_shown, card))
        is_readable = room.kind is ChannelKind.INCIDENT or not (home and home.is_archived)
        notice = self._voice.notice(view, room.kind) if room.notice_key is not None and is_readable else None
        if notice is not None and room.notice_key is not None:
            found.append(_PostedMessage("notice", room.notice_key, room.notice_shown, notice))
        return found


def digest_of(message: OutboxMessage) -> str:
    """Return a text that is the same as long as the message shows the same."""
    written = json.dumps([message.text, list(message.blocks)], sort_keys=True, default=str)
    return hashlib.sha256(written.encode()).hexdigest()
