"""`forecast` of the API, as outside programs read it, from the whole running bot."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.running import eventually
from tests.support.running_bot import TOKEN, start_bot

TIMES = {"p10", "p50", "p90"}


async def test_forecasts_are_told_once_there_is_a_history(tmp_path: Path) -> None:
    async with start_bot(tmp_path) as bot:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with aiohttp.ClientSession(bot.url, headers=headers) as session:

            async def slos() -> list[dict[str, Any]]:
                async with session.get("/api/v1/services") as answer:
                    services: list[dict[str, Any]] = (await answer.json())["services"]
                return [slo for service in services for slo in service["slos"]]

            before = await slos()
            assert all(slo["forecast"] is None for slo in before)
            async with session.get("/api/v1/services") as answer:
                (first, *_) = [service for service in (await answer.json())["services"] if service["slos"]]
            counted = {"service": first["service"], "slo": first["slos"][0]["name"]}
            now = datetime.now(UTC)
            days = [
                {**counted, "good": 9_000, "bad": 15, "at": (now - timedelta(days=day)).isoformat()}
                for day in range(25)
            ]
            async with session.post("/api/v1/events", json=days) as answer:
                assert answer.status == 202
            await bot.governor.parts.budgets.forecast()

            async def told() -> list[dict[str, Any]]:
                return [slo for slo in await slos() if slo["forecast"]]

            (found,) = await eventually(told, bool, within_s=20)
        assert set(found["forecast"]) == {"exhausts", "recovers", "probability"}
        assert set(found["forecast"]["probability"]) == {"1d", "7d", "28d"}
        recovers = found["forecast"]["recovers"]
        assert recovers is None or set(recovers) == TIMES
