"""Announcements of deployments that bypassed a freeze. Pure, so that it can run within a transaction.

The words "freeze" and "frozen" (see `freezes.py`) do not appear here.
"""

from collections.abc import Sequence

from bot.catalog.current import CurrentCatalog
from bot.deployments.recorder import FreezeBypass
from bot.slack.announcements.announcement import AnnouncementText, distinct, message
from bot.slack.announcements.budget_phrases import hold_owners, hold_text
from bot.slack.blockkit.mrkdwn import Markup, bold, code, cut, join, link, markup, mention, when
from bot.store.outbox import OutboxMessage

_MOST_HOLDS = 3
_LONGEST = 300


class DeploymentAnnouncer:
    """Writes the messages of a bypass; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(self, bypass: FreezeBypass) -> Sequence[OutboxMessage]:
        """Return one message for the service's channel and one for the announcements."""
        service = bypass.service
        channels = distinct([service.channel, self._current.workspace.of(service.name).announcements])
        return [message(channel, announcement_text(bypass), service.name) for channel in channels]


def announcement_text(bypass: FreezeBypass) -> AnnouncementText:
    """Return the announcement of a bypass."""
    service, deployment, holds = bypass.service.name, bypass.deployment, bypass.holds
    held = "1 hold was" if len(holds) == 1 else f"{len(holds)} holds were"
    headline = markup(
        ":warning: {} on {} when {} was deployed to {} anyway.",
        held, bold(service), code(cut(deployment.short_commit, _LONGEST)),
        cut(deployment.environment, _LONGEST),
    )  # fmt: skip
    lines = [markup("Held by {}", cut(hold_text(hold), _LONGEST)) for hold in holds[:_MOST_HOLDS]]
    more = len(holds) - len(lines)
    following = markup(
        "Next: roll it back or agree on it with {}, and make the pipeline ask {} first.",
        hold_owners(holds), code(f"governor gate {service}"),
    )  # fmt: skip
    facts = (_facts(bypass), *lines, *([markup("and {} more", more)] if more > 0 else []))
    return AnnouncementText("gate_bypassed", headline, facts, following)


def _facts(bypass: FreezeBypass) -> Markup:
    deployment = bypass.deployment
    by = markup("Started {} by {}", when(deployment.started_at), mention(deployment.by))
    details = link(deployment.url, "details") if deployment.url else ""
    return join(", ", [by, cut(deployment.origin, _LONGEST), details])
