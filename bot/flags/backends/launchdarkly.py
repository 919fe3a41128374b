"""The `launchdarkly` backend: LaunchDarkly's REST API with semantic patches.

A plan is a dry run, so that LaunchDarkly itself checks it. 405 means that the environment wants approvals;
409 means that two requests met, and is tried again while the flag is unchanged.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic import SecretStr

from bot.flags.backend import (
    AppliedChange,
    ApprovalRequiredError,
    BackendCapabilities,
    BackendUnavailableError,
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
    expect,
    plan_change,
    require_version,
)
from bot.flags.backends.http_json import (
    JsonApi,
    VendorRefusedError,
    outcome_of_fault,
    require_name,
    understood,
    unknown_once,
)
from bot.flags.backends.launchdarkly_flag import FINEST_SHARE, instructions_for, read_flag
from bot.flags.backends.settings import BackendSettings, read_settings
from bot.flags.change import Difference, FlagChange
from bot.flags.flag import FlagState

_NAME = "LaunchDarkly"
_PATCH = {"Content-Type": "application/json; domain-model=launchdarkly.semanticpatch"}
_API_VERSION = "20240415"
_PAGE = 100
_RETRY_DELAYS_S = (0.2, 0.6, 1.8)


class LaunchDarklySettings(BackendSettings):
    """An access token with the writer role, and the project's key."""

    token: SecretStr
    project: str = "default"
    url: str = "https://app.launchdarkly.com"
    environments: Mapping[str, str] = {}
    timeout: float = 10.0


