"""The form of an action: what is to be done, by whom, until when. Pure."""

from datetime import datetime, timedelta

from bot.incidents.incident import Incident
from bot.slack.blockkit.modals import (
    ModalForm,
    SubmittedModal,
    day_input,
    person_input,
    text_input,
    tick_input,
)
from bot.slack.incidents.arguments import ActionArguments
from bot.slack.incidents.buttons import ADD_ACTION

_MOST = 500
_FURTHEST_WEST = timedelta(hours=12)


def action_form(incident: Incident) -> ModalForm:
    """Ask for an action of an incident."""
    return ModalForm(
        ADD_ACTION,
        "Add an action",
        "Add",
        (
            text_input(
                "text", "What is to be done, so that it does not happen again?", most=_MOST, long=True
            ),
            person_input("owner", "Who sees to it?"),
            day_input("due", "By when?"),
            tick_input("p0", "How urgent is it?", "P0: the service cannot do without it"),
        ),
        str(incident.id),
    )


def action_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with an action, by the name of the input."""
    faults = {} if submitted.text("text") else {"text": "Say what is to be done."}
    due = submitted.day("due")
    # Whose zone the day is in is not said: it has passed once it has everywhere.
    if due is not None and due < (now - _FURTHEST_WEST).date():
        faults["due"] = "That day has passed."
    return faults


def read_action(submitted: SubmittedModal) -> ActionArguments:
    """Return the action that the form describes; its service is the incident's."""
    return ActionArguments(
        text=" ".join(submitted.text("text").split()),
        owner=submitted.text("owner") or None,
        due=submitted.day("due"),
        is_p0=bool(submitted.several("p0")),
        service=None,
    )
