"""Governor's own sync window in an AppProject, and the patch that brings it in step. Pure; no clock, no I/O.

Sync windows have no ids, and older versions of Argo CD drop keys that they do not know. Governor's own is
known by the first name in its `applications`, which is no application's. The windows of others are never
written: a patch tests that the whole list is as it was read, and then touches one place in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.catalog.clusters import ProjectSettings
from bot.texts import clean_line

MARK = "governor-sync-window"
"""The name by which Governor finds its own window."""

_PATH = "/spec/syncWindows"
_LONGEST = timedelta(hours=2_400)
_MINUTE = timedelta(minutes=1)
_REQUIRED = ("kind", "schedule", "duration", "applications")
_ALWAYS = {"schedule": "* * * * *", "duration": "1h"}

Operation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ProjectHold:
    """What is held of a project: applications, as Argo CD's patterns, until `ends` (None: until lifted)."""

    applications: tuple[str, ...]
    reason: str
    ends: datetime | None


def applications_of(project: ProjectSettings, services: frozenset[str]) -> tuple[str, ...]:
    """Return the applications of some services."""
    names = {name for each in project.applications if each.service in services for name in each.names}
    return tuple(sorted(names))


def window_of(hold: ProjectHold, now: datetime) -> dict[str, Any]:
    """Return the window that denies syncs of what is held.

    Schedules have no end of their own. A known end is where a window of 100 days ends that began as long
    before, so that Argo CD opens by itself; syncs under way go on.
    """
    window = {
        "kind": "deny",
        **_ALWAYS,
        "applications": [MARK, *hold.applications],
        "manualSync": False,
        "timeZone": "UTC",
        "syncOverrun": True,
        "description": clean_line(f"Governor: {hold.reason}", 200),
    }
    if hold.ends is not None and hold.ends <= now + _LONGEST:
        start = _whole_minute(hold.ends) - _LONGEST
        window["schedule"] = f"{start.minute} {start.hour} {start.day} {start.month} *"
        window["duration"] = f"{round(_LONGEST.total_seconds() / 3600)}h"
    return window


def patch_of(project: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> Sequence[Operation]:
    """Return the JSON patch after which the project has the wanted window and no other of Governor's.

    Empty where it has already. `project` is the AppProject as it was read.
    """
    spec = project.get("spec")
    windows = spec.get("syncWindows") if isinstance(spec, dict) else None
    if not isinstance(windows, list):
        version = (project.get("metadata") or {}).get("resourceVersion")
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        return [test, {"op": "add", "path": _PATH, "value": [dict(wanted)]}] if wanted is not None else []
    own = [index for index, window in enumerate(windows) if is_own(window)]
    kept = own[:1] if wanted is not None else []
    operations: list[Operation] = [
        {"op": "replace", "path": f"{_PATH}/{index}", "value": dict(wanted)}
        for index in kept
        if wanted is not None and not _is_as(windows[index], wanted)
    ]
    if wanted is not None and not kept:
        operations.append({"op": "add", "path": f"{_PATH}/-", "value": dict(wanted)})
    # From the last on, so that what is left keeps its place.
    surplus = [index for index in reversed(own) if index not in kept]
    if surplus and len(surplus) == len(windows) and wanted is None:
        operations.append({"op": "remove", "path": _PATH})
    else:
        operations += [{"op": "remove", "path": f"{_PATH}/{index}"} for index in surplus]
    return [{"op": "test", "path": _PATH, "value": windows}, *operations] if operations else []


def is_own(window: object) -> bool:
    """Return whether a sync window is Governor's."""
    applications = window.get("applications") if isinstance(window, dict) else None
    return isinstance(applications, list) and applications[:1] == [MARK]


def _is_as(window: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether a window is as it should be; keys that its Argo CD does not know are missing in it."""
    required = all(window.get(key) == wanted[key] for key in _REQUIRED)
    return required and all(window.get(key) in (None, value) for key, value in wanted.items())


def _whole_minute(at: datetime) -> datetime:
    """Return the first whole minute at that time or later."""
    whole = at.astimezone(UTC).replace(second=0, microsecond=0)
    return whole if whole == at else whole + _MINUTE
