"""flagd definition files: what is written, what stays, and what the file's readers see meanwhile."""

# ruff: noqa: ASYNC240 - the files are tiny and nobody else waits for this loop

import asyncio
import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bot.flags.backend import (
    AppliedChange,
    BackendUnavailableError,
    EnvironmentNotFoundError,
    FlagConflictError,
    MisconfiguredError,
    UnsupportedError,
)
from bot.flags.backends import flagd
from bot.flags.backends.flagd import FlagdBackend
from bot.flags.backends.flagd_definition import change_definition, read_definition
from bot.flags.change import Difference, Direction, FlagChange, Kill, Restore, SetExposure, TurnOff, TurnOn
from bot.flags.flag import FlagState, Shape, exposure_in_words
from tests.flags.backends.flag_systems import FLAGD_FILE

SIMPLE = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
COLOURS = {
    "state": "ENABLED",
    "variants": {"red": "#f00", "blue": "#00f", "off": ""},
    "defaultVariant": "red",
}


def state(definition: Mapping[str, Any]) -> FlagState:
    return read_definition("new-checkout", "production", definition)


def changed(definition: Mapping[str, Any], *changes: FlagChange) -> dict[str, Any]:
    now = dict(definition)
    for change in changes:
        now = change_definition(now, state(now), change)
    return now


def split(on: int, off: int, *, by: Any = None) -> dict[str, Any]:
    parts = [["on", on], ["off", off]]
    return {"fractional": parts if by is None else [by, *parts]}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, (False, 1.0, Shape.SIMPLE)),
        ({"defaultVariant": "on"}, (True, 1.0, Shape.SIMPLE)),
        ({"state": "DISABLED", "defaultVariant": "on"}, (False, 1.0, Shape.SIMPLE)),
        ({"defaultVariant": None}, (True, None, Shape.OPAQUE)),
        ({"defaultVariant": "green"}, (True, None, Shape.OPAQUE)),
        ({"defaultVariant": None, "targeting": split(25, 75)}, (True, 0.25, Shape.TARGETED)),
        ({"defaultVariant": "on", "targeting": split(25, 75)}, (True, 0.25, Shape.TARGETED)),
        ({"defaultVariant": "on", "targeting": split(0, 100)}, (True, None, Shape.TARGETED)),
        ({"defaultVariant": "on", "targeting": split(100, 0)}, (True, 1.0, Shape.SIMPLE)),
        ({"targeting": {"fractional": [["on", 100]]}}, (True, None, Shape.TARGETED)),
        ({"targeting": {"fractional": [["on", True], ["off", 1]]}}, (True, None, Shape.TARGETED)),
        ({"targeting": {"if": [False, split(25, 75), "on"]}}, (True, None, Shape.TARGETED)),
        ({"targeting": {"if": [False, split(25, 75), "off"]}}, (False, 0.25, Shape.SIMPLE)),
        ({"targeting": split(25, 75)}, (True, 0.25, Shape.SIMPLE)),
        ({"targeting": split(25, 75, by={"var": "email"})}, (True, 0.25, Shape.SIMPLE)),
        ({"targeting": {"fractional": [["on"], ["off"]]}}, (True, 0.5, Shape.SIMPLE)),
        ({"targeting": {"fractional": [["on", 0], ["off", 1]]}}, (True, 0.0, Shape.SIMPLE)),
        ({"targeting": {"fractional": [["on", 1], ["green", 1]]}}, (True, None, Shape.TARGETED)),
        ({"targeting": {"fractional": [["on", {"var": "weight"}]]}}, (True, None, Shape.TARGETED)),
        ({"targeting": {"if": [{"var": "staff"}, "on", "off"]}}, (True, None, Shape.TARGETED)),
        ({"targeting": {"$ref": "staff"}}, (True, None, Shape.TARGETED)),
        ({"variants": {"on": True, "off": False, "half": True}}, (False, None, Shape.MULTIVARIATE)),
        ({"variants": [1, 2]}, (True, None, Shape.OPAQUE)),
        ({"targeting": "odd"}, (True, None, Shape.OPAQUE)),
    ],
)
def test_a_definition_is_read_for_what_it_means(
    parts: dict[str, Any], expected: tuple[bool, float | None, Shape]
) -> None:
    found = state(SIMPLE | parts)
    assert (found.enabled, found.rollout, found.shape) == expected


