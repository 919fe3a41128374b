"""What the channels are told about deployments, in words. Pure, so that it can run within a transaction.

The words that tell a freeze (see `announcements.py`) do not stand here.
"""

from collections.abc import Callable, Sequence

from bot.catalog.catalog import Workspace
from bot.deployments.recorder import Bypass
from bot.slack.announcements.budget_phrases import holders, told
from bot.slack.announcements.freezes import Telling, distinct, message
from bot.slack.blockkit.blocks import Markup, bold, code, cut, join, link, markup, mention, when
from bot.store.outbox import Message

_MOST_HOLDS = 3
_LONGEST = 300


class DeploymentAnnouncer:
    """Writes the messages of a bypass; `workspace` answers the policy in force."""

    def __init__(self, workspace: Callable[[], Workspace]) -> None:
        self._workspace = workspace

    def __call__(self, bypass: Bypass) -> Sequence[Message]:
        """Answer one message for the service's channel and one for the announcements."""
        service = bypass.service
        channels = distinct([service.channel, self._workspace().of(service.name).announcements])
        return [message(channel, tell(bypass), service.name) for channel in channels]


def tell(bypass: Bypass) -> Telling:
    """Put a bypass into words."""
    service, deployment, holds = bypass.service.name, bypass.deployment, bypass.holds
    lay = "1 hold lay" if len(holds) == 1 else f"{len(holds)} holds lay"
    headline = markup(
        ":warning: {} on {} when {} went to {} all the same.",
        lay, bold(service), code(cut(deployment.short, _LONGEST)), cut(deployment.environment, _LONGEST),
    )  # fmt: skip
    lines = [markup("Held by {}", cut(told(hold), _LONGEST)) for hold in holds[:_MOST_HOLDS]]
    more = len(holds) - len(lines)
    following = markup(
        "Next: roll it back or agree on it with {}, and let what deploys ask {} first.",
        holders(holds), code(f"governor gate {service}"),
    )  # fmt: skip
    facts = (_facts(bypass), *lines, *([markup("and {} more", more)] if more > 0 else []))
    return Telling("gate_bypassed", headline, facts, following)


def _facts(bypass: Bypass) -> Markup:
    deployment = bypass.deployment
    by = markup("Begun {} by {}", when(deployment.started_at), mention(deployment.by))
    details = link(deployment.url, "details") if deployment.url else ""
    return join(", ", [by, cut(deployment.origin, _LONGEST), details])
