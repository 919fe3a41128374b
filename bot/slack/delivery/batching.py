"""Batches: many messages to one channel in one post, as after a policy change to hundreds of services.

Only messages with a one-line form (`OutboxMessage.brief`) are combined, only if so many wait that they would
take seconds, and never across one without it: their order stays. Pure.
"""

from collections.abc import Sequence

from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, join, markup
from bot.store.outbox import OutboxMessage, QueuedMessage

Batch = Sequence[QueuedMessage]
"""What goes into one post: one message, or several that are combined."""

SMALLEST_BATCH = 10
"""So many waiting messages are combined; fewer are soon sent one by one, at a message a second."""
MOST_LINES = 150
# Below Slack's 12,000 for all blocks, 3,000 for one, and 16 kB of metadata for the keys.
_MOST_CHARACTERS = 11_000
_SECTION = 2_900
_LONGEST_TEXT = 3_000
SEVERAL = "several_changes"
"""The event type of a combined message."""


def next_batch(waiting: Sequence[QueuedMessage]) -> Batch:
    """Return the messages, beginning with the first, that go into the next post: it alone, or many."""
    size, count = 0, 0
    for queued in waiting[:MOST_LINES]:
        brief = queued.message.brief
        if brief is None or len(brief) > _SECTION or size + len(brief) + 1 > _MOST_CHARACTERS:
            break
        size += len(brief) + 1
        count += 1
    return waiting[: count if count >= SMALLEST_BATCH else 1]


def combine(batch: Batch) -> OutboxMessage:
    """Return one message for the batch, with a line for each of its messages."""
    if len(batch) == 1:
        return batch[0].message
    lines = [Markup(queued.message.brief or queued.message.text) for queued in batch]
    headline = markup("{} changes at once:", len(lines))
    blocks = [section(headline), *(section(join("\n", part)) for part in _sections(lines))]
    blocks.append(context("Each is announced in full in its service's own channel."))
    text = join("\n", [headline, *lines])
    if len(text) > _LONGEST_TEXT:
        text = Markup(text[:_LONGEST_TEXT].rpartition("\n")[0] + "\n…")
    return OutboxMessage(batch[0].message.channel, SEVERAL, text, blocks)


def _sections(lines: Sequence[Markup]) -> list[list[Markup]]:
    parts: list[list[Markup]] = [[]]
    size = 0
    for line in lines:
        if parts[-1] and size + len(line) + 1 > _SECTION:
            parts.append([])
            size = 0
        parts[-1].append(line)
        size += len(line) + 1
    return parts
