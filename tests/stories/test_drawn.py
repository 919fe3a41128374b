"""Every message that the bot can send, from real states: taken by a strict Slack, drawn by the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import expect
from slack_sdk.web.async_client import AsyncWebClient

from bot.freezes.transition import Spending
from bot.incidents.records.channels import ChannelKind, change_channel, read_channel
from bot.incidents.reminders import Reminder
from bot.sandbox.page_api import PageApi
from bot.slack.announcements.deployments import DeploymentAnnouncer
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.command_reference import COMMANDS
from bot.slack.incidents.messages import IncidentMessages
from tests.stories.visitor import Visitor, visiting
from tests.support.axe import findings
from tests.support.examples import WORKSPACE, bypass, contexts, frozen_by, hold
from tests.support.slack_app import RunningSlackApp, run_slack_app, shop
from tests.support.slack_home import much_to_show, run_slack_app_with_home
from tests.support.values import in_force

CHANNEL = "#checkout"
SPENDINGS = (
    Spending(0.84, (3, 5), cause="capacity", work="load tests and tuning"),
    Spending(1.0, (7,), is_open=True),
    Spending(0.5, (7,)),
    Spending(0.0, ()),
)


async def show_everything(slack_app: RunningSlackApp) -> int:
    """Send every announcement, and type every command in its forms; return how many messages came."""
    client = AsyncWebClient(token=slack_app.slack.bot_token, base_url=slack_app.slack.api_url)
    announcer = FreezeAnnouncer(in_force(WORKSPACE))
    told = [announcer(context)[0] for context in contexts().values()]
    told += [announcer(frozen_by(spending))[0] for spending in SPENDINGS]
    told += [DeploymentAnnouncer(in_force(WORKSPACE))(one)[0] for one in (bypass(), bypass(*[hold()] * 5))]
    faults = [f"policies/checkout.yaml:{line}:3: spec: unknown key `slo`" for line in range(9)]
    told += [announcer.policy_faults(faults), announcer.policy_restored()]
    told += [announcer.delivery_failed("#gone", "is_archived"), announcer.refused_values(faults)]
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
        await slack_app.types("sam", text, CHANNEL)
    return len(told) + len(typed) + await show_an_incident(slack_app, client)


async def show_an_incident(slack_app: RunningSlackApp, client: AsyncWebClient) -> int:
    """Run an incident in the channel, and show the pinned messages; return how many messages came."""
    typed = ["/incident list", "/incident show 1", "/incident open Checkout *500s* sev1", "/incident list"]
    for text in typed:
        await slack_app.types("sam", text, CHANNEL)
    async with slack_app.database.transaction() as connection:
        room = await read_channel(connection, 1, ChannelKind.INCIDENT)
        assert room is not None
        await change_channel(connection, room, channel_id=slack_app.slack.find_channel(CHANNEL))
    orders = ["", "role commander", "severity sev2", "note rolled back", "impact 30% from 14:05", "show"]
    orders += ["impact lots", "snooze 2h", "status mitigated", "status resolved", "status over", "private"]
    typed += [f"/incident {order}".strip() for order in orders]
    typed += ["/postmortem", "/postmortem open", "/postmortem", "/postmortem export", "/postmortem x"]
    typed += [
        "/action add test the rollback P0",
        "/action change 1 @dana due friday",
        "/action",
        "/action done 1",
        "/incident report",
        "/incident report 7d checkout",
        "/incident report whenever",
    ]
    for text in typed[4:]:
        await slack_app.types("sam", text, CHANNEL)
    voice = IncidentMessages(in_force(WORKSPACE))
    view = await slack_app.incidents.snapshots.of(1)
    told = [voice.card(view, ChannelKind.INCIDENT), voice.card(view, ChannelKind.POSTMORTEM)]
    told += [message for what in Reminder if (message := voice.reminder(view, what))]
    told += [voice.action_due(view.actions[0])]
    for message in told:
        await client.chat_postMessage(channel=CHANNEL, text=message.text, blocks=list(message.blocks))
    return len(typed) + len(told)


FORMS = (
    "incident.note",
    "incident.impact",
    "postmortem.cause",
    "postmortem.times",
    "postmortem.edit.factors",
    "action.add",
)


@pytest.mark.timeout(240)
async def test_every_form_of_incidents_is_opened_by_slack_and_drawn(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as slack_app, drawing(slack_app) as visitor:
        slack_app.slack.rates.enabled = False
        client = AsyncWebClient(token=slack_app.slack.bot_token, base_url=slack_app.slack.api_url)
        await visitor.becomes("Sam Okafor")
        await slack_app.types("sam", "/incident open Checkout 500s sev1 checkout search", CHANNEL)
        voice, view = IncidentMessages(in_force(WORKSPACE)), await slack_app.incidents.snapshots.of(1)
        for kind in ChannelKind:
            card = voice.card(view, kind)
            await client.chat_postMessage(channel=CHANNEL, text=card.text, blocks=list(card.blocks))
        for name in ("incident.open", *FORMS):
            if name == "incident.open":
                await slack_app.slack.person("sam").says("/incident", CHANNEL)
            else:
                shown = slack_app.slack.messages(CHANNEL)[-2 if name.startswith("incident.") else -1]
                await slack_app.slack.person("sam").acts(shown, CHANNEL, name)
            await slack_app.app.drain(10)
            view_shown = slack_app.slack.person("sam").modal
            assert view_shown is not None
            form = visitor.page.locator("dialog.modal form")
            await expect(form.locator("h2")).to_have_text(view_shown.content["title"]["text"])
            assert await visitor.page.locator(".unknown").count() == 0
            assert "\n".join(await findings(visitor.page)) == ""
            await slack_app.slack.person("sam").closes(everything=True)
        assert visitor.complaints == []


@pytest.mark.timeout(240)
async def test_every_message_is_taken_by_slack_and_drawn_without_an_unknown_block(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop()) as slack_app:
        slack_app.slack.rates.enabled = False
        shown = await show_everything(slack_app)
        async with drawing(slack_app) as visitor:
            await visitor.becomes("Sam Okafor")
            await expect(visitor.messages).to_have_count(shown)
            assert await visitor.page.locator(".unknown").count() == 0
            assert "undefined" not in await visitor.page.locator("#main").inner_text()
            assert "\n".join(await findings(visitor.page)) == ""
        assert visitor.complaints == []
        assert slack_app.slack.refused == []


@pytest.mark.timeout(240)
async def test_the_home_tab_is_drawn_and_its_buttons_pressed(tmp_path: Path) -> None:
    async with run_slack_app_with_home(tmp_path) as slack_app, drawing(slack_app) as visitor:
        await much_to_show(slack_app)
        await visitor.becomes("Dana Reyes")
        await visitor.page.locator('a.place[href="#home"]').click()
        tab = visitor.page.locator("#main .home")
        await expect(tab.locator("h3")).to_have_text(
            ["Open incidents", "Your actions", "Running ramps", "Error budgets"]
        )
        assert await visitor.page.locator(".unknown").count() == 0
        await tab.get_by_role("button", name="Done").first.click()
        await expect(tab.get_by_role("button", name="Done")).to_have_count(1)
        await tab.get_by_role("button", name="Pause").click()
        await expect(tab.get_by_role("button", name="Go on")).to_be_visible()
        await tab.get_by_role("button", name="Kill").click()
        await visitor.page.get_by_role("button", name="Kill it", exact=True).click()
        await expect(tab.get_by_text("Running ramps")).to_have_count(0)
        assert "undefined" not in await tab.inner_text()
        assert visitor.complaints == []


@asynccontextmanager
async def drawing(slack_app: RunningSlackApp) -> AsyncIterator[Visitor]:
    """Serve the page over the app's workspace, and open it."""
    app = web.Application()
    PageApi(slack_app.slack, dict).add_routes(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with visiting(f"http://127.0.0.1:{runner.addresses[0][1]}") as visitor:
            yield visitor
    finally:
        await runner.cleanup()
