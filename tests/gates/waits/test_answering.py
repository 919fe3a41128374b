"""Waits are answered once each, in order and within limits, by replicas that crash and restart."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.freezes.status import NotMeasuredYetError, UnknownServiceError
from bot.freezes.verdict import Change, Verdict, VerdictAnswer
from bot.gates.waits import records
from bot.gates.waits.answerer import (
    PlatformGoneError,
    PlatformLimitError,
    PlatformRefusedError,
    PlatformUnsureError,
)
from bot.gates.waits.answering import LOOK_EVERY, WaitAnswering
from bot.gates.waits.limits import CallAllowance, CallLimit
from bot.gates.waits.records import GateWaits
from bot.gates.waits.wait import PlatformCall, Question, Seen, Wait, WaitStanding, WaitState, standing_of
from bot.store.database import Database
from tests.durability.databases import FaultyDatabase
from tests.support.clock import MINUTE, NOW, StoppedClock
from tests.support.stores import create_tables

SECOND = timedelta(seconds=1)


class CrashError(BaseException):
    """The process ends in the middle of a call."""


class Questions:
    """The verdicts of services that a test freezes and opens."""

    def __init__(self) -> None:
        self.answers: dict[str, VerdictAnswer] = {}
        self.let: list[tuple[str, str | None, bool]] = []
        self.unmeasured = False

    async def judge(self, service_name: str, change: Change) -> Verdict:
        if self.unmeasured:
            raise NotMeasuredYetError(service_name)
        if service_name == "unknown":
            raise UnknownServiceError(service_name, [])
        answer = self.answers.get(service_name, VerdictAnswer.GO)
        return Verdict(answer, service_name, change, (f"it is {answer}",), (), None, None, NOW)

    async def let_through(self, verdict: Verdict, by: str, *, begins: bool) -> None:
        assert by in {"acme", "github"}
        self.let.append((verdict.service, verdict.change.id, begins))


class Platform:
    """A platform that takes each answer once, ten calls a minute; it may lose its reply, or be killed for."""

    platform = "acme"
    limits: Sequence[CallLimit] = (CallLimit("call", 10, MINUTE),)

    def __init__(self, clock: StoppedClock) -> None:
        self._clock = clock
        self.answered: list[str] = []
        self.notes: list[tuple[str, str]] = []
        self.calls: list[datetime] = []
        self.gone: set[str] = set()
        self.failing: Exception | None = None
        self.rng = random.Random(1)  # noqa: S311 - dice of a test
        self.chaos = False

    def next_call(self, wait: Wait, standing: WaitStanding, now: datetime) -> PlatformCall | None:
        assert now == self._clock.time
        if standing.answer is not VerdictAnswer.WAIT:
            return PlatformCall("; ".join(standing.reasons), str(standing.answer), ("call",))
        note = "; ".join(standing.reasons)
        return PlatformCall(note, None, ("call",)) if note != wait.note and wait.notes < 3 else None

    async def send(self, wait: Wait, call: PlatformCall) -> Mapping[str, Any]:
        await asyncio.sleep(0)
        if self.failing is not None:
            raise self.failing
        key, dice = wait.question.key, self.rng.random() if self.chaos else 1.0
        if dice < 0.1:
            raise CrashError
        recent = [at for at in self.calls if at > self._clock.time - MINUTE]
        if len(recent) >= 10 or dice < 0.2:
            raise PlatformLimitError(20 * SECOND)
        if key in self.gone:
            raise PlatformGoneError("it was cancelled")
        self.calls.append(self._clock.time)
        if call.is_final:
            assert key not in self.answered
            self.answered.append(key)
        else:
            self.notes.append((key, call.note))
        if dice < 0.3:
            raise CrashError
        if dice < 0.4:
            raise PlatformUnsureError("the reply was lost")
        return {"told": len(self.notes)}

    async def look(self, wait: Wait) -> Seen:
        if wait.question.key in self.gone:
            raise PlatformGoneError("it was cancelled")
        if wait.question.key in self.answered:
            return Seen(is_waiting=False, outcome="go")
        return Seen(is_waiting=True)


def question(key: str, *services: str, priority: int = 100, begins: bool = False) -> Question:
    return Question(
        platform="acme", account="1", key=key, kind="job", services=services or ("checkout",),
        changes=(Change(f"PR-{key}"),), priority=priority, begins=begins,
    )  # fmt: skip


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def platform(clock: StoppedClock) -> Platform:
    return Platform(clock)


@pytest.fixture
def questions() -> Questions:
    return Questions()


@pytest.fixture
def answering(
    database: Database, platform: Platform, questions: Questions, clock: StoppedClock
) -> WaitAnswering:
    answering = WaitAnswering(database, questions, clock)
    answering.register([platform])
    return answering


async def drain(answering: WaitAnswering, clock: StoppedClock, until: timedelta = 10 * MINUTE) -> None:
    """Let time pass from one thing to do to the next."""
    end = clock.time + until
    while clock.time < end:
        again = await answering.tick()
        clock.time = max(clock.time + SECOND, again)


async def test_what_may_go_is_answered_at_once_and_once(
    answering: WaitAnswering, platform: Platform, questions: Questions
) -> None:
    asked = question("1", begins=True)
    assert await answering.waits.ask(asked)
    assert not await answering.waits.ask(asked)
    await answering.tick()
    await answering.tick()
    # A delivery that is repeated after the answer asks nothing new.
    assert not await answering.waits.ask(asked)
    await answering.tick()
    assert platform.answered == ["1"]
    assert questions.let == [("checkout", "PR-1", True)]
    stored = await answering.waits.find("acme", "1")
    assert stored is not None
    assert (stored.state, stored.place) == (WaitState.ANSWERED, {"told": 0})


async def test_a_frozen_service_is_noted_once_and_answered_when_it_opens(
    answering: WaitAnswering, platform: Platform, questions: Questions, clock: StoppedClock
) -> None:
    questions.answers["checkout"] = VerdictAnswer.WAIT
    await answering.waits.ask(question("1"))
    for _ in range(5):
        await answering.tick()
    assert platform.notes == [("1", "it is wait")]
    assert questions.let == []
    questions.answers["checkout"] = VerdictAnswer.GO
    await answering.tick()
    assert platform.answered == ["1"]


async def test_the_lowest_priority_comes_first_within_the_limits(
    answering: WaitAnswering, platform: Platform, questions: Questions, clock: StoppedClock
) -> None:
    questions.answers["checkout"] = VerdictAnswer.WAIT
    for number in range(12):
        await answering.waits.ask(question(f"late {number}"))
    await drain(answering, clock, 3 * MINUTE)
    for number in range(12):
        await answering.waits.ask(question(f"first {number}", priority=1))
    questions.answers["checkout"] = VerdictAnswer.GO
    platform.calls.clear()
    lifted_at = clock.time
    await drain(answering, clock, 5 * MINUTE)
    assert [key.split()[0] for key in platform.answered] == ["first"] * 12 + ["late"] * 12
    assert max(platform.calls) - lifted_at <= 2 * MINUTE + 2 * SECOND


async def test_each_is_answered_once_through_crashes_limits_and_lost_replies(
    database: Database, platform: Platform, questions: Questions, clock: StoppedClock
) -> None:
    replicas = [WaitAnswering(database, questions, clock) for _ in range(3)]
    for replica in replicas:
        replica.register([platform])
    for number in range(40):
        await replicas[0].waits.ask(question(str(number), "checkout", "payments"))
    platform.chaos = True
    for _ in range(400):
        replica = platform.rng.choice(replicas)
        try:
            await replica.tick()
        except BaseExceptionGroup as group:
            assert group.subgroup(CrashError) is not None  # noqa: PT017 - a crash is part of the test
            replicas[replicas.index(replica)] = reborn = WaitAnswering(database, questions, clock)
            reborn.register([platform])
        clock.time += 7 * SECOND
    assert sorted(platform.answered, key=int) == [str(number) for number in range(40)]
    assert await replicas[0].waits.waiting("acme") == []


async def test_all_services_must_be_open(
    answering: WaitAnswering, platform: Platform, questions: Questions
) -> None:
    questions.answers["payments"] = VerdictAnswer.WAIT
    await answering.waits.ask(question("1", "checkout", "payments"))
    await answering.tick()
    assert platform.notes == [("1", "payments: it is wait")]
    questions.answers["checkout"] = VerdictAnswer.BACK
    await answering.tick()
    assert platform.answered == ["1"]
    stored = await answering.waits.find("acme", "1")
    assert stored is not None
    assert stored.note == "checkout: it is back"


async def test_what_nobody_knows_waits(
    answering: WaitAnswering, platform: Platform, questions: Questions, clock: StoppedClock
) -> None:
    questions.unmeasured = True
    await answering.waits.ask(question("1"))
    assert await answering.tick() == clock.time + 5 * SECOND
    assert (platform.notes, platform.answered) == ([], [])
    questions.unmeasured = False
    await answering.waits.ask(question("2", "unknown"))
    await answering.tick()
    assert platform.notes == [("2", "there is no service unknown")]
    assert platform.answered == ["1"]


async def test_what_the_platform_no_longer_has_ends(
    answering: WaitAnswering, platform: Platform, questions: Questions, clock: StoppedClock
) -> None:
    questions.answers["checkout"] = VerdictAnswer.WAIT
    for key in ("withdrawn", "cancelled", "refused"):
        await answering.waits.ask(question(key))
    await answering.tick()
    assert await answering.waits.withdraw("acme", "withdrawn")
    assert not await answering.waits.withdraw("acme", "withdrawn")
    platform.gone = {"cancelled"}
    clock.time += LOOK_EVERY
    await answering.tick()
    assert [wait.question.key for wait in await answering.waits.waiting("acme")] == ["refused"]
    platform.gone, questions.answers = {"refused"}, {}
    await answering.tick()
    assert await answering.waits.waiting("acme") == []
    assert platform.answered == []


async def test_a_refusal_is_tried_ever_less_often(
    answering: WaitAnswering, platform: Platform, clock: StoppedClock
) -> None:
    platform.failing = PlatformRefusedError("a right is missing")
    await answering.waits.ask(question("1"))
    waits = []
    for _ in range(6):
        again = await answering.tick()
        (wait,) = await answering.waits.waiting("acme")
        waits.append((wait.next_at - clock.time).total_seconds())
        clock.time = max(again, wait.next_at)
    assert waits == [1, 2, 5, 15, 60, 300]
    platform.failing = None
    await answering.tick()
    assert platform.answered == ["1"]


def test_an_allowance_counts_any_stretch_of_time() -> None:
    allowance = CallAllowance([CallLimit("post", 2, MINUTE), CallLimit("content", 3, 60 * MINUTE)])
    for second in (0, 50):
        allowance.note(["post", "content"], NOW + second * SECOND)
    assert allowance.allowed_at(["post"], NOW + 55 * SECOND) == NOW + MINUTE
    assert allowance.allowed_at(["content"], NOW + 55 * SECOND) == NOW + 55 * SECOND
    allowance.note(["post", "content"], NOW + MINUTE)
    assert allowance.allowed_at(["post", "content"], NOW + 2 * MINUTE) == NOW + 60 * MINUTE
    allowance.block(NOW + 90 * MINUTE)
    assert allowance.allowed_at(["post"], NOW + 2 * MINUTE) == NOW + 90 * MINUTE


def test_a_standing_ends_when_the_last_of_its_freezes_does() -> None:
    def verdict(service: str, opens_at: datetime | None) -> Verdict:
        return Verdict(
            VerdictAnswer.WAIT, service, Change("PR-1"), ("frozen",), (), None, None, NOW, opens_at=opens_at
        )

    known = [verdict("checkout", NOW + MINUTE), verdict("payments", NOW + 2 * MINUTE)]
    assert standing_of(known).opens_at == NOW + 2 * MINUTE
    assert standing_of(known).reasons == ("checkout: frozen", "payments: frozen")
    assert standing_of([*known, verdict("search", None)]).opens_at is None
    assert standing_of([]).answer is VerdictAnswer.WAIT


async def test_what_a_platform_asks_anew_is_kept_while_its_wait_is_being_written(
    url: str, clock: StoppedClock
) -> None:
    """The platform does not say it twice: a label was set, or a commit was pushed."""
    writes = 0

    async def begin_a_call_beside(at: str) -> None:
        nonlocal writes
        writes += at == "write"
        if at == "write" and writes > 1 and (wait := await beside.find("acme", "a")) is not None:
            async with database.transaction() as connection:
                await records.begin_sending(connection, wait, (), clock.time)

    async with Database(url) as database, FaultyDatabase(url, begin_a_call_beside) as busy:
        await create_tables(database)
        beside, waits = GateWaits(database, clock), GateWaits(busy, clock)
        await waits.renew(question("a"))
        changed = replace(question("a"), changes=(Change("PR-13"),), services=("search",))
        await waits.renew(changed)
        assert await waits.reopen("acme", "a", {"asked_by": "Ada"})
        wait = await beside.find("acme", "a")
    assert wait is not None
    assert wait.state is WaitState.WAITING
    assert (wait.question.changes, wait.question.services) == (changed.changes, changed.services)
    assert wait.place == {"asked_by": "Ada"}
    assert wait.sending_at is not None, "what became of the call is looked up"


async def test_a_doubt_is_about_what_begins_so_in_the_same_letters(database: Database) -> None:
    clock = StoppedClock()
    waits = GateWaits(database, clock)
    keys = ("pull 1 a", "pull 1 b", "Pull 1 c", "pull 10 d")
    for key in keys:
        question = Question(
            platform="acme",
            account="acme",
            key=key,
            kind="pull",
            services=("checkout",),
            changes=(Change(key),),
        )
        await waits.ask(question)
    await waits.doubt("acme", "pull 1 ", but="pull 1 b")
    doubted = {wait.question.key for wait in await waits.waiting("acme") if wait.seen_at < NOW - LOOK_EVERY}
    assert doubted == {"pull 1 a"}
