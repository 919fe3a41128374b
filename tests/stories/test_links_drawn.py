"""What is shown below links is drawn by the sandbox, with the pane of details, on desktop and phone."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.stories.visitor import running_sandbox, visiting
from tests.support.axe import findings


@pytest.mark.timeout(240)
@pytest.mark.parametrize("width", [1280, 390])
async def test_links_to_a_service_and_an_incident_are_drawn(tmp_path: Path, width: int) -> None:
    async with running_sandbox(tmp_path) as url, visiting(url, width=width, height=844) as visitor:
        page = visitor.page
        await visitor.says(f"{url}/services/checkout")
        service = page.locator("#main .attachment").first
        await expect(service).to_contain_text("checkout")
        await visitor.says("/incident open Cards are refused sev2 checkout")
        await expect(page.locator("#main")).to_contain_text("Cards are refused")
        await visitor.says(f"{url}/incidents/1")
        incident = page.locator("#main .work-object").last
        await expect(incident).to_contain_text("Cards are refused")
        await expect(incident).to_contain_text("investigating")
        await page.emulate_media(reduced_motion="reduce")
        assert "\n".join(await findings(page)) == ""
        await incident.get_by_role("button", name="Cards are refused").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Impact")
        assert "\n".join(await findings(page)) == ""
