"""What is shown below a link: an incident's state, or what is left of a service's budgets. Pure.

Everybody in the conversation sees it, so it has no buttons; `chat.unfurl` takes no rich text.
"""

from bot.freezes.status import ServiceStatus
from bot.incidents.snapshot import IncidentSnapshot
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import NOTHING, cut, join, markup
from bot.slack.home.view import service_text, slo_texts
from bot.slack.incidents.card import LONGEST_SUMMARY, channel_link, facts, headline, spent, titled
from bot.store.outbox import Block

_MOST_SLOS = 5


def incident_preview(snapshot: IncidentSnapshot) -> list[Block]:
    """Return the blocks that show an incident in short."""
    channel_id = snapshot.channel_id()
    where = markup("join {}", channel_link(channel_id)) if channel_id else NOTHING
    return [
        section(headline(snapshot)),
        *titled("Summary", cut(snapshot.incident.summary, LONGEST_SUMMARY)),
        *facts(snapshot),
        *titled("Spent so far" if snapshot.incident.status.is_active else "Spent", spent(snapshot)),
        context(join(" · ", [f"Incident {snapshot.incident.id}", where])),
    ]


def service_preview(status: ServiceStatus) -> list[Block]:
    """Return the blocks that show a service and what is left of its budgets."""
    slos = slo_texts(status)
    shown = [context(text) for text in slos[:_MOST_SLOS]] if len(slos) > 1 else []
    more = [context(f"and {len(slos) - _MOST_SLOS} more")] if len(slos) > _MOST_SLOS else []
    return [section(service_text(status)), *shown, *more]
