"""Reviews of long freezes, wired: what plans them, what is due of them, and what people do with them."""

from collections.abc import Sequence

from bot.budgets.budget import worst
from bot.catalog.catalog import Service
from bot.catalog.current import CurrentCatalog
from bot.freezes.status import StatusReader
from bot.incidents.records.actions import Actions
from bot.slack.reviews.messages import ReviewMessages
from bot.spending.reader import SpendingReader
from bot.store.database import Database
from bot.tasks.handler import TaskHandler
from bot.teams.reviews.agreeing import ReviewAgreements
from bot.teams.reviews.due import EscalationHandler, ReviewHandler
from bot.teams.reviews.planning import ReviewPlanner
from bot.teams.reviews.review import ReviewedWork
from bot.teams.reviews.suggestions import suggested_work


class Reviews:
    """The parts of reviews. `planner.follow` is called where holds are placed or lifted."""

    def __init__(self, database: Database, current: CurrentCatalog) -> None:
        self._database = database
        self._current = current
        self._messages = ReviewMessages()
        self.planner = ReviewPlanner(database, self._messages)
        self.agreements = ReviewAgreements(database, Actions(database), self.planner, self._messages)

    def handlers(self, status_reader: StatusReader, spending: SpendingReader) -> Sequence[TaskHandler]:
        """Return the handlers of what is due."""

        async def suggest(service: Service) -> Sequence[ReviewedWork]:
            status = await status_reader.service(service.name)
            least = worst(status.budgets)
            found = await spending.where(service, [least]) if least is not None else ()
            return suggested_work(next(iter(found), None))

        database, current, messages = self._database, self._current, self._messages
        return [
            ReviewHandler(database, current, self.planner, messages, suggest),
            EscalationHandler(database, current, messages),
        ]
