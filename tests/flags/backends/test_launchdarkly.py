"""LaunchDarkly's refusals and its traps, on a stand-in that answers as documented."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from bot.flags.backend import (
    ApprovalRequiredError,
    BackendOutcomeUnknownError,
    BackendRateLimitedError,
    BackendUnavailableError,
    FlagConflictError,
    FlagError,
    FlagNotFoundError,
    ForbiddenError,
    InvalidChangeError,
    MisconfiguredError,
    UnsupportedError,
)
from bot.flags.backends import launchdarkly
from bot.flags.backends.launchdarkly import LaunchDarklyBackend
from bot.flags.change import Difference, Direction, Kill, Restore, SetExposure, TurnOn
from bot.flags.flag import Shape
from tests.flags.backends.flag_systems import serving
from tests.flags.backends.launchdarkly_server import LaunchDarklyServer
from tests.flags.backends.vendor_errors import Fault

FLAG, WHERE = "new-checkout", "production"


@dataclass
class Setting:
    server: LaunchDarklyServer
    backend: LaunchDarklyBackend
    url: str
    session: aiohttp.ClientSession

    async def expose(self, share: float = 0.25) -> None:
        version = (await self.backend.read(FLAG, WHERE)).version
        await self.backend.apply(FLAG, WHERE, SetExposure(share), version=version, note="U1: canary")

    def other(self, **settings: Any) -> LaunchDarklyBackend:
        return LaunchDarklyBackend({"url": self.url, "token": self.server.token} | settings, self.session)


@pytest.fixture
async def setting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Setting]:
    monkeypatch.setattr(launchdarkly, "_RETRY_DELAYS_S", (0.0, 0.0, 0.0))
    server = LaunchDarklyServer()
    server.add(FLAG)
    async with serving(server.add_routes) as url, aiohttp.ClientSession() as session:
        backend = LaunchDarklyBackend({"url": url, "token": server.token, "timeout": 2.0}, session)
        yield Setting(server, backend, url, session)


async def test_a_change_is_one_patch_with_a_comment(setting: Setting) -> None:
    await setting.expose()
    assert setting.server.comments == ["U1: canary"]
    production = setting.server.flags[FLAG]["environments"][WHERE]
    assert production["fallthrough"]["rollout"]["variations"] == [
        {"variation": 0, "weight": 25_000},
        {"variation": 1, "weight": 75_000},
    ]
    assert setting.server.flags[FLAG]["environments"]["test"]["on"] is False


async def test_a_plan_is_a_dry_run(setting: Setting) -> None:
    await setting.backend.plan(FLAG, WHERE, TurnOn())
    method, path, _ = setting.server.faults.requests[-1]
    assert (method, path.endswith("?dryRun=true")) == ("PATCH", True)
    assert setting.server.comments == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(400, {"code": "invalid_request", "message": "no such variation"}), InvalidChangeError),
        (Fault(401, {"code": "unauthorized", "message": "Invalid access token"}), ForbiddenError),
        (Fault(403, {"code": "forbidden", "message": "Forbidden"}), ForbiddenError),
        (Fault(404, {"code": "not_found", "message": "Unknown flag key"}), FlagConflictError),
        (Fault(405, {"code": "approval_required", "message": "Approval is required"}), ApprovalRequiredError),
        (Fault(429, {"code": "rate_limited"}, {"Retry-After": "7"}), BackendRateLimitedError),
        (Fault(500, {"code": "internal", "message": "oops"}), BackendOutcomeUnknownError),
        (Fault(503, "upstream"), BackendOutcomeUnknownError),
        (Fault(200, "<html>"), BackendOutcomeUnknownError),
        (Fault(200, {}, after_writing=True, hang_up=True), BackendOutcomeUnknownError),
        (Fault(200, {}, after_writing=True, stall_s=3), BackendOutcomeUnknownError),
        (Fault(302, "", {"Location": "https://elsewhere.example"}), BackendUnavailableError),
    ],
)
async def test_each_documented_refusal_of_a_change_is_told_apart(
    setting: Setting, fault: Fault, error: type[FlagError]
) -> None:
    setting.server.faults.add("PATCH", fault)
    with pytest.raises(error) as refused:
        await setting.expose()
    assert type(refused.value) is error
    assert setting.server.token not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(401, {"message": "Invalid access token"}), ForbiddenError),
        (Fault(403, {"message": "Forbidden"}), ForbiddenError),
        (Fault(429, {}), BackendRateLimitedError),
        (Fault(500, {}), BackendUnavailableError),
        (Fault(504, ""), BackendUnavailableError),
        (Fault(200, {}, hang_up=True), BackendUnavailableError),
        (Fault(200, {}, stall_s=3), BackendUnavailableError),
    ],
)
async def test_a_reading_that_fails_wrote_nothing(
    setting: Setting, fault: Fault, error: type[FlagError]
) -> None:
    setting.server.faults.add("GET", fault, times=3)
    with pytest.raises(error) as refused:
        await setting.backend.read(FLAG, WHERE)
    assert type(refused.value) is error


async def test_the_approval_error_leads_to_the_flag(setting: Setting) -> None:
    setting.server.is_approval_required = True
    for call in (setting.expose(), setting.backend.plan(FLAG, WHERE, TurnOn())):
        with pytest.raises(ApprovalRequiredError) as refused:
            await call
        link = f"{setting.url}/projects/default/flags/{FLAG}/targeting?env=production"
        assert refused.value.link == link


async def test_two_requests_that_met_are_tried_again(setting: Setting) -> None:
    setting.server.faults.add("PATCH", Fault(409, {"code": "conflict"}), times=3)
    await setting.expose()
    assert (await setting.backend.read(FLAG, WHERE)).exposure == 0.25


async def test_a_meeting_that_does_not_end_is_a_conflict(setting: Setting) -> None:
    setting.server.faults.add("PATCH", Fault(409, {"code": "conflict"}), times=4)
    with pytest.raises(FlagConflictError):
        await setting.expose()
    assert (await setting.backend.read(FLAG, WHERE)).is_off


async def test_a_retry_does_not_overwrite_what_it_met(setting: Setting) -> None:
    version = (await setting.backend.read(FLAG, WHERE)).version
    setting.server.faults.add("PATCH", Fault(409, {"code": "conflict"}, after_writing=True))
    with pytest.raises(FlagConflictError) as refused:
        await setting.backend.apply(FLAG, WHERE, SetExposure(0.25), version=version, note="U1")
    assert refused.value.found is not None


async def test_the_rate_limits_reset_says_how_long_to_wait(setting: Setting) -> None:
    reset = str(int((time.time() + 30) * 1000))
    setting.server.faults.add("GET", Fault(429, {}, {"X-Ratelimit-Reset": reset}))
    with pytest.raises(BackendRateLimitedError) as refused:
        await setting.backend.read(FLAG, WHERE)
    assert timedelta(seconds=25) < refused.value.retry_after <= timedelta(seconds=30)


async def test_no_request_is_sent_once_none_remain(setting: Setting) -> None:
    reset = str(int((time.time() + 30) * 1000))
    headers = {"X-Ratelimit-Route-Remaining": "0", "X-Ratelimit-Reset": reset}
    setting.server.faults.add("GET", Fault(403, {}, headers))
    with pytest.raises(ForbiddenError):
        await setting.backend.check()
    sent = len(setting.server.faults.requests)
    with pytest.raises(BackendRateLimitedError):
        await setting.backend.check()
    assert len(setting.server.faults.requests) == sent


async def test_off_that_serves_true_is_not_called_off_and_kill_mends_it(setting: Setting) -> None:
    setting.server.change(FLAG, offVariation=0)
    before = await setting.backend.read(FLAG, WHERE)
    assert (before.is_off, before.shape) == (False, Shape.OPAQUE)
    applied = await setting.backend.apply(FLAG, WHERE, Kill(), version=before.version, note="U1")
    assert applied.after.is_off
    assert setting.server.flags[FLAG]["environments"][WHERE]["offVariation"] == 1


async def test_off_without_an_off_variation_is_left_to_the_code(setting: Setting) -> None:
    setting.server.change(FLAG, offVariation=None)
    before = await setting.backend.read(FLAG, WHERE)
    assert (before.enabled, before.exposure) == (False, None)
    for change in (TurnOn(), SetExposure(0.01)):
        plan = await setting.backend.plan(FLAG, WHERE, change)
        assert plan.difference.direction is Direction.RAISES
    await setting.backend.apply(FLAG, WHERE, Kill(), version=before.version, note="U1")
    killed = await setting.backend.read(FLAG, WHERE)
    assert killed.is_off
    assert Difference(killed, before).direction is Direction.RAISES


@pytest.mark.parametrize(
    "fallthrough", [{}, {"rollout": {"variations": [{"variation": 0, "weight": 25_000}]}}]
)
async def test_a_default_rule_that_does_not_say_whom_it_serves_is_not_guessed(
    setting: Setting, fallthrough: dict[str, Any]
) -> None:
    setting.server.change(FLAG, on=True, fallthrough=fallthrough)
    state = await setting.backend.read(FLAG, WHERE)
    assert (state.shape, state.exposure) == (Shape.OPAQUE, None)


async def test_an_archived_flag_is_left_to_the_code(setting: Setting) -> None:
    setting.server.flags[FLAG]["archived"] = True
    state = await setting.backend.read(FLAG, WHERE)
    assert (state.shape, state.exposure) == (Shape.OPAQUE, None)


async def test_the_text_true_is_no_true(setting: Setting) -> None:
    for variation, text in zip(setting.server.flags[FLAG]["variations"], ("True", "False"), strict=True):
        variation["value"] = text
    assert (await setting.backend.read(FLAG, WHERE)).shape is Shape.MULTIVARIATE


async def test_an_experiments_share_is_left_alone(setting: Setting) -> None:
    rollout = {"variations": [{"variation": 0, "weight": 100_000}], "experimentAllocation": {"type": "x"}}
    setting.server.change(FLAG, on=True, fallthrough={"rollout": rollout})
    assert (await setting.backend.read(FLAG, WHERE)).shape is Shape.OPAQUE
    with pytest.raises(UnsupportedError):
        await setting.expose()


async def test_what_users_are_told_apart_by_survives(setting: Setting) -> None:
    parts = [{"variation": 0, "weight": 1_000}, {"variation": 1, "weight": 99_000}]
    setting.server.change(FLAG, on=True, fallthrough={"rollout": {"variations": parts, "bucketBy": "org"}})
    await setting.expose()
    fallthrough = setting.server.flags[FLAG]["environments"][WHERE]["fallthrough"]
    assert fallthrough["rollout"]["bucketBy"] == "org"


async def test_flags_of_other_kinds_are_only_switched(setting: Setting) -> None:
    setting.server.add("colour", values=("red", "blue"))
    colour = await setting.backend.read("colour", WHERE)
    assert colour.shape is Shape.MULTIVARIATE
    with pytest.raises(UnsupportedError):
        await setting.backend.plan("colour", WHERE, SetExposure(0.5))
    await setting.backend.apply("colour", WHERE, TurnOn(), version=colour.version, note="U1")


async def test_changed_rules_are_not_restored_by_guess(setting: Setting) -> None:
    setting.server.change(FLAG, on=True, rules=[{"_id": "r1"}])
    recorded = await setting.backend.read(FLAG, WHERE)
    setting.server.change(FLAG, rules=[{"_id": "r2"}])
    with pytest.raises(UnsupportedError, match="restored in LaunchDarkly"):
        await setting.backend.plan(FLAG, WHERE, Restore(recorded))


async def test_more_flags_than_a_page_are_all_listed(setting: Setting) -> None:
    for number in range(250):
        setting.server.add(f"flag-{number:03}")
    assert len(await setting.backend.list(WHERE)) == 251


async def test_an_unknown_project_is_a_fault_of_the_settings(setting: Setting) -> None:
    other = setting.other(project="nope")
    for call in (other.check(), other.read(FLAG, WHERE), other.list(WHERE)):
        with pytest.raises(MisconfiguredError, match="no project nope"):
            await call
    with pytest.raises(ForbiddenError):
        await setting.other(token="wrong").check()


async def test_environments_may_have_other_keys(setting: Setting) -> None:
    named = setting.other(environments={"staging": "test"})
    state = await named.read(FLAG, "staging")
    await named.apply(FLAG, "staging", TurnOn(), version=state.version, note="U1")
    assert setting.server.flags[FLAG]["environments"]["test"]["on"] is True
    with pytest.raises(FlagNotFoundError):
        await named.read("nope", "staging")


async def test_a_server_that_is_not_there_is_unavailable(setting: Setting) -> None:
    gone = LaunchDarklyBackend({"url": "http://127.0.0.1:9", "token": "x"}, setting.session)
    with pytest.raises(BackendUnavailableError, match="cannot be reached"):
        await gone.check()


@pytest.mark.parametrize("body", [[], {}, None, 7, {"items": None, "environments": None, "key": FLAG}])
async def test_json_of_another_form_is_an_error_of_the_port(setting: Setting, body: object) -> None:
    backend = setting.backend
    version = (await backend.read(FLAG, WHERE)).version
    for reading in (backend.read(FLAG, WHERE), backend.list(WHERE), backend.plan(FLAG, WHERE, TurnOn())):
        setting.server.faults.add("GET", Fault(200, body))
        with pytest.raises(BackendUnavailableError, match="LaunchDarkly answered otherwise than expected"):
            await reading
    setting.server.faults.add("PATCH", Fault(200, body, after_writing=True))
    with pytest.raises(BackendOutcomeUnknownError):
        await backend.apply(FLAG, WHERE, TurnOn(), version=version, note="U1")


@pytest.mark.parametrize("name", [f"{FLAG}?env=x", f"{FLAG}#", f"./{FLAG}"])
async def test_a_flag_is_found_by_its_own_name_only(setting: Setting, name: str) -> None:
    with pytest.raises(FlagNotFoundError, match=f"did you mean {FLAG}"):
        await setting.backend.read(name, WHERE)
