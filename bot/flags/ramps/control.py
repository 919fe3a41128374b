"""What people do with ramps: start, approve, hold and stop them. `ramp_runner.py` takes their steps.

RampError
├── NoRamp     the flag has no ramp that could be stopped, held or let go on
└── NoWatcher  no service with an SLO names the flag: nothing could tell that a step hurts
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.flags.change_request import FlagMovedError, NotPendingError, OwnApprovalError
from bot.flags.changes.executor import APPROVAL_LIFETIME, ChangeExecutor
from bot.flags.events import ApprovalRequested, RampPaused, RampResumed
from bot.flags.flag import subject
from bot.flags.ownership import channels, guard_of, is_protected, owners
from bot.flags.ramp import PauseCause, Ramp, start_ramp, steps_in_words
from bot.flags.ramps.writer import RampWriter
from bot.flags.records import ramps as ramp_records
from bot.flags.records.ramps import RampState, StoredRamp
from bot.store import audit


class RampError(Exception):
    """A ramp was not started or steered. The message is fit for the person who asked."""


class NoRampError(RampError):
    """The flag has no ramp."""


class NoGuardError(RampError):
    """Nothing could tell that a step hurts."""


@dataclass(frozen=True, slots=True)
class RampStarted:
    """A ramp begins, or waits in `channel` for another person (empty where it does not)."""

    ramp: Ramp
    words: str
    channel: str = ""


class RampControl:
    """Starts ramps and steers them."""

    def __init__(self, flag_changes: ChangeExecutor, keeper: RampWriter) -> None:
        self._flag_changes = flag_changes
        self._keeper = keeper
        self._database = keeper.database
        self._teller = keeper.teller
        self._clock = keeper.clock

    async def start(
        self,
        flag: str,
        environment: str,
        *,
        steps: Sequence[float],
        every: timedelta,
        by: str,
        reason: str,
        request: str,
    ) -> RampStarted:
        """Start a ramp, or have it wait for another person.

        Raises `InvalidRamp`, `RampError`, `ToggleError` and `FlagError`.
        """
        catalog = self._flag_changes.catalog
        services = [one for one in owners(catalog, flag) if one.slos]
        if not services:
            raise NoGuardError(
                f"no service with an SLO names {flag} among its flags, so nothing could watch it"
            )
        state = await self._flag_changes.backend.read(flag, environment)
        ramp = start_ramp(state, service=services[0].name, steps=steps, every=every, guard=guard_of(services))
        await self._flag_changes.require_open(flag)
        asks = is_protected(catalog, environment)
        words, now = steps_in_words(state, ramp.steps), self._clock.now()
        async with self._database.transaction() as connection:
            id_ = await ramp_records.insert(
                connection,
                self._database,
                ramp,
                state=RampState.ASKED if asks else RampState.RUNNING,
                by=by,
                reason=reason,
                request=request,
                now=now,
            )
            if asks:
                asked = ApprovalRequested(f"ramp:{id_}", words, by, reason, ramp.steps, every)
                await self._teller.tell(connection, asked, flag, environment, now)
        return RampStarted(ramp, words, channels(catalog, services)[0] if asks else "")

    async def waiting(self, id_: int) -> StoredRamp:
        """Return the ramp that waits for approval; raises `NotPendingError`."""
        async with self._database.reading() as connection:
            kept = await ramp_records.find(connection, id_)
        if kept is None or kept.state is not RampState.ASKED:
            raise NotPendingError("this was decided already")
        if self._clock.now() - kept.created_at > APPROVAL_LIFETIME:
            raise NotPendingError("this was asked more than a day ago; stop it and ask again")
        return kept

    async def approve(self, id_: int, by: str) -> StoredRamp:
        """Let a ramp begin, if the flag is still as it was shown; raises `ToggleError` and `FlagError`."""
        kept = await self.waiting(id_)
        if kept.by == by:
            raise OwnApprovalError("an increase needs another person's approval")
        ramp = kept.ramp
        found = await self._flag_changes.backend.read(ramp.flag, ramp.environment)
        if found.version != ramp.version:
            await self._keeper.end(kept, RampState.VOID, by, "the flag moved since this was shown")
            raise FlagMovedError("the flag moved since this was shown", found)
        await self._flag_changes.require_open(ramp.flag)
        async with self._database.transaction() as connection:
            now, asked = self._clock.now(), RampState.ASKED
            if not await ramp_records.transition(
                connection, id_, to=RampState.RUNNING, since=asked, now=now, approved_by=by
            ):
                raise NotPendingError("somebody else was quicker")
            what, words = subject(ramp.flag, ramp.environment), steps_in_words(ramp.before, ramp.steps)
            after = {"shown": words, "by": kept.by}
            entry = audit.AuditEntry(by, "ramp.approved", what, kept.reason, ramp.service, None, after)
            await audit.record(connection, entry, now)
        return replace(kept, approved_by=by, state=RampState.RUNNING)

    async def decline(self, id_: int, by: str) -> StoredRamp:
        """End a ramp before it begins; raises `NotPendingError`."""
        kept = await self.waiting(id_)
        await self._keeper.end(kept, RampState.DECLINED, by, "declined")
        return kept

    async def stop(self, flag: str, environment: str, by: str) -> StoredRamp:
        """End the flag's ramp where it is; raises `NoRampError`."""
        kept = await self._live(flag, environment)
        await self._keeper.end(kept, RampState.STOPPED, by, "stopped by hand")
        return kept

    async def hold(self, flag: str, environment: str, by: str) -> StoredRamp:
        """Let the ramp wait until somebody lets it go on; raises `NoRampError` and `NotPendingError`."""
        kept = await self._live(flag, environment)
        if kept.ramp.held_by is not None:
            raise NoRampError(f"the ramp of {flag} is held already")
        held = RampPaused(by, "held by hand", kept.progress(), goes_on=False)
        await self._keeper.steer(kept, by, (PauseCause.PERSON, "held by hand"), held)
        return kept

    async def go(self, flag: str, environment: str, by: str) -> StoredRamp:
        """Let a ramp that a person holds go on; raises `NoRampError` and `NotPendingError`."""
        kept = await self._live(flag, environment)
        if kept.ramp.held_by is None:
            why = f"it waits because {kept.told[1]}, and goes on by itself" if kept.told else "it is not held"
            raise NoRampError(f"nobody holds the ramp of {flag}: {why}")
        await self._keeper.steer(kept, None, None, RampResumed(by, kept.progress()))
        return kept

    async def live(self, flag: str, environment: str) -> StoredRamp | None:
        """Return the flag's ramp, None where it has none."""
        async with self._database.reading() as connection:
            return await ramp_records.find_active(connection, flag, environment)

    async def running(self) -> Sequence[StoredRamp]:
        """Return every ramp that takes steps or waits to, oldest first."""
        async with self._database.reading() as connection:
            return await ramp_records.running(connection)

    async def _live(self, flag: str, environment: str) -> StoredRamp:
        kept = await self.live(flag, environment)
        if kept is None:
            raise NoRampError(f"there is no ramp of {flag} in {environment}")
        return kept
