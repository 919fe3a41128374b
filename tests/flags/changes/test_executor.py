"""Changes that meet a crash, a silent flag system or somebody else: not lost, doubled or overwritten."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.flags.backend import (
    AppliedChange,
    BackendOutcomeUnknownError,
    BackendUnavailableError,
    ChangePlan,
    FlagConflictError,
)
from bot.flags.backends.local import LocalBackend
from bot.flags.change import FlagChange, SetExposure, TurnOff
from bot.flags.change_request import (
    ChangeApplied,
    ChangeRequest,
    DuplicateChangeError,
    UnconfirmedChangeError,
)
from bot.flags.changes import executor
from bot.flags.flag import FlagState
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import (
    FLAG,
    audited,
    changes,
    deliver,
    evaluated,
    exposure,
    later,
    raised,
    run_slack_app_with_flags,
    told,
)


class UnreliableBackend:
    """The local flag system behind a line that can be cut before or after a change arrives."""

    def __init__(self, inner: LocalBackend) -> None:
        self.inner = inner
        self.cut: str | None = None
        self.blind = False
        self.away = False
        self.applied = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def read(self, flag: str, environment: str) -> FlagState:
        if self.blind or self.away:
            raise BackendUnavailableError("the flag system does not answer")
        return await self.inner.read(flag, environment)

    async def plan(self, flag: str, environment: str, change: FlagChange) -> ChangePlan:
        if self.away:
            raise BackendUnavailableError("the flag system does not answer")
        return await self.inner.plan(flag, environment, change)

    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        if self.cut == "before":
            raise BackendOutcomeUnknownError("no answer")
        if self.cut == "crash before":
            raise KeyboardInterrupt
        done = await self.inner.apply(flag, environment, change, version=version, note=note)
        self.applied += 1
        if self.cut == "half-way":
            # As of a system that takes the share and the switch in two calls.
            await self.inner.apply(flag, environment, TurnOff(), version=done.after.version, note=note)
            raise BackendOutcomeUnknownError("no answer")
        if self.cut == "after":
            raise BackendOutcomeUnknownError("no answer")
        if self.cut == "after, and away":
            self.away = True
            raise BackendOutcomeUnknownError("no answer")
        if self.cut == "crash":
            raise KeyboardInterrupt
        return done


@pytest.fixture
async def slack_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningSlackApp]:
    monkeypatch.setattr(executor, "READ_BACK_DELAYS_S", (0.0, 0.0))
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        yield slack_app


@pytest.fixture
def unreliable_backend(slack_app: RunningSlackApp) -> UnreliableBackend:
    """The way to the flag system."""
    backend = slack_app.flags.changes.backend
    assert isinstance(backend, LocalBackend)
    unreliable_backend = UnreliableBackend(backend)
    slack_app.flags.changes._backend = lambda: unreliable_backend  # type: ignore[assignment, return-value]
    return unreliable_backend


def wanted(change: FlagChange | None = None, request: str = "1", version: str | None = None) -> ChangeRequest:
    share = change or SetExposure(0.25)
    return ChangeRequest(FLAG, "staging", share, "U0DANA", "small steps", request, version=version)


async def settled(slack_app: RunningSlackApp) -> None:
    later(slack_app, timedelta(seconds=20))
    await slack_app.flags.changes.reconcile()


async def test_an_answer_that_never_came_is_read_back(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    unreliable_backend.cut = "after"
    live = await slack_app.flags.changes.execute(wanted())
    assert isinstance(live, ChangeApplied)
    assert await exposure(slack_app, "staging") == 0.25
    assert len(await changes(slack_app)) == 1


async def test_an_increase_that_never_arrived_is_dropped_and_told(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    unreliable_backend.cut = "before"
    with pytest.raises(UnconfirmedChangeError):
        await slack_app.flags.changes.execute(wanted())
    unreliable_backend.cut = None
    await settled(slack_app)
    assert await exposure(slack_app, "staging") == 0
    ((_, occasion, text),) = await told(slack_app)
    assert occasion == "flag_not_done"
    assert "It never arrived in the flag system, and nothing was changed." in text
    await settled(slack_app)
    assert len(await told(slack_app)) == 1


async def test_a_lowering_that_never_arrived_is_sent_again_once(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    await slack_app.flags.changes.execute(wanted())
    unreliable_backend.cut = "before"
    with pytest.raises(UnconfirmedChangeError):
        await slack_app.flags.changes.execute(wanted(TurnOff(), "2"))
    unreliable_backend.cut = None
    await settled(slack_app)
    await settled(slack_app)
    assert await exposure(slack_app, "staging") == 0
    assert unreliable_backend.applied == 2
    assert [to for _, _, to, _, _ in await changes(slack_app)] == ["25% of users", "off"]


async def test_a_crash_between_the_change_and_its_record_is_recorded_once(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    unreliable_backend.cut = "crash"
    with pytest.raises(KeyboardInterrupt):
        await slack_app.flags.changes.execute(wanted())
    assert await exposure(slack_app, "staging") == 0.25
    assert not await changes(slack_app)
    unreliable_backend.cut = None
    await settled(slack_app)
    await settled(slack_app)
    assert unreliable_backend.applied == 1
    assert await changes(slack_app) == [("U0DANA", "off", "25% of users", "small steps", None)]


async def test_what_cannot_be_read_back_is_said_plainly(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    unreliable_backend.blind = True
    live = await slack_app.flags.changes.execute(wanted())
    assert isinstance(live, ChangeApplied)
    assert live.seen_after is None
    assert "sent, but not seen in the flag system yet" in (await told(slack_app))[-1][2]


async def test_somebody_between_plan_and_change_is_not_overwritten(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    found = await unreliable_backend.inner.read(FLAG, "staging")
    await unreliable_backend.inner.apply(
        FLAG, "staging", SetExposure(0.5), version=found.version, note="theirs"
    )
    with pytest.raises(FlagConflictError):
        await slack_app.flags.changes.execute(wanted(version=found.version))
    assert await exposure(slack_app, "staging") == 0.5
    assert not await audited(slack_app)


async def test_the_same_request_is_carried_out_once(slack_app: RunningSlackApp) -> None:
    await slack_app.flags.changes.execute(wanted())
    with pytest.raises(DuplicateChangeError):
        await slack_app.flags.changes.execute(wanted(SetExposure(0.5)))
    assert await exposure(slack_app, "staging") == 0.25


async def ramped(slack_app: RunningSlackApp) -> None:
    """A ramp of dana's that sam approved, after its first step."""
    await slack_app.types("dana", f"/flag ramp {FLAG} 1% 5% 25% 100% every 30m the new till")
    await slack_app.presses("sam", (await deliver(slack_app))[-1], "flag.approve", "#checkout")
    await slack_app.tick()


