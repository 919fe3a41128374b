"""GitLab's REST API, as far as gates need it.

https://docs.gitlab.com/api/freeze_periods/ and https://docs.gitlab.com/api/status_checks/
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp

from bot.gates.gitlab.freeze_periods import FreezePeriod
from bot.gates.platform_calls import call
from bot.gates.waits.answerer import PlatformGoneError, PlatformUnsureError

_MOST_PAGES = 20


class GitLabClient:
    """Calls GitLab with a token. Everything raises a `WaitError` where it fails."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._api = f"{url.rstrip('/')}/api/v4"
        self._headers = {"PRIVATE-TOKEN": token}

    async def freeze_periods(self, project: str) -> Sequence[FreezePeriod]:
        """Return all freeze periods of a project."""
        found: list[FreezePeriod] = []
        page = "1"
        for _ in range(_MOST_PAGES):
            path = f"{_project(project)}/freeze_periods?per_page=100&page={page}"
            rows, headers = await self._call("GET", path)
            if not isinstance(rows, list):
                raise PlatformUnsureError("the answer lists no freeze periods")
            found += [_period(row) for row in rows]
            page = headers.get("X-Next-Page", "").strip()
            if not page.isdigit():
                break
        return found

    async def add_freeze_period(self, project: str, period: FreezePeriod) -> None:
        """Write a freeze period."""
        body = {
            "freeze_start": period.start,
            "freeze_end": period.end,
            "cron_timezone": period.time_zone,
        }
        await self._call("POST", f"{_project(project)}/freeze_periods", body)

    async def delete_freeze_period(self, project: str, id_: int) -> None:
        """Delete a freeze period; one that is gone already is no failure."""
        try:
            await self._call("DELETE", f"{_project(project)}/freeze_periods/{id_}")
        except PlatformGoneError:
            return

    async def merge_request(self, project: int, number: int) -> Mapping[str, Any]:
        """Return a merge request."""
        found, _ = await self._call("GET", f"/projects/{project}/merge_requests/{number}")
        return _object(found)

    async def status_check(self, project: int, number: int, check: int) -> str | None:
        """Return the status of an external status check on a merge request; None where it has no such."""
        path = f"/projects/{project}/merge_requests/{number}/status_checks?per_page=100"
        found, _ = await self._call("GET", path)
        rows = found if isinstance(found, list) else []
        return next((str(row.get("status")) for row in map(_object, rows) if row.get("id") == check), None)

    async def answer_status_check(
        self, project: int, number: int, *, sha: str, check: int, status: str
    ) -> None:
        """Set the status of an external status check on the head of a merge request."""
        body = {"sha": sha, "external_status_check_id": check, "status": status}
        await self._call("POST", f"/projects/{project}/merge_requests/{number}/status_check_responses", body)

    async def _call(self, method: str, path: str, body: Any = None) -> tuple[Any, Mapping[str, str]]:
        return await call(self._session, method, f"{self._api}{path}", headers=self._headers, json=body)


def _project(path: str) -> str:
    return f"/projects/{quote(path, safe='')}"


def _period(row: Any) -> FreezePeriod:
    values = _object(row)
    try:
        return FreezePeriod(
            str(values["freeze_start"]),
            str(values["freeze_end"]),
            str(values.get("cron_timezone", "UTC")),
            int(values["id"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PlatformUnsureError("the answer lists no freeze periods") from error


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PlatformUnsureError("the answer is not what the documentation shows")
    return value
