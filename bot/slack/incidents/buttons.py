"""The buttons of incidents: what they are called, and which stand where. Pure."""

from bot.incidents.incident import Incident, Role, Status
from bot.slack.blockkit.blocks import actions, button, confirmation
from bot.store.outbox import Block

PREFIXES = ("incident.", "postmortem.", "action.")
"""What the names of all these buttons and forms begin with; all but `DONE` carry the incident's number."""

CLAIM = "incident.claim"
STATUS = "incident.status."
NOTE = "incident.note"
IMPACT = "incident.impact"
OPEN_POSTMORTEM = "postmortem.open"
SHOW_POSTMORTEM = "postmortem.show"
EDIT = "postmortem.edit."
CAUSE = "postmortem.cause"
TIMES = "postmortem.times"
EXPORT = "postmortem.export"
CLOSE = "postmortem.close"
ADD_ACTION = "action.add"
DONE = "action.done"
"""The button beside an action; it carries the action's number."""

_LABELS = {
    Status.INVESTIGATING: "It is back",
    Status.IDENTIFIED: "Cause identified",
    Status.MITIGATED: "Mitigated",
    Status.RESOLVED: "Resolved",
}
_CLOSING = confirmation(
    "Close the postmortem",
    "The document stays here as a file. Then this channel and the incident's are archived: they can be "
    "read, and nothing more be said in them.",
    "Close it",
)
_AFTER = {
    Status.INVESTIGATING: (Status.IDENTIFIED, Status.MITIGATED, Status.RESOLVED),
    Status.IDENTIFIED: (Status.MITIGATED, Status.RESOLVED),
    Status.MITIGATED: (Status.RESOLVED, Status.INVESTIGATING),
    Status.RESOLVED: (Status.INVESTIGATING,),
}


def incident_buttons(incident: Incident) -> list[Block]:
    """Return what can be done with an incident as it stands."""
    number = str(incident.id)
    open_for = (button("Add a note", NOTE, number), button("State the impact", IMPACT, number))
    asked = incident.postmortem_at is not None
    learn = (
        button("See postmortem", SHOW_POSTMORTEM, number)
        if asked
        else button("Open postmortem", OPEN_POSTMORTEM, number, style="primary")
    )
    return actions(
        *progress_buttons(incident),
        *(open_for if incident.finished_at is None else ()),
        *((learn,) if incident.status is Status.RESOLVED or asked else ()),
    )


def progress_buttons(incident: Incident) -> tuple[Block, ...]:
    """Return what takes an incident further: a commander, the next status."""
    number = str(incident.id)
    lacks = Role.COMMANDER not in incident.roles and incident.status is not Status.RESOLVED
    claim = (button("Take command", CLAIM, number),) if lacks else ()
    return (
        *claim,
        *(button(_LABELS[status], f"{STATUS}{status.value}", number) for status in _AFTER[incident.status]),
    )


def document_buttons(incident: Incident) -> list[Block]:
    """Return what can be written into a postmortem's document, nothing once it is closed."""
    number = str(incident.id)
    export = button("Export", EXPORT, number)
    if incident.finished_at is not None:
        return actions(export, button("Open again", OPEN_POSTMORTEM, number))
    close = button("Close", CLOSE, number, style="primary", confirm=_CLOSING)
    return actions(
        button("What happened", f"{EDIT}summary", number),
        button("Contributing factors", f"{EDIT}factors", number),
        button("What went well", f"{EDIT}went_well", number),
        button("Cause", CAUSE, number),
        button("Times", TIMES, number),
        button("Add an action", ADD_ACTION, number),
        export,
        *((close,) if incident.status is Status.RESOLVED else ()),
    )
