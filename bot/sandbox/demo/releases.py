"""What the shop ships while the visitor looks on, until the bot has taken the reports. Does no I/O."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from bot.sandbox.demo import deployments
from bot.sandbox.demo.traffic import TrafficScenario
from bot.sandbox.fake_slack.model import Json


class ShopReleases:
    """The reports that the bot has not taken yet: `unsent`, oldest first."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._shipped_at = start
        self._ships = 0
        self._number = 0
        self._commits: dict[str, list[str]] = {}
        self.unsent: list[Json] = []

    def begin(self, start: datetime) -> None:
        """Set when the demo begins."""
        self._start = self._shipped_at = start

    def add_past(self) -> None:
        """Report what was deployed before the demo began."""
        self.unsent += deployments.past_deployments(self._start)

    def deploy(self, service: str, at: datetime) -> None:
        """Report a deployment, of another commit each time."""
        self._number += 1
        report = deployments.shipped(service, at, self._number)
        self._commits.setdefault(service, []).append(str(report["commit"]))
        self.unsent.append(report)

    def roll_back(self, service: str, at: datetime) -> None:
        """Report that the commit before the last one is in production again."""
        if self._commits.get(service):
            self._commits[service].pop()
            before = [deployments.last_commit(service, self._start), *self._commits[service]][-1]
            self.unsent.append(deployments.rolled_back(service, at, before))

    def tick(self, now: datetime, scene: TrafficScenario, frozen: Collection[str]) -> None:
        """Report what a service that is well and open ships by itself, each in its turn."""
        if now - self._shipped_at < deployments.SHIPPED_EVERY or scene.bad:
            return
        self._shipped_at = now
        service = deployments.SHIPPING[self._ships % len(deployments.SHIPPING)]
        self._ships += 1
        if service not in frozen:
            self.deploy(service, now)
