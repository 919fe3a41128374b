"""The modals of incidents, their actions and postmortems, and how they are read. Pure.

What is wrong with the input is returned by the name of the input, so that Slack shows it there.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.formatting import percent_text
from bot.incidents.downtime import Impact
from bot.incidents.incident import MOST_TITLE, CauseClass, Incident, Severity, start_fault
from bot.incidents.issues.tracked import MOST_URL, UnknownIssueError, issue_of
from bot.incidents.lifecycle import NewIncident
from bot.incidents.postmortem import PROMPTS, PostmortemPart
from bot.slack.blockkit.modals import (
    ModalForm,
    SubmittedModal,
    choice_input,
    choices_input,
    day_input,
    moment_input,
    number_input,
    person_input,
    text_input,
    tick_input,
)
from bot.slack.incidents.arguments import DEFAULT_SEVERITY, ActionArguments
from bot.slack.incidents.buttons import ADD_ACTION, CAUSE, EDIT, IMPACT, NOTE, RESOLVE, TIMES
from bot.store.outbox import Block

OPEN = "incident.open"
ADD_MESSAGE = "incident.timeline"

HEADINGS = {
    PostmortemPart.SUMMARY: "What happened",
    PostmortemPart.FACTORS: "Contributing factors",
    PostmortemPart.WENT_WELL: "What went well",
}
_BLAMELESS = "Blameless: write what the system let happen, and what people knew at the time."
_ALL = "*"
_MOST_NOTE = 2_000
_MOST_ACTION = 500
_FURTHEST_WEST = timedelta(hours=12)
_MEANINGS = {
    Severity.SEV1: "sev1: most users cannot do what they came for; freezes the services",
    Severity.SEV2: "sev2: many users are affected; freezes the services",
    Severity.SEV3: "sev3: some users are affected",
    Severity.SEV4: "sev4: hardly anybody notices",
}


def opening_form(
    services: Sequence[str],
    chosen: Sequence[str] = (),
    *,
    title: str = "",
    since: datetime | None = None,
    about: str = "",
) -> ModalForm:
    """Return the modal that opens an incident; `chosen` services are selected already.

    One that is opened from a message (`about`) has its text as the title, and its time as the start.
    """
    title = title if len(title) <= MOST_TITLE else title[: MOST_TITLE - 1].rstrip() + "…"
    kept = "The message is added to its timeline, with a link." if about else ""
    service_input: tuple[Block, ...] = ()
    if services:
        choices = [(name, name) for name in services]
        hint = "Both teams of each service are invited."
        service_input = (choices_input("services", "Services", choices, chosen, hint=hint),)
    return ModalForm(
        OPEN,
        "Open an incident",
        "Open",
        (
            text_input("title", "What is wrong?", title, most=MOST_TITLE, hint=kept),
            *service_input,
            choice_input("severity", "How bad is it?", list(_MEANINGS.items()), DEFAULT_SEVERITY),
            moment_input("started_at", "Since when?", since, optional=True, hint="Empty means now."),
            tick_input("private", "Who may see it?", "Private: only those invited see its channel"),
        ),
        about,
    )


def timeline_form(incidents: Sequence[Incident], about: str) -> ModalForm:
    """Return the modal that asks to which incident's timeline a message is added."""
    choices = [
        (str(incident.id), f"{incident.id}. {incident.severity.value} {incident.title}")
        for incident in incidents
    ]
    chosen = choices[0][0] if len(choices) == 1 else None
    choice = choice_input("incident", "Which incident is it about?", choices, chosen)
    return ModalForm(ADD_MESSAGE, "Add to timeline", "Add", (choice,), about)


def opening_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with a new incident, by the name of the input."""
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
    """Return the modal that adds a note to the timeline."""
    text = text_input("text", "What happened, what did you see or do?", most=_MOST_NOTE, long=True)
    return ModalForm(NOTE, "Add a note", "Add", (text,), str(incident.id))


def note_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with a note."""
    del now
    return {} if submitted.text("text") else {"text": "Say what happened."}


