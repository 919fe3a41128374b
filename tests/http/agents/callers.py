"""Calls of the running bot's API with the tokens of agents and pipelines."""

from typing import Any

import aiohttp

from bot.deployments.actor import Actor
from bot.http.rights import read_rights
from bot.store import api_tokens
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, RunningBot

SERVICE = "checkout"


class Callers:
    """Owners of tokens at a running bot."""

    def __init__(self, bot: RunningBot) -> None:
        self.bot = bot
        self.agent = ""
        self.pipeline = ""

    async def token(self, name: str, actor: Actor, rights: str = "all", per_minute: int = 600) -> str:
        governor = self.bot.governor
        async with governor.database.transaction() as connection:
            return await api_tokens.create(
                connection,
                name,
                read_rights(rights, actor),
                per_minute,
                governor.clock.now(),
                actor=actor.value,
            )

    async def call(self, token: str, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Call `/api/v1/{path}` or another address of the bot; return status and body."""
        address = path if path.startswith("/") else f"/api/v1/{path}"
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, self.bot.url + address, **options) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def gate(self, token: str, **asked: str) -> dict[str, Any]:
        """Return the verdict on a change to the service."""
        status, verdict = await self.call(token, "GET", f"gate/{SERVICE}", params=asked)
        assert status == 200, verdict
        return dict(verdict)

    async def freeze(self) -> None:
        """Freeze the service by its budget, a hold that yields to proven kinds."""
        spent = {"service": SERVICE, "slo": "orders", "good": 100, "bad": 100}
        status, answer = await self.call(TOKEN, "POST", "events", json=spent)
        assert status == 202, answer

        async def state() -> str:
            return str((await self.call(TOKEN, "GET", f"services/{SERVICE}"))[1]["state"])

        await eventually(state, "frozen".__eq__)
