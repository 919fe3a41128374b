"""The whole loop without a monitoring system: pushed events, a freeze, a verdict, a recovery."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp

from bot.sandbox.fake_slack.server import FakeSlackServer
from tests.support.running import Bot, eventually


async def push(bot: Bot, good: int, bad: int, ago: timedelta = timedelta()) -> None:
    at = (datetime.now(UTC) - ago).isoformat()
    event = {"service": "checkout", "slo": "orders", "good": good, "bad": bad, "at": at}
    assert await bot.api("POST", "events", json=event) == (202, {"accepted": 1, "duplicates": 0})


def told(slack: FakeSlackServer, channel: str, kind: str) -> int:
    return sum((m.metadata or {}).get("event_type") == kind for m in slack.messages(channel))


async def test_a_spent_budget_freezes_and_a_recovered_one_opens(bot: Bot, slack: FakeSlackServer) -> None:
    await push(bot, 990, 0)
    assert (await bot.state("checkout"))["state"] == "open"
    await push(bot, 0, 20)
    await bot.until_state("checkout", "frozen")
    await slack.until(lambda: told(slack, "#releases", "service_frozen"))
    assert (await bot.api("GET", "gate/checkout"))[1]["allow"] is False
    await push(bot, 10_000, 0)
    await bot.until_state("checkout", "open")
    for channel in ("#checkout", "#releases"):
        await slack.until(partial(told, slack, channel, "service_open"))
        assert [told(slack, channel, kind) for kind in ("service_frozen", "service_open")] == [1, 1]
    assert slack.refused == []
    assert await bot.terminate() == 0


async def test_one_error_of_three_requests_is_too_little_traffic_everywhere(
    bot: Bot, slack: FakeSlackServer
) -> None:
    await push(bot, 2, 1)

    async def orders() -> dict[str, Any]:
        return dict((await bot.state("checkout"))["slos"][0])

    found = await eventually(orders, lambda slo: slo["total"] == 3)
    assert (found["state"], found["bad"], found["remaining"]) == ("too_little_traffic", 1, None)
    verdict = (await bot.api("GET", "gate/checkout"))[1]
    assert verdict["allow"] is True
    assert "orders has too little traffic to tell" in verdict["reasons"]
    dana = slack.person("dana")
    await dana.says("/budget checkout", "#checkout")
    answer = (await slack.until(lambda: slack.ephemerals("#checkout", "dana")))[-1]
    assert "too little traffic" in answer.text
    assert "1 of 3 events in the window was bad. That may be chance" in answer.text
    async with aiohttp.ClientSession() as session:

        async def page(path: str) -> str:
            async with session.get(f"{bot.url}/{path}") as found:
                assert found.status == 200
                return await found.text()

        shown = 'state="too_little_traffic"} 1.0'
        metrics = await eventually(lambda: page("metrics"), lambda text: shown in text)
        assert 'governor_error_budget_remaining_ratio{service="checkout"' not in metrics
        assert "too_little_traffic" not in await page("readyz")
    assert told(slack, "#releases", "service_frozen") == 0
    assert slack.refused == []


async def test_people_freeze_ask_and_lift_in_slack(bot: Bot, slack: FakeSlackServer) -> None:
    sre = slack.person("sam")
    await sre.says("/freeze checkout for 2h database migration", "#releases")
    await bot.until_state("checkout", "frozen")
    await sre.says("/ship checkout", "#checkout")
    answer = (await slack.until(lambda: slack.ephemerals("#checkout", "sam")))[-1]
    assert "database migration" in answer.text
    await sre.says("/freeze lift checkout all is well", "#checkout")
    await bot.until_state("checkout", "open")
    _, log = await bot.api("GET", "audit?service=checkout")
    assert [(row["actor"], row["action"]) for row in log["rows"]] == [
        (sre.id, "hold.placed"),
        (sre.id, "hold.lifted"),
    ]
    await slack.until(lambda: told(slack, "#releases", "hold_lifted"))
    assert slack.refused == []