WITHOUT_DEFAULT = {name: value for name, value in SIMPLE.items() if name != "defaultVariant"}


DISABLED = SIMPLE | {"state": "DISABLED"}


@pytest.mark.parametrize("definition", [WITHOUT_DEFAULT, DISABLED, SIMPLE | {"state": "?"}])
def test_what_is_left_to_the_codes_default_is_not_known(definition: dict[str, Any]) -> None:
    unknown = state(definition)
    assert unknown.exposure is None
    assert not unknown.is_off
    assert "not known" in exposure_in_words(unknown)


@pytest.mark.parametrize(
    ("definition", "change", "direction"),
    [
        (WITHOUT_DEFAULT, TurnOn(), Direction.RAISES),
        (WITHOUT_DEFAULT, TurnOff(), Direction.LOWERS),
        (WITHOUT_DEFAULT, Kill(), Direction.LOWERS),
        (DISABLED, TurnOn(), Direction.RAISES),
        (DISABLED, SetExposure(0.01), Direction.RAISES),
        (DISABLED, TurnOff(), Direction.LOWERS),
        (DISABLED, Kill(), Direction.LOWERS),
    ],
)
async def test_from_unknown_only_off_is_a_lowering_and_back_is_a_raise(
    tmp_path: Path, definition: dict[str, Any], change: FlagChange, direction: Direction
) -> None:
    file = tmp_path / "flags.json"
    file.write_text(json.dumps({"flags": {"new-checkout": definition}}))
    plan = await backend(file).plan("new-checkout", "production", change)
    assert plan.difference.direction is direction
    back = Difference(state(changed(definition, Kill())), state(definition))
    assert back.direction is Direction.RAISES


async def test_a_share_of_an_unknown_exposure_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "flags.json"
    file.write_text(json.dumps({"flags": {"new-checkout": WITHOUT_DEFAULT}}))
    with pytest.raises(UnsupportedError, match=r"who sees new-checkout is not known \(opaque\): turn it off"):
        await backend(file).plan("new-checkout", "production", SetExposure(0.01))


def test_kill_serves_off_itself_instead_of_the_codes_default() -> None:
    for before in (SIMPLE | {"targeting": split(25, 75)}, SIMPLE | {"state": "DISABLED"}):
        assert changed(before, Kill()) == SIMPLE


def test_off_puts_the_rules_aside_and_on_takes_them_back() -> None:
    rules = {"if": [{"var": "staff"}, "on", "off"]}
    before = SIMPLE | {"targeting": rules, "defaultVariant": "on"}
    off = changed(before, TurnOff())
    assert off["targeting"] == {"if": [False, rules, "off"]}
    assert state(off).is_off
    assert changed(off, TurnOff()) == off
    assert changed(off, TurnOn()) == before


