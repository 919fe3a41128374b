"""The sandbox's story of a flag, in the program of `make run`: a ramp, the burn, the way back."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.stories.visitor import running_sandbox
from tests.support.running import eventually

_RAMP = "/flag ramp new-checkout 1% 5% 25% 100% every 10m the new till"


class Page:
    """What the page's scripts do: type, press, choose a scene, and read what the channel shows."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.channel = ""

    async def does(self, action: str, **body: Any) -> None:
        async with self._session.post(f"{self._url}/sandbox/{action}", json=body) as answer:
            said = await answer.json()
            assert said["ok"], said

    async def messages(self) -> list[dict[str, Any]]:
        async with self._session.get(f"{self._url}/sandbox/state") as answer:
            state = await answer.json()
        self.channel = next(one["id"] for one in state["channels"] if one["name"] == "checkout")
        return list(state["messages"][self.channel])

    async def sees(self, text: str) -> dict[str, Any]:
        found = await eventually(
            self.messages, lambda all_: any(text in one["text"] for one in all_), within_s=100
        )
        return next(one for one in found if text in one["text"])


@pytest.mark.timeout(200)
async def test_a_ramp_on_new_checkout_burns_and_goes_back(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as url, aiohttp.ClientSession() as session:
        page = Page(session, url)
        await page.messages()
        await page.does("story", scene="risky_flag", speed=60)
        await page.does("say", **{"as": "dana", "channel": page.channel, "text": _RAMP})
        asked = await page.sees("asks for a ramp of")
        press = {"as": "sam", "channel": page.channel, "ts": asked["ts"], "action_id": "flag.approve"}
        await page.does("act", **press)
        await page.sees("*5% → 25% of users* — *new-checkout* in production")
        back = await page.sees(":rewind: *25% of users → off*")
        assert "availability burns at" in back["text"]
        await asyncio.sleep(3)
        texts = [one["text"] for one in await page.messages()]
        assert not any("→ 100% of users* — *new-checkout* in production, live" in text for text in texts)
        assert not any(":snowflake:" in text for text in texts)
