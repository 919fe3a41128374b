"""The `flagsmith` backend: Flagsmith's admin API.

Flagsmith has no percentage on a flag. Here a flag has one if the settings name a segment of it that is a
percentage split: the flag is off for all and on for that segment, whose percentage is the exposure. For
all other flags an exposure raises `UnsupportedError`. In environments with feature versioning each change
makes a new version.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import aiohttp
from pydantic import SecretStr

from bot.flags.backend import (
    AppliedChange,
    ApprovalRequiredError,
    BackendCapabilities,
    ChangePlan,
    EnvironmentNotFoundError,
    FlagConflictError,
    FlagError,
    FlagNotFoundError,
    ForbiddenError,
    HistoryEntry,
    InvalidChangeError,
    MisconfiguredError,
    UnsupportedError,
    plan_change,
    require_version,
)
from bot.flags.backends.flagsmith_feature import (
    FINEST_SHARE,
    Feature,
    TargetState,
    read_feature,
    split_of,
    target_for,
    with_split,
)
from bot.flags.backends.http_json import (
    JsonApi,
    VendorRefusedError,
    outcome_of_fault,
    read_each,
    understood,
    unknown_once,
)
from bot.flags.backends.settings import BackendSettings, read_settings
from bot.flags.change import FlagChange, SetExposure
from bot.flags.flag import FlagState

_NAME = "Flagsmith"


class FlagsmithSettings(BackendSettings):
    """An organisation API key, each environment's client-side key, and the split segments by flag."""

    token: SecretStr
    environments: Mapping[str, str]
    segments: Mapping[str, int] = {}
    url: str = "https://api.flagsmith.com"
    app: str = "https://app.flagsmith.com"
    timeout: float = 10.0


