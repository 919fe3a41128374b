"""The rotations' part of the application: who may serve, due tasks, the calendar, and what Slack can do."""

from collections.abc import Collection, Sequence

from aiohttp import web

from bot.app.workspace_people import WorkspacePeople
from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.teams import TeamUnknownError
from bot.clock import Clock
from bot.http.teams.rotation_calendar import RotationCalendar
from bot.incidents.ports import ServingPair
from bot.slack.rotations.messages import RotationMessages
from bot.slack.webapi.clients import ClientOf
from bot.slack.webapi.team_members import SlackTeamMembers
from bot.store.database import Database
from bot.tasks.handler import TaskHandler
from bot.teams.rotations.control import RotationControl
from bot.teams.rotations.handlers import AbsenceHandler, PeriodHandler, RotationSeries
from bot.teams.rotations.members import EligibleMembers
from bot.teams.rotations.plan import Side


class Rotations:
    """All objects of rotations, wired."""

    def __init__(
        self, *, database: Database, client_of: ClientOf, current: CurrentCatalog, clock: Clock
    ) -> None:
        self._current = current
        self._clock = clock
        self._people = WorkspacePeople(client_of, current)
        members = EligibleMembers(SlackTeamMembers(client_of), self._eligible)
        messages = RotationMessages(current)
        self.control = RotationControl(database, current, members, messages, clock)
        self.handlers: Sequence[TaskHandler] = (
            PeriodHandler(database, current, members, messages),
            AbsenceHandler(database, current, members, messages),
        )
        self._series = RotationSeries(database, clock)

    async def follow_policies(self, catalog: Catalog) -> None:
        """Plan what is due by the documents in force."""
        await self._series.follow(catalog)

    async def pair_of(self, services: Sequence[str]) -> ServingPair:
        """Return who serves now for services: the pair of the first of them that has a rotation."""
        rotations = sorted(self._current.catalog.rotations.values(), key=lambda each: each.name)
        for service in services:
            for rotation in rotations:
                period = await self.control.current(rotation) if service in rotation.services else None
                if period is not None and period.pair:
                    return ServingPair(period.person(Side.DEVELOPMENT), period.person(Side.RELIABILITY))
        return ServingPair()

    def add_routes(self, app: web.Application) -> None:
        """Add the route of calendars."""
        RotationCalendar(self.control, self._current, self._people.names, self._clock).add_routes(app)

    async def _eligible(self, team: str | None, users: Collection[str]) -> Collection[str]:
        return await self._people.eligible(
            team, users, lambda: TeamUnknownError("account_unknown", retryable=True)
        )
