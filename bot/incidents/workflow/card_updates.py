"""Keeps posted messages up to date in place: each channel's card, and the notice of it elsewhere.

The content of a message is stored as a digest, so that no message is rewritten without a change.
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

from bot.clock import wait_until_set
from bot.incidents.incident import OPEN
from bot.incidents.ports import ChannelError, IncidentChannelPort, IncidentMessageWriter, TransientError
from bot.incidents.records.channels import ChannelKind, IncidentChannel, change_channel
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.snapshot_reader import SnapshotReader
from bot.store.database import Database
from bot.store.item_failures import ItemFailures
from bot.store.leases import Lease
from bot.store.outbox import DeliveryState, OutboxMessage, delivery_of, enqueue_tracked
from bot.store.tables.incidents import incidents
from bot.store.threads import MessageLocation

log = structlog.get_logger(__name__)

_RETRY_S = 2.0
_SETTINGS_ERRORS = frozenset({"restricted_action"})
"""Errors that end when somebody changes the workspace's settings."""
_MOST_REPOSTS = 10
_UPDATED_FOR = timedelta(days=1)
"""How long after its last change the card of a resolved incident is still updated."""


@dataclass(frozen=True, slots=True)
class _PostedMessage:
    """A message that was posted: the prefix of its two columns (key, digest shown) and its new content."""

    name: str
    key: str
    shown: str | None
    content: OutboxMessage


class CardUpdater:
    """Rewrites messages that are out of date, every `every_s` (real seconds) or on request."""

    def __init__(
        self,
        database: Database,
        channels: IncidentChannelPort,
        messages: IncidentMessageWriter,
        snapshots: SnapshotReader,
        *,
        lease: Lease,
        every_s: float,
    ) -> None:
        self._database = database
        self._channels = channels
        self._messages = messages
        self._snapshots = snapshots
        self._lease = lease
        self._every_s = every_s
        self._requested = asyncio.Event()
        # One edit at a time, each of what is true then: what an older one shows never comes last.
        self._editing = asyncio.Lock()
        self._reposts: Counter[tuple[int, ChannelKind, str]] = Counter()
        self._failures = ItemFailures("card_refresh_failed")

    def request_refresh(self) -> None:
        """Refresh soon: something changed."""
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
            await wait_until_set(self._requested, self._every_s if is_done else min(_RETRY_S, self._every_s))

    async def show(self, snapshot: IncidentSnapshot, kind: ChannelKind) -> bool:
        """Rewrite a channel's card and notice if out of date; return whether both are up to date now."""
        async with self._editing:
            latest = await self._snapshots.of(snapshot.incident.id)
            return await self._refresh(latest, latest.channels[kind])

    async def refresh(self) -> bool:
        """Rewrite all messages that are out of date; return whether all are up to date now.

        An incident whose cards fail delays no other's, and is tried again less and less often.
        """
        done = True
        candidates = await self._candidates()
        self._failures.keep_only(set(candidates))
        for id_ in candidates:
            with self._failures.isolate(id_) as is_due:
                if is_due:
                    done &= await self._refresh_incident(id_)
        return done

    async def _refresh_incident(self, id_: int) -> bool:
        async with self._editing:
            snapshot = await self._snapshots.of(id_)
            return all([await self._refresh(snapshot, channel) for channel in snapshot.channels.values()])

    async def _candidates(self) -> list[int]:
        """Return the incidents that are open or were so lately; those changed last come first."""
        is_open = incidents.c.status.in_(OPEN)
        is_recent = incidents.c.updated_at >= self._snapshots.now() - _UPDATED_FOR
        async with self._database.reading() as connection:
            query = select(incidents.c.id).where(or_(is_open, is_recent))
            return list(await connection.scalars(query.order_by(incidents.c.updated_at.desc())))

    async def _refresh(self, snapshot: IncidentSnapshot, channel: IncidentChannel) -> bool:
        """Rewrite a channel's messages that are out of date; return whether all are up to date now."""
        done = True
        for posted in self._posted(snapshot, channel):
            digest = digest_of(posted.content)
            async with self._database.reading() as connection:
                delivery = await delivery_of(connection, posted.key)
            if (
                delivery is not None
                and delivery.error in _SETTINGS_ERRORS
                and delivery.state is DeliveryState.FAILED
            ):
                await self._repost(channel, posted, digest)
            if digest == posted.shown:
                continue
            if delivery is None or delivery.place is None:
                done = False
                continue
            done &= await self._rewrite(channel, posted, delivery.place, digest)
        return done

    async def _repost(self, channel: IncidentChannel, posted: _PostedMessage, digest: str) -> None:
        """Post what the workspace's settings forbade: somebody may have changed them since."""
        key = (channel.incident_id, channel.kind, posted.name)
        self._reposts[key] += 1
        if self._reposts[key] > _MOST_REPOSTS:
            return
        log.info("card_posted_again", incident=channel.incident_id, kind=posted.name)
        async with self._database.transaction() as connection:
            message_key = await enqueue_tracked(connection, posted.content, self._snapshots.now())
            changes: dict[str, Any] = {f"{posted.name}_key": message_key, f"{posted.name}_shown": digest}
            await change_channel(connection, channel, **changes)

    async def _rewrite(
        self, channel: IncidentChannel, posted: _PostedMessage, place: MessageLocation, digest: str
    ) -> bool:
        try:
            await self._channels.rewrite(place, posted.content)
        except TransientError as fault:
            log.info("card_not_rewritten", incident=channel.incident_id, error=fault.error)
            self._failures.record(channel.incident_id, fault.error, fault.after_s)
            return False
        except ChannelError as fault:
            # A message that was deleted is not tried again until there is something new to show.
            log.info("card_gone", incident=channel.incident_id, error=fault.error)
        changes: dict[str, Any] = {f"{posted.name}_shown": digest}
        async with self._database.transaction() as connection:
            await change_channel(connection, channel, **changes)
        return True

    def _posted(self, snapshot: IncidentSnapshot, channel: IncidentChannel) -> list[_PostedMessage]:
        posted = []
        if channel.card_key is not None and not channel.is_archived:
            card = self._messages.card(snapshot, channel.kind)
            posted.append(_PostedMessage("card", channel.card_key, channel.card_shown, card))
        # The notice of a postmortem's channel is in the incident's own, which may be archived.
        own = snapshot.channels.get(ChannelKind.INCIDENT)
        is_editable = channel.kind is ChannelKind.INCIDENT or not (own and own.is_archived)
        if channel.notice_key is not None and is_editable:
            notice = self._messages.notice(snapshot, channel.kind)
            if notice is not None:
                posted.append(_PostedMessage("notice", channel.notice_key, channel.notice_shown, notice))
        return posted


def digest_of(message: OutboxMessage) -> str:
    """Return a digest of what a message shows."""
    content = json.dumps([message.text, list(message.blocks)], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()