def test_an_exposure_keeps_the_order_and_what_users_are_told_apart_by() -> None:
    by = {"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}
    before = SIMPLE | {"targeting": {"fractional": [by, ["off", 3], ["on", 1]]}}
    assert changed(before, SetExposure(0.05))["targeting"] == {"fractional": [by, ["off", 95], ["on", 5]]}


@pytest.mark.parametrize(("share", "weights"), [(0.29, (29, 71)), (0.005, (50, 9950)), (1.0, (100, 0))])
def test_weights_are_whole_percents_where_that_is_enough(share: float, weights: tuple[int, int]) -> None:
    assert changed(SIMPLE, SetExposure(share))["targeting"] == split(*weights)


def test_users_without_a_key_see_on_only_when_everyone_does() -> None:
    assert changed(SIMPLE, SetExposure(0.9999))["defaultVariant"] == "off"
    assert changed(SIMPLE, SetExposure(1.0))["defaultVariant"] == "on"


def test_a_flag_of_several_values_can_be_killed_and_restored_but_not_guessed() -> None:
    killed = changed(COLOURS, Kill())
    assert state(killed).is_off
    with pytest.raises(UnsupportedError, match="undo"):
        changed(killed, TurnOn())
    assert changed(killed, Restore(state(COLOURS))) == COLOURS


def test_without_a_value_that_means_off_nothing_can_be_killed() -> None:
    with pytest.raises(UnsupportedError, match="no variant that means off"):
        changed({"state": "ENABLED", "variants": {"a": 1, "b": 2}, "defaultVariant": "a"}, Kill())


def backend(file: Path) -> FlagdBackend:
    return FlagdBackend({"file": str(file)}, ("production",))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "flags.json"
    file.write_text(json.dumps(FLAGD_FILE))
    return file


async def expose(file: Path, share: float) -> AppliedChange:
    one = backend(file)
    version = (await one.read("new-checkout", "production")).version
    return await one.apply("new-checkout", "production", SetExposure(share), version=version, note="U1")


async def test_everything_else_in_the_file_stays_as_it_was(file: Path) -> None:
    await expose(file, 0.25)
    expected = deepcopy(FLAGD_FILE)
    expected["flags"]["new-checkout"]["targeting"] = split(25, 75)
    assert json.loads(file.read_text()) == expected
    assert list(json.loads(file.read_text())["flags"]) == list(FLAGD_FILE["flags"])
    assert {path.name for path in file.parent.iterdir()} <= {"flags.json", "flags.json.lock"}


async def test_the_files_rights_and_a_link_to_it_stay(file: Path, tmp_path: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "linked.json"
    link.symlink_to(file)
    await expose(link, 0.25)
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert (await backend(file).read("new-checkout", "production")).exposure == 0.25


async def test_readers_see_the_old_file_or_the_new_one_and_nothing_between(file: Path) -> None:
    done = asyncio.Event()

    async def watch() -> int:
        seen = 0
        while not done.is_set():
            json.loads(await asyncio.to_thread(file.read_text))
            seen += 1
        return seen

    watching = asyncio.create_task(watch())
    for share in [0.1, 0.2, 0.3, 0.4] * 5:
        await expose(file, share)
    done.set()
    assert await watching > 0


async def test_two_flags_changed_at_once_are_both_changed(file: Path) -> None:
    one, other = backend(file), backend(file)
    versions = {name: (await one.read(name, "production")).version for name in ("new-checkout", "new-search")}
    await asyncio.gather(
        *(
            each.apply(name, "production", SetExposure(0.25), version=versions[name], note="U1")
            for each, name in ((one, "new-checkout"), (other, "new-search"))
        )
    )
    assert [flag.exposure for flag in (await one.list("production"))[:2]] == [0.25, 0.25]


async def test_another_flags_change_is_no_conflict(file: Path) -> None:
    one = backend(file)
    planned = await one.plan("new-checkout", "production", TurnOn())
    search = await one.read("new-search", "production")
    await one.apply("new-search", "production", TurnOn(), version=search.version, note="U2")
    await one.apply("new-checkout", "production", planned.change, version=planned.version, note="U1")
    with pytest.raises(FlagConflictError):
        await one.apply("new-search", "production", Kill(), version=search.version, note="U1")


async def test_a_held_lock_is_waited_for_and_then_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flagd, "_LOCK_TIMEOUT_S", 0.05)
    with FileLock(f"{file}.lock"), pytest.raises(BackendUnavailableError, match="lock"):
        await expose(file, 0.25)
    await expose(file, 0.25)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"flags": []}', '{"flags": {"new-checkout": 1}}'])
async def test_a_file_that_is_no_definition_is_left_alone(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(BackendUnavailableError):
        await expose(file, 0.25)
    with pytest.raises(BackendUnavailableError):
        await backend(file).check()
    assert file.read_text() == text


async def test_a_missing_file_is_unavailable_and_an_unnamed_environment_unknown(file: Path) -> None:
    with pytest.raises(EnvironmentNotFoundError):
        await backend(file).read("new-checkout", "staging")
    file.unlink()
    with pytest.raises(BackendUnavailableError):
        await backend(file).list("production")


@pytest.mark.parametrize(
    "settings", [{}, {"file": "a.json", "files": {"x": "b.json"}}, {"file": "a.yaml"}, {"path": "a.json"}]
)
def test_wrong_settings_are_told(settings: dict[str, Any]) -> None:
    with pytest.raises(MisconfiguredError):
        FlagdBackend(settings, ("production",))
    with pytest.raises(MisconfiguredError, match="one for each environment"):
        FlagdBackend({"file": "a.json"}, ("production", "staging"))
