"""The page in a real Chromium, with a small Bolt app: what a visitor sees and does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from playwright.async_api import Locator, Page, async_playwright, expect
from yarl import URL

from bot.clock import SimulatedClock
from bot.sandbox import Sandbox
from bot.sandbox.fake_slack.server import FakeSlack
from bot.sandbox.fake_slack.workspace import BOT_USER_ID
from bot.sandbox.page_api import PAGE, PageApi
from tests.sandbox import bolt_app
from tests.sandbox.bolt_app import Json
from tests.support.servers import find_program, free_port

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visit:
    """An open page, with its console messages and requests."""

    page: Page
    sandbox: Sandbox
    received: list[Json]
    console: list[str]
    requested_urls: list[str]

    def message_box(self, name: str = "Message #checkout") -> Locator:
        return self.page.get_by_role("textbox", name=name)

    async def says(self, text: str) -> None:
        await self.message_box().fill(text)
        await self.message_box().press("Enter")

    @property
    def messages(self) -> Locator:
        return self.page.locator("#main .message")


@pytest.fixture
async def visit(received: list[Json]) -> AsyncIterator[Visit]:
    chromium = find_program("chromium")
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    app = bolt_app.build(token="xoxb-1", api_url=f"{base_url}/slack-api/", secret="secret", received=received)
    sandbox = Sandbox(
        manifest=bolt_app.MANIFEST,
        clock=SimulatedClock(),
        base_url=base_url,
        bot_token="xoxb-1",
        signing_secret="secret",
        api_token="api",
        shop=False,
    )
    sandbox.add_routes(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    running = asyncio.create_task(sandbox.run())
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        opened = Visit(page, sandbox, received, [], [])
        page.on("console", lambda line: opened.console.append(line.text))
        page.on("pageerror", lambda error: opened.console.append(str(error)))
        page.on("request", lambda request: opened.requested_urls.append(request.url))
        await page.goto(base_url)
        await page.wait_for_selector("body[data-ready]")
        yield opened
        await browser.close()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await runner.cleanup()
    assert opened.console == []
    assert [url for url in opened.requested_urls if not url.startswith((base_url, "data:"))] == []


async def test_a_slash_completes_commands_by_keyboard(visit: Visit) -> None:
    await visit.message_box().press_sequentially("/")
    rows = visit.page.get_by_role("listbox", name="Suggestions").get_by_role("option")
    await expect(rows).to_have_count(5)
    await expect(rows.first).to_contain_text("[service]")
    await visit.message_box().press("ArrowDown")
    await visit.message_box().press("Tab")
    await expect(visit.message_box()).to_have_value("/ship ")
    await visit.message_box().press_sequentially("checkout")
    await visit.message_box().press("Enter")
    await expect(visit.messages.last).to_contain_text("No: checkout is frozen.")
    await expect(visit.messages.last).to_contain_text("Only visible to you")


async def test_every_kind_of_block_is_drawn(visit: Visit) -> None:
    await visit.says("/budget checkout")
    await expect(visit.page.get_by_role("button", name="Share")).to_be_visible()
    await visit.says("/shop")
    await expect(visit.page.get_by_text("kubectl rollout undo")).to_be_visible()
    text = await visit.page.locator("#main").inner_text()
    assert "Unknown block" not in text
    assert "@checkout-devs" in text
    assert "#checkout" in text
    assert re.search(r"since .*2026", text)
    await expect(visit.page.locator("svg.plot path.stroke")).to_have_count(2)
    await expect(visit.page.locator("svg.pie .slice")).to_have_count(2)
    await expect(visit.page.locator("table th", has_text="Objective")).to_be_visible()


async def test_a_data_table_is_paged_and_sorted_by_number(visit: Visit) -> None:
    await visit.says("/shop")
    names = visit.page.locator(".block-data_table tbody th")
    await expect(names).to_have_text(["checkout", "payments"])
    await visit.page.get_by_role("button", name="Next rows").click()
    await expect(names).to_have_text(["search"])
    await expect(visit.page.get_by_text("3–3 of 3")).to_be_visible()
    left = visit.page.locator(".block-data_table thead .sort").nth(1)
    await expect(left).to_have_text("Left")
    await left.click()
    await expect(names).to_have_text(["checkout", "payments"])
    await left.click()
    # 100 is more than 80, though its text comes first.
    await expect(names).to_have_text(["search", "payments"])


async def test_sharing_replaces_the_private_answer_and_pins_it(visit: Visit) -> None:
    await visit.says("/budget checkout")
    await visit.page.get_by_role("button", name="Share").click()
    await expect(visit.page.get_by_text("Pinned", exact=True)).to_be_visible()
    await expect(visit.page.get_by_text("Only visible to you")).to_have_count(0)
    await visit.page.get_by_title("Pinned messages").click()
    await expect(visit.page.locator("#panel .pin")).to_contain_text("checkout has 12% left")


async def test_a_dangerous_button_asks_first(visit: Visit) -> None:
    await visit.says("/budget checkout")
    forget = visit.page.locator("#main").get_by_role("button", name="Forget")
    await forget.click()
    dialog = visit.page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Keep").click()
    await expect(dialog).to_have_count(0)
    assert visit.received == []
    await forget.click()
    await dialog.get_by_role("button", name="Forget").click()
    await expect(dialog).to_have_count(0)
    await expect(forget).not_to_have_attribute("aria-busy", "true")
    assert visit.received[-1]["actions"][0]["action_id"] == "forget"


async def test_a_modal_shows_what_is_missing_then_goes_through(visit: Visit) -> None:
    await visit.says("/freeze checkout")
    dialog = visit.page.get_by_role("dialog", name="Freeze a service")
    await dialog.get_by_role("button", name="Freeze").click()
    await expect(dialog.get_by_role("alert")).to_have_count(2)
    await dialog.get_by_placeholder("What is going on?").fill("Checkout fails")
    await dialog.locator("summary").click()
    for name in ("Checkout", "Search", "Payments"):
        await dialog.get_by_label(name, exact=True).check()
    change = dialog.get_by_placeholder("Type to search")
    await change.fill("12")
    await dialog.get_by_role("option", name="PR-12").click()
    await dialog.get_by_role("button", name="Freeze").click()
    await expect(dialog.get_by_text("Two at most.")).to_be_visible()
    await expect(dialog.get_by_placeholder("What is going on?")).to_have_value("Checkout fails")
    await dialog.locator("summary").click()
    await dialog.get_by_label("Payments", exact=True).uncheck()
    await dialog.get_by_role("button", name="Freeze").click()
    await expect(dialog).to_have_count(0)
    await expect(visit.messages.last).to_contain_text("checkout is frozen by @Dana Reyes")
    change_state = visit.received[-1]["view"]["state"]["values"]["change"]["find_change"]
    assert change_state["selected_option"]["value"] == "pr-12"


async def test_escape_closes_a_modal_and_the_bot_hears_of_it(visit: Visit) -> None:
    await visit.says("/freeze checkout")
    dialog = visit.page.get_by_role("dialog", name="Freeze a service")
    await expect(dialog).to_be_visible()
    await visit.page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await visit.sandbox.slack.until(lambda: visit.received[-1].get("type") == "view_closed")


async def test_another_person_does_not_see_what_is_private(visit: Visit) -> None:
    await visit.says("/ship checkout")
    await expect(visit.messages.last).to_contain_text("frozen")
    await visit.page.get_by_label("Act as").select_option("U0RILEY")
    await expect(visit.page.get_by_text("No: checkout is frozen.")).to_have_count(0)
    await expect(visit.page.locator(".whoami")).to_contain_text("Riley Chen")


async def test_a_change_removes_no_link_while_it_is_pressed(visit: Visit) -> None:
    link, mouse = visit.page.get_by_role("link", name="releases"), visit.page.mouse
    await link.hover()
    await mouse.down()
    visit.sandbox.slack.web_api.call(
        "chat.postMessage", {"token": "xoxb-1", "channel": "#checkout", "text": "Something else"}
    )
    # A change is drawn at the next frame, if at all.
    await visit.page.wait_for_timeout(300)
    await mouse.up()
    await expect(visit.message_box("Message #releases")).to_be_visible()
    await visit.page.get_by_role("link", name="checkout").click()
    await expect(visit.messages.last).to_contain_text("Something else")


async def test_unread_channels_are_marked_as_messages_come(visit: Visit) -> None:
    slack = visit.sandbox.slack
    link = visit.page.get_by_role("link", name="releases")
    await expect(link.locator(".badge")).to_have_count(0)
    slack.web_api.call(
        "chat.postMessage", {"token": "xoxb-1", "channel": "#releases", "text": "Nothing for you"}
    )
    # What mentions nobody makes the name bold; a number is for mentions.
    await expect(visit.page.locator("a.place.unread")).to_contain_text("releases")
    await expect(link.locator(".badge")).to_have_count(0)
    slack.web_api.call(
        "chat.postMessage",
        {"token": "xoxb-1", "channel": "#releases", "text": "Frozen, <!subteam^S00000001>"},
    )
    await expect(link.locator(".badge.mention")).to_have_text("1 mention")
    await link.click()
    await expect(visit.messages.last).to_contain_text("Frozen, @checkout-devs")
    await expect(link.locator(".badge")).to_have_count(0)


async def test_a_private_channel_is_shown_to_its_members_only(visit: Visit) -> None:
    slack, page = visit.sandbox.slack, visit.page
    private = slack.workspace.create_channel("inc-private", BOT_USER_ID, kind="private")
    slack.workspace.add_member(private, "U0DANA")
    channel = private.id
    slack.web_api.call(
        "chat.postMessage", {"token": "xoxb-1", "channel": "#checkout", "text": f"See <#{channel}>"}
    )
    await page.get_by_role("navigation").get_by_role("link", name="inc-private").click()
    await expect(visit.message_box("Message #inc-private")).to_be_visible()
    await page.get_by_label("Act as").select_option("U0RILEY")
    await expect(page.get_by_role("link", name="inc-private")).to_have_count(0)
    await expect(visit.message_box("Message #checkout")).to_be_visible()
    await expect(visit.messages.last).to_contain_text("See private channel")
    for action, body in (("join", {}), ("say", {"text": "Hello"})):
        answer = await page.request.post(
            f"{page.url.split('#')[0]}sandbox/{action}", data={"as": "U0RILEY", "channel": channel, **body}
        )
        assert (await answer.json())["error"] == "channel_not_found"


async def test_ctrl_k_jumps_to_a_conversation(visit: Visit) -> None:
    await visit.page.keyboard.press("Control+k")
    dialog = visit.page.get_by_role("dialog", name="Jump to a conversation")
    await expect(dialog.get_by_role("option")).to_have_count(9)
    await visit.page.keyboard.type("rel")
    await expect(dialog.get_by_role("option")).to_have_text(["#releasesWhat ships, and what may not"])
    await visit.page.keyboard.press("Enter")
    await expect(dialog).to_have_count(0)
    await expect(visit.message_box("Message #releases")).to_be_visible()
    await visit.page.keyboard.press("Control+k")
    await visit.page.keyboard.type("Governor")
    await visit.page.keyboard.press("Enter")
    await expect(visit.page.get_by_role("heading", name="Good morning")).to_be_visible()


async def test_the_formatting_bar_marks_what_is_selected(visit: Visit) -> None:
    box = visit.message_box()
    await box.fill("rolled back")
    await box.press("Control+a")
    await visit.page.get_by_role("button", name="Bold", exact=True).click()
    await expect(box).to_have_value("*rolled back*")
    await box.press("Enter")
    await expect(visit.messages.last.locator("b, strong").last).to_have_text("rolled back")
    await box.press("Control+Shift+c")
    await box.press_sequentially("PR-12")
    await expect(box).to_have_value("`PR-12`")


async def test_times_are_written_as_slack_writes_them(visit: Visit) -> None:
    await visit.says("Good morning")
    await expect(visit.messages.last.locator("time")).to_have_text(re.compile(r"^[1-9]\d?:\d\d [AP]M$"))


async def test_threads_and_reactions_work(visit: Visit) -> None:
    await visit.says("Shipping `PR-12` to *checkout*")
    await expect(visit.messages.last.locator("code")).to_have_text("PR-12")
    await visit.messages.last.hover()
    await visit.messages.last.get_by_label("Reply in thread").click()
    await visit.message_box("Reply…").fill("Thanks")
    await visit.message_box("Reply…").press("Enter")
    await expect(visit.messages.last).to_contain_text("1 reply")
    await visit.page.keyboard.press("Escape")
    await expect(visit.page.locator("#panel")).to_be_hidden()
    await visit.messages.last.hover()
    await visit.messages.last.get_by_label("React with :eyes:").click()
    await expect(visit.messages.last.locator(".reaction")).to_contain_text("1")
    reacted = next(event for event in visit.received if event["type"] == "reaction_added")
    assert reacted["reaction"] == "eyes"


async def test_the_home_tab_is_shown_and_works(visit: Visit) -> None:
    await visit.page.get_by_role("link", name="Governor").first.click()
    await expect(visit.page.get_by_role("heading", name="Good morning")).to_be_visible()
    await visit.page.get_by_role("button", name="Freeze…").click()
    await expect(visit.page.get_by_role("dialog", name="Freeze a service")).to_be_visible()


async def test_a_direct_message_with_the_bot_is_begun_from_its_tabs(visit: Visit) -> None:
    await visit.page.get_by_role("link", name="Governor").first.click()
    tabs = visit.page.get_by_role("navigation", name="App")
    await tabs.get_by_role("link", name="Messages").click()
    await visit.message_box("Message Governor").fill("help")
    await visit.message_box("Message Governor").press("Enter")
    await expect(visit.messages.last).to_contain_text("help")
    directs = [each for each in visit.sandbox.slack.workspace.channels.values() if each.kind == "im"]
    assert [(BOT_USER_ID in each.members, each.messages[-1].text) for each in directs] == [(True, "help")]
    await expect(tabs.get_by_role("link", name="Messages")).to_have_attribute("aria-current", "page")
    await tabs.get_by_role("link", name="Home").click()
    await expect(visit.page.get_by_role("heading", name="Good morning")).to_be_visible()


async def test_an_incident_channel_appears_is_joined_and_archived_live(visit: Visit) -> None:
    slack = visit.sandbox.slack
    created = slack.web_api.call("conversations.create", {"token": "xoxb-1", "name": "inc-0001"})
    await visit.page.get_by_role("link", name="inc-0001").click()
    await visit.page.get_by_role("button", name="Join").click()
    await expect(visit.message_box("Message #inc-0001")).to_be_visible()
    slack.web_api.call("conversations.archive", {"token": "xoxb-1", "channel": created["channel"]["id"]})
    await expect(visit.page.get_by_text("This channel has been archived.")).to_be_visible()


async def test_text_is_never_markup(visit: Visit) -> None:
    await visit.says("<img src=x onerror=alert(1)> <b>bold</b> &lt;i&gt;")
    await expect(visit.messages.last).to_contain_text("<i>")
    await expect(visit.messages.last.locator("img, b, i")).to_have_count(0)


async def test_faults_are_switched_from_the_page(visit: Visit) -> None:
    await visit.page.get_by_text("Slack faults").click()
    await visit.page.get_by_label("Cut connections").click()
    await expect(visit.page.get_by_text("Slack faults: 1")).to_be_visible()
    assert visit.sandbox.slack.faults.as_json()["cut"] == 0.3
    # The menu stays open for another one.
    await visit.page.get_by_label("Slow answers").click()
    await expect(visit.page.get_by_text("Slack faults: 2")).to_be_visible()


async def test_only_json_may_change_anything(visit: Visit) -> None:
    response = await visit.page.request.post(
        f"{visit.page.url.split('#')[0]}sandbox/say", form={"as": "dana"}
    )
    assert response.status == 415


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "dark")])
async def test_the_page_fits_every_width(visit: Visit, width: int, scheme: str) -> None:
    await visit.page.set_viewport_size({"width": width, "height": 800})
    await visit.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await visit.says("/budget checkout")
    await expect(visit.page.get_by_role("button", name="Share")).to_be_visible()
    overflow = await visit.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        " + document.querySelector('#main').scrollWidth"
        " - document.querySelector('#main').clientWidth"
    )
    assert overflow == 0


async def test_on_a_phone_the_channels_close_beside_them_and_by_escape(visit: Visit) -> None:
    await visit.page.set_viewport_size({"width": 390, "height": 800})
    sidebar = visit.page.get_by_role("navigation", name="Channels")
    menu = visit.page.get_by_role("button", name="Channels", exact=True)
    await menu.click()
    await expect(sidebar).to_be_visible()
    await visit.page.mouse.click(370, 500)
    await expect(sidebar).to_have_count(0)
    await menu.click()
    await expect(sidebar).to_be_visible()
    await visit.page.keyboard.press("Escape")
    await expect(sidebar).to_have_count(0)


def test_every_module_is_loaded_at_once() -> None:
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    preloaded = set(re.findall(r'modulepreload" href="/page/([^"]+)"', index))
    assert preloaded == {str(path.relative_to(PAGE)) for path in PAGE.rglob("*.js")}


@pytest.mark.parametrize(
    "name", ["..%2fpage_api.py", "block_kit%2f..%2f..%2fsandbox.py", "%2fetc%2fpasswd", "block_kit"]
)
async def test_nothing_but_the_pages_files_is_served(name: str) -> None:
    app = web.Application()
    PageApi(FakeSlack(manifest={}, bot_token="x", signing_secret="s")).add_routes(app)
    async with TestClient(TestServer(app)) as client:
        served = await client.get("/page/block_kit/blocks.js")
        assert (served.status, "export" in await served.text()) == (200, True)
        assert (await client.get(URL(f"/page/{name}", encoded=True))).status == 404


async def test_an_open_page_does_not_keep_the_server_from_stopping() -> None:
    app = web.Application()
    PageApi(FakeSlack(manifest={}, bot_token="x", signing_secret="s")).add_routes(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/sandbox/changes") as stream,
    ):
        assert await stream.content.readline() == b"retry: 1000\n"
        async with asyncio.timeout(10):
            await runner.cleanup()
        assert await stream.content.read() == b"\n"


def test_the_page_weighs_less_than_150_kb_and_names_no_other_site() -> None:
    files = [path for path in Path(PAGE).iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 150_000
    sources = "".join(path.read_text(encoding="utf-8") for path in files)
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", sources))
    assert addresses == {"http://www.w3.org/2000/svg"}
