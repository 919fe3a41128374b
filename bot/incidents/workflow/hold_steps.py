"""Carries out the steps `hold` and `lift`: an incident's own holds on the services that it names."""

import structlog

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.freezes.hold import GOVERNOR, HoldKind
from bot.freezes.hold_registry import AlreadyRequestedError, HoldRegistry
from bot.incidents import holds
from bot.incidents.records import merges
from bot.incidents.records.steps import Step
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.workflow.archiving import StepBlockedError
from bot.store.database import Database

log = structlog.get_logger(__name__)


class HoldSteps:
    """Places an incident's hold on a service and lifts it again; both are idempotent."""

    def __init__(
        self, database: Database, hold_registry: HoldRegistry, current: CurrentCatalog, clock: Clock
    ) -> None:
        self._database = database
        self._hold_registry = hold_registry
        self._current = current
        self._clock = clock

    async def place(self, step: Step, snapshot: IncidentSnapshot) -> None:
        """Place the incident's hold on the step's service, also while the policies do not name it."""
        incident = snapshot.incident
        if not incident.holds(step.subject):
            return
        service = self._current.catalog.service_or_stand_in(step.subject)
        try:
            await self._hold_registry.place(
                service,
                by=GOVERNOR,
                reason=holds.reason(incident),
                until=None,
                request=f"{holds.request_prefix(incident.id)}{step.id}",
                now=self._clock.now(),
                kind=HoldKind.INCIDENT,
            )
        except AlreadyRequestedError:
            log.debug("hold_already_placed", incident=incident.id, service=service.name)

    async def lift(self, step: Step, snapshot: IncidentSnapshot) -> None:
        """Lift the incident's holds on the step's service, also while the policies do not name it."""
        incident = snapshot.incident
        if incident.holds(step.subject):
            # It came back before this was done; the holds are lifted when it ends.
            return
        if incident.merged_into is not None:
            async with self._database.reading() as connection:
                if await merges.is_hold_pending(connection, incident.merged_into, step.subject):
                    # The service is not to be open in between.
                    raise StepBlockedError
        await self._hold_registry.lift_incident(
            self._current.catalog.service_or_stand_in(step.subject),
            incident=holds.request_prefix(incident.id),
            reason=holds.why_ended(incident, step.subject),
            now=self._clock.now(),
        )
