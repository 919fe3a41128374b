"""Flagsmith's refusals, its overrides and its percentage splits, on a stand-in written from its source."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from bot.flags.backend import (
    ApprovalRequiredError,
    BackendOutcomeUnknownError,
    BackendRateLimitedError,
    BackendUnavailableError,
    EnvironmentNotFoundError,
    FlagConflictError,
    FlagError,
    ForbiddenError,
    InvalidChangeError,
    MisconfiguredError,
    UnsupportedError,
)
from bot.flags.backends.flagsmith import FlagsmithBackend
from bot.flags.change import FlagChange, Kill, SetExposure, TurnOff, TurnOn
from bot.flags.flag import FlagState, Shape
from tests.flags.backends.flag_systems import serving
from tests.flags.backends.flagsmith_server import FlagsmithServer
from tests.flags.backends.vendor_errors import Fault

WHERE = "production"


@dataclass
class Setting:
    server: FlagsmithServer
    url: str
    session: aiohttp.ClientSession

    def backend(
        self, *, key: str | None = None, token: str | None = None, **segments: int
    ) -> FlagsmithBackend:
        settings = {
            "url": self.url,
            "token": token or self.server.token,
            "environments": {WHERE: key or self.server.environment_key},
            "segments": {name.replace("_", "-"): id_ for name, id_ in segments.items()},
        }
        return FlagsmithBackend(settings, self.session)

    async def change(self, backend: FlagsmithBackend, change: FlagChange, flag: str = "plain") -> FlagState:
        version = (await backend.read(flag, WHERE)).version
        return (await backend.apply(flag, WHERE, change, version=version, note="U1: a test")).after


@pytest.fixture(params=[False, True], ids=["unversioned", "versioned"])
async def setting(request: pytest.FixtureRequest) -> AsyncIterator[Setting]:
    server = FlagsmithServer(versioned=request.param)
    server.add("plain")
    async with serving(server.add_routes) as url, aiohttp.ClientSession() as session:
        yield Setting(server, url, session)


async def test_a_plain_flag_is_switched_and_has_no_percentage(setting: Setting) -> None:
    backend = setting.backend()
    assert backend.capabilities.finest_share is None
    assert (await setting.change(backend, TurnOn())).exposure == 1
    assert (await setting.change(backend, TurnOff())).is_off
    with pytest.raises(UnsupportedError, match="name no percentage split segment for plain"):
        await backend.plan("plain", WHERE, SetExposure(0.25))


async def test_a_flag_without_the_override_says_what_to_add(setting: Setting) -> None:
    segment = setting.server.add_segment("PERCENTAGE_SPLIT", "10")
    with pytest.raises(UnsupportedError, match=f"no override for segment {segment}"):
        await setting.change(setting.backend(plain=segment), SetExposure(0.25))


async def test_the_exposure_is_the_splits_percentage(setting: Setting) -> None:
    segment = setting.server.add_segment("PERCENTAGE_SPLIT", "10")
    setting.server.add("new-checkout", overrides={segment: True})
    backend = setting.backend(new_checkout=segment)
    assert (await backend.read("new-checkout", WHERE)).exposure == 0.1
    await setting.change(backend, SetExposure(0.125), "new-checkout")
    condition = setting.server.segments[segment]["rules"][0]["rules"][0]["conditions"][0]
    assert condition["value"] == "12.5"


async def test_a_flag_on_for_all_is_narrowed_to_its_split(setting: Setting) -> None:
    segment = setting.server.add_segment("PERCENTAGE_SPLIT", "10")
    setting.server.add("new-checkout", overrides={segment: True})
    setting.server.set_enabled("new-checkout", segment=None, enabled=True)
    backend = setting.backend(new_checkout=segment)
    assert (await backend.read("new-checkout", WHERE)).exposure == 1
    assert (await setting.change(backend, SetExposure(0.25), "new-checkout")).exposure == 0.25


async def test_on_for_all_but_the_split_is_not_understood(setting: Setting) -> None:
    segment = setting.server.add_segment("PERCENTAGE_SPLIT", "10")
    setting.server.add("new-checkout", overrides={segment: False})
    setting.server.set_enabled("new-checkout", segment=None, enabled=True)
    state = await setting.backend(new_checkout=segment).read("new-checkout", WHERE)
    assert (state.shape, state.exposure) == (Shape.OPAQUE, None)


@pytest.mark.parametrize(("kind", "percentage"), [("ALL", "110"), ("NONE", "10"), ("ALL", "nan")])
async def test_a_segment_that_is_no_share_is_not_taken_for_one(
    setting: Setting, kind: str, percentage: str
) -> None:
    segment = setting.server.add_segment("PERCENTAGE_SPLIT", percentage)
    setting.server.segments[segment]["rules"][0]["rules"][0]["type"] = kind
    setting.server.add("new-checkout", overrides={segment: True})
    with pytest.raises(MisconfiguredError, match="not one percentage split"):
        await setting.backend(new_checkout=segment).read("new-checkout", WHERE)


async def test_kill_switches_every_override_off(setting: Setting) -> None:
    staff, beta = setting.server.add_segment("EQUAL", "staff"), setting.server.add_segment("EQUAL", "beta")
    setting.server.add("tools", overrides={staff: True, beta: True})
    setting.server.set_enabled("tools", segment=None, enabled=True)
    backend = setting.backend()
    assert (await setting.change(backend, Kill(), "tools")).is_off
    assert not any(one["enabled"] for one in setting.server.states)


async def test_people_with_overrides_of_their_own_keep_a_flag_from_being_off(setting: Setting) -> None:
    setting.server.add("tools", num_identity_overrides=2)
    state = await setting.change(setting.backend(), Kill(), "tools")
    assert (state.is_off, state.shape) == (False, Shape.TARGETED)


async def test_several_values_are_several_values(setting: Setting) -> None:
    setting.server.add("colour", multivariate_options=[{"id": 1}])
    assert (await setting.backend().read("colour", WHERE)).shape is Shape.MULTIVARIATE


async def test_a_change_writes_versions_only_where_there_are_some(setting: Setting) -> None:
    await setting.change(setting.backend(), TurnOn())
    versioned = setting.server.environment["use_v2_feature_versioning"]
    assert setting.server.versions == (["U1: a test"] if versioned else [])


async def test_an_environment_with_change_requests_is_not_written_to(setting: Setting) -> None:
    setting.server.environment["minimum_change_request_approvals"] = 1
    with pytest.raises(ApprovalRequiredError) as refused:
        await setting.change(setting.backend(), TurnOn())
    assert str(refused.value.link).endswith("/change-requests")
    assert not any(one["enabled"] for one in setting.server.states)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(400, {"detail": "Environment must …"}), InvalidChangeError),
        (Fault(401, {"detail": "Authentication credentials were not provided."}), ForbiddenError),
        (Fault(403, {"detail": "You do not have permission."}), ForbiddenError),
        (Fault(404, {"detail": "Not found."}), FlagConflictError),
        (Fault(429, {"detail": "Request was throttled."}, {"Retry-After": "20"}), BackendRateLimitedError),
        (Fault(500, "<h1>Server Error</h1>"), BackendOutcomeUnknownError),
        (Fault(200, {}, after_writing=True, hang_up=True), BackendOutcomeUnknownError),
    ],
)
async def test_each_refusal_of_a_change_is_told_apart(
    setting: Setting, fault: Fault, error: type[FlagError]
) -> None:
    versioned = setting.server.environment["use_v2_feature_versioning"]
    setting.server.faults.add("POST" if versioned else "PATCH", fault)
    with pytest.raises(error) as refused:
        await setting.change(setting.backend(), TurnOn())
    assert type(refused.value) is error


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(401, {}), ForbiddenError),
        (Fault(403, {}), ForbiddenError),
        (Fault(429, {}), BackendRateLimitedError),
        (Fault(500, ""), BackendUnavailableError),
        (Fault(200, {}, hang_up=True), BackendUnavailableError),
    ],
)
async def test_a_reading_that_fails_wrote_nothing(
    setting: Setting, fault: Fault, error: type[FlagError]
) -> None:
    setting.server.faults.add("GET", fault, times=3)
    with pytest.raises(error):
        await setting.backend().read("plain", WHERE)


async def test_faults_of_the_settings_are_called_that(setting: Setting) -> None:
    other = setting.server.add_segment("EQUAL", "staff")
    setting.server.add("tools", overrides={other: True})
    with pytest.raises(MisconfiguredError, match="not one percentage split"):
        await setting.backend(tools=other).read("tools", WHERE)
    with pytest.raises(MisconfiguredError):
        await setting.backend(plain=4711).read("plain", WHERE)
    with pytest.raises(EnvironmentNotFoundError):
        await setting.backend(key="wrong").check()
    with pytest.raises(ForbiddenError):
        await setting.backend(token="wrong").check()
    with pytest.raises(MisconfiguredError, match=r"environments: field required; tokn: extra inputs"):
        FlagsmithBackend({"tokn": "x", "token": "x"}, setting.session)


@pytest.mark.parametrize("body", [[], {}, None, 7, {"results": None}])
async def test_json_of_another_form_is_an_error_of_the_port(setting: Setting, body: object) -> None:
    backend = setting.backend()
    for reading in (
        backend.read("plain", WHERE),
        backend.list(WHERE),
        backend.plan("plain", WHERE, TurnOn()),
    ):
        setting.server.faults.add("GET", Fault(200, body))
        with pytest.raises(BackendUnavailableError, match="Flagsmith answered otherwise than expected"):
            await reading


async def test_a_flag_without_a_state_is_an_error_of_the_port(setting: Setting) -> None:
    setting.server.states.clear()
    with pytest.raises(BackendUnavailableError, match="Flagsmith answered otherwise than expected"):
        await setting.backend().read("plain", WHERE)


async def test_a_change_that_cannot_be_read_back_is_not_called_undone(setting: Setting) -> None:
    backend = setting.backend()
    version = (await backend.read("plain", WHERE)).version
    setting.server.faults.add("GET", Fault(503, ""), after=("PATCH", "POST"))
    with pytest.raises(BackendOutcomeUnknownError):
        await backend.apply("plain", WHERE, TurnOn(), version=version, note="U1")
    assert (await backend.read("plain", WHERE)).exposure == 1
