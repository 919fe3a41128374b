"""The launch checklist in a service's channel and for one person: who ticks, what the others see."""

from dataclasses import replace

from bot.catalog.error_budget_policy import LaunchRequirement
from bot.catalog.teams import Teams
from bot.sandbox.fake_slack.model import Message
from bot.slack.delivery.context import DeliveryTiming
from bot.slack.readiness.messages import TICK, block_id
from bot.teams.readiness.checklist import LaunchItem
from tests.support.clock import NOW
from tests.support.delivery import until_done, working
from tests.support.examples import WORKSPACE
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import audited
from tests.support.values import catalog


async def asked(slack_app: RunningSlackApp, **teams: str) -> Message:
    """Let search appear with these teams; return its checklist as its channel shows it."""
    shop = slack_app.shop
    known = [each for each in shop.catalog.services.values() if each.name != "search"]
    search = replace(
        shop.catalog.services["search"],
        teams=Teams(**{side: (who,) for side, who in teams.items()}),
        error_budget_policy=replace(
            shop.catalog.services["search"].error_budget_policy,
            launch_requires=LaunchRequirement.READINESS,
        ),
    )
    await slack_app.launches.follow(catalog(*known, workspace=WORKSPACE), NOW)
    shop.catalog = catalog(*known, search, workspace=WORKSPACE)
    await slack_app.launches.follow(shop.catalog, NOW)
    return (await shown(slack_app))[-1]


async def shown(slack_app: RunningSlackApp) -> list[Message]:
    """Deliver what waits; return what the channel shows then."""
    async with working(slack_app.database, slack_app.client, timing=DeliveryTiming()):
        await until_done(slack_app.database)
    return list(slack_app.slack.messages("#search"))


async def tick(
    slack_app: RunningSlackApp,
    who: str,
    message: Message,
    item: LaunchItem = LaunchItem.RUNBOOK,
    *,
    channel: str = "#search",
    is_ticked: bool = True,
) -> None:
    option = {"text": {"type": "plain_text", "text": "Done"}, "value": item.value}
    await slack_app.slack.person(who).acts(
        message,
        channel,
        TICK,
        block_id=block_id("search", item),
        selected_options=[option] if is_ticked else [],
    )
    await slack_app.app.drain(10)


def ticks(message: Message) -> list[str]:
    """Return the items whose checkbox is ticked."""
    return [
        block["block_id"].split(":")[1]
        for block in message.blocks
        if block.get("accessory", {}).get("initial_options")
    ]


async def test_either_side_ticks_and_the_channel_sees_who_and_when(slack_app: RunningSlackApp) -> None:
    message = await asked(slack_app, development="U0RILEY", reliability="@sre")
    assert "For <@U0RILEY>" in message.text
    await tick(slack_app, "riley", message)
    await tick(slack_app, "sam", message, LaunchItem.FLAG)
    (seen,) = await shown(slack_app)
    assert ticks(seen) == ["runbook", "flag"]
    assert "*A runbook* — ticked by <@U0RILEY>" in seen.text
    assert "2 of 6 launch items" in seen.text
    await tick(slack_app, "riley", seen, LaunchItem.FLAG, is_ticked=False)
    assert ticks((await shown(slack_app))[0]) == ["runbook"]
    actions = [entry.action for entry in await audited(slack_app)]
    assert actions == ["readiness.ticked", "readiness.ticked", "readiness.unticked"]


async def test_nobody_else_ticks(slack_app: RunningSlackApp) -> None:
    message = await asked(slack_app, development="U0MORGAN", reliability="@sre")
    await tick(slack_app, "riley", message)
    assert "may tick its launch checklist" in slack_app.slack.seen_by("riley", "#search")[-1].text
    assert (await slack_app.launches.checklist("search")).ticks == {}
    assert await audited(slack_app) == []


async def test_the_verdict_waits_for_the_last_tick(slack_app: RunningSlackApp) -> None:
    message = await asked(slack_app, reliability="@sre")
    refused = await slack_app.types("sam", "/ship search PR-12", "#search")
    assert "No, `PR-12` may not ship to *search*: its launch checklist is not complete." in refused.text
    assert "still open: SLOs agreed with the business, alerts that reach somebody" in refused.text
    assert "/governor readiness search" in refused.text
    assert "Yes, `PR-12`" in (await slack_app.types("sam", "/ship search PR-12 in staging")).text
    assert "No — *search*, launch checklist not complete" in (await slack_app.types("sam", "/ship")).text
    for item in LaunchItem:
        await tick(slack_app, "sam", message, item)
    assert "Yes, `PR-12`" in (await slack_app.types("sam", "/ship search PR-12", "#search")).text
    (head, told) = [each for each in await shown(slack_app) if each.ephemeral_to is None]
    assert len(ticks(head)) == 6
    assert (told.text, told.thread_ts) == (
        ":white_check_mark: The launch checklist of *search* is complete.",
        head.ts,
    )


async def test_an_exemption_lets_one_change_through(slack_app: RunningSlackApp) -> None:
    await asked(slack_app, reliability="@sre")
    await slack_app.types("sam", "/freeze exempt search PR-12 launch party")
    assert "Yes, `PR-12`" in (await slack_app.types("sam", "/ship search PR-12")).text
    assert "No, `PR-13`" in (await slack_app.types("sam", "/ship search PR-13")).text


async def test_a_person_sees_and_ticks_the_checklist_of_any_service(slack_app: RunningSlackApp) -> None:
    reply = await slack_app.types("sam", "/governor readiness search", "#general")
    assert ticks(reply) == []
    await tick(slack_app, "sam", reply, channel="#general")
    assert ticks(slack_app.slack.seen_by("sam", "#general")[-1]) == ["runbook"]
    unknown = await slack_app.types("sam", "/governor readiness serch")
    assert "Did you mean `search`?" in unknown.text or "search" in unknown.text
    assert "Name the service" in (await slack_app.types("sam", "/governor readiness")).text
