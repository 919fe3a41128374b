"""The share of the shop's customers for whom a flag is on, evaluated over OFREP as an application does."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
import structlog

log = structlog.get_logger(__name__)

_CUSTOMERS: Final = 400
_CONCURRENCY: Final = 20
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


class Exposure:
    """The exposure of one flag. All customers are evaluated again only when the flag's version changes."""

    def __init__(self, bot_url: str, flag: str) -> None:
        self._url = f"{bot_url}/ofrep/v1/evaluate/flags/{flag}"
        self._version: object = None
        self.share = 0.0

    async def refresh(self, http: aiohttp.ClientSession) -> float:
        """Return the share of customers for whom the flag is on; the last known if the bot is unreachable."""
        try:
            _, version = await self._evaluate(http, 0)
            if version != self._version:
                self.share = await self._evaluate_all(http)
                self._version = version
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            log.info("flag_evaluation_failed", error=type(error).__name__)
        return self.share

    async def _evaluate_all(self, http: aiohttp.ClientSession) -> float:
        enabled = 0
        for first in range(0, _CUSTOMERS, _CONCURRENCY):
            batch = range(first, first + _CONCURRENCY)
            enabled += sum(
                is_on for is_on, _ in await asyncio.gather(*(self._evaluate(http, n) for n in batch))
            )
        return enabled / _CUSTOMERS

    async def _evaluate(self, http: aiohttp.ClientSession, customer: int) -> tuple[bool, object]:
        body = {"context": {"targetingKey": f"customer-{customer}"}}
        async with http.post(self._url, json=body, timeout=_TIMEOUT) as response:
            evaluation = await response.json()
        return bool(evaluation["value"]), evaluation["metadata"]["version"]
