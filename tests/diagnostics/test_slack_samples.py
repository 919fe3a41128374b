"""The samples that the doctor has Slack validate cover everything that the bot sends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.diagnostics.slack_samples import slack_samples
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


async def test_samples_have_every_form_block_and_element_that_the_bot_sends(tmp_path: Path) -> None:
    sent, samples = await everything(tmp_path), [sample.content for sample in slack_samples(NOW)]
    used = {kind for body in (*sent.messages, *sent.modals, *sent.homes) for kind in kinds(body)}
    assert used - {kind for shown in samples for kind in kinds(shown)} == set()
    forms = {shown["callback_id"] for shown in samples if isinstance(shown, dict) and "callback_id" in shown}
    assert {modal["callback_id"] for modal in sent.modals} <= forms


def test_samples_keep_slacks_rules_and_have_names_of_their_own() -> None:
    samples = slack_samples(NOW)
    assert len({sample.name for sample in samples}) == len(samples)
    for sample in samples:
        is_message = sample.kind == "message"
        content = sample.content
        faults = message_faults(content["blocks"]) if is_message else view_faults(content, "modal", "home")
        assert faults == [], sample.name
