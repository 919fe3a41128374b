"""The modal that asks which deployment caused an incident. Pure."""

from collections.abc import Sequence

from bot.deployments.deployment import PRODUCTION, DeploymentState
from bot.deployments.judgement import NO_DEPLOYMENT
from bot.incidents.causes.cause import CausingDeployment
from bot.incidents.incident import Incident
from bot.incidents.snapshot import IncidentSnapshot
from bot.slack.announcements.cause_phrases import time_to
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.modals import ModalForm, SubmittedModal, choice_input
from bot.slack.blockkit.mrkdwn import Markup
from bot.slack.incidents.buttons import CAUSED_BY

MOST_OFFERED = 10
_INPUT = "deployment"
_NONE, _OPEN, _DEPLOYMENT = "none", "open", "id "
_LONGEST_ID = 150
"""Slack's limit for the value of an option."""


def cause_form(snapshot: IncidentSnapshot, candidates: Sequence[CausingDeployment]) -> ModalForm:
    """Return the modal that offers the deployments before and around the start of an incident."""
    incident, causes = snapshot.incident, snapshot.causes
    is_known = bool(causes.confirmed or causes.flags or causes.cleared_by)
    offered = [each for each in candidates if len(value_of(each)) <= _LONGEST_ID]
    by_value = {value_of(each): each for each in (*causes.confirmed, *causes.suspected, *offered)}
    choices = [(value, _label(each, incident)) for value, each in list(by_value.items())[:MOST_OFFERED]]
    choices += [(_NONE, "No deployment caused it")]
    choices += [(_OPEN, "Not known yet: take back what was said")] if is_known else []
    chosen = next((value_of(each) for each in causes.confirmed), _NONE if causes.cleared_by else None)
    told = "What you say here counts in the change fail rate. It is about the change, never about a person."
    menu = choice_input(_INPUT, "Which deployment caused it?", choices, chosen)
    form = (section(Markup(told)), menu)
    return ModalForm(CAUSED_BY, "What caused it?", "Save", form, str(incident.id))


def value_of(cause: CausingDeployment) -> str:
    """Return the value of a deployment's option."""
    return f"{_DEPLOYMENT}{cause.deployment.id}"


def read_cause(submitted: SubmittedModal) -> str | None:
    """Return the id of the chosen deployment, `NO_DEPLOYMENT`, or None to take back what was said."""
    chosen = submitted.text(_INPUT)
    if chosen == _OPEN:
        return None
    return NO_DEPLOYMENT if chosen == _NONE else chosen.removeprefix(_DEPLOYMENT)


def _label(cause: CausingDeployment, incident: Incident) -> str:
    deployment = cause.deployment
    where = "" if deployment.environment.casefold() == PRODUCTION else f" to {deployment.environment}"
    of = f" ({', '.join(cause.services)})" if len(incident.services) > 1 else ""
    failed = ", failed" if deployment.state is DeploymentState.FAILED else ""
    return f"{deployment.short_commit}{where}{of}{failed}, {time_to(deployment, incident)}"
