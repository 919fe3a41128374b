"""What somebody sees who has just cloned the project and typed `make run`."""

from pathlib import Path

import pytest

from tests.stories.visitor import play, running_sandbox, visiting


@pytest.mark.timeout(400)
async def test_a_visitor_watches_a_budget_burn_a_freeze_a_refusal_and_the_recovery(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as url, visiting(url) as visitor:
        await play(visitor)
        assert await visitor.page.locator(".unknown").count() == 0
    assert visitor.complaints == []
    assert visitor.strayed == []
