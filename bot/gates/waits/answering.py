"""The loop that answers what platforms wait for, as soon as it may go."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from bot.clock import Clock, wait_until_set
from bot.freezes.status import NotMeasuredYetError, UnknownServiceError
from bot.freezes.verdict import Change, Verdict, VerdictAnswer
from bot.gates.waits import records
from bot.gates.waits.answerer import (
    PlatformGoneError,
    PlatformLimitError,
    PlatformRefusedError,
    PlatformUnsureError,
    WaitAnswerer,
)
from bot.gates.waits.limits import CallAllowance
from bot.gates.waits.records import GateWaits
from bot.gates.waits.wait import PlatformCall, Wait, WaitStanding, WaitState, refused, standing_of
from bot.store.database import Database
from bot.store.health.errors import is_away
from bot.store.leases import Leases
from bot.store.signals import Topic

log = structlog.get_logger(__name__)

POLL: Final = timedelta(seconds=30)
"""How often everything is looked at, whatever signals come."""
LOOK_EVERY: Final = timedelta(minutes=15)
"""How often the platform is asked whether it still waits: its own notice of that may have been lost."""
_SENDING_TAKES: Final = timedelta(seconds=35)
"""After this a call that another replica began has ended, one way or another."""
_MOST_LOOKS = 50
_SOONEST_S = 0.05
_RETRY_S = (1, 2, 5, 15, 60, 300)


class VerdictQuestions(Protocol):
    """Asks the one verdict."""

    async def judge(self, service_name: str, change: Change) -> Verdict:
        """Return the verdict; raises `UnknownServiceError` and `NotMeasuredYetError`."""
        ...

    async def let_through(self, verdict: Verdict, by: str, *, begins: bool) -> None:
        """Record what follows from telling that the change may ship."""
        ...


class WaitAnswering:
    """Lets platforms know how what they asked stands, on one replica for each platform."""

    def __init__(
        self, database: Database, questions: VerdictQuestions, clock: Clock, leases: Leases | None = None
    ) -> None:
        self.waits = GateWaits(database, clock)
        self._database = database
        self._questions = questions
        self._clock = clock
        self._leases = leases
        self._answerers: dict[str, WaitAnswerer] = {}
        self._woken = asyncio.Event()
        database.signals.subscribe([Topic.GATE_WAITS, Topic.HOLDS, Topic.INCIDENTS], self._woken.set)

    def register(self, answerers: Iterable[WaitAnswerer]) -> None:
        """Add answerers, each for a platform of its own."""
        for answerer in answerers:
            if answerer.platform in self._answerers:
                raise ValueError(f"there is an answerer for {answerer.platform} already")
            self._answerers[answerer.platform] = answerer

    async def run(self) -> None:
        """Make the calls that are due, until cancelled."""
        while True:
            again_at = self._clock.now() + POLL
            try:
                again_at = await self.tick()
            except Exception:
                # A loop's tick is a boundary: the next one tries again.
                log.exception("waits_not_answered")
            await self._rest(again_at)

    async def tick(self) -> datetime:
        """Make the calls that may be made now; return when there is something to do again."""
        self._woken.clear()
        again = [self._clock.now() + POLL]
        async with asyncio.TaskGroup() as group:
            for answerer in self._answerers.values():
                group.create_task(self._answer_platform(answerer, again), name=f"waits {answerer.platform}")
        return min(again)

    async def _rest(self, again_at: datetime) -> None:
        left_s = max(_SOONEST_S, (again_at - self._clock.now()).total_seconds())
        await wait_until_set(self._woken, left_s)

    async def _is_ours(self, answerer: WaitAnswerer) -> bool:
        name = f"gate waits {answerer.platform}"
        return self._leases is None or name in await self._leases.take([name])

    async def _answer_platform(self, answerer: WaitAnswerer, again: list[datetime]) -> None:
        if not await self._is_ours(answerer):
            return
        waits = await self.waits.waiting(answerer.platform)
        accounts: dict[str, list[Wait]] = {}
        for wait in waits:
            accounts.setdefault(wait.question.account, []).append(wait)
        async with asyncio.TaskGroup() as group:
            for account, own in accounts.items():
                group.create_task(self._answer_account(answerer, account, own, again))

    async def _answer_account(
        self, answerer: WaitAnswerer, account: str, waits: Sequence[Wait], again: list[datetime]
    ) -> None:
        now = self._clock.now()
        async with self._database.reading() as connection:
            allowance = await records.read_allowance(
                connection, answerer.platform, account, answerer.limits, now
            )
        ready = [wait for wait in waits if await self._is_ready(answerer, wait, allowance, again)]
        standings: dict[int, WaitStanding] = {}
        asked: dict[tuple[str, Change], Verdict | str | None] = {}
        for wait in ready:
            standing = await self._standing(wait, asked)
            if standing is not None:
                standings[wait.id] = standing
        called = [
            (wait, call)
            for wait in ready
            if wait.id in standings and (call := answerer.next_call(wait, standings[wait.id], now))
        ]
        called.sort(key=lambda each: (not each[1].is_final, each[0].question.priority, each[0].id))
        if len(standings) < len(ready):
            again.append(now + timedelta(seconds=5))
        for wait, call in called:
            at = allowance.allowed_at(call.costs, self._clock.now())
            if at > self._clock.now():
                again.append(at)
                continue
            if not await self._is_ours(answerer):
                return
            try:
                await self._call(answerer, wait, allowance, again)
            except Exception as error:
                # The boundary between waits, but where the database is away, all of them wait for it.
                if is_away(error):
                    raise
                log.exception("wait_failed", platform=answerer.platform, key=wait.question.key)
            if self._woken.is_set():
                # Something changed: what waits first may be another now.
                again.append(self._clock.now())
                return
        told = {wait.id for wait, _ in called}
        await self._look_at_old(answerer, [wait for wait in ready if wait.id not in told])

    async def _is_ready(
        self, answerer: WaitAnswerer, wait: Wait, allowance: CallAllowance, again: list[datetime]
    ) -> bool:
        """Return whether the wait may be told something; asks the platform where that is in doubt."""
        now = self._clock.now()
        free_at = max(wait.next_at, now if wait.sending_at is None else wait.sending_at + _SENDING_TAKES)
        if free_at > now:
            again.append(free_at)
            return False
        if wait.sending_at is None:
            return True
        if allowance.allowed_at((), now) > now:
            again.append(allowance.allowed_at((), now))
            return False
        # What a call came to is not known: it is looked up, and told at the next pass.
        await self._look(answerer, wait)
        again.append(self._clock.now())
        return False

    async def _look_at_old(self, answerer: WaitAnswerer, waits: Sequence[Wait]) -> None:
        """Ask the platform about waits that nobody has heard of for long."""
        old = [wait for wait in waits if wait.seen_at <= self._clock.now() - LOOK_EVERY]
        for wait in sorted(old, key=lambda each: each.seen_at)[:_MOST_LOOKS]:
            await self._look(answerer, wait)

    async def _look(self, answerer: WaitAnswerer, wait: Wait) -> None:
        try:
            seen = await answerer.look(wait)
        except PlatformGoneError:
            await self._end(wait, WaitState.GONE, None)
            return
        except PlatformLimitError as error:
            await self._look_again(wait, str(error), self._clock.now() + error.after)
            return
        except Exception as error:  # noqa: BLE001 - any failure is written to the wait
            # The boundary between waits: one that cannot be looked at delays none of the others.
            log.warning("wait_not_seen", platform=answerer.platform, key=wait.question.key, error=str(error))
            await self._look_again(wait, str(error), self._clock.now() + _backoff(wait.failures))
            return
        if not seen.is_waiting:
            state = WaitState.GONE if seen.outcome is None else WaitState.ANSWERED
            await self._end(wait, state, seen.outcome)
            return
        async with self._database.transaction(in_turn=False) as connection:
            await records.seen(connection, wait, seen.place, self._clock.now())

    async def _look_again(self, wait: Wait, error: str, at: datetime) -> None:
        async with self._database.transaction(in_turn=False) as connection:
            await records.look_again(connection, wait, error, at)

    async def _end(self, wait: Wait, state: WaitState, outcome: str | None) -> None:
        async with self._database.transaction(in_turn=False) as connection:
            await records.end(connection, wait, state, outcome, self._clock.now())

    async def _standing(
        self, wait: Wait, asked: dict[tuple[str, Change], Verdict | str | None] | None = None
    ) -> WaitStanding | None:
        """Return how a wait stands; None while a service was never measured.

        `asked` keeps the verdicts of one pass, so that none is asked twice.
        """
        known = {} if asked is None else asked
        verdicts: list[Verdict] = []
        for service in wait.question.services:
            for change in wait.question.changes:
                if (service, change) not in known:
                    known[service, change] = await self._ask(service, change)
                verdict = known[service, change]
                if verdict is None:
                    return None
                if isinstance(verdict, str):
                    return refused(verdict)
                verdicts.append(verdict)
        return standing_of(verdicts)

    async def _ask(self, service: str, change: Change) -> Verdict | str | None:
        try:
            return await self._questions.judge(service, change)
        except NotMeasuredYetError:
            return None
        except UnknownServiceError as error:
            return str(error)

    async def _call(
        self, answerer: WaitAnswerer, wait: Wait, allowance: CallAllowance, again: list[datetime]
    ) -> None:
        """Ask once more, and make the call that follows from it."""
        standing, now = await self._standing(wait), self._clock.now()
        call = None if standing is None else answerer.next_call(wait, standing, now)
        if standing is None or call is None or allowance.allowed_at(call.costs, now) > now:
            again.append(now + timedelta(seconds=1))
            return
        if call.is_final and standing.answer is VerdictAnswer.GO:
            for verdict in standing.verdicts:
                await self._questions.let_through(verdict, answerer.platform, begins=wait.question.begins)
        async with self._database.transaction(in_turn=False) as connection:
            if not await records.begin_sending(connection, wait, call.costs, now):
                return
        allowance.note(call.costs, now)
        await self._send(answerer, wait, call, allowance, again, began=now)

    async def _send(
        self,
        answerer: WaitAnswerer,
        wait: Wait,
        call: PlatformCall,
        allowance: CallAllowance,
        again: list[datetime],
        *,
        began: datetime,
    ) -> None:
        told = {"platform": answerer.platform, "key": wait.question.key, "outcome": call.outcome}
        try:
            place = await answerer.send(wait, call)
        except PlatformLimitError as error:
            until = self._clock.now() + error.after
            allowance.block(until)
            again.append(until)
            log.warning("platform_limit", **told, wait_s=error.after.total_seconds())
            async with self._database.transaction(in_turn=False) as connection:
                await records.blocked(connection, wait, until, self._clock.now(), began=began)
        except PlatformGoneError as error:
            log.info("wait_gone", **told, reason=str(error))
            await self._end(wait, WaitState.GONE, None)
        except Exception as error:
            # The boundary between waits: one that fails delays none of the others.
            if not isinstance(error, PlatformRefusedError | PlatformUnsureError):
                log.exception("wait_failed", **told)
            await self._failed(wait, error, began, again)
            log.warning("wait_not_told", **told, error=str(error), failures=wait.failures + 1)
        else:
            async with self._database.transaction(in_turn=False) as connection:
                await records.sent(connection, wait, call, place, self._clock.now(), began=began)
            log.info("wait_told", **told)

    async def _failed(self, wait: Wait, error: Exception, began: datetime, again: list[datetime]) -> None:
        now = self._clock.now()
        next_at = now + _backoff(wait.failures)
        again.append(next_at)
        # The call has ended, one way or another: the platform may be asked which at once.
        in_doubt_since = None if isinstance(error, PlatformRefusedError) else now - _SENDING_TAKES
        async with self._database.transaction(in_turn=False) as connection:
            await records.failed(
                connection, wait, str(error), next_at, began=began, in_doubt_since=in_doubt_since
            )


def _backoff(failures: int) -> timedelta:
    return timedelta(seconds=_RETRY_S[min(failures, len(_RETRY_S) - 1)])
