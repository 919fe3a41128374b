"""The first steps of a visitor: budget, freeze, exemption, flag, incident, postmortem, open again.

What is done is read from the bot: its audit log and the states of its services over the API, and which
commands it has acknowledged. So a step is ticked whichever way the visitor went, and a reload forgets none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import structlog

from bot.sandbox.demo.steps import SERVICE, STEPS, Milestone, StoryFacts
from bot.sandbox.fake_slack.model import Json

log = structlog.get_logger(__name__)

_EVERY_S: Final = 0.5
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_DONE_BY: Final = {
    "service.frozen": Milestone.FROZEN,
    "hold.placed": Milestone.FROZEN,
    "exemption.granted": Milestone.EXEMPTED,
    "flag.asked": Milestone.FLAG_ASKED,
    "flag.changed": Milestone.FLAG_CHANGED,
    "incident.opened": Milestone.INCIDENT,
    "incident.postmortem_requested": Milestone.POSTMORTEM,
}
"""What a row of the audit log shows, by its action."""


@dataclass
class Walkthrough:
    """The steps and how far the visitor has come; `on_change` is called after every progress.

    `commands` holds the slash commands that the bot has acknowledged.
    """

    bot_url: str
    api_token: str
    commands: Container[str]
    on_change: Callable[[], None]
    session: aiohttp.ClientSession | None = None
    facts: StoryFacts = field(default_factory=StoryFacts)
    _cursor: str = "0"

    def as_json(self) -> list[Json]:
        """Return the steps in their order, for the page."""
        return [
            {
                "name": step.name,
                "title": step.title,
                "how": step.advice(self.facts).how,
                "action": step.advice(self.facts).action,
                "done": step.shown_by in self.facts.done,
            }
            for step in STEPS
        ]

    async def run(self) -> None:
        """Follow what happens, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.refresh()
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
                # The bot starts, stops, or is slowed down by the visitor: the next reading has it all.
                log.debug("walkthrough_not_read", error=str(error))

    async def refresh(self) -> None:
        """Read what has happened since the last reading."""
        before = self.facts
        rows = (await self._get("audit", cursor=self._cursor))["rows"]
        services = (await self._get("services"))["services"]
        facts = before
        for row in rows:
            facts = facts.with_row(row, _DONE_BY.get(row["action"]))
        facts = facts.with_frozen(frozenset(one["service"] for one in services if one["state"] == "frozen"))
        if "/budget" in self.commands:
            facts = facts.with_progress(Milestone.BUDGET)
        if rows:
            self._cursor = str(rows[-1]["id"])
        if facts.incident_channel is None and Milestone.INCIDENT in facts.done:
            facts = facts.with_incidents((await self._get("incidents"))["incidents"])
        self.facts = facts
        if facts != before:
            self.on_change()

    @property
    def is_frozen(self) -> bool:
        """Whether the service of the story may not ship now."""
        return SERVICE in self.facts.frozen

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        assert self.session is not None, "the walkthrough has no HTTP session"  # noqa: S101 - set by `Sandbox.run`
        headers = {"Authorization": f"Bearer {self.api_token}"}
        url = f"{self.bot_url}/api/v1/{path}"
        async with self.session.get(url, params=query, headers=headers, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            answer: dict[str, Any] = await response.json()
        return answer
