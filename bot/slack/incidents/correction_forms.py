"""The modals that correct an incident as a whole: what it is called, and which services it concerns. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime

from bot.incidents.incident import MOST_TITLE, Incident
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.modals import (
    ModalForm,
    SubmittedModal,
    choice_input,
    choices_input,
    text_input,
)
from bot.slack.blockkit.mrkdwn import markup
from bot.slack.incidents.buttons import CANCEL, MERGE, RENAME
from bot.store.outbox import Block

MOST_REASON = 500


def rename_form(incident: Incident, services: Collection[str]) -> ModalForm:
    """Return the modal that changes title and services, of `services` and those that it has."""
    service_input: tuple[Block, ...] = ()
    if choices := sorted({*services, *incident.services}):
        options = [(name, name) for name in choices]
        hint = "Holds, costs and invitations follow."
        service_input = (choices_input("services", "Services", options, incident.services, hint=hint),)
    title = text_input("title", "Title", incident.title, most=MOST_TITLE)
    return ModalForm(RENAME, "Change the incident", "Save", (title, *service_input), str(incident.id))


def cancel_form(incident: Incident) -> ModalForm:
    """Return the modal that asks whether an incident was a false alarm, and why."""
    lifted = " Its hold on the services is lifted." if incident.wants_hold else ""
    told = markup(
        "Incident {} is taken out of every budget and every statistic.{} It can be reopened.",
        incident.id, lifted,
    )  # fmt: skip
    why = text_input("reason", "Why was it not an incident?", most=MOST_REASON, optional=True)
    return ModalForm(CANCEL, "A false alarm?", "Mark as false alarm", (section(told), why), str(incident.id))


def merge_form(incident: Incident, others: Sequence[Incident]) -> ModalForm:
    """Return the modal that asks which incident this one is a duplicate of; there is at least one other."""
    told = markup(
        "Services, timeline, alerts and actions of incident {} become part of the other, which then counts "
        "for both.",
        incident.id,
    )  # fmt: skip
    choices = [(str(other.id), _name_in_menu(other)) for other in others]
    target = choice_input("into", "Which incident is it the same as?", choices)
    return ModalForm(MERGE, "A duplicate?", "Merge", (section(told), target), str(incident.id))


def _name_in_menu(incident: Incident) -> str:
    """Return an incident's number, state and title; a menu cuts off what is too long."""
    return f"{incident.id}. {incident.severity.value} {incident.status.value}: {incident.title}"


def rename_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with a title, by the name of the input."""
    del now
    return {} if submitted.text("title") else {"title": "Say in a few words what is wrong."}
