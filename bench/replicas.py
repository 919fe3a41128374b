"""How soon a replica reacts to a hold that another one placed: the message in Slack, and the metrics.

Both are in this process, on one PostgreSQL. The one that places holds runs none of its loops, so that all
that follows is the other's doing. Polling is put off, so that only the store's signals can have woken it.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bot.app.governor import Governor
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.settings import Settings
from bot.slack.delivery.context import DeliveryTiming
from bot.slack.manifest import manifest
from tests.stories.conftest import POLICIES
from tests.support.servers import running_postgresql

ROUNDS = 20
_PAUSE_S = 1.2
_POLL_S = 60.0
_LOOK_S = 0.001


@dataclass(frozen=True, slots=True)
class Reaction:
    """Seconds from before a hold is placed until it is committed, shown by the metrics, and in Slack."""

    commit_s: list[float]
    metrics_s: list[float]
    post_s: list[float]

    @property
    def worst_s(self) -> float:
        """The slowest of all reactions."""
        return max(*self.metrics_s, *self.post_s)

    @property
    def median_s(self) -> float:
        """The median time until the message is in Slack."""
        return median(self.post_s)


async def react(folder: Path, rounds: int = ROUNDS) -> Reaction:
    """Place holds on one replica and time the other."""
    policies = folder / "replicas"
    policies.mkdir()
    (policies / "all.yaml").write_text(POLICIES)
    async with (
        running_postgresql() as postgresql,
        FakeSlackServer(manifest=manifest("https://bench.example")) as slack,
        AsyncExitStack() as stack,
    ):
        # Slack's interval between two messages of a channel is not what is measured.
        slack.rates.enabled = False
        timing = DeliveryTiming(poll_s=_POLL_S, interval_s=0.01)
        url = await postgresql.new_database()
        here, there = [
            await stack.enter_async_context(Governor(_settings(slack, policies, url), timing=timing))
            for _ in range(2)
        ]
        running = asyncio.create_task(there.run())
        try:
            # The one that does not beat is retired after seven seconds, and its part is taken over.
            async with asyncio.timeout(_POLL_S):
                while "checkout" not in there.parts.budgets.evaluator.latest:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(_LOOK_S)
            await asyncio.sleep(_PAUSE_S)
            reaction = Reaction([], [], [])
            for number in range(rounds):
                await _once(here, there, slack, reaction, str(number))
                await asyncio.sleep(_PAUSE_S)
        finally:
            there.stop()
            await running
        return reaction


async def _once(
    here: Governor, there: Governor, slack: FakeSlackServer, reaction: Reaction, request: str
) -> None:
    service = here.watcher.current.catalog.services["checkout"]
    registry, before = here.parts.budgets.hold_registry, len(slack.messages("#checkout"))
    frozen = there.metrics.frozen.labels("checkout")
    began = time.perf_counter()
    await registry.place(
        service, by="U0SAM", reason="to measure", until=None, request=request, now=here.clock.now()
    )
    reaction.commit_s.append(time.perf_counter() - began)
    shown_s = posted_s = 0.0
    async with asyncio.timeout(_POLL_S / 2):
        while not (shown_s and posted_s):
            await asyncio.sleep(_LOOK_S)
            elapsed_s = time.perf_counter() - began
            if not shown_s and frozen._value.get() == 1:  # noqa: SLF001 - the client offers no way to read
                shown_s = elapsed_s
            if not posted_s and len(slack.messages("#checkout")) > before:
                posted_s = elapsed_s
    reaction.metrics_s.append(shown_s)
    reaction.post_s.append(posted_s)
    await registry.lift(service, by="U0SAM", reason="measured", now=here.clock.now())


def _settings(slack: FakeSlackServer, policies: Path, url: str) -> Settings:
    return Settings.model_validate(
        {
            "slack_bot_token": slack.bot_token,
            "slack_signing_secret": slack.signing_secret,
            "slack_api_url": slack.api_url,
            "policies_dir": str(policies),
            "database_url": url,
            "port": 0,
        }
    )
