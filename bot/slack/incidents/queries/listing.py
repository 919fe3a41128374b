"""The list of incidents, newest first: a table of many, a paragraph each of few. Pure."""

from collections.abc import Sequence

from bot.formatting import budget_text, counted, listed
from bot.incidents.snapshot import IncidentSnapshot
from bot.incidents.visibility import ANYBODY, may_see
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup, when
from bot.slack.blockkit.tables import MANY, ROWS, channel_cell, number_cell, table, text_cell, time_cell
from bot.slack.incidents.card import channel_link
from bot.slack.interactions import Query, Reply, page_buttons, page_of, show_button, show_menu
from bot.store.outbox import Block

_HEADINGS = ("No.", "Title", "Severity", "Status", "Services", "Opened", "Budget spent", "Channel")


def incident_list(
    snapshots: Sequence[IncidentSnapshot], service: str | None, query: Query, *, private: bool = False
) -> Reply:
    """Return a list of incidents, newest first: the open ones, or all of `service`.

    A list with private incidents, or in a `private` place, cannot be shared.
    """
    if not snapshots:
        nothing = markup("No incident of {} is known.", bold(service)) if service else "No incident is open."
        text = markup("{} Next: {} opens one.", nothing, code("/incident"))
        return Reply(text, (section(text),))
    page, pages = page_of(query.page, len(snapshots), ROWS)
    shown = snapshots[(page - 1) * ROWS : page * ROWS]
    is_open = sum(snapshot.incident.resolved_at is None for snapshot in snapshots)
    count = (
        f"{is_open} open"
        if service is None
        else f"{counted(len(snapshots), 'incident')}, {is_open or 'none'} open"
    )
    small = context(count if pages == 1 else f"{count} · page {page} of {pages}")
    if len(snapshots) > MANY:
        caption = f"Incidents of {service}" if service else "Open incidents"
        details = [(_name(snapshot), _details(snapshot)) for snapshot in shown]
        body = [
            *table(caption, _HEADINGS, [_cells(snapshot) for snapshot in shown]),
            small,
            *show_menu("Look at an incident", details),
        ]
    else:
        body = [
            section(_row(snapshot), accessory=next(iter(show_button("Details", _details(snapshot))), None))
            for snapshot in shown
        ]
        body.append(small)
    asked = Query("incident", f"list {service or ''}".strip(), page)
    hidden = private or not all(may_see(snapshot.incident, ANYBODY) for snapshot in snapshots)
    text = join("\n", [_row(snapshot) for snapshot in shown])
    return Reply(text, tuple(body), page_buttons(asked, pages), None if hidden else asked)


def _details(snapshot: IncidentSnapshot) -> Query:
    return Query("incident", f"show {snapshot.incident.id}")


def _name(snapshot: IncidentSnapshot) -> str:
    return f"{snapshot.incident.id}. {snapshot.incident.title}"


def _cells(snapshot: IncidentSnapshot) -> list[Block]:
    """Return an incident's row of the table, below `_HEADINGS`."""
    incident = snapshot.incident
    highest = max(snapshot.cost.values(), default=0.0)
    return [
        number_cell(incident.id, str(incident.id)),
        text_cell(incident.title),
        text_cell(incident.severity.value),
        text_cell(incident.status.value),
        text_cell(listed(incident.services)),
        time_cell(incident.opened_at),
        number_cell(highest, budget_text(highest)),
        channel_cell(snapshot.channel_id()),
    ]


def _row(snapshot: IncidentSnapshot) -> Markup:
    incident = snapshot.incident
    highest = max(snapshot.cost.values(), default=0.0)
    spent = markup("{} of a budget spent", budget_text(highest)) if highest > 0 else ""
    channel_id = snapshot.channel_id()
    link = channel_link(channel_id) if channel_id else ""
    first = markup(
        "{}. {} {} — {}", incident.id, incident.severity.value, incident.status.value, bold(incident.title)
    )
    facts = [listed(incident.services), when(incident.opened_at), spent, link]
    return join("\n", [first, join(" · ", facts)])
