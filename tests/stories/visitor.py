"""A visitor of `make run`: the real program and a real Chromium that presses the story's buttons.

`python -m tests.stories.visitor` plays it once more and keeps pictures of its moments in docs/images.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp
from playwright.async_api import Locator, Page, async_playwright, expect

from tests.support.paths import ROOT
from tests.support.running import eventually
from tests.support.servers import find_program, free_port

IMAGES = ROOT / "docs" / "images"
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_SOON_MS = 60_000
_STORY_MS = 150_000

# A machine that runs other tests beside takes its time.
expect.set_options(timeout=_SOON_MS)


@dataclass
class Visitor:
    """An open page, and everything on it that a visitor should not have to see."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    strayed: list[str] = field(default_factory=list)

    @property
    def messages(self) -> Locator:
        """The messages of the channel that is open."""
        return self.page.locator("#main .message")

    async def says(self, text: str, channel: str = "checkout") -> None:
        """Type into the message box and press Enter."""
        box = self.page.get_by_role("textbox", name=f"Message #{channel}")
        await box.fill(text)
        await box.press("Enter")

    async def presses(self, button: str) -> None:
        """Press a button of the control strip; on a phone, show the strip's buttons before."""
        wanted = self.page.locator("#strip").get_by_role("button", name=button, exact=True)
        if not await wanted.is_visible():
            await self.page.get_by_role("button", name="Sandbox controls").click()
        await wanted.click()

    async def becomes(self, person: str) -> None:
        """Act as somebody else."""
        people = self.page.get_by_label("Act as")
        label = await people.locator("option").filter(has_text=person).inner_text()
        await people.select_option(label=label)

    async def opens(self, channel: str) -> None:
        """Go to another channel."""
        await (
            self.page.get_by_role("link", name=channel)
            .or_(self.page.get_by_role("button", name=channel))
            .first.click()
        )
        await expect(self.page.get_by_role("textbox", name=f"Message #{channel}")).to_be_visible()

    @property
    def steps(self) -> Locator:
        """The checklist of first steps."""
        return self.page.get_by_role("complementary", name="First steps")

    async def takes_step(self, button: str, *, sends: bool = False) -> None:
        """Press the button of the next step, and send what it has typed."""
        await self.steps.get_by_role("button", name=button, exact=True).click()
        if sends:
            box = self.page.locator("#main .foot textarea")
            await expect(box).not_to_be_empty()
            await box.press("Enter")

    async def has_done(self, count: int, *, within_ms: int = _SOON_MS) -> None:
        """Wait until so many steps are ticked."""
        await expect(self.steps.get_by_role("status")).to_have_text(f"{count} of 7 done", timeout=within_ms)

    async def shows_start_of_last(self) -> None:
        """Scroll so that a long message is read from its beginning."""
        await self.messages.last.evaluate("message => message.scrollIntoView({block: 'start'})")

    async def sees(self, text: str, *, within_ms: int = _SOON_MS) -> None:
        """Wait until the open channel shows the text."""
        await expect(self.messages.filter(has_text=text).last).to_be_visible(timeout=within_ms)


@asynccontextmanager
async def running_sandbox(folder: Path) -> AsyncIterator[str]:
    """Run `governor sandbox` as its own process; return its address."""
    port = free_port()
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PORT": str(port), "LOG_FORMAT": "json"}
    url = f"http://127.0.0.1:{port}"
    with (folder / "sandbox.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "sandbox", cwd=ROOT, env=environ, stdout=log, stderr=log
        )

    async def answers() -> bool:
        assert process.returncode is None, (folder / "sandbox.log").read_text()
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/sandbox/state") as state:
                story = (await state.json())["story"]
            async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as ready:
                is_ready = (await ready.json())["status"] == "ready"
            # A visitor who looks around for a moment finds the shop's history written.
            return bool(is_ready and "history" not in story["what"])
        except aiohttp.ClientError:
            return False

    try:
        await eventually(answers, bool, within_s=60)
        yield url
        process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def visiting(
    url: str, *, scheme: Literal["light", "dark"] = "light", width: int = 1280, height: int = 800
) -> AsyncIterator[Visitor]:
    """Open the page in Chromium."""
    chromium = find_program("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        page = await browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=scheme, device_scale_factor=1
        )
        page.set_default_timeout(_SOON_MS)
        visitor = Visitor(page, url)
        page.on("console", lambda line: visitor.complaints.append(line.text))
        page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
        page.on("request", lambda request: visitor.strayed.append(request.url))
        await page.goto(url)
        await page.wait_for_selector("body[data-ready]")
        try:
            yield visitor
        finally:
            visitor.strayed = [asked for asked in visitor.strayed if not asked.startswith((url, "data:"))]
            await browser.close()


