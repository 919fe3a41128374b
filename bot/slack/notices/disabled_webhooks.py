"""The message that an outgoing webhook gets no more events. Pure."""

from collections.abc import Sequence

from bot.catalog.current import CurrentCatalog
from bot.slack.announcements.announcement import AnnouncementText, message
from bot.slack.blockkit.mrkdwn import bold, code, markup
from bot.store.outbox import OutboxMessage


class DisabledWebhooks:
    """Writes the message; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(self, name: str, problem: str) -> Sequence[OutboxMessage]:
        """Return the message for the announcements channel."""
        text = AnnouncementText(
            "webhook_disabled",
            markup(":warning: The webhook {} gets no more events — {}.", bold(name), problem),
            following=markup(
                "Next: repair the receiver, then deliver an event again with {}; {} lists what it missed.",
                code("governor webhooks redeliver ID"),
                code(f"governor webhooks list --webhook {name}"),
            ),
        )
        return [message(self._current.workspace.announcements, text)]
