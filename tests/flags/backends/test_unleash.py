"""Unleash's traps on the real Unleash, and its rarer refusals on a stand-in."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

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
    UnsupportedError,
)
from bot.flags.backends.http_json import JsonApi
from bot.flags.backends.unleash import UnleashBackend
from bot.flags.backends.unleash_feature import read_feature
from bot.flags.change import FlagChange, Kill, Restore, SetExposure, TurnOff, TurnOn
from bot.flags.flag import FlagState, Shape
from tests.flags.backends.flag_systems import serving
from tests.flags.backends.vendor_errors import Fault, Faults
from tests.support.unleash_server import ADMIN_TOKEN, UnleashServer

FLAG, WHERE = "one-flag", "development"
FEATURE = f"/projects/default/features/{FLAG}"
HERE = f"{FEATURE}/environments/{WHERE}"


@dataclass
class Setting:
    server: UnleashServer
    backend: UnleashBackend
    session: aiohttp.ClientSession

    async def read(self) -> FlagState:
        return await self.backend.read(FLAG, WHERE)

    async def change(self, wanted: FlagChange) -> FlagState:
        version = (await self.read()).version
        return (await self.backend.apply(FLAG, WHERE, wanted, version=version, note="U1")).after

    async def add_strategy(self, rollout: str = "5", **more: Any) -> str:
        strategy = {"name": "flexibleRollout", "constraints": [], "parameters": {"rollout": rollout}}
        added = await self.server.call("POST", f"{HERE}/strategies", strategy | more)
        return str(added["id"])

    async def strategies(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.server.call("GET", f"{HERE}/strategies")
        return found


@pytest.fixture
async def setting(unleash: UnleashServer) -> AsyncIterator[Setting]:
    await unleash.fresh_flag(FLAG)
    async with aiohttp.ClientSession() as session:
        backend = UnleashBackend({"url": f"{unleash.url}/api/", "token": ADMIN_TOKEN}, session)
        yield Setting(unleash, backend, session)


STAFF = [{"contextName": "userId", "operator": "IN", "values": ["ada"]}]


async def test_a_share_of_a_flag_without_a_strategy_never_means_everyone(setting: Setting) -> None:
    assert (await setting.change(SetExposure(0.05))).exposure == 0.05
    assert [one["parameters"]["rollout"] for one in await setting.strategies()] == ["5"]


async def test_a_disabled_strategy_is_not_counted_and_stays(setting: Setting) -> None:
    await setting.add_strategy("100", disabled=True)
    assert (await setting.change(SetExposure(0.05))).exposure == 0.05
    assert [one["disabled"] for one in await setting.strategies()] == [True, False]


async def test_an_enabled_flag_all_of_whose_strategies_are_disabled_is_not_understood(
    setting: Setting,
) -> None:
    await setting.add_strategy("5")
    await setting.server.call("POST", f"{HERE}/on")
    feature = await setting.server.call("GET", FEATURE)
    (part,) = [each for each in feature["environments"] if each["name"] == WHERE]
    disabled = {**part, "strategies": [{**one, "disabled": True} for one in part["strategies"]]}
    state = read_feature(feature, disabled, WHERE, None)
    assert (state.shape, state.exposure) == (Shape.OPAQUE, None)
    parent = {**feature, "dependencies": [{"feature": "parent"}]}
    assert read_feature(parent, {**part, "strategies": []}, WHERE, None).shape is Shape.TARGETED


async def test_constraints_survive_a_change_of_the_share(setting: Setting) -> None:
    await setting.add_strategy("5", constraints=STAFF, title="staff first")
    await setting.server.call("POST", f"{HERE}/on")
    state = await setting.change(SetExposure(0.25))
    assert (state.shape, state.rollout) == (Shape.TARGETED, 0.25)
    (strategy,) = await setting.strategies()
    assert (strategy["constraints"][0]["values"], strategy["title"]) == (["ada"], "staff first")


@pytest.mark.parametrize("rollout", ["250", "abc", "-5", "12.5", "\u00b2", "\u0665"])
async def test_a_rollout_that_is_no_percentage_is_not_believed(setting: Setting, rollout: str) -> None:
    await setting.add_strategy(rollout)
    state = await setting.read()
    assert (state.shape, state.rollout) == (Shape.OPAQUE, None)
    with pytest.raises(UnsupportedError):
        await setting.change(SetExposure(0.25))


async def test_strategies_that_are_or_ed_have_no_percentage(setting: Setting) -> None:
    await setting.add_strategy("5")
    await setting.add_strategy("50")
    await setting.server.call("POST", f"{HERE}/on")
    state = await setting.read()
    assert (state.shape, state.exposure) == (Shape.TARGETED, None)
    with pytest.raises(UnsupportedError, match="overwrite its rules"):
        await setting.change(SetExposure(0.25))


async def test_a_strategy_with_variants_has_several_values(setting: Setting) -> None:
    variant = {"name": "blue", "weight": 1000, "weightType": "variable", "stickiness": "default"}
    await setting.add_strategy("100", variants=[variant])
    assert (await setting.read()).shape is Shape.MULTIVARIATE


async def test_the_default_strategy_means_everyone_and_becomes_a_rollout(setting: Setting) -> None:
    await setting.server.call("POST", f"{HERE}/strategies", {"name": "default", "parameters": {}})
    assert (await setting.change(TurnOn())).exposure == 1
    assert (await setting.change(SetExposure(0.25))).exposure == 0.25
    (strategy,) = await setting.strategies()
    assert (strategy["name"], strategy["parameters"]["rollout"]) == ("flexibleRollout", "25")


async def test_somebody_faster_by_a_moment_is_not_overwritten(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = await setting.add_strategy("5")
    await setting.server.call("POST", f"{HERE}/on")
    version = (await setting.read()).version
    send = JsonApi.send

    async def send_too_late(api: JsonApi, method: str, path: str, body: Any = None, **more: Any) -> Any:
        monkeypatch.setattr(JsonApi, "send", send)
        half = [{"op": "replace", "path": "/parameters/rollout", "value": "50"}]
        await setting.server.call("PATCH", f"{HERE}/strategies/{strategy}", half)
        return await send(api, method, path, body, **more)

    monkeypatch.setattr(JsonApi, "send", send_too_late)
    with pytest.raises(FlagConflictError):
        await setting.backend.apply(FLAG, WHERE, SetExposure(0.25), version=version, note="U1")
    assert (await setting.read()).exposure == 0.5


async def test_a_strategy_that_somebody_removed_comes_back(setting: Setting) -> None:
    first = await setting.add_strategy("5", constraints=STAFF)
    await setting.add_strategy("50")
    recorded = await setting.change(TurnOn())
    await setting.server.call("DELETE", f"{HERE}/strategies/{first}")
    restored = await setting.change(Restore(recorded))
    contents = sorted(one["parameters"]["rollout"] for one in restored.configuration["strategies"])
    assert (restored.enabled, contents) == (True, ["5", "50"])


async def test_a_recorded_off_comes_back_as_off(setting: Setting) -> None:
    await setting.add_strategy("5")
    recorded = await setting.read()
    await setting.change(SetExposure(1.0))
    restored = await setting.change(Restore(recorded))
    assert (restored.is_off, restored.rollout) == (True, 0.05)


async def test_the_history_tells_who_did_what(setting: Setting) -> None:
    await setting.change(SetExposure(0.25))
    await setting.change(TurnOff())
    history = await setting.backend.history(FLAG, WHERE)
    assert [entry.what for entry in history][:3] == [
        "feature-environment-disabled",
        "feature-environment-enabled",
        "feature-strategy-add",
    ]
    assert history[0].by == "admin"


async def test_a_stale_flag_says_so_and_leads_to_its_page(setting: Setting) -> None:
    await setting.server.call("PATCH", FEATURE, [{"op": "replace", "path": "/stale", "value": True}])
    state = await setting.read()
    assert (state.stale, state.url) == (True, f"{setting.server.url}/projects/default/features/{FLAG}")


async def test_an_archived_flag_is_gone(setting: Setting) -> None:
    await setting.server.fresh_flag("old-flag")
    version = (await setting.backend.read("old-flag", WHERE)).version
    await setting.server.call("DELETE", "/projects/default/features/old-flag")
    with pytest.raises(FlagNotFoundError):
        await setting.backend.apply("old-flag", WHERE, Kill(), version=version, note="U1")


async def test_a_wrong_token_is_forbidden(setting: Setting) -> None:
    other = UnleashBackend({"url": setting.server.url, "token": "*:*.wrong"}, setting.session)
    with pytest.raises(ForbiddenError, match="does not accept the token"):
        await other.check()


class Recorded:
    """One feature, off, and calls that answer what a real Unleash was seen to answer."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.features = [FLAG]

    def add_routes(self, app: web.Application) -> None:
        app.middlewares.append(self.faults.middleware)
        app.router.add_get("/api/admin/projects/default/features/{name}", self._feature)
        app.router.add_get("/api/admin/projects/default/features", self._features)
        app.router.add_post("/api/admin{rest:.*}", self._done)

    async def _feature(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name != FLAG:
            body = {"name": "NotFoundError", "message": f'There\'s no feature named "{name}"'}
            return web.json_response(body, status=404)
        environment = {"name": WHERE, "enabled": False, "strategies": []}
        return web.json_response({"name": name, "stale": False, "environments": [environment]})

    async def _features(self, _request: web.Request) -> web.Response:
        features = [{"name": name} for name in self.features]
        return web.json_response({"version": 2, "features": features})

    async def _done(self, _request: web.Request) -> web.Response:
        return web.Response()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (
            Fault(403, {"name": "PermissionError", "permissions": ["SKIP_CHANGE_REQUEST"]}),
            ApprovalRequiredError,
        ),
        (Fault(403, {"name": "PermissionError", "permissions": ["UPDATE_FEATURE_STRATEGY"]}), ForbiddenError),
        (Fault(400, {"name": "BadDataError", "message": "no such strategy"}), InvalidChangeError),
        (Fault(404, {"name": "NotFoundError", "message": "gone"}), FlagConflictError),
        (Fault(429, {}, {"Retry-After": "3"}), BackendRateLimitedError),
        (
            Fault(500, {"name": "UnknownError", "message": "Test operation failed\nname: …"}),
            FlagConflictError,
        ),
        (Fault(500, {"name": "UnknownError", "message": "oops"}), BackendOutcomeUnknownError),
        (Fault(200, {}, after_writing=True, hang_up=True), BackendOutcomeUnknownError),
        (Fault(503, ""), BackendOutcomeUnknownError),
    ],
)
async def test_each_refusal_is_told_apart(fault: Fault, error: type[FlagError]) -> None:
    recorded = Recorded()
    async with serving(recorded.add_routes) as url, aiohttp.ClientSession() as session:
        backend = UnleashBackend({"url": url, "token": "t"}, session)
        version = (await backend.read(FLAG, WHERE)).version
        recorded.faults.add("POST", fault)
        with pytest.raises(error) as refused:
            await backend.apply(FLAG, WHERE, SetExposure(0.25), version=version, note="U1")
        assert type(refused.value) is error
        if isinstance(refused.value, ApprovalRequiredError):
            assert refused.value.link == f"{url}/projects/default/features/{FLAG}"
        recorded.faults.add("GET", Fault(500, {"message": "oops"}))
        with pytest.raises(BackendUnavailableError):
            await backend.read(FLAG, WHERE)


