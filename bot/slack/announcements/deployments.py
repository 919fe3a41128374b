"""Announcements of deployments that bypassed a freeze or a launch checklist.

Pure, so that they can be made within a transaction.

The words "freeze" and "frozen" (see `freezes.py`) do not appear here.
"""

from collections.abc import Sequence

from bot.catalog.current import CurrentCatalog
from bot.deployments.recorder import GateBypass
from bot.freezes.verdict import UnreadyLaunch
from bot.slack.announcements.announcement import AnnouncementText, distinct, message
from bot.slack.announcements.budget_phrases import hold_text, people_holding
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, join, link, markup, mention, when
from bot.store.outbox import OutboxMessage

_MOST_HOLDS = 3
_LONGEST = 300


class DeploymentAnnouncer:
    """Writes the messages of a bypass; `current` holds the policies in force."""

    def __init__(self, current: CurrentCatalog) -> None:
        self._current = current

    def __call__(self, bypass: GateBypass) -> Sequence[OutboxMessage]:
        """Return one message for the service's channel and one for the announcements."""
        service = bypass.service
        channels = distinct([service.channel, self._current.workspace.of(service.name).announcements])
        return [message(channel, announcement_text(bypass), service.name) for channel in channels]


def announcement_text(bypass: GateBypass) -> AnnouncementText:
    """Return the announcement of a bypass."""
    if bypass.launch is not None and not bypass.holds:
        return _launch_text(bypass, bypass.launch)
    service, deployment, holds = bypass.service.name, bypass.deployment, bypass.holds
    held = "1 hold was" if len(holds) == 1 else f"{len(holds)} holds were"
    headline = markup(
        ":warning: {} on {} when {} was deployed to {} anyway.",
        held, bold(service), code(cut(deployment.short_commit, _LONGEST)),
        cut(deployment.environment, _LONGEST),
    )  # fmt: skip
    lines = [markup("Held by {}", cut(hold_text(hold), _LONGEST)) for hold in holds[:_MOST_HOLDS]]
    more = len(holds) - len(lines)
    people = people_holding(holds)
    agree = markup(" or agree on it with {}", people) if people else NOTHING
    following = markup(
        "Next: roll it back{}, and make the pipeline ask {} first.", agree, code(f"governor gate {service}")
    )
    more_lines = [markup("and {} more", more)] if more > 0 else []
    unready = [markup("It was the first time, with {}", _open_items(bypass.launch))] if bypass.launch else []
    facts = (_facts(bypass), *lines, *more_lines, *unready)
    return AnnouncementText("gate_bypassed", headline, facts, following)


def _launch_text(bypass: GateBypass, launch: UnreadyLaunch) -> AnnouncementText:
    service, deployment = bypass.service.name, bypass.deployment
    headline = markup(
        ":warning: {} was deployed to {} for the first time before its launch checklist was complete: {}.",
        bold(service), cut(deployment.environment, _LONGEST), code(cut(deployment.short_commit, _LONGEST)),
    )  # fmt: skip
    following = markup(
        "Next: complete the checklist with {}, and make the pipeline ask {} first.",
        code(f"/governor readiness {service}"), code(f"governor gate {service}"),
    )  # fmt: skip
    facts = (_facts(bypass), markup("There were {}", _open_items(launch)))
    return AnnouncementText("gate_bypassed", headline, facts, following)


def _open_items(launch: UnreadyLaunch) -> Markup:
    return markup("open items on its launch checklist: {}", ", ".join(launch.lacks))


def _facts(bypass: GateBypass) -> Markup:
    deployment = bypass.deployment
    by = markup("Started {} by {}", when(deployment.started_at), mention(deployment.by))
    details = link(deployment.url, "details") if deployment.url else ""
    return join(", ", [by, cut(deployment.origin, _LONGEST), details])
