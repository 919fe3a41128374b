"""The holds' part of the application: who places them, the calendar, and what follows for dependencies."""

from bot.catalog.current import CurrentCatalog
from bot.freezes.bulk.holds import BulkHolds
from bot.freezes.calendar.handler import FreezeWindows
from bot.freezes.calendar.holds import CalendarHolds
from bot.freezes.calendar.planning import FreezeSchedules
from bot.freezes.dependencies.holds import DependencyHolds
from bot.freezes.hold_registry import HoldRegistry, ReadEndedCauses, ReadUnmet, nothing_ended, nothing_unmet
from bot.freezes.hold_writer import Announce, Follow, HoldWriter, nothing_follows
from bot.slack.announcements.freeze_windows import FreezeWindowAnnouncer
from bot.store.database import Database


class Freezes:
    """Builds what writes holds. `follow` is what follows from any change of them, dependencies included."""

    def __init__(
        self,
        database: Database,
        current: CurrentCatalog,
        announce: Announce,
        *,
        read_unmet: ReadUnmet = nothing_unmet,
        read_ended: ReadEndedCauses = nothing_ended,
        follow: Follow = nothing_follows,
    ) -> None:
        # What holds many services at once writes the holds of their dependencies at its end.
        many = HoldWriter(database, announce, follow)
        dependencies = DependencyHolds(many, current, follow)
        self.follow: Follow = dependencies.follow
        self.registry = HoldRegistry(database, announce, read_unmet, read_ended, follow=self.follow)
        self.bulk = BulkHolds(database, many, dependencies, current)
        calendar = CalendarHolds(many, dependencies.keep)
        self.windows = FreezeWindows(database, current, calendar, FreezeWindowAnnouncer(current))
        self.schedules = FreezeSchedules(database, current, self.windows)
