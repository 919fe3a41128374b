"""If the manifest has a prefix, all texts of the bot name the commands with it."""

from pathlib import Path

import pytest

from bot.slack.blockkit.blocks import MOST_CHARACTERS, TEXT, button, context, fields, section
from bot.slack.blockkit.mrkdwn import size
from bot.slack.command_prefix import CommandPrefix
from tests.support.slack_app import run_slack_app, shop
from tests.support.slack_home import blocks_of, open_home


async def test_replies_cards_and_home_tabs_name_the_commands_with_the_prefix(tmp_path: Path) -> None:
    async with run_slack_app(tmp_path, shop(), "acme-") as slack_app:
        slack_app.slack.rates.enabled = False
        assert "`/acme-budget`" in (await slack_app.types("sam", "/acme-budget chekkkout")).text
        assert "`/acme-flag ramp FLAG" in (await slack_app.types("sam", "/acme-flag ramp")).text
        await slack_app.types("sam", "/acme-incident open Checkout 500s sev2 checkout")
        channel = (await slack_app.incidents.snapshots.of(1)).channel_id()
        assert channel is not None
        panel = await slack_app.types("sam", "/acme-incident", channel)
        assert "`/acme-incident help`" in str(panel.blocks)
        for number in range(9):
            await slack_app.types("sam", f"/acme-action add step {number} @sam for checkout")
        await open_home(slack_app, "sam")
        assert "type `/acme-action list`" in str(blocks_of(slack_app, "sam"))
        await slack_app.client.chat_postMessage(channel=channel, text="Next: `/freeze lift checkout`.")
        assert slack_app.slack.messages(channel)[-1].text == "Next: `/acme-freeze lift checkout`."


async def test_without_a_prefix_nothing_is_changed() -> None:
    body = {"text": "Type `/budget`.", "blocks": [section("`/ship checkout`")]}
    assert CommandPrefix().rename_commands(body) == body


def test_only_texts_are_changed_and_only_commands() -> None:
    value = '["budget","`/budget`",1]'
    body = {
        "blocks": [
            section("*/flag*: `/flag on` or `/flags`, /budget, https://x.example/budget and `/budgets`"),
            context("`/ship`"),
            {"type": "actions", "elements": [button("Show", "question.show", value)]},
        ],
        "metadata": {"event_payload": {"key": "`/budget`"}},
    }
    named = CommandPrefix("a_").rename_commands(body)
    assert named["blocks"][0]["text"]["text"] == (
        "*/a_flag*: `/a_flag on` or `/flags`, /budget, https://x.example/budget and `/budgets`"
    )
    assert named["blocks"][1]["elements"][0]["text"] == "`/a_ship`"
    assert named["blocks"][2]["elements"][0]["value"] == value
    assert named["metadata"] == body["metadata"]


@pytest.mark.parametrize("fits", [True, False])
def test_a_text_that_would_get_too_long_stays_as_it_is(fits: bool) -> None:
    text = "`/budget` ".ljust(TEXT - 5 * fits, "x")
    (block,) = CommandPrefix("acme-").rename_commands({"blocks": [section(text)]})["blocks"]
    assert size(block["text"]["text"]) <= TEXT
    assert ("/acme-budget" in block["text"]["text"]) is fits
    field = "`/budget` ".ljust(2_000, "x")
    (block,) = CommandPrefix("acme-").rename_commands({"blocks": [fields([field])]})["blocks"]
    assert block["fields"][0]["text"] == field
    full = {"blocks": [section("`/budget` ".ljust(MOST_CHARACTERS // 5, "x"))] * 5}
    assert CommandPrefix("acme-").rename_commands(full) == full
