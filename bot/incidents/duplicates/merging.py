"""Merges a duplicate into the incident that it is one of: one transaction, after which one incident counts.

The target gets what the duplicate knew: services, impacts, timeline, alerts and actions, and the worse
severity. Impacts keep the services that they were of, so that no budget changes by it; what somebody stated
of a service replaces what was assumed of it. The duplicate keeps its own record and can be reopened.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.audit_entries import audit_entry, next_version
from bot.incidents.causes.records import copy_links
from bot.incidents.downtime import Impact
from bot.incidents.incident import IllegalChangeError, Incident, Status, set_aside
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.ports import IncidentMessageWriter
from bot.incidents.records import incidents as records
from bot.incidents.records import merges
from bot.incidents.records.channels import ChannelKind, read_channels
from bot.incidents.timeline import EntryKind, TimelineEntry
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import enqueue


class Merging:
    """The one way to merge incidents."""

    def __init__(
        self, database: Database, lifecycle: IncidentLifecycle, messages: IncidentMessageWriter
    ) -> None:
        self._database = database
        self._lifecycle = lifecycle
        self._messages = messages

    async def merge(self, id_: int, into: int, *, by: str, now: datetime) -> Incident:
        """Merge an incident into another; repeated, it changes nothing.

        Raises `UnknownIncidentError`, and `IllegalChangeError` for what cannot be merged.
        """
        async with self._database.transaction() as connection:
            both = {each: await records.read(connection, each, lock=True) for each in sorted({id_, into})}
            duplicate, target = both[id_], both[into]
            if duplicate.merged_into == into:
                return duplicate
            check(duplicate, target)
            # The target first: it holds the services before the duplicate lets go of them.
            await self._absorb(connection, target, duplicate, by, now)
            return await self._lifecycle.change_within(
                connection, id_, "merged", lambda before: merged(before, target, now), by=by, now=now
            )

    async def _absorb(
        self, connection: AsyncConnection, target: Incident, duplicate: Incident, by: str, now: datetime
    ) -> None:
        after = await self._lifecycle.change_within(
            connection, target.id, "absorbed", lambda before: absorbed(before, duplicate, now), by=by, now=now
        )
        if after == target:
            after = next_version(target, by, now)
            await records.write(connection, target, after, now)
            await audit.record(
                connection, audit_entry("absorbed", after, by, after={"merged": duplicate.id}), now
            )
        await merges.follow(connection, duplicate.id, target.id)
        await copy_links(self._database, connection, duplicate.id, target.id)
        text = f"incident {duplicate.id} was merged into this one: {duplicate.title}"
        await records.add_entry(connection, target.id, TimelineEntry(now, EntryKind.STATUS, text, by))
        channel = (await read_channels(connection, target.id)).get(ChannelKind.INCIDENT)
        if channel is not None and channel.channel_id is not None and not channel.is_archived:
            await enqueue(connection, [self._messages.merged(channel.channel_id, duplicate, by)], now)


def check(duplicate: Incident, target: Incident) -> None:
    """Raise `IllegalChangeError` unless one can be merged into the other."""
    for fault in _faults(duplicate, target):
        raise IllegalChangeError("merged_into", fault)


def _faults(duplicate: Incident, target: Incident) -> Iterable[str]:
    if duplicate.id == target.id:
        yield "an incident cannot be a duplicate of itself"
    for incident in (duplicate, target):
        if incident.merged_into is not None:
            yield f"incident {incident.id} is merged into incident {incident.merged_into} already"
        if incident.status is Status.CANCELLED:
            yield f"incident {incident.id} is cancelled; reopen it first"
    if target.status.is_over and not duplicate.status.is_over:
        yield f"incident {target.id} is {target.status}; reopen it first, or resolve incident {duplicate.id}"
    if duplicate.private and not target.private:
        yield (
            f"incident {duplicate.id} is private and incident {target.id} is not: everybody could read its "
            f"timeline. Make incident {target.id} private first"
        )


def merged(duplicate: Incident, target: Incident, now: datetime) -> Incident:
    """Return the duplicate after it was merged; private if the target is."""
    over = set_aside(duplicate, Status.MERGED, now)
    return replace(over, merged_into=target.id, private=duplicate.private or target.private)


def absorbed(target: Incident, duplicate: Incident, now: datetime) -> Incident:
    """Return the target with what the duplicate knew."""
    services = (*target.services, *(name for name in duplicate.services if name not in target.services))
    is_same = set(target.services) == set(duplicate.services)
    own = target.impacts if is_same else tuple(_of_services(target))
    others = duplicate.impacts if is_same else tuple(_of_services(duplicate))
    if not target.status.is_active:
        end = target.ended_at or now
        others = tuple(
            replace(impact, end=max(end, impact.start)) if impact.end is None else impact for impact in others
        )
    kept = (*_unless_stated(own, others), *_unless_stated(others, own))
    impacts = tuple(sorted(dict.fromkeys(kept), key=lambda impact: impact.start))
    severity = min(target.severity, duplicate.severity, key=lambda severity: severity.value)
    return replace(target, services=services, impacts=impacts, severity=severity)


def _of_services(incident: Incident) -> Iterable[Impact]:
    """Return the impacts, those on all services as one on each; none on an incident without services."""
    for impact in incident.impacts:
        if impact.service is not None:
            yield impact
        else:
            yield from (replace(impact, service=service) for service in incident.services)


def _unless_stated(impacts: Iterable[Impact], others: Iterable[Impact]) -> Iterable[Impact]:
    """Return the impacts, without those that are assumed where another states one of the service."""
    stated = {impact.service for impact in others if not impact.assumed}
    return (impact for impact in impacts if not (impact.assumed and stated & {impact.service, None}))