Moment = Callable[[str, Visitor], Awaitable[None]]


async def nothing(_name: str, _visitor: Visitor) -> None:
    """Keep no picture."""


async def play(visitor: Visitor, moment: Moment = nothing) -> None:
    """Play the story; `moment` is called at each turn of it, with the turn's name."""
    await visitor.says("/budget")
    await visitor.sees("3 services, none frozen")
    await moment("budgets", visitor)
    await visitor.says("/budget checkout")
    await visitor.sees("availability")
    await expect(visitor.page.locator("svg.plot").first).to_be_visible()
    await moment("budget", visitor)

    await visitor.presses("Bad deploy")
    await visitor.presses("60×")
    await visitor.sees("is frozen", within_ms=_STORY_MS)
    await moment("freeze", visitor)
    await visitor.says("/ship checkout")
    await visitor.sees("may not ship")
    await moment("refused", visitor)

    await visitor.presses("Recover")
    await visitor.sees("is open again", within_ms=_STORY_MS)
    await moment("open", visitor)
    await visitor.opens("releases")
    await visitor.sees("is frozen")
    await visitor.sees("is open again")
    await moment("releases", visitor)

    await visitor.opens("checkout")
    await visitor.says("/velocity checkout")
    await visitor.sees("Deployment frequency")
    await visitor.shows_start_of_last()
    await moment("velocity", visitor)
    await visitor.says("/velocity goals")
    await visitor.sees("A goal is met only when both halves are")
    await visitor.shows_start_of_last()
    await moment("goals", visitor)


async def follow_steps(visitor: Visitor, moment: Moment = nothing) -> None:
    """Do what the checklist says, step by step; `moment` is called after each with its name."""
    await visitor.has_done(0)
    await moment("arrival", visitor)
    await visitor.takes_step("Type it", sends=True)
    await visitor.has_done(1)
    await moment("budget", visitor)
    await visitor.takes_step("Ship the bad deploy")
    await visitor.has_done(2, within_ms=_STORY_MS)
    await expect(visitor.page.locator("#strip .what")).to_contain_text("Time runs at 1× again")
    await moment("freeze", visitor)
    await visitor.takes_step("Type it as Sam", sends=True)
    await visitor.has_done(3)
    await moment("exemption", visitor)
    await visitor.page.reload()
    await visitor.has_done(3)
    await visitor.takes_step("Type it", sends=True)
    await visitor.takes_step("Be Sam")
    await visitor.messages.get_by_role("button", name="Approve", exact=True).last.click()
    await visitor.has_done(4)
    await moment("flag", visitor)
    await visitor.takes_step("Type it", sends=True)
    await visitor.has_done(5)
    await moment("incident", visitor)
    await visitor.takes_step("Type it", sends=True)
    await expect(visitor.steps).to_contain_text("Now the postmortem")
    await visitor.takes_step("Type it", sends=True)
    await visitor.has_done(6)
    await moment("postmortem", visitor)
    await visitor.takes_step("Roll it back")
    await visitor.has_done(7, within_ms=_STORY_MS)
    await expect(visitor.steps).to_contain_text("That is the whole loop.")
    await moment("open", visitor)


async def _keep(name: str, visitor: Visitor) -> None:
    await visitor.page.wait_for_timeout(400)
    await visitor.page.screenshot(path=IMAGES / f"{name}.png")


async def _pictures() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with running_sandbox(Path(folder)) as url, visiting(url) as visitor:
            await play(visitor, _keep)


if __name__ == "__main__":
    asyncio.run(_pictures())