class FlagsmithBackend:
    """Flags of one Flagsmith project."""

    name = "flagsmith"

    def __init__(self, settings: Mapping[str, object], session: aiohttp.ClientSession) -> None:
        read = read_settings(FlagsmithSettings, self.name, settings)
        self._settings = read
        self._app = read.app.rstrip("/")
        headers = {"Authorization": f"Api-Key {read.token.get_secret_value()}"}
        url = f"{read.url.rstrip('/').removesuffix('/api/v1')}/api/v1"
        self._api = JsonApi(session, _NAME, url, headers, read.timeout)

    @property
    def capabilities(self) -> BackendCapabilities:
        """Percentages only where the settings name a segment."""
        return BackendCapabilities(finest_share=FINEST_SHARE if self._settings.segments else None)

    @understood(_NAME)
    async def list(self, environment: str) -> Sequence[FlagState]:
        """Return every flag of the project, by name."""
        scope = await self._environment(environment)
        features = await self._pages(f"/projects/{scope['project']}/features/")
        by_name = {str(feature["name"]): feature for feature in features}

        async def read(name: str) -> FlagState:
            return self._state(await self._read_feature(by_name[name], scope), environment, scope)

        return await read_each(sorted(by_name), read)

    @understood(_NAME)
    async def read(self, flag: str, environment: str) -> FlagState:
        """Return the flag as Flagsmith has it."""
        scope = await self._environment(environment)
        return self._state(await self._feature(flag, scope), environment, scope)

    @understood(_NAME)
    async def plan(self, flag: str, environment: str, change: FlagChange) -> ChangePlan:
        """Return what the change would do."""
        scope = await self._environment(environment)
        feature = await self._feature(flag, scope)
        state = self._state(feature, environment, scope)
        return self._planned(feature, state, change)

    @understood(_NAME)
    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        """Carry the change out: the segment first, then who has the flag on."""
        scope = await self._environment(environment)
        if scope.get("minimum_change_request_approvals") is not None:
            link = f"{self._app}/project/{scope['project']}/environment/{scope['api_key']}/change-requests"
            raise ApprovalRequiredError(f"Flagsmith wants a change request for {environment}", link)
        feature = await self._feature(flag, scope)
        before = self._state(feature, environment, scope)
        require_version(before, version)
        target = target_for(feature, before, self._planned(feature, before, change).change)
        written: list[str] = []
        with unknown_once(written):
            for method, path, body in self._calls(feature, target, scope, note):
                try:
                    await self._api.send(method, path, body)
                except VendorRefusedError as error:
                    raise self._explain(error, flag, environment, writes=True) from error
                written.append(path)
            return AppliedChange(before, await self.read(flag, environment))

    async def history(self, flag: str, environment: str) -> Sequence[HistoryEntry]:
        """Raise `UnsupportedError`: Flagsmith's audit log needs a token with further rights."""
        raise UnsupportedError(f"the history of {flag} in {environment} is in Flagsmith")

    @understood(_NAME)
    async def check(self) -> None:
        """Read every environment."""
        for environment in self._settings.environments:
            await self._environment(environment)

    def _planned(self, feature: Feature, state: FlagState, change: FlagChange) -> ChangePlan:
        if isinstance(change, SetExposure) and not feature.has_split:
            segment = self._settings.segments.get(state.flag)
            if segment is None:
                raise UnsupportedError(f"the settings name no percentage split segment for {state.flag}")
            raise UnsupportedError(
                f"{state.flag} has no override for segment {segment}: add it once in Flagsmith"
            )
        return plan_change(state, change, self.capabilities)

    def _state(self, feature: Feature, environment: str, scope: Mapping[str, Any]) -> FlagState:
        url = f"{self._app}/project/{scope['project']}/environment/{scope['api_key']}/features"
        return read_feature(feature, environment, f"{url}?feature={feature.id}")

    async def _environment(self, environment: str) -> Mapping[str, Any]:
        """Return Flagsmith's environment, which is the scope of all further calls."""
        key = self._settings.environments.get(environment)
        if key is None:
            raise EnvironmentNotFoundError(environment, self._settings.environments)
        try:
            scope: Mapping[str, Any] = await self._api.get(f"/environments/{key}/")
        except VendorRefusedError as error:
            if error.status == 404:
                raise EnvironmentNotFoundError(environment) from error
            raise self._explain(error, "", environment, writes=False) from error
        return scope

    async def _feature(self, flag: str, scope: Mapping[str, Any]) -> Feature:
        features = await self._pages(f"/projects/{scope['project']}/features/")
        by_name = {str(feature["name"]): feature for feature in features}
        if flag not in by_name:
            raise FlagNotFoundError(flag, list(by_name))
        return await self._read_feature(by_name[flag], scope)

    async def _read_feature(self, feature_json: Mapping[str, Any], scope: Mapping[str, Any]) -> Feature:
        """Read everything that decides who sees the flag."""
        flag = feature_json["name"]
        query = {"environment": str(scope["id"]), "feature": str(feature_json["id"])}
        states = await self._pages("/features/featurestates/", **query)
        overrides = await self._pages("/features/feature-segments/", **query)
        segment = self._settings.segments.get(flag)
        split = None
        if segment is not None:
            split = await self._get(f"/projects/{scope['project']}/segments/{segment}/")
            if split_of(split) is None:
                raise MisconfiguredError(f"segment {segment} of {flag} is not one percentage split")
        return Feature(feature_json, states, overrides, split)

    def _calls(
        self, feature: Feature, target: TargetState, scope: Mapping[str, Any], note: str
    ) -> Iterator[tuple[str, str, Any]]:
        """Yield the calls that make the change: method, path and body."""
        if target.percentage is not None and feature.split is not None:
            path = f"/projects/{scope['project']}/segments/{feature.split['id']}/"
            yield "PUT", path, with_split(feature.split, target.percentage)
        changes = feature.changes(target)
        if not changes:
            return
        if scope.get("use_v2_feature_versioning"):
            updates = [feature.as_version_update(state, enabled=enabled) for state, enabled in changes]
            path = f"/environments/{scope['id']}/features/{feature.id}/versions/"
            body = {"publish_immediately": True, "feature_states_to_update": updates, "description": note}
            yield "POST", path, body
            return
        for state, enabled in changes:
            yield "PATCH", f"/features/featurestates/{state['id']}/", {"enabled": enabled}

    async def _get(self, path: str, **params: str) -> Any:
        try:
            return await self._api.get(path, **params)
        except VendorRefusedError as error:
            if error.status == 404:
                raise MisconfiguredError(f"Flagsmith has nothing at {path}") from error
            raise self._explain(error, "", "", writes=False) from error

    async def _pages(self, path: str, **params: str) -> Sequence[Mapping[str, Any]]:
        results: list[Mapping[str, Any]] = []
        page = 1
        while True:
            answer = await self._get(path, **params, page=str(page))
            if not isinstance(answer, Mapping):
                return list(answer)
            results += answer["results"]
            if not answer.get("next"):
                return results
            page += 1

    def _explain(
        self, refused: VendorRefusedError, flag: str, environment: str, *, writes: bool
    ) -> FlagError:
        """Return the port's error for a refusal by Flagsmith."""
        if refused.status == 403:
            return ForbiddenError(f"Flagsmith does not allow it: {refused}")
        if refused.status == 404:
            return FlagConflictError(flag, environment)
        if refused.status >= 500:
            return outcome_of_fault(self._api, refused, writes=writes)
        return InvalidChangeError(f"Flagsmith refuses it: {refused}")
