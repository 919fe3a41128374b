"""Replicas with everything around them that faults and requests act on."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.sandbox.fake_slack.server import FakeSlackServer
from tests.stories.balancer import Balancer
from tests.stories.source_proxy import SourceProxy
from tests.support.running import Bot
from tests.support.servers import Exporter, PostgreSQL, Prometheus

PUSHED = ("checkout", "payments")
MEASURED = "search"
SERVICES = (*PUSHED, MEASURED)
FLAGS = ("new-checkout", "new-search")
"""Flags that people change meanwhile, one of a service that counts events and one of the measured one."""

_RELOADED_WITHIN = timedelta(seconds=15)
"""How long after a change of the file a replica that was halted may still act on what it knew."""


class PolicyFile:
    """The policies' file, whose services can be removed and put back: `write(services)` gives its text."""

    def __init__(self, file: Path, write: Callable[[Sequence[str]], str]) -> None:
        self._file = file
        self._write = write
        self._absent: dict[str, datetime] = {}
        self.absences: list[tuple[str, datetime, datetime]] = []
        """Which services were left out, from when to when."""

    def remove(self, service: str) -> None:
        """Leave a service out."""
        self._absent.setdefault(service, datetime.now(UTC))
        self._save()

    def put_back(self) -> None:
        """Name all services again."""
        now = datetime.now(UTC)
        self.absences += [(service, since, now) for service, since in self._absent.items()]
        self._absent.clear()
        self._save()

    def may_be_unknown(self, service: str, at: datetime) -> bool:
        """Return whether a replica may have known nothing of the service then."""
        return any(
            absent == service and since - _RELOADED_WITHIN <= at <= until + _RELOADED_WITHIN
            for absent, since, until in self.absences
        )

    def _save(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(self._write([service for service in SERVICES if service not in self._absent]))
        new.replace(self._file)


class Healing(set[asyncio.Task[None]]):
    """What undoes faults after a while, as long as it is to be done."""

    def later(self, seconds: float, heal: Callable[[], Awaitable[None]]) -> None:
        """Undo a fault after a while."""

        async def wait() -> None:
            await asyncio.sleep(seconds)
            await heal()

        task = asyncio.create_task(wait())
        self.add(task)
        task.add_done_callback(self.discard)


@dataclass
class Cluster:
    """Everything that faults and requests act on."""

    replicas: Sequence[Bot]
    postgresql: PostgreSQL
    database: str
    slack: FakeSlackServer
    prometheus: Prometheus
    source: SourceProxy
    exporter: Exporter
    balancer: Balancer
    policies: PolicyFile
    clocks: Sequence[Path]
    """Files that say how many seconds each replica's clock is off."""
    faults: Counter[str] = field(default_factory=Counter)
    nonsense: Counter[str] = field(default_factory=Counter)
    """What the source answered instead of the truth, and how often it was told to."""
    deeds: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    pushed: Counter[str] = field(default_factory=Counter)
    healing: Healing = field(default_factory=Healing)
