"""What somebody sees who has just cloned the project and typed `make run`."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.stories.visitor import follow_steps, play, running_sandbox, visiting


@pytest.mark.timeout(400)
async def test_a_visitor_watches_a_budget_burn_a_freeze_a_refusal_and_the_recovery(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as url, visiting(url) as visitor:
        await play(visitor)
        assert await visitor.page.locator(".unknown").count() == 0
    assert visitor.complaints == []
    assert visitor.strayed == []


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
async def test_a_visitor_is_led_through_the_whole_loop(tmp_path: Path, width: int, height: int) -> None:
    async with running_sandbox(tmp_path) as url, visiting(url, width=width, height=height) as visitor:
        await follow_steps(visitor)
        await visitor.steps.get_by_role("button", name="Hide the first steps").click()
        await visitor.page.reload()
        await visitor.page.wait_for_selector("body[data-ready]")
        await expect(visitor.steps).to_have_count(0)
        await visitor.presses("First steps 7/7")
        await visitor.has_done(7)
    assert visitor.complaints == []
    assert visitor.strayed == []


async def test_the_story_can_begin_anew(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as url, visiting(url) as visitor:
        await visitor.page.get_by_role("link", name="Governor").first.click()
        await visitor.page.get_by_role("link", name="Messages", exact=True).click()
        box = visitor.page.get_by_role("textbox", name="Message Governor")
        await box.fill("help")
        await box.press("Enter")
        await visitor.sees("All commands")
        await visitor.opens("checkout")
        await visitor.says("Anybody here?")
        await visitor.sees("Anybody here?")
        async with visitor.page.expect_navigation():
            await visitor.presses("Start over")
            await visitor.page.get_by_role("button", name="Forget everything").click()
        await visitor.page.wait_for_selector("body[data-ready]")
        await expect(visitor.messages.filter(has_text="Anybody here?")).to_have_count(0)
        await visitor.says("/budget")
        await visitor.sees("3 services, none frozen")
