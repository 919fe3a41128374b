"""The forms that a postmortem's document is written with. Pure: what is wrong is said beside it."""

from datetime import datetime

from bot.incidents.incident import CauseClass, Incident
from bot.incidents.postmortem import PROMPTS, PostmortemPart
from bot.slack.blockkit.modals import ModalForm, SubmittedModal, choice_input, moment_input, text_input
from bot.slack.incidents.buttons import CAUSE, EDIT, TIMES
from bot.slack.incidents.modals import span_faults

HEADINGS = {
    PostmortemPart.SUMMARY: "What happened",
    PostmortemPart.FACTORS: "Contributing factors",
    PostmortemPart.WENT_WELL: "What went well",
}
_BLAMELESS = "Blameless: write what the system let happen, and what people knew at the time."


def part_form(incident: Incident, part: PostmortemPart) -> ModalForm:
    """Ask for a part of the document, filled in as it stands."""
    written = incident.document.get(part, "")
    asked = text_input("text", PROMPTS[part], written, long=True, optional=True, hint=_BLAMELESS)
    return ModalForm(f"{EDIT}{part.value}", HEADINGS[part], "Save", (asked,), str(incident.id))


def cause_form(incident: Incident) -> ModalForm:
    """Ask for the class of cause."""
    choices = [(cause.value, cause.value.capitalize()) for cause in CauseClass]
    chosen = incident.cause.value if incident.cause else None
    asked = choice_input("cause", "What class of cause was it?", choices, chosen)
    return ModalForm(CAUSE, "Cause", "Save", (asked,), str(incident.id))


def times_form(incident: Incident) -> ModalForm:
    """Ask when it began and ended: the times to detect and to mitigate follow from these."""
    return ModalForm(
        TIMES,
        "Times",
        "Save",
        (
            moment_input("started_at", "When did users begin to suffer?", incident.started_at),
            moment_input(
                "ended_at",
                "When were they well again?",
                incident.ended_at,
                optional=True,
                hint="Left out: the end stays as it is.",
            ),
        ),
        str(incident.id),
    )


def times_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with the times, by the name of the input."""
    return span_faults(submitted, now, "started_at", "ended_at")
