"""The forms of incidents: opening one, a note, its impact. Pure: what is wrong in them is said beside it."""

from collections.abc import Sequence
from datetime import datetime

from bot.incidents.downtime import Impact
from bot.incidents.incident import MOST_TITLE, Incident, Severity, start_fault
from bot.incidents.lifecycle import NewIncident
from bot.slack.blockkit.modals import (
    ModalForm,
    SubmittedModal,
    choice_input,
    choices_input,
    moment_input,
    number_input,
    text_input,
    tick_input,
)
from bot.slack.incidents.arguments import DEFAULT_SEVERITY
from bot.slack.incidents.buttons import IMPACT, NOTE
from bot.store.outbox import Block

OPEN = "incident.open"

_ALL = "*"
_MEANINGS = {
    Severity.SEV1: "sev1: most users cannot do what they came for",
    Severity.SEV2: "sev2: many users are hit; holds the services",
    Severity.SEV3: "sev3: some users are hit",
    Severity.SEV4: "sev4: hardly anybody notices",
}


def opening_form(services: Sequence[str], chosen: Sequence[str] = ()) -> ModalForm:
    """Ask what is wrong; `chosen` services are ticked already."""
    which: tuple[Block, ...] = ()
    if services:
        choices = [(name, name) for name in services]
        hint = "Both teams of each are invited."
        which = (choices_input("services", "Services", choices, chosen, hint=hint),)
    return ModalForm(
        OPEN,
        "Open an incident",
        "Open",
        (
            text_input("title", "What is wrong?", most=MOST_TITLE),
            *which,
            choice_input("severity", "How bad is it?", list(_MEANINGS.items()), DEFAULT_SEVERITY),
            moment_input("started_at", "Since when?", None, optional=True, hint="Left out: since now."),
            tick_input("private", "Who may know?", "Private: only those invited see its channel"),
        ),
    )


def opening_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with an opening, by the name of the input."""
    faults = {}
    if not submitted.text("title"):
        faults["title"] = "Say in a few words what is wrong."
    started = submitted.moment("started_at")
    if started is not None and (fault := start_fault(started, now)):
        faults["started_at"] = _sentence(fault)
    return faults


def read_opening(submitted: SubmittedModal) -> NewIncident:
    """Return the incident that the form describes."""
    return NewIncident(
        key=f"slack form {submitted.id}",
        title=submitted.text("title"),
        severity=Severity(submitted.text("severity") or DEFAULT_SEVERITY),
        services=submitted.several("services"),
        by=submitted.user,
        started_at=submitted.moment("started_at"),
        private=bool(submitted.several("private")),
        is_person=True,
    )


def note_form(incident: Incident) -> ModalForm:
    """Ask for words for the timeline."""
    what = text_input("text", "What happened, what did you see or do?", most=2_000, long=True)
    return ModalForm(NOTE, "Add a note", "Add", (what,), str(incident.id))


def note_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with a note."""
    del now
    return {} if submitted.text("text") else {"text": "Say what happened."}


def impact_form(incident: Incident) -> ModalForm:
    """Ask how bad it was, from when to when; filled in as it is known."""
    which: tuple[Block, ...] = ()
    if len(incident.services) > 1:
        choices = [(_ALL, "All of them"), *((name, name) for name in incident.services)]
        which = (choice_input("service", "Which service?", choices, _ALL),)
    percent = f"{incident.share * 100:.6g}"
    return ModalForm(
        IMPACT,
        "State the impact",
        "State",
        (
            number_input("share", "How many percent of requests failed?", percent, least=0, most=100),
            moment_input("start", "From", incident.started_at),
            moment_input("end", "Until", incident.ended_at, optional=True, hint="Left out: it lasts."),
            *which,
        ),
        str(incident.id),
    )


def impact_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with an impact, by the name of the input."""
    faults = {}
    try:
        percent = float(submitted.text("share"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        faults["share"] = "Write a number between 0 and 100."
    return faults | span_faults(submitted, now, "start", "end")


def span_faults(submitted: SubmittedModal, now: datetime, first: str, last: str) -> dict[str, str]:
    """Return what is wrong with a start and an end."""
    faults = {}
    start, end = submitted.moment(first), submitted.moment(last)
    if start is None:
        faults[first] = "Say when it began."
    elif fault := start_fault(start, now):
        faults[first] = _sentence(fault)
    if end is not None and end > now:
        faults[last] = "It cannot end in the future; leave the end out while it lasts."
    elif start is not None and end is not None and end < start:
        faults[last] = "It ends before it begins."
    return faults


def read_impact(submitted: SubmittedModal) -> Impact:
    """Return the impact that the form describes; raises ValueError unless `impact_faults` finds nothing."""
    start = submitted.moment("start")
    if start is None:
        raise ValueError("an impact without a start")
    service = submitted.text("service")
    named = service if service not in {"", _ALL} else None
    return Impact(start, submitted.moment("end"), float(submitted.text("share")) / 100, named)


def _sentence(fault: str) -> str:
    return f"{fault[0].upper()}{fault[1:]}."
