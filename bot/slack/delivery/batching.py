"""Many messages to one channel as one: what a policy change does to hundreds of services fills no screen.

Only messages that say how they read in a line (`OutboxMessage.brief`) are folded, only where so many wait
that they would take seconds, and never across one that stands by itself: their order stays. Pure.
"""

from collections.abc import Sequence

from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, join, markup
from bot.store.outbox import OutboxMessage, QueuedMessage

FOLD_FROM = 10
"""So many waiting messages are folded; at a message a second, fewer are soon told one by one."""
MOST_LINES = 150
# Below Slack's 12,000 for all blocks, 3,000 for one, and 16 kB of metadata for the keys.
_MOST_CHARACTERS = 11_000
_SECTION = 2_900
_LONGEST_TEXT = 3_000
SEVERAL = "several_changes"
"""The occasion of a folded message."""


def foldable(waiting: Sequence[QueuedMessage]) -> Sequence[QueuedMessage]:
    """Return the messages, beginning with the first, that should be told as one now: it alone, or many."""
    size, count = 0, 0
    for queued in waiting[:MOST_LINES]:
        brief = queued.message.brief
        if brief is None or len(brief) > _SECTION or size + len(brief) + 1 > _MOST_CHARACTERS:
            break
        size += len(brief) + 1
        count += 1
    return waiting[: count if count >= FOLD_FROM else 1]


def folded(parcel: Sequence[QueuedMessage]) -> OutboxMessage:
    """Return the one message that tells the whole parcel, a line each."""
    if len(parcel) == 1:
        return parcel[0].message
    lines = [Markup(queued.message.brief or queued.message.text) for queued in parcel]
    headline = markup("{} changes at once:", len(lines))
    blocks = [section(headline), *(section(join("\n", part)) for part in _sections(lines))]
    blocks.append(context("Each is told in full in its service's own channel."))
    text = join("\n", [headline, *lines])
    if len(text) > _LONGEST_TEXT:
        text = Markup(text[:_LONGEST_TEXT].rpartition("\n")[0] + "\n…")
    return OutboxMessage(parcel[0].message.channel, SEVERAL, text, blocks)


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
