"""The buttons of incidents: their action ids, and which are shown where. Pure."""

from collections.abc import Collection, Sequence

from bot.formatting import listed
from bot.incidents.action import Action
from bot.incidents.incident import Incident, Role, Status
from bot.incidents.postmortem import (
    ACTIONS_HEADING,
    CAUSE_HEADING,
    HEADINGS,
    PostmortemPart,
    empty_sections,
)
from bot.slack.blockkit.blocks import actions, button, confirmation
from bot.store.outbox import Block

PREFIXES = ("incident.", "postmortem.", "action.")
"""The prefixes of all action and callback ids; all but `DONE_BUTTONS` carry the incident's number."""

OPEN_FORM = "incident.open.form"
"""The button that opens the form for a new incident; it carries nothing."""
CLAIM = "incident.claim"
STATUS = "incident.status."
RESOLVE = f"{STATUS}{Status.RESOLVED.value}"
"""The button that asks for a summary before it sets the status."""
NOTE = "incident.note"
IMPACT = "incident.impact"
RENAME = "incident.rename"
CANCEL = "incident.cancel"
REOPEN = "incident.reopen"
MERGE = "incident.merge"
CAUSED_BY = "incident.caused_by"
"""The button that asks which deployment caused it."""
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

_FILLED_IN = ":white_check_mark:"
_LABELS = {
    Status.INVESTIGATING: "It is back",
    Status.IDENTIFIED: "Cause identified",
    Status.MITIGATED: "Mitigated",
    Status.RESOLVED: "Resolved",
    Status.CANCELLED: "False alarm",
    Status.MERGED: "Duplicate",
}
_WRITING = {
    HEADINGS[PostmortemPart.SUMMARY]: f"{EDIT}{PostmortemPart.SUMMARY.value}",
    HEADINGS[PostmortemPart.FACTORS]: f"{EDIT}{PostmortemPart.FACTORS.value}",
    HEADINGS[PostmortemPart.WENT_WELL]: f"{EDIT}{PostmortemPart.WENT_WELL.value}",
    CAUSE_HEADING: CAUSE,
}
"""The buttons that open a form for a section of the document, by its heading."""
_CLOSED = (
    "The document stays here as a file. Then this channel and the incident's are archived: they can "
    "still be read, but not written in."
)
_TRANSITIONS = {
    Status.INVESTIGATING: (Status.IDENTIFIED, Status.MITIGATED, Status.RESOLVED),
    Status.IDENTIFIED: (Status.MITIGATED, Status.RESOLVED),
    Status.MITIGATED: (Status.RESOLVED, Status.INVESTIGATING),
    Status.RESOLVED: (Status.INVESTIGATING,),
    Status.CANCELLED: (),
    Status.MERGED: (),
}


def incident_buttons(incident: Incident) -> list[Block]:
    """Return the buttons for an incident in its present state."""
    number = str(incident.id)
    while_open = (button("Add a note", NOTE, number), button("Set the impact", IMPACT, number))
    if not incident.status.counts:
        return actions(button("Reopen", REOPEN, number))
    correct = (
        *((button("Caused by…", CAUSED_BY, number),) if incident.services else ()),
        button("Title and services", RENAME, number),
        button("Duplicate", MERGE, number),
        button("False alarm", CANCEL, number),
    )
    has_postmortem = incident.postmortem_at is not None
    postmortem = (
        button("See postmortem", SHOW_POSTMORTEM, number)
        if has_postmortem
        else button("Open postmortem", OPEN_POSTMORTEM, number, style="primary")
    )
    return actions(
        *progress_buttons(incident),
        *((*while_open, *correct) if incident.finished_at is None else ()),
        *((postmortem,) if incident.status is Status.RESOLVED or has_postmortem else ()),
    )


def progress_buttons(incident: Incident) -> tuple[Block, ...]:
    """Return the buttons that take an incident further: a commander, the next status."""
    number = str(incident.id)
    needs_commander = Role.COMMANDER not in incident.roles and not incident.status.is_over
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


def resolved_buttons(incident: Incident) -> list[Block]:
    """Return the buttons beside the news that an incident is resolved: what is still to be written."""
    number = str(incident.id)
    learn = button("Open postmortem", OPEN_POSTMORTEM, number, style="primary")
    write = button("Write a summary", f"{EDIT}{PostmortemPart.SUMMARY.value}", number)
    return actions(
        *(() if incident.postmortem_at else (learn,)),
        *(() if incident.summary else (write,)),
    )


def document_buttons(incident: Incident, own_actions: Collection[Action] = ()) -> list[Block]:
    """Return the buttons that edit a postmortem's document, and which sections are filled in.

    Only export and reopening are left once it is closed.
    """
    number, empty = str(incident.id), empty_sections(incident, own_actions)
    export = button("Export", EXPORT, number)
    if incident.finished_at is not None:
        return actions(export, button("Open again", OPEN_POSTMORTEM, number))
    left = f"Still empty: {listed(empty)}. " if empty else ""
    confirm = confirmation("Close the postmortem", f"{left}{_CLOSED}", "Close it")
    close = button("Close", CLOSE, number, style="primary", confirm=confirm)
    marks = {heading: "" if heading in empty else f"{_FILLED_IN} " for heading in _WRITING}
    count = f" ({len(own_actions)})" if own_actions else ""
    return actions(
        *(button(f"{marks[heading]}{heading}", id_, number) for heading, id_ in _WRITING.items()),
        button("Times", TIMES, number),
        button(f"Add an action{count}", ADD_ACTION, number),
        export,
        *((close,) if incident.status is Status.RESOLVED else ()),
    )


def unfinished_buttons(id_: int, empty: Sequence[str]) -> list[Block]:
    """Return the buttons that fill in the empty sections of a document, and the one that closes it anyway."""
    number = str(id_)
    forms = {**_WRITING, ACTIONS_HEADING: ADD_ACTION}
    labels = {ACTIONS_HEADING: "Add an action"}
    return actions(
        *(button(labels.get(heading, heading), forms[heading], number) for heading in empty),
        button("Close anyway", CLOSE, number, style="danger"),
    )
