"""A Slack app whose home tab has contents: services with teams, a flag, and viewers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bot.catalog.teams import Teams
from bot.sandbox.fake_slack.model import Json, View
from tests.support.examples import PERMISSIONS, shop_service
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import (
    FLAG,
    WORKSPACE_WITH_FLAGS,
    deliver,
    run_slack_app_with_flags,
    with_flags,
)

RAMP = f"/flag ramp {FLAG} 1% 5% 25% every 30m the new till"


@asynccontextmanager
async def run_slack_app_with_home(path: Path) -> AsyncIterator[RunningSlackApp]:
    """Checkout is dana's and sam's and has a flag, search is priya's and sam's, payments omar's."""
    services = (
        with_flags(teams=Teams(("@checkout-devs",), ("@sre",))),
        replace(shop_service("search"), teams=Teams(("@search-devs",), ("@sre",))),
        replace(shop_service("payments"), teams=Teams(("@payments-devs",))),
    )
    async with run_slack_app_with_flags(path, *services) as slack_app:
        permissions = replace(
            WORKSPACE_WITH_FLAGS.permissions,
            incidents=(*PERMISSIONS.incidents, "@search-devs", "@payments-devs"),
        )
        workspace = replace(WORKSPACE_WITH_FLAGS, permissions=permissions)
        slack_app.shop.catalog = replace(slack_app.shop.catalog, workspace=workspace)
        slack_app.slack.rates.enabled = False
        yield slack_app


async def ramp_begun(slack_app: RunningSlackApp) -> None:
    """Request a ramp in production as dana, approve it as sam, and take its first step."""
    await slack_app.types("dana", RAMP)
    asked = (await deliver(slack_app))[-1]
    await slack_app.presses("sam", asked, "flag.approve", "#checkout")
    await slack_app.tick()


async def much_to_show(slack_app: RunningSlackApp) -> None:
    """Put something of every kind onto dana's tab."""
    await ramp_begun(slack_app)
    await slack_app.types("sam", "/action add test the rollback @dana due friday P0 for checkout")
    await slack_app.types("sam", "/action add write down how to drain a region @dana for search")
    await slack_app.types("dana", "/incident open Checkout *500s* <now> sev2 checkout")
    await slack_app.types("dana", "/incident open Stale index sev3 search")


async def open_home(slack_app: RunningSlackApp, who: str) -> View:
    """Open the tab as a person; return the view."""
    slack_app.slack.person(who).opens_home()
    await slack_app.slack.wait_until_delivered()
    await slack_app.app.drain(10)
    return home_of(slack_app, who)


def home_of(slack_app: RunningSlackApp, who: str) -> View:
    home = slack_app.slack.person(who).home
    assert home is not None
    return home


def blocks_of(slack_app: RunningSlackApp, who: str) -> list[Json]:
    blocks: list[Json] = home_of(slack_app, who).content["blocks"]
    return blocks


def texts(blocks: list[Json]) -> list[str]:
    """Return the text of headings and paragraphs, from top to bottom."""
    return [str(block["text"]["text"]) for block in blocks if block["type"] in {"header", "section"}]


def buttons(blocks: list[Json]) -> list[tuple[str, str]]:
    """Return the label and name of each button, from top to bottom."""
    pressable = [
        one for block in blocks for one in (*block.get("elements", ()), block.get("accessory") or {})
    ]
    return [(one["text"]["text"], one["action_id"]) for one in pressable if one.get("type") == "button"]


async def presses_home(slack_app: RunningSlackApp, who: str, action: str, view: View | None = None) -> None:
    """Press the first button of that name: of the tab as it is now, or as it was shown before."""
    shown = view or home_of(slack_app, who)
    await slack_app.slack.person(who).acts_in_view(shown, action)
    await slack_app.app.drain(10)


def direct(slack_app: RunningSlackApp, who: str) -> list[str]:
    """Return the bot's direct messages to a person."""
    user = slack_app.slack.person(who).id
    rooms = [room for room in slack_app.slack.workspace.channels.values() if room.kind == "im"]
    return [message.text for room in rooms if user in room.members for message in room.messages]
