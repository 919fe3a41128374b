"""Changes that meet a crash, a silent flag system or somebody else: not lost, doubled or overwritten."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.flags.backend import (
    AppliedChange,
    BackendOutcomeUnknownError,
    BackendUnavailableError,
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
from bot.flags.changes import executor as carrying_out
from bot.flags.flag import FlagState
from tests.support.slack_app import Office
from tests.support.slack_flags import FLAG, audited, changes, exposure, later, open_flag_office, told


class Unreliable:
    """The local flag system behind a line that can be cut before or after a change arrives."""

    def __init__(self, inner: LocalBackend) -> None:
        self.inner = inner
        self.cut: str | None = None
        self.blind = False
        self.applied = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def read(self, flag: str, environment: str) -> FlagState:
        if self.blind:
            raise BackendUnavailableError("the flag system does not answer")
        return await self.inner.read(flag, environment)

    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        if self.cut == "before":
            raise BackendOutcomeUnknownError("no answer")
        done = await self.inner.apply(flag, environment, change, version=version, note=note)
        self.applied += 1
        if self.cut == "after":
            raise BackendOutcomeUnknownError("no answer")
        if self.cut == "crash":
            raise KeyboardInterrupt
        return done


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(carrying_out, "LOOKS_S", (0.0, 0.0))
    async with open_flag_office(tmp_path) as office:
        yield office


@pytest.fixture
def line(office: Office) -> Unreliable:
    """The way to the flag system."""
    backend = office.flags.changes.backend
    assert isinstance(backend, LocalBackend)
    line = Unreliable(backend)
    office.flags.changes._backend = lambda: line  # type: ignore[assignment, return-value]
    return line


def wanted(change: FlagChange | None = None, request: str = "1", version: str | None = None) -> ChangeRequest:
    share = change or SetExposure(0.25)
    return ChangeRequest(FLAG, "staging", share, "U0DANA", "small steps", request, version=version)


async def settled(office: Office) -> None:
    later(office, timedelta(seconds=20))
    await office.flags.changes.settle()


async def test_an_answer_that_never_came_is_read_back(office: Office, line: Unreliable) -> None:
    line.cut = "after"
    live = await office.flags.changes.order(wanted())
    assert isinstance(live, ChangeApplied)
    assert await exposure(office, "staging") == 0.25
    assert len(await changes(office)) == 1


async def test_an_increase_that_never_arrived_is_dropped_and_told(office: Office, line: Unreliable) -> None:
    line.cut = "before"
    with pytest.raises(UnconfirmedChangeError):
        await office.flags.changes.order(wanted())
    line.cut = None
    await settled(office)
    assert await exposure(office, "staging") == 0
    assert [occasion for _, occasion, _ in await told(office)] == ["flag_not_done"]
    await settled(office)
    assert len(await told(office)) == 1


async def test_a_lowering_that_never_arrived_is_sent_again_once(office: Office, line: Unreliable) -> None:
    await office.flags.changes.order(wanted())
    line.cut = "before"
    with pytest.raises(UnconfirmedChangeError):
        await office.flags.changes.order(wanted(TurnOff(), "2"))
    line.cut = None
    await settled(office)
    await settled(office)
    assert await exposure(office, "staging") == 0
    assert line.applied == 2
    assert [to for _, _, to, _, _ in await changes(office)] == ["25 % of users", "off"]


async def test_a_crash_between_the_change_and_its_record_is_recorded_once(
    office: Office, line: Unreliable
) -> None:
    line.cut = "crash"
    with pytest.raises(KeyboardInterrupt):
        await office.flags.changes.order(wanted())
    assert await exposure(office, "staging") == 0.25
    assert not await changes(office)
    line.cut = None
    await settled(office)
    await settled(office)
    assert line.applied == 1
    assert await changes(office) == [("U0DANA", "off", "25 % of users", "small steps", None)]


async def test_what_cannot_be_read_back_is_said_plainly(office: Office, line: Unreliable) -> None:
    line.blind = True
    live = await office.flags.changes.order(wanted())
    assert isinstance(live, ChangeApplied)
    assert live.seen_after is None
    assert "sent, but not seen in the flag system yet" in (await told(office))[-1][2]


async def test_somebody_between_plan_and_change_is_not_overwritten(office: Office, line: Unreliable) -> None:
    found = await line.inner.read(FLAG, "staging")
    await line.inner.apply(FLAG, "staging", SetExposure(0.5), version=found.version, note="theirs")
    with pytest.raises(FlagConflictError):
        await office.flags.changes.order(wanted(version=found.version))
    assert await exposure(office, "staging") == 0.5
    assert not await audited(office)


async def test_the_same_request_is_carried_out_once(office: Office) -> None:
    await office.flags.changes.order(wanted())
    with pytest.raises(DuplicateChangeError):
        await office.flags.changes.order(wanted(SetExposure(0.5)))
    assert await exposure(office, "staging") == 0.25