async def crashed(slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend, cut: str) -> None:
    """End the process while the ramp takes its next step."""
    later(slack_app, timedelta(minutes=30))
    unreliable_backend.cut = cut
    with pytest.raises(KeyboardInterrupt):
        await slack_app.tick()
    unreliable_backend.cut = None


async def waited(slack_app: RunningSlackApp, rate: float = 0.5) -> None:
    """Let somewhat more than a minute pass, with an evaluation every five seconds."""
    for _ in range(14):
        later(slack_app, timedelta(seconds=5))
        await evaluated(slack_app, rate, as_of=slack_app.shop.clock.now())


async def came_back(slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend) -> None:
    unreliable_backend.cut, unreliable_backend.away = None, False
    await waited(slack_app, 50.0)


async def occasions(slack_app: RunningSlackApp) -> list[str]:
    return [occasion for _, occasion, _ in await told(slack_app)]


@pytest.mark.parametrize("meanwhile", ["/freeze checkout trouble", f"/flag ramp stop {FLAG}"])
async def test_a_step_that_a_crash_cut_off_keeps_nobody_from_turning_the_flag_off(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend, meanwhile: str
) -> None:
    await ramped(slack_app)
    await crashed(slack_app, unreliable_backend, "crash before")
    await slack_app.types("sam", meanwhile)
    await waited(slack_app)
    await slack_app.types("sam", f"/flag kill {FLAG}")
    assert await exposure(slack_app) == 0


async def test_a_ramp_goes_back_though_a_crash_cut_its_next_step_off(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    await ramped(slack_app)
    await crashed(slack_app, unreliable_backend, "crash before")
    await evaluated(slack_app, 50.0, as_of=slack_app.shop.clock.now())
    assert await exposure(slack_app) == 0


async def test_a_step_that_arrived_as_its_ramp_was_stopped_is_recorded_and_watched(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    await ramped(slack_app)
    await crashed(slack_app, unreliable_backend, "crash")
    await slack_app.types("sam", f"/flag ramp stop {FLAG}")
    await waited(slack_app)
    _, _, text = (await told(slack_app))[-1]
    assert text.startswith("*1% → 5% of users*")
    assert "Step 2 of 4" not in text
    assert "it is rolled back if the budget burns too fast" in text
    await waited(slack_app, 50.0)
    assert await exposure(slack_app) == 0.01


async def test_a_rollback_without_an_answer_is_not_taken_for_another_persons_change(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    await raised(slack_app)
    unreliable_backend.cut = "after, and away"
    await evaluated(slack_app, 50.0)
    await came_back(slack_app, unreliable_backend)
    assert await occasions(slack_app) == ["flag_approval", "flag_changed", "flag_changed"]
    assert [(who, to) for who, _, to, _, _ in await changes(slack_app)][-1] == ("governor", "off")


async def test_a_ramp_that_goes_back_without_an_answer_is_not_ended_as_somebody_elses(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    await ramped(slack_app)
    unreliable_backend.cut = "after, and away"
    await evaluated(slack_app, 50.0)
    await came_back(slack_app, unreliable_backend)
    assert await occasions(slack_app) == ["flag_approval", "flag_changed", "flag_changed"]
    assert await exposure(slack_app) == 0


async def test_a_timer_without_an_answer_is_not_taken_for_another_persons_change(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    await slack_app.types("dana", f"/flag on {FLAG} staging for 2h")
    later(slack_app, timedelta(hours=2))
    unreliable_backend.cut = "after, and away"
    await slack_app.tick()
    await came_back(slack_app, unreliable_backend)
    assert await occasions(slack_app) == ["flag_changed", "flag_changed"]
    assert await exposure(slack_app, "staging") == 0


async def test_a_step_that_arrived_half_way_is_taken_again(
    slack_app: RunningSlackApp, unreliable_backend: UnreliableBackend
) -> None:
    unreliable_backend.cut = "half-way"
    await ramped(slack_app)
    assert await exposure(slack_app) == 0
    unreliable_backend.cut = None
    await waited(slack_app)
    assert await exposure(slack_app) == 0.01
    assert await occasions(slack_app) == ["flag_approval", "flag_changed"]
