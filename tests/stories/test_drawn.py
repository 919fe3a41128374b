"""Every message that the bot can send, from real states: taken by a strict Slack, drawn by the page."""

from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import expect
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox.page_api import PageApi
from bot.slack.announcements import Announcer
from bot.slack.commands import COMMANDS
from tests.slack.examples import WORKSPACE, occasions
from tests.slack.office import Office, open_office, shop
from tests.stories.visitor import visiting

CHANNEL = "#checkout"


async def show_everything(office: Office) -> int:
    """Send every announcement, and type every command in its forms; answer how many messages came."""
    client = AsyncWebClient(token=office.slack.bot_token, base_url=office.slack.api_url)
    announcer = Announcer(lambda: WORKSPACE)
    told = [announcer(occasion)[0] for occasion in occasions().values()]
    faults = [f"policies/checkout.yaml:{line}:3: spec: unknown key `slo`" for line in range(9)]
    told += [announcer.policy_faults(faults), announcer.policy_restored()]
    told.append(announcer.delivery_failed("#gone", "is_archived"))
    for message in told:
        await client.chat_postMessage(channel=CHANNEL, text=message.text, blocks=list(message.blocks))
    typed = [f"/{command.name} help" for command in COMMANDS]
    typed += ["/budget", "/budget checkout", "/budget payments", "/budget chekout", "/ship", "/ship checkout"]
    typed += ["/freeze", "/freeze checkout for 4h peak sale", "/freeze", "/ship checkout PR-12 security"]
    typed += [
        "/freeze exempt checkout PR-12 for 2h a fix",
        "/ship checkout PR-12",
        "/freeze lift checkout done",
    ]
    typed += ["/audit", "/audit checkout since 7d", "/governor whoami", "/freeze checkout", "/budget a b"]
    for text in typed:
        await office.types("sam", text, CHANNEL)
    return len(told) + len(typed)


@pytest.mark.timeout(240)
async def test_every_message_is_taken_by_slack_and_drawn_without_an_unknown_block(tmp_path: Path) -> None:
    async with open_office(tmp_path, shop()) as office:
        office.slack.rates.enabled = False
        shown = await show_everything(office)
        app = web.Application()
        PageApi(office.slack, dict).add_routes(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with visiting(f"http://127.0.0.1:{runner.addresses[0][1]}") as visitor:
                await visitor.becomes("Sam Okafor")
                await expect(visitor.messages).to_have_count(shown)
                assert await visitor.page.locator(".unknown").count() == 0
                assert "undefined" not in await visitor.page.locator("#main").inner_text()
            assert visitor.complaints == []
        finally:
            await runner.cleanup()
        assert office.slack.refused == []
