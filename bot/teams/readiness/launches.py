"""Launch checklists: who gets one, who ticks what, and which services must not be deployed before.

A service that first appears gets its checklist once, in its own channel. Those that are there when services
begin to be remembered, at an upgrade or in a new installation, get none by themselves: a workspace of a
hundred services would be flooded. `/governor readiness SERVICE` shows each one's.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog, Service
from bot.catalog.error_budget_policy import LaunchRequirement
from bot.deployments.deployment import Deployment
from bot.freezes.verdict import UnreadyLaunch
from bot.store import audit
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue
from bot.teams.readiness import records
from bot.teams.readiness.checklist import ITEM_TEXTS, LaunchChecklist, LaunchItem, Tick, open_texts

MOST_AT_ONCE = 3
"""How many checklists a channel gets at once; of more services it gets one message that names them all."""

Announce = Callable[[Sequence[Service]], Sequence[OutboxMessage]]
"""Returns the messages for services of one channel that have just appeared; pure."""
Changed = Callable[[Service, LaunchChecklist, bool], Sequence[OutboxMessage]]
"""Returns what follows where a checklist changed, the last value says whether it was completed; pure."""


class Launches:
    """Keeps the checklists. `announce` and `changed` return the messages."""

    def __init__(self, database: Database, announce: Announce, changed: Changed) -> None:
        self._database = database
        self._announce = announce
        self._changed = changed

    async def follow(self, catalog: Catalog, now: datetime) -> None:
        """Send a checklist to each service of a catalog that has not been there before, once."""
        async with self._database.reading() as connection:
            new = catalog.services.keys() - await records.read_known(connection)
        if not new:
            await self._begin(now)
            return
        async with self._database.transaction() as connection:
            is_first = await records.begin(self._database, connection, now)
            appeared = [
                catalog.services[name]
                for name in sorted(new)
                if await records.remember(self._database, connection, name, now, is_asked=not is_first)
            ]
            if not is_first:
                await self._ask(connection, appeared, now)

    async def checklist(self, service: str) -> LaunchChecklist:
        """Return the checklist of a service."""
        async with self._database.reading() as connection:
            return (await records.read_checklists(connection, [service]))[service]

    async def tick(
        self, service: Service, item: LaunchItem, *, by: str, is_done: bool, now: datetime
    ) -> LaunchChecklist:
        """Tick an item or take the tick from it; return the checklist as it is then."""
        async with self._database.transaction() as connection:
            if is_done:
                done = Tick(by, now)
                has_changed = await records.tick(self._database, connection, service.name, item, done)
            else:
                has_changed = await records.untick(connection, service.name, item)
            checklist = (await records.read_checklists(connection, [service.name]))[service.name]
            if has_changed:
                await _audit(connection, service.name, item, by, now, is_done=is_done)
                was_completed = is_done and checklist.is_complete
                await enqueue(connection, self._changed(service, checklist, was_completed), now)
        return checklist

    async def unready(self, services: Collection[Service]) -> Mapping[str, UnreadyLaunch]:
        """Return what keeps services from their first production deployment, where their policy asks for it.

        Services that were deployed to production before, and those that are ready, are left out.
        """
        asked = {each.name: each for each in services if _is_required(each)}
        if not asked:
            return {}
        async with self._database.reading() as connection:
            launched = await records.read_launched(connection, asked)
            checklists = await records.read_checklists(connection, asked.keys() - launched)
        return {
            name: UnreadyLaunch(open_texts(checklist), is_enforced=asked[name].error_budget_policy.enforces)
            for name, checklist in checklists.items()
            if not checklist.is_complete
        }

    async def unready_when_deployed(
        self, connection: AsyncConnection, service: Service, deployment: Deployment
    ) -> UnreadyLaunch | None:
        """Return what kept a service from its first production deployment when this one began.

        What was ticked since is open: nobody had agreed on it.
        """
        if not _is_required(service) or await records.was_launched_without(
            connection, service.name, deployment.id
        ):
            return None
        found = (await records.read_checklists(connection, [service.name]))[service.name]
        then = {item: tick for item, tick in found.ticks.items() if tick.at <= deployment.started_at}
        checklist = LaunchChecklist(service.name, then)
        if checklist.is_complete:
            return None
        return UnreadyLaunch(open_texts(checklist), is_enforced=service.error_budget_policy.enforces)

    async def _begin(self, now: datetime) -> None:
        async with self._database.transaction(in_turn=False) as connection:
            await records.begin(self._database, connection, now)

    async def _ask(self, connection: AsyncConnection, appeared: Sequence[Service], now: datetime) -> None:
        by_channel: dict[str, list[Service]] = defaultdict(list)
        for service in appeared:
            by_channel[service.channel.casefold()].append(service)
        for services in by_channel.values():
            await enqueue(connection, self._announce(services), now)


def _is_required(service: Service) -> bool:
    return service.error_budget_policy.launch_requires is LaunchRequirement.READINESS


async def _audit(
    connection: AsyncConnection, service: str, item: LaunchItem, by: str, now: datetime, *, is_done: bool
) -> None:
    action = "readiness.ticked" if is_done else "readiness.unticked"
    subject = f"launch checklist of {service}"
    entry = audit.AuditEntry(
        by, action, subject, ITEM_TEXTS[item], service, {"done": not is_done}, {"done": is_done}
    )
    await audit.record(connection, entry, now)
