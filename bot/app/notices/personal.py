"""What people are told in direct messages, wired."""

from bot.app.flags import Flags
from bot.app.workspace_people import WorkspacePeople
from bot.budgets.adjustments.adjustment import AdjustmentState
from bot.budgets.adjustments.registry import AdjustmentRegistry
from bot.budgets.adjustments.requests import NoAdjustmentError
from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.flags.change_request import NotPendingError
from bot.freezes.exemptions.requests import ExemptionRequests, NotWaitingError
from bot.incidents.incident import Incident
from bot.incidents.records import incidents
from bot.slack.personal.notices import PersonalNotices
from bot.slack.webapi.clients import ClientOf
from bot.store.database import Database


class WaitingRequests:
    """Says whether requests still wait for approval."""

    def __init__(
        self, exemptions: ExemptionRequests, adjustments: AdjustmentRegistry, flags: Flags, clock: Clock
    ) -> None:
        self._exemptions = exemptions
        self._adjustments = adjustments
        self._flags = flags
        self._clock = clock

    async def __call__(self, request: str) -> bool:
        """Return whether a request, as `kind:number`, still waits."""
        kind, _, number = request.partition(":")
        try:
            match kind:
                case "exemption":
                    await self._exemptions.pending(int(number), self._clock.now())
                case "adjustment":
                    found = await self._adjustments.find(int(number))
                    return found.state is AdjustmentState.WAITING
                case "ramp":
                    await self._flags.ramps.pending(int(number))
                case _:
                    await self._flags.changes.pending(int(number))
        except (NotWaitingError, NoAdjustmentError, NotPendingError):
            return False
        return True


def personal_notices(
    database: Database, current: CurrentCatalog, client_of: ClientOf, is_waiting: WaitingRequests
) -> PersonalNotices:
    """Return what tells people."""

    async def read_incident(id_: int) -> Incident:
        async with database.reading() as connection:
            return await incidents.read(connection, id_)

    people = WorkspacePeople(client_of, current)
    return PersonalNotices(database, current, people.of, is_waiting, read_incident)
