"""Phrases about what was deployed last, which announcements and incident cards share. Pure."""

from datetime import datetime, timedelta

from bot.formatting import duration_text
from bot.freezes.transition import PrecedingDeployment
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, code, cut, link, markup, mention

_LONGEST = 300
_A_MINUTE = timedelta(minutes=1)


def last_deployment_text(deployment: PrecedingDeployment | None, at: datetime) -> Markup:
    """Return which production deployment came last before `at`; empty where none is known."""
    if deployment is None:
        return NOTHING
    environment = markup(" to {}", cut(deployment.environment, _LONGEST)) if deployment.environment else ""
    outcome = ", which failed" if deployment.has_failed else ""
    details = markup(" ({})", link(deployment.url, "details")) if deployment.url else ""
    return markup(
        "Last deployment before it: {}{}{}, {} earlier, by {}{}.",
        code(cut(deployment.name, _LONGEST)), environment, outcome, _length(at - deployment.finished_at),
        cut(mention(deployment.by), _LONGEST), details,
    )  # fmt: skip


def _length(apart: timedelta) -> str:
    if apart < _A_MINUTE:
        return "less than a minute"
    return duration_text(_A_MINUTE * round(apart / _A_MINUTE))
