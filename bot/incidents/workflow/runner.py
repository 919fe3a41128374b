"""Runs the steps that are planned for incidents: channels, invitations, holds, cards.

Every step is a row until it is done, so a crash costs nothing but time; each may be repeated. A step that
waits or fails does not delay the others, save those that need the channel it creates. What is refused for
good is given up; what a person must fix first is tried again every minute, unless it belongs to closing a
channel: nobody waits for that. Any other error stays with its step, which is tried again less and less often.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.clock import wait_until_set
from bot.incidents.ports import ChannelError, ChannelRefusedError, MissingPermissionError, TransientError
from bot.incidents.records.channels import ChannelKind
from bot.incidents.records.steps import Step, StepName, StepState, read_pending, record_attempt
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.snapshot_reader import SnapshotReader
from bot.incidents.workflow.archiving import Archiver, StepBlockedError
from bot.incidents.workflow.card_updates import CardUpdater
from bot.incidents.workflow.channel_creation import ChannelCreator
from bot.incidents.workflow.channel_setup import ChannelSetup
from bot.incidents.workflow.facilitators import Facilitators
from bot.incidents.workflow.hiding import Hiding
from bot.incidents.workflow.hold_steps import HoldSteps
from bot.incidents.workflow.shadows import Shadows
from bot.store.database import Database
from bot.store.leases import Lease
from bot.store.signals import Topic

log = structlog.get_logger(__name__)

# Steps that write of an incident's course: the others need no more than its outline.
_SHOWING = frozenset({StepName.CHANNEL, StepName.KEEP_FILE, StepName.UPDATE_CANVAS, StepName.HIDE})
# Steps that change nothing that cards show.
_UNSHOWN = frozenset({StepName.TOPIC, StepName.PURPOSE, StepName.INVITE})


@dataclass(frozen=True, slots=True)
class RunnerTiming:
    """How often the runner looks and how long it waits, in real seconds whatever the clock says."""

    poll_s: float = 2.0
    backoff_s: float = 0.5
    backoff_limit_s: float = 60.0
    not_allowed_s: float = 60.0
    refresh_s: float = 30.0


@dataclass(frozen=True, slots=True)
class StepHandlers:
    """The objects that carry out the steps."""

    creation: ChannelCreator
    setup: ChannelSetup
    facilitators: Facilitators
    shadows: Shadows
    holds: HoldSteps
    archiving: Archiver
    hiding: Hiding


class StepRunner:
    """Carries out steps on the replica that has the `lease`: two would do no harm, only double calls.

    `run` works until cancelled; a commit that concerns incidents or their cards notifies it. `count_failure`
    is called after each round that failed.
    """

    def __init__(
        self,
        database: Database,
        snapshots: SnapshotReader,
        handlers: StepHandlers,
        cards: CardUpdater,
        *,
        lease: Lease,
        timing: RunnerTiming,
        count_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._count_failure = count_failure
        self._database = database
        self._snapshots = snapshots
        self._handlers = handlers
        self._cards = cards
        self._lease = lease
        self._timing = timing
        self._notified = asyncio.Event()
        self._tick_ended = asyncio.Condition()
        # When a step may be tried again, in the event loop's time: after a crash all may at once.
        self._ready_at: dict[int, float] = {}
        database.signals.subscribe([Topic.INCIDENTS, Topic.FLAGS, Topic.DEPLOYMENTS], self.notify)

    def notify(self) -> None:
        """Look for steps soon: something was committed."""
        self._cards.request_refresh()
        self._notified.set()

    async def run(self) -> None:
        """Work until cancelled; cards are updated on their own, so that none delays a new incident."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cards.run(), name="incident cards")
            while True:
                self._notified.clear()
                try:
                    if await self._lease.acquire():
                        await self.tick()
                    else:
                        self._ready_at = {}
                except Exception:
                    # A loop's tick is a boundary: what failed now is tried again at the next, not before.
                    log.exception("incidents_tick_failed")
                    self._count_failure()
                    self._ready_at = {}
                async with self._tick_ended:
                    self._tick_ended.notify_all()
                await self._rest()

    async def tick(self) -> None:
        """Try every step that is due once, channels side by side."""
        async with self._database.reading() as connection:
            pending = await read_pending(connection)
        self._ready_at = {step.id: at for step in pending if (at := self._ready_at.get(step.id)) is not None}
        by_channel: defaultdict[tuple[int, ChannelKind], list[Step]] = defaultdict(list)
        for step in pending:
            by_channel[step.incident_id, step.channel_kind].append(step)
        await asyncio.gather(*(self._advance(channel_steps) for channel_steps in by_channel.values()))

    async def channel_of(self, id_: int, within_s: float) -> IncidentSnapshot:
        """Return the incident once its channel is created or refused, at the latest after `within_s`."""
        try:
            async with asyncio.timeout(within_s), self._tick_ended:
                while not _has_channel_outcome(snapshot := await self._snapshots.of(id_)):
                    await self._tick_ended.wait()
                return snapshot
        except TimeoutError:
            return await self._snapshots.of(id_)

    async def _advance(self, channel_steps: Sequence[Step]) -> None:
        """Attempt the steps of one channel in order."""
        for step in channel_steps:
            if self._ready_at.get(step.id, 0.0) > asyncio.get_running_loop().time():
                continue
            self._ready_at.pop(step.id, None)
            try:
                await self._attempt(step)
            except (SQLAlchemyError, OSError) as fault:
                log.warning("step_not_recorded", step=step.name.value, error=type(fault).__name__)
                self._wait(step, self._backoff_s(step))
            except Exception as fault:
                # The boundary between steps: the error of one must not end those of other incidents.
                log.exception(
                    "step_failed_unexpectedly",
                    incident=step.incident_id,
                    step=step.name.value,
                    attempts=step.attempts + 1,
                )
                await self._put_off(step, type(fault).__name__)

    async def _attempt(self, step: Step) -> None:
        try:
            await self._dispatch(step)
        except StepBlockedError:
            self._wait(step, self._timing.backoff_s)
        except ChannelError as fault:
            log.info("step_failed", incident=step.incident_id, step=step.name.value, error=fault.error)
            await self._failed(step, fault)
        else:
            if step.name not in _UNSHOWN:
                self._cards.request_refresh()
            if step.name not in {StepName.CHANNEL, StepName.ARCHIVE}:
                await self._record(step, StepState.DONE)

    async def _dispatch(self, step: Step) -> None:
        read = self._snapshots.of if step.name in _SHOWING else self._snapshots.outline
        snapshot = await read(step.incident_id)
        handlers = self._handlers
        match step.name:
            case StepName.HOLD:
                await handlers.holds.place(step, snapshot)
            case StepName.LIFT:
                await handlers.holds.lift(step, snapshot)
            case StepName.FACILITATORS | StepName.SHADOWS:
                await self._give_roles(step.name, snapshot)
            case StepName.CHANNEL:
                await handlers.creation.create(step, snapshot)
            case StepName.TOPIC | StepName.PURPOSE | StepName.INVITE | StepName.PIN:
                await handlers.setup.carry_out(step, snapshot)
            case StepName.KEEP_FILE:
                await handlers.archiving.keep_file(step, snapshot)
            case StepName.UPDATE_CANVAS:
                await handlers.archiving.update_canvas(step, snapshot)
            case StepName.ARCHIVE:
                await handlers.archiving.archive(step, snapshot)
            case StepName.HIDE:
                await handlers.hiding.hide(step, snapshot)
            case _:
                assert_never(step.name)

    async def _give_roles(self, name: StepName, snapshot: IncidentSnapshot) -> None:
        if name is StepName.SHADOWS:
            await self._handlers.shadows.join(snapshot)
        else:
            await self._handlers.facilitators.assign(snapshot.incident)

    async def _failed(self, step: Step, fault: ChannelError) -> None:
        if step.name is StepName.CHANNEL and not isinstance(fault, TransientError):
            # An incident needs its channel: it is announced without one, and creation is tried again.
            snapshot = await self._snapshots.of(step.incident_id)
            await self._handlers.creation.announce_without(step, snapshot, fault.error)
            fault = MissingPermissionError(fault.error)
        if step.name.is_closing and not isinstance(fault, TransientError):
            fault = ChannelRefusedError(fault.error)
        if step.name is StepName.ARCHIVE and isinstance(fault, ChannelRefusedError):
            snapshot = await self._snapshots.of(step.incident_id)
            await self._handlers.archiving.announce_refusal(step, snapshot, fault.error)
            return
        state = StepState.PENDING if fault.retryable else StepState.FAILED
        await self._record(step, state, fault.error)
        if isinstance(fault, TransientError):
            self._wait(step, max(self._backoff_s(step), fault.after_s or 0.0))
        elif isinstance(fault, MissingPermissionError):
            self._wait(step, self._timing.not_allowed_s)

    async def _put_off(self, step: Step, error: str) -> None:
        """Record a failed attempt, and try the step again later than the last time."""
        self._wait(step, self._backoff_s(step))
        try:
            await self._record(step, StepState.PENDING, error)
        except (SQLAlchemyError, OSError) as fault:
            log.warning("step_not_recorded", step=step.name.value, error=type(fault).__name__)

    async def _record(self, step: Step, state: StepState, error: str | None = None) -> None:
        async with self._database.transaction() as connection:
            await record_attempt(connection, step, state, error)

    def _wait(self, step: Step, seconds: float) -> None:
        self._ready_at[step.id] = asyncio.get_running_loop().time() + seconds

    def _backoff_s(self, step: Step) -> float:
        timing = self._timing
        return float(min(timing.backoff_limit_s, timing.backoff_s * 2 ** min(step.attempts, 10)))

    async def _rest(self) -> None:
        now = asyncio.get_running_loop().time()
        soonest = min((at - now for at in self._ready_at.values()), default=self._timing.poll_s)
        await wait_until_set(self._notified, max(0.01, min(self._timing.poll_s, soonest)))


def _has_channel_outcome(snapshot: IncidentSnapshot) -> bool:
    channel = snapshot.channels[ChannelKind.INCIDENT]
    return channel.channel_id is not None or channel.problem is not None
