"""What the doctor lets Slack look at stands for everything that the bot sends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.diagnostics.slack_samples import specimens
from bot.sandbox.fake_slack.block_kit.validation import message_faults, view_faults
from tests.support.clock import NOW
from tests.support.sent_messages import everything


def kinds(shown: Any) -> Iterator[str]:
    """Every type of block, element and text object in what is shown."""
    if isinstance(shown, dict):
        if isinstance(shown.get("type"), str):
            yield shown["type"]
        for inner in shown.values():
            yield from kinds(inner)
    elif isinstance(shown, list):
        for inner in shown:
            yield from kinds(inner)


async def test_specimens_have_every_form_block_and_element_that_the_bot_sends(tmp_path: Path) -> None:
    sent, looked_at = await everything(tmp_path), [one.shown for one in specimens(NOW)]
    used = {kind for body in (*sent.messages, *sent.modals, *sent.homes) for kind in kinds(body)}
    assert used - {kind for shown in looked_at for kind in kinds(shown)} == set()
    forms = {
        shown["callback_id"] for shown in looked_at if isinstance(shown, dict) and "callback_id" in shown
    }
    assert forms == {one["callback_id"] for one in sent.modals}


def test_specimens_keep_slacks_rules_and_have_names_of_their_own() -> None:
    shown = specimens(NOW)
    assert len({one.name for one in shown}) == len(shown)
    for one in shown:
        faults = (
            message_faults(one.shown) if one.kind == "blocks" else view_faults(one.shown, "modal", "home")
        )
        assert faults == [], one.name
