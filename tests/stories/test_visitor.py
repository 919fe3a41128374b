"""What somebody sees who has just cloned the project and typed `make run`."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.stories.visitor import play, running_sandbox, visiting


@pytest.mark.timeout(400)
async def test_a_visitor_watches_a_budget_burn_a_freeze_a_refusal_and_the_recovery(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as url, visiting(url) as visitor:
        await play(visitor)
        assert await visitor.page.locator(".unknown").count() == 0
    assert visitor.complaints == []
    assert visitor.strayed == []


async def test_the_story_can_begin_anew(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as url, visiting(url) as visitor:
        await visitor.says("Anybody here?")
        await visitor.sees("Anybody here?")
        async with visitor.page.expect_navigation():
            await visitor.presses("Start over")
        await visitor.page.wait_for_selector("body[data-ready]")
        await expect(visitor.messages).to_have_count(0)
        await visitor.says("/budget")
        await visitor.sees("3 services, 0 frozen")
