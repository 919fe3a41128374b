"""How many of the shop's customers see a flag on: asked of the bot over OFREP, as any application would."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
import structlog

log = structlog.get_logger(__name__)

_CUSTOMERS: Final = 400
_AT_ONCE: Final = 20
_PATIENCE: Final = aiohttp.ClientTimeout(total=10)


class Exposure:
    """Asks about one flag. Everybody is asked about again only once the flag has another version."""

    def __init__(self, bot_url: str, flag: str) -> None:
        self._url = f"{bot_url}/ofrep/v1/evaluate/flags/{flag}"
        self._version: object = None
        self.share = 0.0

    async def ask(self, http: aiohttp.ClientSession) -> float:
        """Return the share of customers who see the flag on, the last known one where nobody answers."""
        try:
            _, version = await self._evaluate(http, 0)
            if version != self._version:
                self.share = await self._everybody(http)
                self._version = version
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as fault:
            log.info("flag_unknown", error=type(fault).__name__)
        return self.share

    async def _everybody(self, http: aiohttp.ClientSession) -> float:
        see = 0
        for first in range(0, _CUSTOMERS, _AT_ONCE):
            some = range(first, first + _AT_ONCE)
            see += sum(is_on for is_on, _ in await asyncio.gather(*(self._evaluate(http, n) for n in some)))
        return see / _CUSTOMERS

    async def _evaluate(self, http: aiohttp.ClientSession, customer: int) -> tuple[bool, object]:
        body = {"context": {"targetingKey": f"customer-{customer}"}}
        async with http.post(self._url, json=body, timeout=_PATIENCE) as response:
            answer = await response.json()
        return bool(answer["value"]), answer["metadata"]["version"]
