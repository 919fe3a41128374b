"""The loop that people close: outage, incident, postmortem, an action that is owned, and the freeze lifts."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import expect

from bot.sandbox.fake_slack.model import Message
from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.incidents.messages import CARD, DOCUMENT
from tests.stories.visitor import Visitor, running_sandbox, visiting
from tests.support.running import Bot, eventually, running_governor, write_policies

POLICIES = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases", incidents: "#incidents"}
  evaluateEvery: 1s
  permissions: {freeze: ["@sre"], incidents: everyone}
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {freezeAt: 0%, unfreezeAt: 10%, dwell: 0s, burnAlerts: [], warnAt: [], unfreezeRequires: actionsOwned}
---
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  description: Takes the customer's money.
  channel: "#checkout"
  teams: {development: "@checkout-devs", reliability: "@sre"}
  errorBudgetPolicy: standard
  slos:
    - {name: orders, objective: 99, window: 7d, sli: {events: {}}}
"""


async def push(bot: Bot, good: int, bad: int) -> None:
    event = {
        "service": "checkout",
        "slo": "orders",
        "good": good,
        "bad": bad,
        "at": datetime.now(UTC).isoformat(),
    }
    assert (await bot.api("POST", "events", json=event))[0] == 202


async def holds(bot: Bot) -> set[str]:
    return {hold["kind"] for hold in (await bot.state("checkout"))["holds"]}


async def seen(slack: FakeSlackServer, channel: str, words: str) -> Message:
    """Wait until somebody sees the words in a channel."""

    def found() -> Message | None:
        shown = slack.seen_by("dana", channel) + slack.ephemerals(channel, "sam")
        return next((message for message in reversed(shown) if words in message.text), None)

    message = await slack.until(found, within_s=20)
    assert message is not None
    return message


async def room(slack: FakeSlackServer, prefix: str, kind: str) -> str:
    """Wait until a channel is there with the message that is pinned in it; return its id."""

    def found() -> str | None:
        channels = slack.workspace.channels.values()
        return next(
            (
                channel.id
                for channel in channels
                if channel.name.startswith(prefix)
                and any((m.metadata or {}).get("event_type") == kind for m in channel.messages)
            ),
            None,
        )

    channel = await slack.until(found, within_s=20)
    assert channel is not None
    return channel


async def both_teams_in(slack: FakeSlackServer, channel: str) -> None:
    """Wait until a developer and an SRE are in a channel."""
    members = slack.workspace.channels[channel].members
    await slack.until(lambda: {"U0DANA", "U0SAM"} <= set(members), within_s=20)


@pytest.mark.timeout(180)
async def test_an_outage_becomes_an_incident_and_the_freeze_lifts_once_its_action_is_owned(
    tmp_path: Path, slack: FakeSlackServer, url: str
) -> None:
    folder = write_policies(tmp_path, POLICIES)
    slack.rates.enabled = False
    dana, sam = slack.person("dana"), slack.person("sam")
    async with running_governor(policies=folder, slack=slack, folder=tmp_path, DATABASE_URL=url) as bot:
        await push(bot, 990, 0)
        await push(bot, 0, 20)
        await dana.says("/incident open nobody can pay sev2", "#checkout")
        channel = await room(slack, "inc-", CARD)
        await both_teams_in(slack, channel)
        await eventually(lambda: holds(bot), {"budget", "incident"}.__eq__)

        await sam.says("/incident role commander", channel)
        await seen(slack, channel, "is commander")
        await sam.says("/incident status resolved", channel)
        resolved = await seen(slack, channel, "set it to *resolved*")
        await eventually(lambda: holds(bot), {"budget"}.__eq__)

        await dana.acts(resolved, channel, "postmortem.open")
        postmortem = await room(slack, "pm-", DOCUMENT)
        await both_teams_in(slack, postmortem)
        await dana.says("/action add test the rollback P0", postmortem)
        await seen(slack, postmortem, "it needs an owner and a due date")

        await push(bot, 10_000, 0)
        (orders,) = (await bot.state("checkout"))["slos"]
        assert orders["remaining"] > 0.1
        assert await holds(bot) == {"budget"}
        await sam.says("/action change 1 @dana due tomorrow", postmortem)
        await bot.until_state("checkout", "open")
        await seen(slack, "#releases", "is open again")
        assert [made for made in slack.refused if made.error != "already_in_channel"] == []
        assert await bot.terminate() == 0


async def press(visitor: Visitor, label: str) -> None:
    """Press a button of the last message that has it."""
    await visitor.messages.get_by_role("button", name=label, exact=True).last.click()


@pytest.mark.timeout(300)
async def test_a_visitor_plays_an_incident_to_its_postmortem(tmp_path: Path) -> None:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    async with running_sandbox(tmp_path) as url, visiting(url) as visitor:
        await visitor.presses("Bad deploy")
        await visitor.says("/incident open Nobody can pay sev2 checkout")
        await visitor.sees("Incident 1 is open, sev2")
        await visitor.sees("is frozen")
        await visitor.opens(f"inc-{day}-nobody-can-pay")
        await visitor.sees("to production: deployment succeeded — checkout, main — the pipeline")
        await visitor.sees("Take command")
        await press(visitor, "Take command")
        await visitor.sees("is commander")
        await press(visitor, "Resolved")
        summary = visitor.page.get_by_role("textbox", name="What happened, in two or three sentences?")
        await summary.fill("A deploy broke payments.")
        await visitor.page.get_by_role("button", name="Resolve", exact=True).click()
        await visitor.sees("set it to resolved")
        await visitor.sees("A deploy broke payments.")
        await press(visitor, "Open postmortem")
        await visitor.sees("opens the postmortem of incident 1")
        await visitor.opens(f"pm-{day}-nobody-can-pay")
        await visitor.sees("Contributing factors")
        await visitor.says("/action add test the rollback @dana due tomorrow P0", f"pm-{day}-nobody-can-pay")
        await visitor.sees("P0 test the rollback")
        await visitor.opens("checkout")
        await visitor.sees("is open again")
        await visitor.opens(f"pm-{day}-nobody-can-pay")
        await press(visitor, "Close")
        await visitor.page.get_by_role("button", name="Close it", exact=True).click()
        await expect(visitor.page.get_by_text("This channel has been archived.")).to_be_visible(
            timeout=20_000
        )
        await visitor.sees("The document is kept here")
        await visitor.sees(f"postmortem-1-{day}.md")
        await visitor.opens("incidents")
        await visitor.sees("The postmortem of incident 1")
        assert await visitor.page.locator(".unknown").count() == 0
    assert visitor.complaints == []
