"""What people say when they approve or decline: asked for at a decline, told to whoever asked, and kept."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.sandbox.fake_slack.model import Message
from bot.store.tables.core import outbox
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_flags import (
    FLAG,
    audited,
    declines,
    deliver,
    exposure,
    run_slack_app_with_flags,
    told,
)
from tests.support.slack_incidents import typed

RAMP = f"/flag ramp {FLAG} 1% 5% every 30m the new till"


@pytest.fixture
async def slack_app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    async with run_slack_app_with_flags(tmp_path) as slack_app:
        yield slack_app
        assert not slack_app.slack.refused


async def asked(slack_app: RunningSlackApp, text: str = f"/flag rollout {FLAG} 25% small steps") -> Message:
    await slack_app.types("dana", text)
    return (await deliver(slack_app))[-1]


def at(slack_app: RunningSlackApp, message: Message) -> str:
    return next(one for one in slack_app.slack.messages("#checkout") if one.ts == message.ts).text


async def test_a_comment_on_an_approval_is_announced_kept_and_shown_in_the_history(
    slack_app: RunningSlackApp,
) -> None:
    request = await asked(slack_app)
    await slack_app.presses("sam", request, "approval.comment", "#checkout")
    assert await exposure(slack_app) == 0
    assert await slack_app.submits("sam", comment=typed("Only while\nI <watch>.")) == {}
    assert await exposure(slack_app) == 0.25
    assert at(slack_app, request).endswith("approved by <@U0SAM>. They say: Only while I &lt;watch&gt;.")
    (announced,) = [text for _, kind, text in await told(slack_app) if kind == "flag_changed"]
    assert "<@U0SAM> says: Only while I &lt;watch&gt;." in announced
    after = (await audited(slack_app))[-1].after
    assert after is not None
    assert (after["approved_by"], after["comment"]) == ("U0SAM", "Only while I <watch>.")
    listed = (await slack_app.types("riley", f"/flag history {FLAG}")).text
    assert "approved by <@U0SAM>: small steps (“Only while I &lt;watch&gt;.”)" in listed


async def test_an_approval_needs_no_comment(slack_app: RunningSlackApp) -> None:
    request = await asked(slack_app)
    await slack_app.presses("sam", request, "approval.comment", "#checkout")
    assert await slack_app.submits("sam", comment=typed("")) == {}
    assert await exposure(slack_app) == 0.25
    assert "say" not in at(slack_app, request)
    assert "comment" not in str((await audited(slack_app))[-1].after)


async def test_a_decline_without_a_reason_is_not_taken(slack_app: RunningSlackApp) -> None:
    request = await asked(slack_app)
    await slack_app.presses("sam", request, "flag.decline", "#checkout")
    faults = await slack_app.submits("sam", comment=typed("  "))
    assert faults == {"comment": "Say why, so that whoever asked knows what to change."}
    assert [entry.action for entry in await audited(slack_app)] == ["flag.asked"]


async def test_a_decline_is_told_to_whoever_asked_with_the_reason(slack_app: RunningSlackApp) -> None:
    await declines(slack_app, "sam", await asked(slack_app), "Not on a Friday.")
    async with slack_app.database.reading() as connection:
        query = select(outbox.c.text, outbox.c.mentions).where(outbox.c.event_type == "flag_declined")
        (row,) = (await connection.execute(query)).all()
    assert row.mentions == ["U0DANA"]
    assert row.text == (
        f"*off → 25% of users* — <@U0SAM> declined the change of *{FLAG}* in production, "
        "as <@U0DANA> asked.\n<@U0SAM> says: Not on a Friday."
    )
    listed = (await slack_app.types("riley", f"/flag history {FLAG}")).text
    assert "declined off → 25% of users, asked for by <@U0DANA>: Not on a Friday." in listed


async def test_the_comments_on_a_ramp_are_kept_too(slack_app: RunningSlackApp) -> None:
    await declines(slack_app, "sam", await asked(slack_app, RAMP), "Too fast.")
    request = await asked(slack_app, RAMP)
    await slack_app.presses("sam", request, "approval.comment", "#checkout")
    await slack_app.submits("sam", comment=typed("Go on."))
    assert at(slack_app, request).endswith("approved by <@U0SAM>. They say: Go on.")
    entries = [entry for entry in await audited(slack_app) if entry.action.startswith("ramp.")]
    assert [entry.action for entry in entries] == ["ramp.declined", "ramp.approved"]
    listed = (await slack_app.types("riley", f"/flag history {FLAG}")).text
    ramp = "the ramp off → 1% → 5% of users, asked for by <@U0DANA>"
    assert f"approved {ramp}: the new till (“Go on.”)" in listed
    assert f"declined {ramp}: Too fast." in listed


async def test_who_may_not_decide_gets_no_form(slack_app: RunningSlackApp) -> None:
    request = await asked(slack_app)
    await slack_app.presses("riley", request, "flag.decline", "#checkout")
    assert slack_app.slack.person("riley").modal is None
    assert "may change flags in production" in slack_app.slack.seen_by("riley", "#checkout")[-1].text
    await slack_app.presses("sam", request, "flag.decline", "#checkout")
    await slack_app.presses("sam", request, "flag.approve", "#checkout")
    await slack_app.submits("sam", comment=typed("too late"))
    assert slack_app.slack.seen_by("sam", "#checkout")[-1].text == "This was decided already."
    assert await exposure(slack_app) == 0.25
