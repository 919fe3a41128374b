"""What the shop deploys: ninety days of history, and deployments of today. No clock, no I/O.

Each deployment is the body of a report as a pipeline sends it. Some deployments failed their users: they were
rolled back, and a hotfix followed. The failures of the last month are those of `traffic.STREAMS`.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot.sandbox.demo.traffic import WINDOW
from bot.sandbox.fake_slack.model import Json

SHIPPED_EVERY: Final = timedelta(minutes=40)
"""How often a service that is well ships something while the visitor looks on."""
SHIPPING: Final = ("search", "payments")
"""The services that ship by themselves; what checkout ships belongs to the scenes."""

_HISTORY: Final = timedelta(days=90)
_LONGEST_LEAD_H: Final = 70
_MINUTE: Final = timedelta(minutes=1)
_TITLES: Final = (
    "Show delivery times before the address is typed",
    "Cache exchange rates for a minute",
    "Keep the basket when the session ends",
    "Retry the card provider once",
    "Say which voucher is not valid",
    "Log the reason of a declined payment",
    "Load product pictures lazily",
    "Read addresses from the new service",
    "Update dependencies",
    "Round taxes per line",
    "Add a test for empty baskets",
    "Measure the time to first byte",
)


@dataclass(frozen=True, slots=True)
class FailedShipping:
    """A deployment that failed: how long before the demo's start it ended, and when it was rolled back."""

    service: str
    before: timedelta
    rolled_back_after: timedelta


FAILED: Final = (
    FailedShipping("checkout", timedelta(days=74, hours=5), timedelta(minutes=24)),
    FailedShipping("checkout", timedelta(days=52, hours=2), timedelta(minutes=41)),
    FailedShipping("checkout", WINDOW + timedelta(minutes=65), timedelta(hours=3, minutes=30)),
    FailedShipping("checkout", timedelta(days=21, hours=7, minutes=15), timedelta(minutes=24)),
    FailedShipping("checkout", timedelta(days=12, hours=4, minutes=20), timedelta(minutes=31)),
    FailedShipping("search", timedelta(days=61, hours=8), timedelta(minutes=52)),
    FailedShipping("search", timedelta(days=9, hours=2, minutes=10), timedelta(hours=1, minutes=45)),
    FailedShipping("payments", timedelta(days=16, hours=5, minutes=5), timedelta(minutes=33)),
)
"""What failed in the past, oldest first within each service."""

_EVERY: Final = {"checkout": 2.4, "search": 5.5, "payments": 11.0}
"""How many days lie between two deployments of each service, about."""


def past_deployments(start: datetime) -> Sequence[Json]:
    """Return the reports of the time before the demo's start, oldest first."""
    return sorted(
        (report for service in _EVERY for report in _of_service(service, start)),
        key=lambda report: str(report["finished_at"]),
    )


def last_commit(service: str, start: datetime) -> str:
    """Return the commit of a service that was in production at the demo's start."""
    reports = [each for each in past_deployments(start) if each["service"] == service]
    return str(reports[-1]["commit"])


def shipped(service: str, at: datetime, number: int = 0) -> Json:
    """Return the report of a deployment with a few changes; the same for the same time and number."""
    generator = random.Random(f"{service} {at.timestamp():.0f}")  # noqa: S311 - reproducible, not secret
    actor = generator.choices(("pipeline", "agent", "person"), (7, 2, 1))[0]
    return _report(service, at, _commit(service, at, number), _changes(service, at, generator), actor)


def rolled_back(service: str, at: datetime, commit: str) -> Json:
    """Return the report that an earlier commit is in production again."""
    return _report(service, at, commit, [], "person")


def _of_service(service: str, start: datetime) -> Iterable[Json]:
    failed = [each for each in FAILED if each.service == service]
    busy = [(start - each.before, start - each.before + each.rolled_back_after) for each in failed]
    times = [at for at in _times(service, start) if not _is_near(at, busy)]
    commit = _commit(service, start - _HISTORY)
    for at in sorted([*times, *(began for began, _ in busy)]):
        report = shipped(service, at)
        yield report
        undone = next((ended for began, ended in busy if began == at), None)
        if undone is None:
            commit = str(report["commit"])
            continue
        yield rolled_back(service, undone, commit)
        hotfix = undone + timedelta(hours=2)
        fixed = [_change(service, hotfix, "Hotfix: handle the empty answer", timedelta(hours=1, minutes=20))]
        report = _report(service, hotfix, _commit(service, hotfix), fixed, "person")
        commit = str(report["commit"])
        yield report


def _times(service: str, start: datetime) -> Iterable[datetime]:
    """Yield when a service was deployed, at about equal distances."""
    generator = random.Random(service)  # noqa: S311 - as above
    at = start - _HISTORY + timedelta(hours=5)
    # Nothing on the last day: what the visitor sees there is their own doing.
    while at < start - timedelta(days=1):
        yield at
        at += timedelta(days=_EVERY[service] * generator.uniform(0.5, 1.5))


def _is_near(at: datetime, busy: Sequence[tuple[datetime, datetime]]) -> bool:
    hour = timedelta(hours=12)
    return any(began - hour < at < ended + hour for began, ended in busy)


def _changes(service: str, at: datetime, generator: random.Random) -> list[Json]:
    titles = generator.sample(_TITLES, generator.choices((1, 2, 3, 5, 8), (5, 6, 4, 2, 1))[0])
    return [
        _change(service, at, title, timedelta(hours=1 + _LONGEST_LEAD_H * generator.random() ** 2))
        for title in titles
    ]


def _change(service: str, at: datetime, title: str, before: timedelta) -> Json:
    return {
        "commit": hashlib.sha256(f"{service} {at.isoformat()} {title}".encode()).hexdigest()[:40],
        "title": title,
        "authored_at": (at - before).isoformat(),
        "merged_at": (at - before / 4 - 5 * _MINUTE).isoformat(),
    }


def _commit(service: str, at: datetime, number: int = 0) -> str:
    return hashlib.sha256(f"{service} {at.isoformat()} {number}".encode()).hexdigest()[:40]


def _report(service: str, at: datetime, commit: str, changes: Sequence[Json], actor: str) -> Json:
    """Return a successful deployment as the bot is told of it; its key is the same for the same time."""
    return {
        "service": service,
        "key": f"{commit} {at.timestamp():.0f}",
        "state": "succeeded",
        "commit": commit,
        "ref": "main",
        "by": "the pipeline",
        "actor": actor,
        "started_at": (at - 6 * _MINUTE).isoformat(),
        "finished_at": at.isoformat(),
        "changes": list(changes),
        "lines_changed": 37 * len(changes),
    }
