"""Digests, wired: what they are read from, who writes them, and the tasks by which they come."""

from collections.abc import Sequence
from datetime import datetime

from bot.app.resources import Resources
from bot.app.velocity import VelocityParts
from bot.catalog.catalog import Catalog
from bot.freezes.status import StatusReader
from bot.slack.digests.messages import digest_messages
from bot.spending.reader import SpendingReader
from bot.store.outbox import OutboxMessage
from bot.teams.digests.reader import DigestReader
from bot.teams.digests.schedule import DigestSchedule, begins
from bot.teams.digests.sending import DigestSending
from bot.teams.digests.tasks import DigestHandler, DigestPlanner
from bot.teams.rotations.control import RotationControl


class Digests:
    """All objects of digests; `handler` is to be registered with the runner of tasks."""

    def __init__(
        self,
        resources: Resources,
        status_reader: StatusReader,
        spending: SpendingReader,
        velocity: VelocityParts,
        rotations: RotationControl,
    ) -> None:
        self._clock = resources.clock
        self._planner = DigestPlanner(resources.database)
        self._reader = DigestReader(
            resources.database,
            status_reader,
            velocity.reader,
            velocity.goals,
            spending=spending,
            rotations=rotations,
            costs=velocity.costs,
        )
        self.handler = DigestHandler(resources.current, self._compose)
        self.sending = DigestSending(resources.database, self._reader, digest_messages, resources.clock)

    async def follow(self, catalog: Catalog) -> None:
        """Let digests come as the policies in force say."""
        await self._planner.follow(catalog, self._clock.now())

    async def _compose(self, schedule: DigestSchedule, now: datetime) -> Sequence[OutboxMessage]:
        since = begins(now, schedule.times, schedule.time_zone)
        contents = await self._reader.read(schedule.kind, schedule.channel, schedule.services, since, now)
        return digest_messages(contents, f"digest {schedule.kind} {now:%Y-%m-%d %H:%M}")
