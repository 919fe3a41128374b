"""*Request exemption* beside a freeze and a refused `/ship`: who may, what is asked, who decides."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.catalog.catalog import Permissions
from bot.sandbox.fake_slack.model import Message
from bot.slack.announcements.freeze_buttons import LIFT, REQUEST
from bot.store.tables.core import outbox
from tests.support.clock import NOW
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import audited, deliver
from tests.support.slack_incidents import typed

WHY = typed("Customers cannot pay")


async def frozen(slack_app: RunningSlackApp) -> Message:
    """Freeze checkout as sam; return the announcement in its channel."""
    await slack_app.types("sam", "/freeze checkout peak sale")
    return (await deliver(slack_app))[0]


async def asked(slack_app: RunningSlackApp, who: str = "riley", **values: str) -> Message:
    """Ask for an exemption beside the announcement; return what the channel is told."""
    announced = await frozen(slack_app)
    await slack_app.presses(who, announced, REQUEST, "#checkout")
    entered = {name: typed(text) for name, text in {"change": "PR-12", **values}.items()}
    assert await slack_app.submits(who, reason=WHY, **entered) == {}
    return (await deliver(slack_app))[-1]


def at(slack_app: RunningSlackApp, message: Message, channel: str = "#checkout") -> Message:
    """Return the message as the channel shows it now."""
    return next(one for one in slack_app.slack.messages(channel) if one.ts == message.ts)


def last(slack_app: RunningSlackApp, who: str, channel: str = "#checkout") -> Message:
    return slack_app.slack.seen_by(who, channel)[-1]


async def exempt(slack_app: RunningSlackApp) -> list[str]:
    now = slack_app.shop.clock.now()
    return [one.change for one in await slack_app.hold_registry.exemptions("checkout", now)]


async def test_nobody_approves_what_they_asked_for_themselves(slack_app: RunningSlackApp) -> None:
    announced = await frozen(slack_app)
    await slack_app.presses("sam", announced, REQUEST, "#checkout")
    values = {"change": typed("PR-12"), "reason": WHY, "length": typed("for 90m")}
    assert await slack_app.submits("sam", **values) == {}
    request = (await deliver(slack_app))[-1]
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    assert "Somebody else must approve what you asked for" in last(slack_app, "sam").text
    assert await exempt(slack_app) == []
    await slack_app.presses("morgan", request, "flag.approve", "#checkout")
    (exemption,) = await slack_app.hold_registry.exemptions("checkout", NOW)
    assert (exemption.change, exemption.by) == ("PR-12", "U0MORGAN")
    assert exemption.until == NOW + timedelta(minutes=90)
    actions = [entry.action for entry in await audited(slack_app)]
    assert actions == ["hold.placed", "exemption.requested", "exemption.granted"]


async def test_others_ask_those_who_may_and_get_an_answer(slack_app: RunningSlackApp) -> None:
    request = await asked(slack_app, length="4h")
    assert request.text.startswith(
        ":raised_hand: <@U0RILEY> asks to let `PR-12` through to *checkout* for 4\u00a0h: Customers"
    )
    (answer,) = [one for one in slack_app.slack.seen_by("riley", "#checkout") if one.ephemeral_to]
    assert answer.text.endswith("It is posted in #checkout, where @sre or <@U0MORGAN> can approve it.")
    assert await exempt(slack_app) == []
    await slack_app.presses("riley", request, "flag.approve", "#checkout")
    assert "Only @sre or <@U0MORGAN> may exempt a change" in last(slack_app, "riley").text
    await slack_app.presses("morgan", request, "flag.approve", "#checkout")
    (exemption,) = await slack_app.hold_registry.exemptions("checkout", NOW)
    assert (exemption.by, exemption.until) == ("U0MORGAN", NOW + timedelta(hours=4))
    assert at(slack_app, request).text == (
        "Approved by <@U0MORGAN>: `PR-12` for *checkout*, as <@U0RILEY> asked."
    )
    assert "flag.approve" not in str(at(slack_app, request).blocks)
    assert "let it through, as <@U0RILEY> asked" in (await deliver(slack_app))[-1].text
    allowed = await slack_app.types("riley", "/ship checkout PR-12")
    assert allowed.text.startswith(":white_check_mark: Yes")


async def test_who_decides_is_notified_of_a_request_and_who_asked_of_the_answer(
    slack_app: RunningSlackApp,
) -> None:
    request = await asked(slack_app)
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    async with slack_app.database.reading() as connection:
        rows = await connection.execute(
            select(outbox.c.event_type, outbox.c.channel, outbox.c.mentions).order_by(outbox.c.id)
        )
        told = [tuple(row) for row in rows if row.event_type.startswith("exemption")]
    assert told == [
        ("exemption_requested", "#checkout", ["@sre", "U0MORGAN"]),
        ("exemption_granted", "#checkout", ["U0RILEY"]),
        ("exemption_granted", "#releases", []),
    ]


async def test_a_decline_says_why_and_lets_nothing_through(slack_app: RunningSlackApp) -> None:
    request = await asked(slack_app)
    stale = deepcopy(request)
    await slack_app.presses("sam", request, "flag.decline", "#checkout")
    assert await slack_app.submits("sam", comment=typed(" ")) == {
        "comment": "Say why, so that whoever asked knows what to change."
    }
    assert await slack_app.submits("sam", comment=typed("Wait for\nthe <fix>")) == {}
    shown = at(slack_app, request).text
    assert shown == (
        "Declined by <@U0SAM>: `PR-12` for *checkout*, as <@U0RILEY> asked. "
        "They say: Wait for the &lt;fix&gt;"
    )
    (told,) = await deliver(slack_app)
    assert told.text == (
        "`PR-12` may not ship to *checkout* — <@U0SAM> declined what <@U0RILEY> asked.\n"
        "<@U0SAM> says: Wait for the &lt;fix&gt;"
    )
    assert await exempt(slack_app) == []
    entry = (await audited(slack_app))[-1]
    assert (entry.action, entry.actor) == ("exemption.declined", "U0SAM")
    assert entry.after == {"change": "PR-12", "asked_by": "U0RILEY", "comment": "Wait for the <fix>"}
    await slack_app.presses("sam", stale, "flag.approve", "#checkout")
    assert last(slack_app, "sam").text == "This was decided already."


async def test_a_comment_on_an_approval_is_told_kept_and_listed(slack_app: RunningSlackApp) -> None:
    request = await asked(slack_app)
    listed = await slack_app.types("riley", "/freeze")
    assert "• `PR-12` waits for approval — <@U0RILEY> asked <!date^" in listed.text
    await slack_app.presses("sam", request, "approval.comment", "#checkout")
    assert await slack_app.submits("sam", comment=typed("Watch the queue.")) == {}
    assert at(slack_app, request).text.endswith("as <@U0RILEY> asked. They say: Watch the queue.")
    assert "<@U0SAM> says: Watch the queue." in (await deliver(slack_app))[0].text
    listed = await slack_app.types("riley", "/freeze")
    assert "as <@U0RILEY> asked: Customers cannot pay (“Watch the queue.”)" in listed.text
    after = (await audited(slack_app))[-1].after
    assert after is not None
    assert (after["asked_by"], after["comment"]) == ("U0RILEY", "Watch the queue.")


async def test_two_decisions_at_once_count_once(slack_app: RunningSlackApp) -> None:
    request = await asked(slack_app)
    for who in ("sam", "morgan"):
        await slack_app.slack.person(who).acts(request, "#checkout", "flag.approve")
    await slack_app.app.drain(10)
    assert await exempt(slack_app) == ["PR-12"]
    assert [entry.action for entry in await audited(slack_app)].count("exemption.granted") == 1


async def test_the_same_change_is_asked_for_once(slack_app: RunningSlackApp) -> None:
    request = await asked(slack_app)
    refused = await slack_app.types("dana", "/ship checkout pr-12")
    await slack_app.presses("dana", refused, REQUEST)
    assert await slack_app.submits("dana", reason=WHY) == {}
    assert last(slack_app, "dana", "#general").text.startswith(
        "`PR-12` waits for approval in #checkout already"
    )
    assert await deliver(slack_app) == []
    slack_app.shop.clock.time += timedelta(hours=25)
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    assert last(slack_app, "sam").text == "This was asked more than a day ago; ask again."
    assert await exempt(slack_app) == []


async def test_a_refused_ship_offers_the_form_with_its_change(slack_app: RunningSlackApp) -> None:
    await frozen(slack_app)
    refused = await slack_app.types("riley", "/ship checkout PR-99")
    assert refused.ephemeral_to == "U0RILEY"
    await slack_app.presses("riley", refused, REQUEST)
    modal = slack_app.slack.person("riley").modal
    assert modal is not None
    (change,) = [block for block in modal.content["blocks"] if block.get("block_id") == "change"]
    assert change["element"]["initial_value"] == "PR-99"
    allowed = await slack_app.types("riley", "/ship search")
    assert REQUEST not in str(allowed.blocks)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("length", "soon", "Write a length of time, such as 4h, 90m or 2 days."),
        ("length", "4h of it", "Write a length of time, such as 4h, 90m or 2 days."),
        ("length", "400d", "At most a year."),
        ("change", "  ", "Give the change a short name, such as PR-12."),
        ("reason", " ", "Say why, so that everyone knows."),
    ],
)
async def test_what_cannot_be_read_is_said_beside_its_input(
    slack_app: RunningSlackApp, name: str, text: str, fault: str
) -> None:
    await slack_app.presses("riley", await frozen(slack_app), REQUEST, "#checkout")
    entered = {"change": typed("PR-12"), "reason": WHY, name: typed(text)}
    assert await slack_app.submits("riley", **entered) == {name: fault}
    assert await deliver(slack_app) == []


async def test_nothing_is_asked_of_a_service_that_is_open(slack_app: RunningSlackApp) -> None:
    announced = await frozen(slack_app)
    await slack_app.presses("sam", announced, LIFT, "#checkout")
    await slack_app.presses("riley", announced, REQUEST, "#checkout")
    assert last(slack_app, "riley").text == "*checkout* is open: changes may ship without an exemption."
    assert slack_app.slack.person("riley").modal is None


async def test_where_nobody_may_exempt_a_change_nothing_is_asked(slack_app: RunningSlackApp) -> None:
    announced = await frozen(slack_app)
    policies = slack_app.shop.catalog
    workspace = replace(policies.workspace, permissions=Permissions(freeze=("@sre",)))
    slack_app.shop.catalog = replace(policies, workspace=workspace)
    await slack_app.presses("riley", announced, REQUEST, "#checkout")
    assert last(slack_app, "riley").text.startswith("Nobody may exempt a change")


async def test_a_guest_may_ask_for_nothing(slack_app: RunningSlackApp) -> None:
    announced = await frozen(slack_app)
    guest = next(user for user in slack_app.slack.workspace.users.values() if user.account == "guest")
    channel = slack_app.slack.workspace.channel("#checkout")
    if guest.id not in channel.members:
        channel.members.append(guest.id)
    await slack_app.presses(guest.name, announced, REQUEST, "#checkout")
    await slack_app.submits(guest.name, change=typed("PR-12"), reason=WHY)
    assert "so you may not ask for an exemption" in last(slack_app, guest.name).text
    assert await deliver(slack_app) == []
