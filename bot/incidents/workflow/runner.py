"""Carries out what is written down for incidents: channels, invitations, holds, cards.

Every step is a row until it is done, so a crash costs nothing but time; each may be repeated. A step that
has to wait, or fails, never keeps the others waiting, save those that need the channel it makes. What is
refused for good is given up; what a person must mend first is tried again every minute, unless it belongs
to closing a room: nobody waits for that.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.catalog.catalog import Catalog, Service
from bot.clock import Clock
from bot.freezes.hold import GOVERNOR, HoldKind
from bot.freezes.hold_registry import AlreadyRequestedError, HoldRegistry
from bot.incidents import holds as own_holds
from bot.incidents.incident import Incident
from bot.incidents.ports import (
    ChannelError,
    ChannelRefusedError,
    DocumentStore,
    IncidentChannelPort,
    IncidentMessageWriter,
    IncidentSnapshot,
    MissingPermissionError,
    Names,
    TransientError,
)
from bot.incidents.records import steps
from bot.incidents.records.steps import ChannelKind, Step, StepName, StepState
from bot.incidents.snapshot_reader import SnapshotReader
from bot.incidents.workflow import facilitators
from bot.incidents.workflow.archiving import Archiver, StepBlockedError
from bot.incidents.workflow.card_updates import CardUpdater
from bot.incidents.workflow.channel_creation import ChannelCreator
from bot.store.database import Database
from bot.store.outbox import DeliveryState, delivery_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunnerTiming:
    """How fast and how patient the conductor is, in real seconds whatever the clock says."""

    poll_s: float = 2.0
    backoff_s: float = 0.5
    backoff_limit_s: float = 60.0
    not_allowed_s: float = 60.0
    refresh_s: float = 30.0


class StepRunner:
    """Works through the steps until cancelled. `wake` makes it look at once.

    `is_mine` answers whether this replica is the one to do so: two would do no harm, only double calls.
    """

    def __init__(
        self,
        *,
        database: Database,
        rooms: IncidentChannelPort,
        shelf: DocumentStore,
        names: Names,
        voice: IncidentMessageWriter,
        views: SnapshotReader,
        freezer: HoldRegistry,
        reopen: Callable[[AsyncConnection, Incident], Awaitable[None]],
        catalog: Callable[[], Catalog],
        clock: Clock,
        on_told: Callable[[], None],
        is_mine: Callable[[], Awaitable[bool]],
        patience: RunnerTiming | None = None,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._voice = voice
        self._views = views
        self._freezer = freezer
        self._catalog = catalog
        self._clock = clock
        self._patience = patience or RunnerTiming()
        self._maker = ChannelCreator(
            database, rooms, voice, now=clock.now, on_told=on_told, team_of=self._team_of
        )
        self._is_mine = is_mine
        self._display = CardUpdater(
            database, rooms, voice, views, is_mine=is_mine, every_s=self._patience.refresh_s
        )
        self._archivist = Archiver(
            database=database,
            rooms=rooms,
            shelf=shelf,
            voice=voice,
            display=self._display,
            names=names,
            team_of=self._team_of,
            reopen=reopen,
            now=clock.now,
            on_told=on_told,
        )
        self._woken = asyncio.Event()
        self._turned = asyncio.Condition()
        # When a step may be tried again, in the event loop's time: after a crash all may at once.
        self._ready_at: dict[int, float] = {}

    def wake(self) -> None:
        """Look soon: something was written."""
        self._display.stir()
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled; what is shown follows on its own, so that no card delays a new incident."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._display.run(), name="incident cards")
            while True:
                self._woken.clear()
                try:
                    if await self._is_mine():
                        await self.tick()
                except Exception:
                    # A loop's tick is a boundary: what failed now is tried again at the next.
                    log.exception("incidents_tick_failed")
                async with self._turned:
                    self._turned.notify_all()
                await self._rest()

    async def tick(self) -> None:
        """Try every step that is due once, rooms side by side."""
        async with self._database.reading() as connection:
            pending = await steps.read_pending(connection)
        self._ready_at = {step.id: at for step in pending if (at := self._ready_at.get(step.id)) is not None}
        by_room: defaultdict[tuple[int, ChannelKind], list[Step]] = defaultdict(list)
        for step in pending:
            by_room[step.incident_id, step.room].append(step)
        await asyncio.gather(*(self._advance(room) for room in by_room.values()))

    async def channel_of(self, id_: int, within_s: float) -> IncidentSnapshot:
        """Return the incident as soon as its channel is settled, or as it stands after `within_s`."""
        try:
            async with asyncio.timeout(within_s), self._turned:
                while not _is_settled(view := await self._views.of(id_)):
                    await self._turned.wait()
                return view
        except TimeoutError:
            return await self._views.of(id_)

    async def _advance(self, of_room: Sequence[Step]) -> None:
        """Take the steps of one room in order."""
        for step in of_room:
            if self._ready_at.get(step.id, 0.0) > asyncio.get_running_loop().time():
                continue
            try:
                await self._attempt(step)
            except (SQLAlchemyError, OSError) as fault:
                log.warning("step_not_written", step=step.name.value, error=type(fault).__name__)
                self._wait(step, self._backoff_s(step))

    async def _attempt(self, step: Step) -> None:
        try:
            await self._carry_out(step)
        except StepBlockedError:
            self._wait(step, self._patience.backoff_s)
        except ChannelError as fault:
            log.info("step_failed", incident=step.incident_id, step=step.name.value, error=fault.error)
            await self._failed(step, fault)
        else:
            self._display.stir()
            if step.name not in {StepName.CHANNEL, StepName.ARCHIVE}:
                await self._settle(step, StepState.DONE)

    async def _carry_out(self, step: Step) -> None:
        view = await self._views.of(step.incident_id)
        match step.name:
            case StepName.HOLD:
                await self._hold(step, view)
            case StepName.LIFT:
                await self._lift(step, view)
            case StepName.FACILITATORS:
                services = self._services(view)
                await facilitators.name(
                    self._database, self._rooms, view.incident, services, self._clock.now()
                )
            case StepName.CHANNEL:
                await self._maker.make(step, view)
            case StepName.TOPIC | StepName.PURPOSE | StepName.INVITE | StepName.PIN:
                await self._furnish(step, view)
            case StepName.KEEP:
                await self._archivist.keep(step, view)
            case StepName.DRAW:
                await self._archivist.draw(step, view)
            case StepName.ARCHIVE:
                await self._archivist.archive(step, view)
            case _:
                assert_never(step.name)

    async def _furnish(self, step: Step, view: IncidentSnapshot) -> None:
        channel_id = view.channel_id(step.room)
        if channel_id is None:
            raise StepBlockedError
        if step.name is StepName.TOPIC:
            await self._rooms.set_topic(channel_id, self._voice.topic(view, step.room))
        elif step.name is StepName.PURPOSE:
            await self._rooms.set_purpose(channel_id, self._voice.purpose(view, step.room))
        elif step.name is StepName.INVITE:
            await self._rooms.invite(channel_id, step.subject)
        else:
            await self._pin(view.rooms[step.room].card_key)

    async def _pin(self, card_key: str | None) -> None:
        async with self._database.reading() as connection:
            delivery = await delivery_of(connection, card_key) if card_key else None
        if delivery is not None and delivery.place is not None:
            await self._rooms.pin(delivery.place)
        elif delivery is not None and delivery.state is DeliveryState.FAILED:
            # Where the place may yet allow it, the display posts it again.
            raise MissingPermissionError("card_not_posted")
        else:
            raise StepBlockedError

    async def _hold(self, step: Step, view: IncidentSnapshot) -> None:
        incident = view.incident
        service = self._catalog().services.get(step.subject)
        if service is None:
            raise ChannelRefusedError("unknown_service")
        if not incident.wants_hold:
            return
        try:
            await self._freezer.place(
                service,
                by=GOVERNOR,
                reason=own_holds.reason(incident),
                until=None,
                request=f"{own_holds.owner(incident.id)}{step.id}",
                now=self._clock.now(),
                kind=HoldKind.INCIDENT,
            )
        except AlreadyRequestedError:
            log.debug("hold_lies_already", incident=incident.id, service=service.name)

    async def _lift(self, step: Step, view: IncidentSnapshot) -> None:
        service = self._catalog().services.get(step.subject)
        if service is None:
            raise MissingPermissionError("unknown_service")
        over = view.incident.status.value if not view.incident.status.is_active else "no longer severe"
        await self._freezer.lift_incident(
            service,
            incident=own_holds.owner(view.incident.id),
            reason=f"the incident is {over}",
            now=self._clock.now(),
        )

    def _team_of(self, incident: Incident) -> str | None:
        """Return the Slack workspace of an incident: that of the service which it names first."""
        return self._catalog().workspace.of(next(iter(incident.services), None)).elsewhere

    def _services(self, view: IncidentSnapshot) -> list[Service]:
        known: Mapping[str, Service] = self._catalog().services
        return [known[name] for name in view.incident.services if name in known]

    async def _failed(self, step: Step, fault: ChannelError) -> None:
        if step.name is StepName.CHANNEL and not isinstance(fault, TransientError):
            # An incident wants its channel: people are told, and it is tried again all the same.
            await self._maker.tell_without(step, await self._views.of(step.incident_id), fault.error)
            fault = MissingPermissionError(fault.error)
        if step.name.closes and not isinstance(fault, TransientError):
            fault = ChannelRefusedError(fault.error)
        if step.name is StepName.ARCHIVE and isinstance(fault, ChannelRefusedError):
            await self._archivist.tell_refusal(step, await self._views.of(step.incident_id), fault.error)
            return
        state = StepState.PENDING if fault.retryable else StepState.FAILED
        await self._settle(step, state, fault.error)
        if isinstance(fault, TransientError):
            self._wait(step, max(self._backoff_s(step), fault.after_s or 0.0))
        elif isinstance(fault, MissingPermissionError):
            self._wait(step, self._patience.not_allowed_s)

    async def _settle(self, step: Step, state: StepState, error: str | None = None) -> None:
        async with self._database.transaction() as connection:
            await steps.settle(connection, step, state, error)

    def _wait(self, step: Step, seconds: float) -> None:
        self._ready_at[step.id] = asyncio.get_running_loop().time() + seconds

    def _backoff_s(self, step: Step) -> float:
        patience = self._patience
        return float(min(patience.backoff_limit_s, patience.backoff_s * 2 ** min(step.attempts, 10)))

    async def _rest(self) -> None:
        now = asyncio.get_running_loop().time()
        soonest = min((at - now for at in self._ready_at.values()), default=self._patience.poll_s)
        try:
            async with asyncio.timeout(max(0.01, min(self._patience.poll_s, soonest))):
                await self._woken.wait()
        except TimeoutError:
            return


def _is_settled(view: IncidentSnapshot) -> bool:
    room = view.rooms[ChannelKind.INCIDENT]
    return room.channel_id is not None or room.problem is not None