class LaunchDarklyBackend:
    """Flags of one project. `environments` maps our names to LaunchDarkly's keys where they differ."""

    name = "launchdarkly"
    capabilities = BackendCapabilities(finest_share=FINEST_SHARE)

    def __init__(self, settings: Mapping[str, object], session: aiohttp.ClientSession) -> None:
        read = read_settings(LaunchDarklySettings, self.name, settings)
        self._project = read.project
        self._environments = read.environments
        self._url = read.url.rstrip("/")
        headers = {"Authorization": read.token.get_secret_value(), "LD-API-Version": _API_VERSION}
        self._api = JsonApi(session, _NAME, f"{self._url}/api/v2", headers, read.timeout)

    @understood(_NAME)
    async def list(self, environment: str) -> Sequence[FlagState]:
        """Return every flag of the project, by name."""
        environment_key = self._environment_key(environment)
        items = await self._all(environment, env=environment_key, summary="0")
        return [self._state(item, environment) for item in sorted(items, key=lambda item: str(item["key"]))]

    @understood(_NAME)
    async def read(self, flag: str, environment: str) -> FlagState:
        """Return the flag as LaunchDarkly has it."""
        return self._state(await self._get(flag, environment), environment)

    @understood(_NAME)
    async def plan(self, flag: str, environment: str, change: FlagChange) -> ChangePlan:
        """Return what a dry run says the change would do."""
        flag_json = await self._get(flag, environment)
        before = self._state(flag_json, environment)
        planned = plan_change(before, change, self.capabilities)
        body = self._body(flag_json, before, change, "")
        if body is None:
            return planned
        try:
            preview = await self._api.ask("PATCH", self._path(flag), body, headers=_PATCH, dryRun="true")
        except VendorRefusedError as error:
            raise self._explain(error, flag, environment, writes=False) from error
        return ChangePlan(flag, environment, change, Difference(before, self._state(preview, environment)))

    @understood(_NAME)
    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        """Carry the change out in one patch, with the note as its comment."""
        for delay_s in (*_RETRY_DELAYS_S, None):
            flag_json = await self._get(flag, environment)
            before = self._state(flag_json, environment)
            require_version(before, version)
            expect(before, change, self.capabilities)
            body = self._body(flag_json, before, change, note)
            if body is None:
                return AppliedChange(before, before)
            try:
                after = await self._api.send("PATCH", self._path(flag), body, headers=_PATCH)
            except VendorRefusedError as error:
                if error.status == 409 and delay_s is not None:
                    await asyncio.sleep(delay_s)
                    continue
                raise self._explain(error, flag, environment, writes=True) from error
            with unknown_once([body]):
                return AppliedChange(before, self._state(after, environment))
        raise FlagConflictError(flag, environment)

    async def history(self, flag: str, environment: str) -> Sequence[HistoryEntry]:
        """Raise `UnsupportedError`: the audit log needs a token with further rights."""
        raise UnsupportedError(f"the history of {flag} in {environment} is in LaunchDarkly")

    @understood(_NAME)
    async def check(self) -> None:
        """Read one flag."""
        await self._page("", limit="1", offset="0")

    async def _get(self, flag: str, environment: str) -> Mapping[str, Any]:
        try:
            flag_json: Mapping[str, Any] = await self._api.get(
                self._path(flag), env=self._environment_key(environment)
            )
        except VendorRefusedError as error:
            if error.status == 404:
                keys = [str(item["key"]) for item in await self._all(environment, summary="1")]
                raise FlagNotFoundError(flag, keys) from error
            raise self._explain(error, flag, environment, writes=False) from error
        require_name(flag, flag_json["key"])
        return flag_json

    async def _all(self, environment: str, **params: str) -> Sequence[Mapping[str, Any]]:
        items: list[Mapping[str, Any]] = []
        while True:
            page = await self._page(environment, limit=str(_PAGE), offset=str(len(items)), **params)
            items += page["items"]
            if not page["items"] or len(items) >= page.get("totalCount", 0):
                return items

    async def _page(self, environment: str, **params: str) -> Mapping[str, Any]:
        try:
            page: Mapping[str, Any] = await self._api.get(f"/flags/{self._project}", **params)
        except VendorRefusedError as error:
            if error.status == 404:
                raise MisconfiguredError(f"LaunchDarkly has no project {self._project}") from error
            raise self._explain(error, "", environment, writes=False) from error
        return page

    def _state(self, flag: Mapping[str, Any], environment: str) -> FlagState:
        environment_key = self._environment_key(environment)
        if environment_key not in flag.get("environments", {}):
            raise EnvironmentNotFoundError(environment, flag.get("environments", {}))
        return read_flag(flag, environment_key, environment, self._page_of(flag["key"], environment))

    def _body(
        self, flag_json: Mapping[str, Any], before: FlagState, change: FlagChange, note: str
    ) -> Mapping[str, Any] | None:
        """Return the patch; None if there is nothing to change."""
        instructions = instructions_for(flag_json, before, change)
        if not instructions:
            return None
        comment = {"comment": note} if note else {}
        environment_key = self._environment_key(before.environment)
        return {**comment, "environmentKey": environment_key, "instructions": instructions}

    def _explain(
        self, refused: VendorRefusedError, flag: str, environment: str, *, writes: bool
    ) -> FlagError:
        """Return the port's error for a refusal by LaunchDarkly."""
        if refused.status >= 500:
            return outcome_of_fault(self._api, refused, writes=writes)
        if writes and refused.status in {404, 409}:
            return FlagConflictError(flag, environment)
        if refused.status == 409:
            return BackendUnavailableError("LaunchDarkly is busy with another change of the flag")
        if refused.status == 403:
            return ForbiddenError(f"LaunchDarkly does not allow it: {refused}")
        if refused.status == 405:
            link = self._page_of(flag, environment)
            return ApprovalRequiredError(f"LaunchDarkly wants an approval for {environment}", link)
        return InvalidChangeError(f"LaunchDarkly refuses it: {refused}")

    def _environment_key(self, environment: str) -> str:
        return self._environments.get(environment, environment)

    def _path(self, flag: str) -> str:
        return f"/flags/{self._project}/{quote(flag, safe='')}"

    def _page_of(self, flag: str, environment: str) -> str:
        environment_key = self._environment_key(environment)
        return f"{self._url}/projects/{self._project}/flags/{flag}/targeting?env={environment_key}"
