"""What becomes of a change that was asked for, where it was not made at once. Pure."""

from bot.flags.change_request import FrozenError, Unchanged
from bot.flags.flag import exposure_in_words
from bot.slack.announcements.freeze_buttons import request_buttons
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup
from bot.slack.interactions import Reply
from bot.store.addresses import local


def unchanged_text(name: Markup, outcome: Unchanged) -> Markup:
    """Return that the flag is so already, and what that ended."""
    return join(" ", [
        markup("{} is {} already.", name, exposure_in_words(outcome.state)),
        Markup("Its ramp has ended.") if outcome.ended_ramp else NOTHING,
        Markup("It stays so, and will not go back by itself.") if outcome.stays else NOTHING,
    ])  # fmt: skip


def pending_text(words: str, channel: str) -> Markup:
    """Return that a change waits for another person, asked in `channel`."""
    return markup("{} — waits for another person's approval in {}.", bold(words), local(channel))


def frozen_reply(error: FrozenError) -> Reply:
    """Explain a refusal: the service is frozen, and what would let the change through."""
    verdict = error.verdict
    text = join(
        "\n",
        [
            markup("{} is frozen, so its flags may not be raised: {}.", bold(verdict.service),
                   "; ".join(verdict.reasons).rstrip(".")),
            markup("Lowering is always allowed. Next: {}.",
                   code(f"/freeze exempt {verdict.service} {error.change} REASON")),
        ],
    )  # fmt: skip
    return Reply(text, (section(text),), request_buttons(verdict.service, error.change))
