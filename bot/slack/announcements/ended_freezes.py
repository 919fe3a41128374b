"""The announcement of a freeze, rewritten once its hold has ended: without what does nothing any more.

What is added says neither "frozen" nor "open again": those words are the announcements', which people and
scripts count. Pure.
"""

from dataclasses import replace

from bot.freezes.hold import GOVERNOR, HoldEnd
from bot.slack.announcements.announcement import STILL_ALLOWED, WHILE_HELD
from bot.slack.announcements.freeze_buttons import ENDING_BUTTONS
from bot.slack.blockkit.blocks import context
from bot.slack.blockkit.mrkdwn import Markup, cut, join, markup, mention, when
from bot.store.outbox import Block, OutboxMessage

_LONGEST = 600


def ended_message(message: OutboxMessage, end: HoldEnd) -> OutboxMessage | None:
    """Return the announcement of a hold that has ended; None if it has nothing that would be stale."""
    blocks = [kept for block in message.blocks if (kept := _kept(block)) is not None]
    if blocks == list(message.blocks):
        return None
    text = Markup(message.text)
    for block in message.blocks:
        if block.get("block_id") == WHILE_HELD:
            text = Markup(text.replace(str(block["text"]["text"]), "").rstrip("\n"))
    text = _without_allowed(text)
    line = cut(_line(end), _LONGEST)
    is_row_of_buttons = bool(blocks) and blocks[-1].get("type") == "actions"
    blocks.insert(len(blocks) - is_row_of_buttons, context(line))
    return replace(message, text=join("\n", [text, line]), blocks=blocks)


def _line(end: HoldEnd) -> Markup:
    if end.by == GOVERNOR:
        return markup("Ended {}: {}.", when(end.at), end.reason.rstrip("."))
    if not end.reason:
        return markup("{} lifted it {}.", mention(end.by), when(end.at))
    return markup("{} lifted it {}: {}", mention(end.by), when(end.at), end.reason)


def _kept(block: Block) -> Block | None:
    """Return what stays of a block; None for nothing."""
    if block.get("block_id") == WHILE_HELD:
        return None
    if block.get("type") == "section" and "text" in block:
        text = _without_allowed(block["text"]["text"])
        return {**block, "text": {**block["text"], "text": text}} if text else None
    if block.get("type") != "actions":
        return block
    elements = [each for each in block["elements"] if each.get("action_id") not in ENDING_BUTTONS]
    return {**block, "elements": elements} if elements else None


def _without_allowed(text: str) -> Markup:
    """Return a text without the line that says what may ship in spite of the hold."""
    return Markup("\n".join(line for line in text.split("\n") if not line.startswith(STILL_ALLOWED)))
