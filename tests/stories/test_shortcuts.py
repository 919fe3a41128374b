"""A visitor opens an incident from the menu of a message, and puts another onto its timeline."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.stories.visitor import Visitor, running_sandbox, visiting
from tests.support.axe import findings


async def chooses(visitor: Visitor, text: str, shortcut: str) -> None:
    """Choose a shortcut in the menu of a message."""
    message = visitor.messages.filter(has_text=text).last
    await message.hover()
    await message.get_by_label("More actions").click()
    await message.get_by_role("menuitem", name=shortcut, exact=True).click()


@pytest.mark.timeout(300)
async def test_a_message_becomes_an_incident_and_another_goes_onto_its_timeline(tmp_path: Path) -> None:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    async with running_sandbox(tmp_path) as url, visiting(url) as visitor:
        await visitor.says("Customers cannot pay")
        await chooses(visitor, "Customers cannot pay", "Open an incident")
        title = visitor.page.get_by_role("textbox", name="What is wrong?")
        await expect(title).to_have_value("Customers cannot pay")
        await visitor.page.get_by_role("button", name="Open", exact=True).click()
        await visitor.sees("Incident 1 is open, sev3")
        await visitor.says("The card provider has an outage")
        await chooses(visitor, "The card provider has an outage", "Add to timeline")
        await expect(visitor.page.get_by_role("combobox", name="Which incident is it about?")).to_be_visible()
        await visitor.page.get_by_role("button", name="Add", exact=True).click()
        await visitor.sees("to the timeline of incident 1: dana: The card provider has an outage")
        await visitor.opens(f"inc-{day}-customers-cannot-pay")
        await visitor.sees("to the timeline of incident 1: dana: The card provider has an outage")
        await visitor.page.get_by_label("Shortcuts").click()
        assert await findings(visitor.page) == []
        await visitor.page.get_by_role("menuitem", name="Open an incident", exact=True).click()
        await expect(visitor.page.get_by_role("textbox", name="What is wrong?")).to_have_value("")
    assert visitor.complaints == []
