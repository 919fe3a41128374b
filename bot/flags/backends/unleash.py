"""The `unleash` backend: Unleash's admin API, 8.x.

What to know of it: `/on` without an enabled strategy adds a rollout of 100% by itself, so the strategy
comes first; the server accepts rollouts such as 250, so shares are checked before; PUT drops constraints
that are left out, so strategies are changed by PATCH, whose `test` operation fails with 500 if somebody else
changed them; several strategies are OR-ed, so no single percentage describes such a flag.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote

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
    expect,
    plan_change,
    require_version,
)
from bot.flags.backends.http_json import (
    JsonApi,
    VendorRefusedError,
    outcome_of_fault,
    read_each,
    require_name,
    understood,
    unknown_once,
)
from bot.flags.backends.settings import BackendSettings, read_settings
from bot.flags.backends.unleash_feature import (
    FINEST_SHARE,
    Call,
    calls_for,
    environment_of,
    read_feature,
)
from bot.flags.change import FlagChange
from bot.flags.flag import FlagState

_NAME = "Unleash"
_FAILED_TEST = "Test operation failed"


class UnleashSettings(BackendSettings):
    """Unleash's address, an admin or service account token, and the project."""

    url: str
    token: SecretStr
    project: str = "default"
    environments: Mapping[str, str] = {}
    timeout: float = 10.0


class UnleashBackend:
    """Flags of one Unleash project. `environments` maps our names to Unleash's where they differ."""

    name = "unleash"
    capabilities = BackendCapabilities(finest_share=FINEST_SHARE, history=True)

    def __init__(self, settings: Mapping[str, object], session: aiohttp.ClientSession) -> None:
        read = read_settings(UnleashSettings, self.name, settings)
        self._base = read.url.rstrip("/").removesuffix("/api")
        self._project = read.project
        self._environments = read.environments
        headers = {"Authorization": read.token.get_secret_value()}
        self._api = JsonApi(session, _NAME, f"{self._base}/api/admin", headers, read.timeout)

    @understood(_NAME)
    async def list(self, environment: str) -> Sequence[FlagState]:
        """Return every flag of the project that the environment has, by name."""
        try:
            names = await self._names()
        except VendorRefusedError as error:
            raise await self._explain(error, "", environment, writes=False) from error
        return await read_each(names, lambda name: self.read(name, environment))

    @understood(_NAME)
    async def read(self, flag: str, environment: str) -> FlagState:
        """Return the flag as Unleash has it."""
        unleash_name = self._environments.get(environment, environment)
        try:
            feature = await self._api.get(self._path(flag))
        except VendorRefusedError as error:
            raise await self._explain(error, flag, environment, writes=False) from error
        require_name(flag, feature["name"])
        part = environment_of(feature, unleash_name)
        if part is None:
            raise EnvironmentNotFoundError(environment, [other["name"] for other in feature["environments"]])
        url = f"{self._base}/projects/{self._project}/features/{flag}"
        return read_feature(feature, part, environment, url)

    @understood(_NAME)
    async def plan(self, flag: str, environment: str, change: FlagChange) -> ChangePlan:
        """Return what the change would do."""
        return plan_change(await self.read(flag, environment), change, self.capabilities)

    @understood(_NAME)
    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        """Carry the change out, call by call; Unleash's own history has the token's name, not the note."""
        del note
        before = await self.read(flag, environment)
        require_version(before, version)
        expect(before, change, self.capabilities)
        unleash_name = self._environments.get(environment, environment)
        written: list[Call] = []
        with unknown_once(written):
            for call in calls_for(before, change):
                await self._send(call, flag, environment, unleash_name)
                written.append(call)
            return AppliedChange(before, await self.read(flag, environment))

    @understood(_NAME)
    async def history(self, flag: str, environment: str) -> Sequence[HistoryEntry]:
        """Return the flag's events in the environment, newest first."""
        unleash_name = self._environments.get(environment, environment)
        try:
            answer = await self._api.get(f"/events/{quote(flag, safe='')}")
        except VendorRefusedError as error:
            raise await self._explain(error, flag, environment, writes=False) from error
        return [
            HistoryEntry(datetime.fromisoformat(event["createdAt"]), event["createdBy"], event["type"])
            for event in answer["events"]
            if event.get("environment") in {unleash_name, None}
        ]

    @understood(_NAME)
    async def check(self) -> None:
        """Read the project's flags."""
        try:
            await self._names()
        except VendorRefusedError as error:
            raise await self._explain(error, "", "", writes=False) from error

    async def _names(self) -> Sequence[str]:
        answer = await self._api.get(f"/projects/{self._project}/features")
        return sorted(feature["name"] for feature in answer["features"])

    async def _send(self, call: Call, flag: str, environment: str, unleash_name: str) -> None:
        path = f"{self._path(flag)}/environments/{unleash_name}{call.path}"
        try:
            await self._api.send(call.method, path, call.body)
        except VendorRefusedError as error:
            raise await self._explain(error, flag, environment, writes=True) from error

    async def _explain(
        self, refused: VendorRefusedError, flag: str, environment: str, *, writes: bool
    ) -> FlagError:
        """Return the port's error for a refusal by Unleash."""
        if refused.status == 404 and flag:
            names = await self._names()
            return (
                FlagConflictError(flag, environment)
                if writes and flag in names
                else FlagNotFoundError(flag, names)
            )
        if refused.status == 403:
            permissions = refused.body.get("permissions", ()) if isinstance(refused.body, Mapping) else ()
            if "SKIP_CHANGE_REQUEST" in permissions:
                link = f"{self._base}/projects/{self._project}/features/{flag}"
                return ApprovalRequiredError(f"Unleash wants a change request for {environment}", link)
            return ForbiddenError(f"Unleash does not allow it: {refused}")
        if refused.status >= 500:
            if _FAILED_TEST in str(refused):
                return FlagConflictError(flag, environment)
            return outcome_of_fault(self._api, refused, writes=writes)
        return InvalidChangeError(f"Unleash refuses it: {refused}")

    def _path(self, flag: str) -> str:
        return f"/projects/{self._project}/features/{quote(flag, safe='')}"