def impact_form(incident: Incident) -> ModalForm:
    """Return the modal that states an impact, filled in with what is known."""
    service_input: tuple[Block, ...] = ()
    if len(incident.services) > 1:
        choices = [(_ALL, "All of them"), *((name, name) for name in incident.services)]
        service_input = (choice_input("service", "Which service?", choices, _ALL),)
    # What is assumed is not filled in: to submit the form would state it.
    percent = "" if incident.is_assumed else f"{incident.share * 100:.6g}"
    assumed = percent_text(incident.share, plain=True)
    hint = f"Nobody has said yet. Assumed so far: {assumed}." if incident.is_assumed else ""
    return ModalForm(
        IMPACT,
        "Set the impact",
        "State",
        (
            number_input(
                "share", "What percentage of requests failed?", percent, least=0, most=100, hint=hint
            ),
            moment_input("start", "From", incident.started_at),
            moment_input(
                "end", "Until", incident.ended_at, optional=True, hint="Leave it empty while it goes on."
            ),
            *service_input,
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
    """Return what is wrong with the start in the input `first` and the end in the input `last`."""
    faults = {}
    start, end = submitted.moment(first), submitted.moment(last)
    if start is None:
        faults[first] = "Say when it started."
    elif fault := start_fault(start, now):
        faults[first] = _sentence(fault)
    if end is not None and end > now:
        faults[last] = "It cannot end in the future; leave the end empty while it goes on."
    elif start is not None and end is not None and end < start:
        faults[last] = "It ends before it begins."
    return faults


def read_impact(submitted: SubmittedModal) -> Impact:
    """Return the impact that the form describes; raises ValueError unless `impact_faults` finds nothing."""
    start = submitted.moment("start")
    if start is None:
        raise ValueError("an impact without a start")
    service = submitted.text("service")
    share = float(submitted.text("share")) / 100
    return Impact(start, submitted.moment("end"), share, service if service not in {"", _ALL} else None)


_ISSUE_HINT = "The address of an issue of GitHub, GitLab or Jira. The action is done once that is closed."


def action_form(incident: Incident) -> ModalForm:
    """Return the modal that adds an action to an incident."""
    return ModalForm(
        ADD_ACTION,
        "Add an action",
        "Add",
        (
            text_input(
                "text", "What must be done so that it does not happen again?", most=_MOST_ACTION, long=True
            ),
            person_input("owner", "Who owns it?"),
            day_input("due", "By when?"),
            tick_input("p0", "How urgent is it?", "P0: comes before everything else"),
            text_input("issue", "Issue that it follows", most=MOST_URL, optional=True, hint=_ISSUE_HINT),
        ),
        str(incident.id),
    )


def action_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with an action, by the name of the input."""
    faults = {} if submitted.text("text") else {"text": "Say what must be done."}
    due = submitted.day("due")
    # The day's time zone is not known: it has passed once it has everywhere.
    if due is not None and due < (now - _FURTHEST_WEST).date():
        faults["due"] = "That day has passed."
    if submitted.text("issue"):
        try:
            issue_of(submitted.text("issue"))
        except UnknownIssueError:
            faults["issue"] = "Write the address of an issue, such as https://github.com/acme/shop/issues/12."
    return faults


def read_action(submitted: SubmittedModal) -> ActionArguments:
    """Return the action that the form describes; its service is the incident's."""
    return ActionArguments(
        text=" ".join(submitted.text("text").split()),
        owner=submitted.text("owner") or None,
        issue=issue_of(submitted.text("issue")) if submitted.text("issue") else None,
        due=submitted.day("due"),
        is_p0=bool(submitted.several("p0")),
        service=None,
    )


def resolve_form(incident: Incident) -> ModalForm:
    """Return the modal that asks for a summary of what happened, filled in with the present one."""
    text = text_input(
        "summary",
        "What happened, in two or three sentences?",
        incident.summary,
        long=True,
        optional=True,
        hint="For those who were not there: the card, the announcement and the postmortem show it.",
    )
    return ModalForm(RESOLVE, "Resolve the incident", "Resolve", (text,), str(incident.id))


def part_form(incident: Incident, part: PostmortemPart) -> ModalForm:
    """Return the modal that edits a part of the document, filled in with the present text."""
    present = incident.document.get(part, "")
    text = text_input("text", PROMPTS[part], present, long=True, optional=True, hint=_BLAMELESS)
    return ModalForm(f"{EDIT}{part.value}", HEADINGS[part], "Save", (text,), str(incident.id))


def cause_form(incident: Incident) -> ModalForm:
    """Return the modal that names the class of cause."""
    choices = [(cause.value, cause.value.capitalize()) for cause in CauseClass]
    chosen = incident.cause.value if incident.cause else None
    choice = choice_input("cause", "What kind of cause was it?", choices, chosen)
    return ModalForm(CAUSE, "Cause", "Save", (choice,), str(incident.id))


def times_form(incident: Incident) -> ModalForm:
    """Return the modal that corrects start and end; the times to detect and to restore follow from them."""
    return ModalForm(
        TIMES,
        "Times",
        "Save",
        (
            moment_input("started_at", "When did users begin to notice?", incident.started_at),
            moment_input(
                "ended_at",
                "When was it over for them?",
                incident.ended_at,
                optional=True,
                hint="Empty leaves the end as it is.",
            ),
        ),
        str(incident.id),
    )


def times_faults(submitted: SubmittedModal, now: datetime) -> dict[str, str]:
    """Return what is wrong with the times, by the name of the input."""
    return span_faults(submitted, now, "started_at", "ended_at")


def _sentence(fault: str) -> str:
    return f"{fault[0].upper()}{fault[1:]}."
