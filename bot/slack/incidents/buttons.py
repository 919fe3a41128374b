"""The buttons of incidents: their action ids, and which are shown where. Pure."""

from bot.incidents.action import Action
from bot.incidents.incident import Incident, Role, Status
from bot.slack.blockkit.blocks import actions, button, confirmation
from bot.store.outbox import Block

PREFIXES = ("incident.", "postmortem.", "action.")
"""The prefixes of all action and callback ids; all but `DONE_BUTTONS` carry the incident's number."""

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
DONE_HERE = "action.done_here"
"""The same on a message about that action alone, which then says that it is done."""
DONE_LISTED = "action.done_listed"
"""The same in a list of actions, which is drawn again; it carries the action's number, page and service."""
DONE_BUTTONS = frozenset({DONE, DONE_HERE, DONE_LISTED})

_LABELS = {
    Status.INVESTIGATING: "It is back",
    Status.IDENTIFIED: "Cause identified",
    Status.MITIGATED: "Mitigated",
    Status.RESOLVED: "Resolved",
}
_CONFIRM_CLOSE = confirmation(
    "Close the postmortem",
    "The document stays here as a file. Then this channel and the incident's are archived: they can be "
    "read, and nothing more be said in them.",
    "Close it",
)
_TRANSITIONS = {
    Status.INVESTIGATING: (Status.IDENTIFIED, Status.MITIGATED, Status.RESOLVED),
    Status.IDENTIFIED: (Status.MITIGATED, Status.RESOLVED),
    Status.MITIGATED: (Status.RESOLVED, Status.INVESTIGATING),
    Status.RESOLVED: (Status.INVESTIGATING,),
}


def incident_buttons(incident: Incident) -> list[Block]:
    """Return the buttons for an incident in its present state."""
    number = str(incident.id)
    while_open = (button("Add a note", NOTE, number), button("State the impact", IMPACT, number))
    has_postmortem = incident.postmortem_at is not None
    postmortem = (
        button("See postmortem", SHOW_POSTMORTEM, number)
        if has_postmortem
        else button("Open postmortem", OPEN_POSTMORTEM, number, style="primary")
    )
    return actions(
        *progress_buttons(incident),
        *(while_open if incident.finished_at is None else ()),
        *((postmortem,) if incident.status is Status.RESOLVED or has_postmortem else ()),
    )


def progress_buttons(incident: Incident) -> tuple[Block, ...]:
    """Return the buttons that take an incident further: a commander, the next status."""
    number = str(incident.id)
    needs_commander = Role.COMMANDER not in incident.roles and incident.status is not Status.RESOLVED
    claim = (button("Take command", CLAIM, number),) if needs_commander else ()
    return (
        *claim,
        *(
            button(_LABELS[status], f"{STATUS}{status.value}", number)
            for status in _TRANSITIONS[incident.status]
        ),
    )


def done_button(action: Action, action_id: str = DONE, more: str = "") -> Block | None:
    """Return the button that marks an action as done; None for one that is. `more` follows its number."""
    return None if action.done_at else button("Done", action_id, f"{action.id}{more}")


def document_buttons(incident: Incident) -> list[Block]:
    """Return the buttons that edit a postmortem's document; only export and reopening once it is closed."""
    number = str(incident.id)
    export = button("Export", EXPORT, number)
    if incident.finished_at is not None:
        return actions(export, button("Open again", OPEN_POSTMORTEM, number))
    close = button("Close", CLOSE, number, style="primary", confirm=_CONFIRM_CLOSE)
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
