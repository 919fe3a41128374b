"""What people do with ramps: start, approve, pause, resume and stop them. `runner.py` takes their steps.

RampError
├── NoRampError   the flag has no ramp that could be stopped, paused or resumed
├── NoGuardError  no service with an SLO names the flag: nothing could show that a step hurts
└── NoStepsError  no steps were named, and the policy names none, or the budget has no spare
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.clock import Clock
from bot.flags.backend import expect
from bot.flags.change import SetExposure
from bot.flags.change_request import FlagMovedError, NotPendingError, OwnApprovalError
from bot.flags.changes.event_publisher import EventPublisher
from bot.flags.changes.executor import APPROVAL_LIFETIME, ChangeExecutor
from bot.flags.events import ApprovalRequested, RampPaused, RampResumed
from bot.flags.flag import subject
from bot.flags.ownership import channels, guard_of, is_protected, owners
from bot.flags.ramp import PauseCause, Ramp, start_ramp, steps_in_words
from bot.flags.ramps.writer import RampWriter
from bot.flags.records import ramps as ramp_records
from bot.flags.records.ramps import RampState, StoredRamp
from bot.store import audit
from bot.store.database import Database


class RampError(Exception):
    """A ramp was not started, paused, resumed or stopped. The message is fit for the person who asked."""


class NoRampError(RampError):
    """The flag has no ramp."""


class NoGuardError(RampError):
    """No SLO could show that a step hurts."""


class NoStepsError(RampError):
    """Nobody named the steps."""


@dataclass(frozen=True, slots=True)
class RampStarted:
    """A ramp begins, or waits in `channel` for another person (empty where it does not).

    `rules` are those of the policy that applied, in words.
    """

    ramp: Ramp
    words: str
    channel: str = ""
    rules: tuple[str, ...] = ()


class RampControl:
    """Starts, pauses, resumes and stops ramps."""

    def __init__(
        self,
        flag_changes: ChangeExecutor,
        writer: RampWriter,
        database: Database,
        publisher: EventPublisher,
        clock: Clock,
    ) -> None:
        self._flag_changes = flag_changes
        self._writer = writer
        self._database = database
        self._publisher = publisher
        self._clock = clock

    async def start(
        self,
        flag: str,
        environment: str,
        *,
        steps: Sequence[float],
        every: timedelta,
        by: str,
        reason: str,
        request_id: str,
    ) -> RampStarted:
        """Start a ramp, or let it wait for another person's approval.

        Without `steps` they are those of the policy's `whenSpare`, while the budgets have spare: what is
        begun so keeps its steps, whatever becomes of the budgets.

        Raises `InvalidRampError`, `RampError`, `FlagChangeError` and `FlagError`.
        """
        catalog = self._flag_changes.catalog
        services = [service for service in owners(catalog, flag) if service.slos]
        if not services:
            raise NoGuardError(
                f"no service with an SLO names {flag} among its flags, so nothing could watch it"
            )
        backend = self._flag_changes.backend
        state = await backend.read(flag, environment)
        steps, rules = (steps, []) if steps else await self._steps_by_rule(flag)
        ramp = start_ramp(state, service=services[0].name, steps=steps, every=every, guard=guard_of(services))
        for share in ramp.steps:
            expect(state, SetExposure(share), backend.capabilities)
        await backend.plan(flag, environment, SetExposure(ramp.steps[0]))
        await self._flag_changes.require_unfrozen(flag, environment)
        needs_approval = is_protected(catalog, environment)
        if needs_approval and (unapproved := await self._flag_changes.spare_rules.approval_rule(flag)):
            needs_approval = False
            rules = [*rules, unapproved]
        reason = f"{reason} ({'; '.join(rules)})" if rules else reason
        words, now = steps_in_words(state, ramp.steps), self._clock.now()
        async with self._database.transaction() as connection:
            id_ = await ramp_records.insert(
                connection,
                self._database,
                ramp,
                state=RampState.PENDING if needs_approval else RampState.RUNNING,
                by=by,
                reason=reason,
                request_id=request_id,
                now=now,
            )
            if needs_approval:
                event = ApprovalRequested(f"ramp:{id_}", words, by, reason, ramp.steps, every)
                await self._publisher.publish(connection, event, flag, environment, now)
        channel = channels(catalog, services)[0] if needs_approval else ""
        return RampStarted(ramp, words, channel, tuple(rules))

    async def _steps_by_rule(self, flag: str) -> tuple[Sequence[float], list[str]]:
        """Return the steps that the policy names, while there is spare, and why; raises `NoStepsError`."""
        rule = await self._flag_changes.spare_rules.ramp_rule(flag)
        if rule is None:
            raise NoStepsError(
                "name the steps, such as 1% 5% 25% 100%: the policy names some (whenSpare.rampSteps) only "
                "while the budget has spare"
            )
        return rule.steps, [rule.words]

    async def pending(self, id_: int) -> StoredRamp:
        """Return the ramp that waits for approval; raises `NotPendingError`."""
        async with self._database.reading() as connection:
            stored = await ramp_records.find(connection, id_)
        if stored is None or stored.state is not RampState.PENDING:
            raise NotPendingError("this was decided already")
        if self._clock.now() - stored.created_at > APPROVAL_LIFETIME:
            raise NotPendingError("this was asked more than a day ago; stop it and ask again")
        return stored

    async def approve(self, id_: int, by: str, comment: str = "") -> StoredRamp:
        """Let a ramp begin, if the flag is as it was shown; raises `FlagChangeError` and `FlagError`.

        `comment` is what the person says to it, perhaps nothing.
        """
        stored = await self.pending(id_)
        if stored.by == by:
            raise OwnApprovalError("an increase needs another person's approval")
        ramp = stored.ramp
        state = await self._flag_changes.backend.read(ramp.flag, ramp.environment)
        if state.version != ramp.version:
            await self._writer.end(stored, RampState.VOID, by, "the flag changed since this was shown")
            raise FlagMovedError("the flag changed since this was shown", state)
        await self._flag_changes.require_unfrozen(ramp.flag, ramp.environment)
        async with self._database.transaction() as connection:
            now, pending = self._clock.now(), RampState.PENDING
            if not await ramp_records.transition(
                connection, id_, to=RampState.RUNNING, since=pending, now=now, approved_by=by
            ):
                raise NotPendingError("somebody else was quicker")
            flag, words = subject(ramp.flag, ramp.environment), steps_in_words(ramp.before, ramp.steps)
            after = {"shown": words, "by": stored.by} | ({"comment": comment} if comment else {})
            entry = audit.AuditEntry(by, "ramp.approved", flag, stored.reason, ramp.service, None, after)
            await audit.record(connection, entry, now)
        return replace(stored, approved_by=by, state=RampState.RUNNING)

    async def decline(self, id_: int, by: str, comment: str = "") -> StoredRamp:
        """End a ramp before it begins, because of what `comment` says; raises `NotPendingError`."""
        stored = await self.pending(id_)
        await self._writer.decline(stored, by, comment)
        return stored

    async def stop(self, flag: str, environment: str, by: str) -> StoredRamp:
        """End the flag's ramp where it is; raises `NoRampError`."""
        stored = await self._require(flag, environment)
        await self._writer.end(stored, RampState.STOPPED, by, "stopped by hand")
        return stored

    async def pause(self, flag: str, environment: str, by: str) -> StoredRamp:
        """Let the ramp wait until somebody resumes it; raises `NoRampError` and `NotPendingError`.

        After the last step there is nothing to wait with.
        """
        stored = await self._require(flag, environment)
        if stored.ramp.held_by is not None:
            raise NoRampError(f"the ramp of {flag} is held already")
        if stored.ramp.next_share is None:
            raise NoRampError(f"the ramp of {flag} has taken its last step, so it cannot be held")
        paused = RampPaused(by, "held by hand", stored.progress(), resumes_alone=False)
        await self._writer.store_pause(stored, by, (PauseCause.PERSON, "held by hand"), paused)
        return stored

    async def resume(self, flag: str, environment: str, by: str) -> StoredRamp:
        """Let a ramp that a person holds go on; raises `NoRampError` and `NotPendingError`."""
        stored = await self._require(flag, environment)
        if stored.ramp.held_by is None:
            pause = stored.announced_pause
            why = f"it waits because {pause[1]}, and goes on by itself" if pause else "it is not held"
            raise NoRampError(f"nobody holds the ramp of {flag}: {why}")
        await self._writer.store_pause(stored, None, None, RampResumed(by, stored.progress()))
        return stored

    async def find(self, flag: str, environment: str) -> StoredRamp | None:
        """Return the flag's ramp, None where it has none."""
        async with self._database.reading() as connection:
            return await ramp_records.find_active(connection, flag, environment)

    async def running(self) -> Sequence[StoredRamp]:
        """Return every ramp that takes steps or waits to, oldest first."""
        async with self._database.reading() as connection:
            return await ramp_records.running(connection)

    async def _require(self, flag: str, environment: str) -> StoredRamp:
        stored = await self.find(flag, environment)
        if stored is None:
            raise NoRampError(f"there is no ramp of {flag} in {environment}")
        return stored