async def test_a_list_fails_as_one_reading_does_and_leaves_out_what_is_gone() -> None:
    recorded = Recorded()
    async with serving(recorded.add_routes) as url, aiohttp.ClientSession() as session:
        backend = UnleashBackend({"url": url, "token": "t"}, session)
        recorded.features += ["gone", "another"]
        assert [state.flag for state in await backend.list(WHERE)] == [FLAG]
        for fault, error in ((Fault(403, {}), ForbiddenError), (Fault(500, {}), BackendUnavailableError)):
            recorded.faults.add("GET", fault)
            with pytest.raises(error):
                await backend.list(WHERE)
            recorded.faults.add("GET", fault)
            with pytest.raises(error):
                await backend.check()


@pytest.mark.parametrize("name", [f"{FLAG}?x", f"{FLAG}#", f"./{FLAG}"])
async def test_a_flag_is_found_by_its_own_name_only(setting: Setting, name: str) -> None:
    with pytest.raises(FlagNotFoundError, match=f"did you mean {FLAG}"):
        await setting.backend.read(name, WHERE)


async def test_what_fails_after_a_call_that_arrived_leaves_the_outcome_unknown() -> None:
    recorded = Recorded()
    async with serving(recorded.add_routes) as url, aiohttp.ClientSession() as session:
        backend = UnleashBackend({"url": url, "token": "t"}, session)
        version = (await backend.read(FLAG, WHERE)).version
        for second in (Fault(429, {}), Fault(503, "")):
            recorded.faults.add("POST", Fault(200, {}))
            recorded.faults.add("POST", second)
            with pytest.raises(BackendOutcomeUnknownError):
                await backend.apply(FLAG, WHERE, SetExposure(0.25), version=version, note="U1")


@pytest.mark.parametrize("body", [[], {}, None, 7, {"environments": [None], "features": None, "name": FLAG}])
async def test_json_of_another_form_is_an_error_of_the_port(body: object) -> None:
    recorded = Recorded()
    async with serving(recorded.add_routes) as url, aiohttp.ClientSession() as session:
        backend = UnleashBackend({"url": url, "token": "t"}, session)
        for reading in (backend.read(FLAG, WHERE), backend.list(WHERE), backend.history(FLAG, WHERE)):
            recorded.faults.add("GET", Fault(200, body))
            with pytest.raises(BackendUnavailableError, match="Unleash answered otherwise than expected"):
                await reading
