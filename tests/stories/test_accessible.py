"""axe finds nothing to say about the sandbox: the page, its dialogs and menus, and the home tab."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import expect

from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from tests.stories.test_drawn import CHANNEL, drawing
from tests.stories.visitor import Visitor, running_sandbox, visiting
from tests.support.axe import findings
from tests.support.slack_app import run_slack_app, shop
from tests.support.slack_home import much_to_show, run_slack_app_with_home

SIZES = [(1280, 800, "light"), (1280, 800, "dark"), (390, 844, "light")]


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with running_sandbox(tmp_path) as address:
        yield address


async def shown(visitor: Visitor) -> list[str]:
    """Return what axe finds once all that moves has come to rest."""
    await visitor.page.emulate_media(reduced_motion="reduce")
    return await findings(visitor.page)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("width", "height", "scheme"), SIZES)
async def test_axe_finds_nothing_on_the_page(
    url: str, width: int, height: int, scheme: Literal["light", "dark"]
) -> None:
    async with visiting(url, width=width, height=height, scheme=scheme) as visitor:
        assert "\n".join(await shown(visitor)) == ""
        await visitor.says("/budget checkout")
        await expect(visitor.page.locator("svg.plot").first).to_be_visible()
        assert "\n".join(await shown(visitor)) == ""
        await visitor.presses("Outage")
        await visitor.page.keyboard.press("Control+k")
        await expect(visitor.page.get_by_role("dialog")).to_be_visible()
        assert "\n".join(await shown(visitor)) == ""
        await visitor.page.keyboard.press("Escape")
        await visitor.presses("Start over")
        await expect(visitor.page.get_by_role("dialog", name="Start over?")).to_be_visible()
        assert "\n".join(await shown(visitor)) == ""
        await visitor.page.keyboard.press("Escape")
        if width < 800:
            await visitor.page.get_by_role("button", name="Channels").click()
            await expect(visitor.page.get_by_label("Act as")).to_be_visible()
            assert "\n".join(await shown(visitor)) == ""


@pytest.mark.timeout(240)
async def test_axe_finds_nothing_on_cards_threads_and_modals(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as slack_app, drawing(slack_app) as visitor:
        slack_app.slack.rates.enabled = False
        await visitor.becomes("Sam Okafor")
        await slack_app.types("sam", "/freeze checkout for 4h peak sale", CHANNEL)
        await slack_app.types("sam", "/budget checkout", CHANNEL)
        workspace = slack_app.slack.workspace
        channel = workspace.channel(CHANNEL)
        post = workspace.say(channel, "U0SAM", "Who looks at <#" + channel.id + ">?")
        workspace.say(channel, BOT_USER_ID, "A reply", post.ts)
        await visitor.page.get_by_role("button", name="1 reply").click()
        await expect(visitor.page.get_by_role("log", name="Thread")).to_be_visible()
        assert "\n".join(await shown(visitor)) == ""
        await slack_app.slack.person("sam").says("/incident", CHANNEL)
        await slack_app.app.drain(10)
        await expect(visitor.page.locator("dialog.modal")).to_be_visible()
        assert "\n".join(await shown(visitor)) == ""


@pytest.mark.timeout(240)
async def test_axe_finds_nothing_on_the_home_tab(tmp_path: Path) -> None:
    async with run_slack_app_with_home(tmp_path) as slack_app, drawing(slack_app) as visitor:
        await much_to_show(slack_app)
        await visitor.becomes("Dana Reyes")
        await visitor.page.locator('a.place[href="#home"]').click()
        await expect(visitor.page.locator("#main .home h3").first).to_be_visible()
        assert "\n".join(await shown(visitor)) == ""
