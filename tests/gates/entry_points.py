"""Every way to ask whether a change may ship, each as whoever uses it asks, with its answer in a word."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import aiohttp

from bot.cli.gate import ask_gate
from bot.freezes.verdict import Change
from tests.support.running_bot import TOKEN, RunningBot

AskGate = Callable[[Change], Awaitable[str]]
SERVICE = "checkout"
_AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


class EntryPoints:
    """Asks one bot about changes to one service."""

    def __init__(self, bot: RunningBot, session: aiohttp.ClientSession) -> None:
        self._bot = bot
        self._session = session

    async def answers(self, change: Change) -> AsyncIterator[tuple[str, str]]:
        """Yield the answer of each way to ask about a change, with the name of the way."""
        asks = (self.api, self.command_line, self.flagger, self.rollouts, self.kargo, self.waits, self.mcp)
        for ask in asks:
            yield ask.__name__, await ask(change)
        # What Slack's form has no words for is not asked there.
        if (change.environment, change.commit) == (None, None) and change.kind != "fix":
            yield "slack", await self.slack(change)

    async def api(self, change: Change) -> str:
        """Ask the HTTP API."""
        url = f"{self._bot.url}/api/v1/gate/{SERVICE}"
        async with self._session.get(url, params=_words(change), headers=_AUTHORIZED) as response:
            body = await response.json()
            assert response.status == 200, body
            assert body["allow"] is (body["verdict"] == "go")
        async with self._session.get(
            url, params=_words(change) | {"strict": "1"}, headers=_AUTHORIZED
        ) as strict:
            assert (strict.status == 200) is body["allow"]
        return str(body["verdict"])

    async def command_line(self, change: Change) -> str:
        """Ask as `governor gate` does."""
        verdict = await ask_gate(
            self._bot.url,
            TOKEN,
            SERVICE,
            change=change.id,
            kind=change.kind,
            proof=change.proof,
            commit=change.commit,
            environment=change.environment,
            wait=timedelta(),
        )
        return str(verdict["verdict"])

    async def flagger(self, change: Change) -> str:
        """Ask Flagger's hooks: whether it may go on, and whether to roll back."""
        metadata = {name: word for name, word in _words(change).items() if name != "change"}
        hook = {
            "name": SERVICE, "namespace": "shop", "phase": "Progressing", "checksum": change.id,
            "metadata": metadata,
        }  # fmt: skip
        answers: dict[str, bool] = {}
        for name in ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion", "rollback"):
            url = f"{self._bot.url}/gates/flagger/{TOKEN}/{SERVICE}/{name}"
            async with self._session.post(url, json=hook) as response:
                assert response.status in {200, 423}, await response.text()
                # What Flagger takes for yes.
                answers[name] = response.status <= 202
        rolls_back = answers.pop("rollback")
        assert len(set(answers.values())) == 1, answers
        may_go = all(answers.values())
        assert not (may_go and rolls_back)
        return "go" if may_go else "back" if rolls_back else "wait"

    async def rollouts(self, change: Change) -> str:
        """Ask as a metric of Argo Rollouts."""
        return await self._metric("rollouts", change)

    async def kargo(self, change: Change) -> str:
        """Ask as a step of Kargo."""
        return await self._metric("kargo", change)

    async def waits(self, change: Change) -> str:
        """Ask what platforms that wait for an answer are told."""
        verdict = await self._bot.governor.parts.gates.questions.judge(SERVICE, change)
        return str(verdict.answer)

    async def mcp(self, change: Change) -> str:
        """Call the tool of agents, with a token of a pipeline: what an agent names proves nothing."""
        call = {
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "may_i_ship", "arguments": {"service": SERVICE, **_words(change)}},
        }  # fmt: skip
        headers = _AUTHORIZED | {
            "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18",
        }  # fmt: skip
        async with self._session.post(f"{self._bot.url}/mcp", json=call, headers=headers) as response:
            body = await response.json()
            assert response.status == 200, body
        return str(body["result"]["structuredContent"]["verdict"])

    async def slack(self, change: Change) -> str:
        """Type `/ship`."""
        words = [word for word in (change.id, change.kind, change.kind and change.proof) if word]
        sam = self._bot.slack.person("sam")
        before = len(self._bot.slack.seen_by("sam", "#general"))
        await sam.says(f"/ship {SERVICE} {' '.join(words)}", "#general")
        await self._bot.governor.parts.slack.app.drain(10)
        said = self._bot.slack.seen_by("sam", "#general")[before:][0].text
        found = {word for mark, word in _SAID.items() if mark in said}
        assert len(found) == 1, said
        return found.pop()

    async def _metric(self, tool: str, change: Change) -> str:
        url = f"{self._bot.url}/gates/{tool}/{SERVICE}"
        async with self._session.get(url, params=_words(change), headers=_AUTHORIZED) as response:
            body: dict[str, Any] = await response.json()
            assert response.status == 200, body
            assert body["allow"] is (body["verdict"] == "go")
            return str(body["verdict"])


_SAID = {"may ship": "go", "may not ship": "wait", "must go back": "back"}


def _words(change: Change) -> dict[str, str]:
    words = {
        "change": change.id, "kind": change.kind, "proof": change.proof, "commit": change.commit,
        "environment": change.environment,
    }  # fmt: skip
    return {name: word for name, word in words.items() if word is not None}
